"""Schedulers and clients that are lost, and runs that are interrupted."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

import tra
from tests.backends.kills import leftover, wait_for_workers
from tests.long import LONG, only_long
from tra.backends import workers
from tra.errors import PlanError

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture
def session(mortal_session):
    return mortal_session


# -- the scheduler, and Ctrl-C ----------------------------------------------------------------------


@contextmanager
def own_cluster(folder):
    """The process of a scheduler, and a client of it and of its only worker."""
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    command += ["--host", "127.0.0.1", "--scheduler-file", str(file)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
    worker += ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--death-timeout", "20"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen(command, **quiet) as scheduler,
        subprocess.Popen(worker, cwd=folder, **quiet) as running,
    ):
        try:
            with Client(scheduler_file=str(file), set_as_default=False) as client:
                client.wait_for_workers(1, timeout=60)
                yield scheduler, client
        finally:
            scheduler.kill()
            running.kill()


@pytest.mark.parametrize("lost", [signal.SIGKILL, signal.SIGSTOP] if LONG else [signal.SIGKILL])
def test_a_scheduler_that_is_lost_is_an_error(tmp_path, monkeypatch, lost):
    monkeypatch.setattr(workers, "ANSWER_SECONDS", 2.0)
    checkpoint = tmp_path / "checkpoint"
    with (
        own_cluster(tmp_path) as (scheduler, client),
        tra.connect("dask", scheduler=client, progress=False, cost_model="fixed") as session,
    ):
        train(session, 2, checkpoint)
        threading.Timer(0.3, scheduler.send_signal, [lost]).start()
        start = time.monotonic()
        with pytest.raises(PlanError, match="no connection to its cluster"):
            train(session, 10_000, checkpoint)
        assert time.monotonic() - start < 30
    with tra.connect("local", sites=1, threads=1, cost_model="fixed") as session:
        epochs = train(session, 10_000, checkpoint, stop=lambda _: True).history[0].epoch
        assert epochs > 2  # it goes on from where it was


def train(session, epochs, checkpoint, **more):
    X = tra.from_array(np.arange(24.0).reshape(12, 2) / 24, ("n", "d"), (4, 2), name="X")
    return session.train(
        lambda p, X: tra.losses.squared_error(X @ p["w"], X.sum(axis=1)),
        {"w": np.zeros(2)},
        tra.SGD(0.01),
        data=[X],
        epochs=epochs,
        checkpoint=checkpoint,
        **more,
    )


CLIENT = """
    import sys
    import tra
    from tests.backends.test_lost_connections import train

    if __name__ == "__main__":
        with tra.connect("dask", scheduler=sys.argv[1], cost_model="fixed", progress=False) as session:
            train(session, 10_000, sys.argv[2])
"""


@only_long
def test_a_client_that_is_killed_leaves_a_checkpoint_and_no_task(mortals, tmp_path):
    wait_for_workers(mortals, 3)
    script, checkpoint = tmp_path / "script.py", tmp_path / "checkpoint"
    script.write_text(textwrap.dedent(CLIENT))
    with subprocess.Popen(
        [sys.executable, str(script), mortals.scheduler.address, str(checkpoint)]
    ) as client:
        until = time.monotonic() + 60
        while not list(checkpoint.glob("epoch-*[02468]")) and time.monotonic() < until:
            time.sleep(0.05)
        client.kill()
    assert leftover(mortals) == []
    with tra.connect("dask", scheduler=mortals, progress=False, cost_model="fixed") as session:
        assert train(session, 10_000, checkpoint, stop=lambda _: True).history[0].epoch > 1


SCRIPT = """
    import os, signal, sys, threading, time
    import numpy as np
    import tra
    from kills import slow

    if __name__ == "__main__":
        A = tra.from_array(np.ones((200, 200)), ("i", "j"), 14, "A")
        with tra.connect("dask", sites=2, threads=1, cost_model="fixed", progress=False) as session:
            client = session.backend.client
            session.compute(slow(A[:14]))
            kill = os.killpg if sys.argv[1] == "group" else os.kill
            for path in (None, *sys.argv[2:]):
                threading.Timer(0.6, kill, (os.getpid(), signal.SIGINT)).start()
                try:
                    session.save(slow(A), path) if path else session.compute(slow(A))
                    print("it was not interrupted")
                except KeyboardInterrupt:
                    print("interrupted")
                until = time.monotonic() + 10
                while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
                    assert time.monotonic() < until, "tasks are left"
                    time.sleep(0.1)
            print(session.compute(A.sum())[0])
"""


@only_long
@pytest.mark.parametrize("whole_group", [False, True])
def test_an_interrupt_leaves_nothing_behind(tmp_path, whole_group):
    script, folder = tmp_path / "script.py", tmp_path / "out"
    folder.mkdir()
    targets = [str(folder / name) for name in (("A.npy", "A.tra") if LONG else ("A.tra",))]
    script.write_text(textwrap.dedent(SCRIPT))
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, str(script), "group" if whole_group else "process", *targets],
        capture_output=True, text=True, timeout=120, start_new_session=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["interrupted"] * (1 + len(targets)) + ["40000.0"], done.stderr
    assert list(folder.iterdir()) == []


def test_calls_are_over_when_they_are_interrupted(session, tmp_path):
    """Writers that go on would write into files that were removed, or are written once more."""
    (stored,) = session.persist(tra.from_array(np.zeros(600), ("i",), 2))
    (source,) = stored.sources.values()

    def write_slowly(tiles, path):
        for _ in tiles:
            with Path(path).open("a") as file:
                file.write("x")
            time.sleep(0.05)

    files = [tmp_path / str(site) for site in range(3)]
    shares = dict(enumerate(source.shares))
    for error, happen in (
        (KeyboardInterrupt, lambda: os.kill(os.getpid(), signal.SIGINT)),
        (ValueError, lambda: None),
    ):
        threading.Timer(0.5, happen).start()
        function = write_slowly if error is KeyboardInterrupt else fail_at_one
        with pytest.raises(error):
            session.backend.at_sites(shares, function, [(str(file),) for file in files])
        sizes = [file.stat().st_size for file in files]
        assert min(sizes) > 0
        time.sleep(0.3)
        assert [file.stat().st_size for file in files] == sizes


def fail_at_one(tiles, path):
    """Writes on, but for one site."""
    for number, _ in enumerate(tiles):
        with Path(path).open("a") as file:
            file.write("x")
        time.sleep(0.05)
        if number == 5 and path.endswith("1"):
            raise ValueError("of one site")
