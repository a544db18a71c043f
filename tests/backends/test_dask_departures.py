"""Workers that are short of memory, that go away, and scripts that would start them over and over."""

import os
import signal
import subprocess
import sys
import threading
import time

import dask
import numpy as np
import pytest
from distributed import LocalCluster

import tra
from tests.long import LONG, only_long
from tra.backends import site_workers
from tra.backends.workers import workers_there
from tra.errors import MemoryLimitError, PlanError

pytestmark = pytest.mark.xdist_group("dask")

A = tra.from_array(np.ones((400, 400)), keys=("i", "j"), tile=100, name="A")


def test_a_small_limit_is_of_tiles_and_not_of_processes():
    with tra.connect("dask", sites=1, threads=1, memory_limit="60MB", progress=False) as session:
        assert session.compute((A @ A).sum())[0] == 400**3
        assert session.backend.memory_limit == 60_000_000
    with (
        tra.connect("dask", sites=1, threads=1, memory_limit="1kB", progress=False) as session,
        pytest.raises(MemoryLimitError, match="the limit is 1 kB; memory_limit="),
    ):
        session.compute((A @ A).sum())


@pytest.fixture(scope="module")
def shrinking():
    settings = {"distributed.scheduler.work-stealing": False}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as started,
    ):
        yield started


@only_long
@pytest.mark.parametrize("progress", [False, True] if LONG else [True])
def test_a_query_goes_on_when_a_worker_dies(shrinking, progress):
    @tra.kernel("()->()", name=f"sleeps {progress}", output_dtype="f8")
    def sleeps(tile):
        time.sleep(0.2)
        return tile

    with tra.connect("dask", scheduler=shrinking, sites=2, progress=progress) as session:
        session.compute(A + 1)
        address = session.backend.workers[0]
        (pid,) = session.backend.client.run(os.getpid, workers=[address]).values()
        threading.Timer(0.7, os.kill, (pid, signal.SIGKILL)).start()
        found = session.compute((A + 2).transform(sleeps))
        np.testing.assert_array_equal(found[0], np.full((400, 400), 3.0))
        assert address not in session.backend.workers
        assert len(session.backend.workers) == 2


@pytest.mark.parametrize("cost_model", ["fixed", "measured"])
def test_workers_that_left_before_a_query_and_none_that_came(shrinking, cost_model, monkeypatch):
    monkeypatch.setattr(site_workers, "PATIENCE_SECONDS", 1.0)
    shrinking.scale(2)
    with tra.connect("dask", scheduler=shrinking, sites=2, cost_model=cost_model, progress=False) as session:
        if cost_model == "fixed":
            (stored,) = session.persist(A)
        shrinking.scale(0)
        while workers_there(session.backend.client):
            time.sleep(0.1)
        with pytest.raises(PlanError, match=r"^all workers left the cluster, and none joined it in 1 s"):
            session.compute(A)
        if cost_model == "fixed":
            with pytest.raises(PlanError, match="all workers left"):
                session.compute(stored)
            shrinking.scale(1)  # one comes, and what was lost is made again there
            monkeypatch.setattr(site_workers, "PATIENCE_SECONDS", 60.0)
            np.testing.assert_array_equal(session.compute(stored + 1)[0], np.full((400, 400), 2.0))
            shrinking.scale(0)
            stored = None
    while workers_there(shrinking.get_client()):
        time.sleep(0.1)
    monkeypatch.setattr("tra.backends.cluster.ANSWER_SECONDS", 0.3)
    with pytest.raises(PlanError, match=r"a worker is needed, but after 0\.3 s the cluster has"):
        tra.connect("dask", scheduler=shrinking)


def test_a_client_that_was_closed():
    with tra.connect("dask", sites=1, progress=False, cost_model="fixed") as session:
        session.backend.client.close()
        with pytest.raises(PlanError, match="no connection to its cluster; connect again"):
            session.compute(A)


def test_a_script_that_each_worker_would_run_is_refused(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import tra\ntra.connect('dask', sites=1)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tra.errors.PlanError: each worker process imports script.py again")
    assert last.endswith('put what the script does below if __name__ == "__main__":')
    assert len(done.stderr.splitlines()) < 30
