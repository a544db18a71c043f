"""Workers that stall, that come, that start again and that are slow."""

import os
import signal
import time

import dask
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.backends.kills import ARRAY, SLOW, kill, relation, slow, wait_for_workers
from tests.long import only_long
from tra.backends import paces, site_workers
from tra.backends.site_workers import spread

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture
def session(mortal_session):
    return mortal_session


# -- workers that stall and join --------------------------------------------------------------------


@only_long
def test_a_silent_worker_is_left_out_and_taken_back(session, monkeypatch):
    monkeypatch.setattr(site_workers, "STALL_SECONDS", 3.0)
    (stored,) = session.persist(relation() * 3)
    address = session.backend.workers[1]
    (pid,) = session.backend.client.run(os.getpid, workers=[address]).values()
    os.kill(pid, signal.SIGSTOP)
    try:
        np.testing.assert_array_equal(session.compute(slow(stored) + 1)[0], ARRAY * 3 + 1)
        assert address not in session.backend.workers
    finally:
        os.kill(pid, signal.SIGCONT)
    until = time.monotonic() + 30
    while address not in session.backend.workers and time.monotonic() < until:
        np.testing.assert_array_equal(session.compute(stored)[0], ARRAY * 3)
        time.sleep(0.2)
    assert sorted(session.backend.workers) == sorted(site_workers.present(session.backend.client))


def test_workers_that_come_are_used(session):
    (stored,) = session.persist(relation() * 2)
    kill(session, 0, 1)
    session.compute(stored)
    wait_for_workers(session.backend.client, 3)
    np.testing.assert_array_equal(session.compute(stored + 1)[0], ARRAY * 2 + 1)
    assert len(set(session.backend.workers)) == 3


@only_long
def test_a_worker_that_dies_while_it_starts_is_started_again():
    settings = {
        "distributed.deploy.lost-worker-timeout": "0.1s"
    }  # Dask gives up a worker that is away so long
    with (
        dask.config.set(settings),
        tra.connect("dask", sites=2, cost_model="fixed", progress=False) as session,
    ):
        session.compute(relation() + 1)
        kill(session, 1)
        until = time.monotonic() + 30
        while len(set(session.backend.workers)) < 2 or len(site_workers.present(session.backend.client)) < 2:
            np.testing.assert_array_equal(session.compute(relation() + 1)[0], ARRAY + 1)
            assert time.monotonic() < until, "the worker did not come back"
            time.sleep(0.1)


WORKERS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6)


@given(
    before=WORKERS,
    there=WORKERS.map(lambda names: list(dict.fromkeys(names))),
    slow=st.sets(st.sampled_from("abcdef")),
)
def test_sites_are_spread_evenly_and_stay_where_they_can(before, there, slow):
    found = spread(before, there, slow)
    good = [worker for worker in there if worker not in slow] or there
    counts = [found.count(worker) for worker in good]
    assert len(found) == len(before) == sum(counts)
    assert max(counts) - min(counts) <= 1
    if set(before) <= set(good) and max(map(before.count, good)) - min(map(before.count, good)) <= 1:
        assert found == before


# -- workers that are slow --------------------------------------------------------------------------


def test_a_slow_worker_is_noticed_and_tried_again(session, monkeypatch):
    monkeypatch.setattr(paces, "RETRY_SECONDS", 1.0)
    address = session.backend.workers[1]
    (pid,) = session.backend.client.run(os.getpid, workers=[address]).values()

    @tra.kernel("()->()", name="unevenly", output_dtype="f8")
    def unevenly(tile):
        time.sleep(5 * SLOW if os.getpid() == pid else SLOW)
        return tile

    until = time.monotonic() + 60
    while address in session.backend.workers:
        np.testing.assert_array_equal(session.compute(relation().transform(unevenly))[0], ARRAY)
        assert time.monotonic() < until, "it was not noticed"
    while address not in session.backend.workers:
        session.compute(relation() + 1)
        assert time.monotonic() < until, "it was not tried again"
        time.sleep(0.1)


FIGURES = st.tuples(st.floats(1e-4, 10.0), st.integers(0, 1 << 30))


@given(stages=st.lists(st.lists(FIGURES, min_size=1, max_size=4), min_size=1, max_size=6))
def test_sites_that_have_more_to_do_are_not_slow(stages):
    paced = {}
    for number, sites in enumerate(stages):
        for site, (_, nbytes) in enumerate(sites):
            paced.setdefault(f"worker {site}", []).append((number + 1, "run", number, nbytes * 1e-7, nbytes))
    assert paces.slower(paced) == set()
    slowed = {worker: [(n, r, s, 9 * t, b) for n, r, s, t, b in found] for worker, found in paced.items()}
    assert paces.slower({**paced, "worker 0": slowed["worker 0"]}) <= {"worker 0"}
