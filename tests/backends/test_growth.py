"""What a cluster of our own lets go of, so that a session may run for days."""

import time
from collections import deque

import numpy as np
import pytest
from dask.utils import key_split

import tra
from tra.backends import growth
from tra.backends.worker import _ledger


def entry(token, stop):
    return {"stop": stop, "keys": {("tra-send", token, 0): 64}}


def test_transfers_of_runs_that_are_over_are_let_go_of_when_they_are_old():
    _ledger("that is kept")
    now = time.time()
    over, kept = entry("that is over", now - 100), entry("that is kept", now - 100)
    new, given = entry("that begins", now), {"stop": now - 100, "keys": {"tra-given-5f1e": 8}}
    log = deque([over, given, over, kept, over, new])
    growth.forget(log)
    assert list(log) == [kept, over, new]  # what lies behind one that is kept waits for it
    assert key_split.cache_info().currsize == 0


@pytest.mark.xdist_group("dask")
def test_schedulers_and_workers_let_go_of_what_is_over(monkeypatch):
    monkeypatch.setattr(growth, "SECONDS", 0.05)  # of the scheduler, which runs in this process

    def groups(dask_scheduler):
        import gc

        from distributed.scheduler import TaskGroup

        gc.collect()
        return sum(isinstance(found, TaskGroup) for found in gc.get_objects())

    def settings(dask_worker):
        logs = dask_worker._deque_handler.deque.maxlen
        return logs, dask_worker.transfer_incoming_log.maxlen, "tra-forget" in dask_worker.periodic_callbacks

    A = tra.from_array(np.ones((8, 8)), tile=4)
    with tra.connect("dask", sites=2, threads=1, progress=False) as session:
        client = session.backend.client
        assert set(client.run(settings).values()) == {(1000, growth.TRANSFERS, True)}
        for _ in range(120):
            session.compute((A @ A).sum())
        before = client.run_on_scheduler(groups)
        for _ in range(40):
            session.compute((A @ A).sum())
        after = client.run_on_scheduler(groups)
        assert after <= before + 20  # it keeps those of the last hundred computations
        deadline = time.monotonic() + 10
        while key_split.cache_info().currsize > 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert key_split.cache_info().currsize <= 8
        moved = session.explain(A @ A.T, analyze=True).to_dict()["bytes_moved"]
        assert moved["measured"] == moved["predicted"]
