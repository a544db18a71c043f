"""Workers to kill, what kills them, and what is left then."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from distributed import Client

import tra
from tra.backends import site_workers
from tra.backends.workers import workers_there

SLOW = 0.02  # seconds of a tile


@tra.kernel("()->()", name="slowly", output_dtype="f8")
def slowly(tile):
    """The tile as it is, after a while."""
    time.sleep(SLOW)
    return tile


def slow(relation):
    """A relation that takes its time to be computed."""
    return relation.transform(slowly)


ARRAY = np.arange(48.0).reshape(8, 6)


def relation(array=ARRAY):
    """A small relation, of four by two tiles."""
    return tra.from_array(array, ("i", "j"), (2, 3), name="A")


@contextmanager
def mortal_cluster(n=3):
    """A client of workers that are started again when they die."""
    command = [sys.executable, "-m", "tests.backends.mortal_workers", str(n)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], text=True, **pipes) as cluster:
        try:
            with Client(cluster.stdout.readline().strip(), set_as_default=False) as client:
                yield client
        finally:
            cluster.stdin.close()


def wanted(query, folder):
    """What a query gives on one thread of this process."""
    with tra.connect("local", sites=1, threads=1, cost_model="fixed") as session:
        return [np.array(array) for array in query(session, folder)]


def same(found, expected):
    """Asserts that arrays are equal but for the order of sums."""
    assert len(found) == len(expected)
    for got, array in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, array, rtol=1e-9, atol=1e-12)


# -- killing ----------------------------------------------------------------------------------------


def pids(client):
    """The process of each worker that is there."""
    return client.run(os.getpid, on_error="ignore")


def kill(session, *sites):
    """The workers of some sites die; waits until the scheduler knows."""
    client = session.backend.client
    addresses = {session.backend.workers[site] for site in sites}
    for pid in client.run(os.getpid, workers=list(addresses)).values():
        os.kill(pid, signal.SIGKILL)
    while addresses & set(site_workers.present(client)):
        time.sleep(0.02)


@contextmanager
def killed_after(client, seconds, rng):
    """One worker, whichever it is, dies so long after the block began; gives the list of those that died."""
    died = []
    there = list(pids(client).items())

    def kill():
        address, pid = rng.choice(there)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            died.append(address)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield died
    finally:
        timer.cancel()
        timer.join()


def wait_for_workers(client, n, seconds=60):
    """Waits until so many workers are there."""
    until = time.monotonic() + seconds
    while len(workers_there(client)) < n:
        assert time.monotonic() < until, f"{len(workers_there(client))} of {n} workers came"
        time.sleep(0.05)


def leftover(client, seconds=10):
    """The keys that a scheduler still knows, after it had the time to forget them."""
    until = time.monotonic() + seconds
    while True:
        found = client.run_on_scheduler(lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks])
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def finishing(seconds, action):
    """What an action gives; fails where it takes longer."""
    found = []

    def run():
        try:
            found.append((action(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, f"no end after {seconds} s"
    value, error = found[0]
    if error is not None:
        raise error
    return value
