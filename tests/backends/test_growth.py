"""What a cluster of our own lets go of, so that a session may run for days."""

import asyncio
import time
from collections import deque

import numpy as np
import pytest
from dask.utils import key_split

import tra
from tra.backends import growth
from tra.backends.worker import open_ledger


def entry(token, stop):
    return {"stop": stop, "keys": {("tra-send", token, 0): 64}}


def test_transfers_of_runs_that_are_over_are_let_go_of_when_they_are_old():
    open_ledger("that is kept")
    now = time.time()
    over, kept = entry("that is over", now - 100), entry("that is kept", now - 100)
    new, given = entry("that begins", now), {"stop": now - 100, "keys": {"tra-given-5f1e": 8, 5: 1, (): 1}}
    log = deque([over, given, over, kept, over, new])
    growth.forget_transfers(log)
    assert list(log) == [kept, over, new]  # what lies behind one that is kept waits for it


class Ticking:
    """What of a server regular work needs."""

    def __init__(self):
        self.periodic_callbacks, self.transfer_incoming_log = {}, deque([entry("that is over", 0.0)])


def test_regular_work_is_begun_once_and_lets_go_of_transfers_and_keys(monkeypatch):
    monkeypatch.setattr(growth, "SECONDS", 0.005)
    server = Ticking()

    async def ticked():
        growth.forget_regularly(dask_worker=server)
        first = server.periodic_callbacks["tra-forget"]
        growth.forget_regularly(dask_worker=server)
        key_split("tra-send-1")
        held = key_split.cache_info().currsize
        await asyncio.sleep(0.1)
        assert held and not key_split.cache_info().currsize
        assert not server.transfer_incoming_log and not first.is_running()
        server.periodic_callbacks["tra-forget"].stop()

    asyncio.run(ticked())


@pytest.mark.xdist_group("dask")
def test_schedulers_and_workers_keep_little_of_what_is_over():
    def settings(dask_worker):
        logs = dask_worker._deque_handler.deque.maxlen, dask_worker.transfer_incoming_log.maxlen
        return logs, "spans" in dask_worker.extensions, "tra-forget" in dask_worker.periodic_callbacks

    def groups(dask_scheduler):
        found = {group for computation in dask_scheduler.computations for group in computation.groups}
        assert not {"spans", "stealing"} & dask_scheduler.extensions.keys()
        assert "tra-forget" in dask_scheduler.periodic_callbacks
        return len(dask_scheduler.task_groups), len(found)

    A = tra.from_array(np.ones((8, 8)), tile=4)
    with tra.connect("dask", sites=2, threads=1, progress=False) as session:
        client = session.backend.client
        for _ in range(120):
            session.compute((A @ A).sum())
        assert set(client.run(settings).values()) == {((1000, growth.TRANSFERS), False, True)}
        live, kept = client.run_on_scheduler(groups)
        assert live <= 2 and kept <= 300  # of the last hundred computations
        moved = session.explain(A @ A.T, analyze=True).to_dict()["bytes_moved"]
        assert moved["measured"] == moved["predicted"]
