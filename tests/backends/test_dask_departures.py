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


@pytest.mark.parametrize("progress", [False, True])
def test_a_worker_that_dies_while_a_query_runs_is_named(shrinking, progress):
    @tra.kernel("()->()", name=f"sleeps {progress}", output_dtype="f8")
    def sleeps(tile):
        time.sleep(0.5)
        return tile

    with tra.connect("dask", scheduler=shrinking, sites=2, progress=progress) as session:
        session.compute(A + 1)
        address = session.backend.workers[0]
        (pid,) = session.backend.client.run(os.getpid, workers=[address]).values()
        threading.Timer(1.0, os.kill, (pid, signal.SIGKILL)).start()
        start = time.monotonic()
        with pytest.raises(PlanError, match=f"^{address} left the cluster"):
            session.compute((A + 2).transform(sleeps))
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("cost_model", ["fixed", "measured"])
def test_workers_that_left_before_a_query_are_named(shrinking, cost_model):
    shrinking.scale(2)
    with tra.connect("dask", scheduler=shrinking, sites=2, cost_model=cost_model, progress=False) as session:
        if cost_model == "fixed":
            (stored,) = session.persist(A)
        shrinking.scale(0)
        while workers_there(session.backend.client):
            time.sleep(0.1)
        addresses = ", ".join(session.backend.workers)
        with pytest.raises(PlanError, match=f"^{addresses} left the cluster.*connect again"):
            session.compute(A)
        if cost_model == "fixed":
            with pytest.raises(PlanError, match="left the cluster"):
                session.compute(stored)
            stored = None
    with pytest.raises(PlanError, match="has no workers"):
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
