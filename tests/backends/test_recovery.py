"""What comes back when workers die, what does not, and what fails by itself."""

import os
import signal
import time

import numpy as np
import pytest

import tra
from tests.backends.kills import ARRAY, finishing, kill, leftover, relation, wait_for_workers
from tests.long import LONG, only_long
from tra.backends import dask_backend, recovery
from tra.backends.copies import who_has
from tra.backends.lineage import ends_of
from tra.backends.lost import LostError
from tra.errors import PlanError

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture
def session(mortal_session):
    return mortal_session


# -- lineage ----------------------------------------------------------------------------------------


def test_a_persisted_relation_is_made_again(session):
    (stored,) = session.persist(relation() * 2)
    kill(session, 1)
    np.testing.assert_array_equal(session.compute(stored)[0], ARRAY * 2)
    kill(session, 0, 1, 2)
    np.testing.assert_array_equal(session.compute(stored.sum(axis=0))[0], (ARRAY * 2).sum(axis=0))


def test_what_was_dropped_is_made_again_for_what_was_made_of_it(session):
    (first,) = session.persist(relation() * 2)
    (second,) = session.persist(first + 1)
    first = None
    (third,) = session.persist(second @ second.T)
    second = None
    kill(session, 0, 2)
    wanted = (ARRAY * 2 + 1) @ (ARRAY * 2 + 1).T
    np.testing.assert_array_equal(session.compute(third)[0], wanted)


def test_a_result_that_is_lost_on_its_way(session, monkeypatch):
    from tra.backends import dask_backend

    monkeypatch.setattr(dask_backend, "SMALL_SHARE", 1)
    monkeypatch.setattr(dask_backend, "FETCH_BYTES", 1)
    tiles = {}
    for key, tile in session.iterate(relation() + 1):
        tiles[key] = np.array(tile)
        if len(tiles) == 3:
            kill(session, 0, 2)
    assert len(tiles) == 8
    for (i, j), tile in tiles.items():
        np.testing.assert_array_equal(tile, ARRAY[2 * i : 2 * i + 2, 3 * j : 3 * j + 3] + 1)


def test_a_long_row_of_versions_ends_in_copies(session, monkeypatch):
    monkeypatch.setattr(recovery, "ANCHORED_AFTER", 4)
    session.assign(W=relation())
    array = ARRAY
    for step in range(14):
        session.assign(W=session.state["W"] * 0.5 + 1)
        array = array * 0.5 + 1
        if step in (5, 9, 12):
            wait_for_workers(session.backend.client, 3)
            kill(session, step % 3)
    held = [share.held for share in session.state["W"].sources.popitem()[1].shares]
    assert max(recovery.depth_of(one.origin) for one in held) <= 5
    np.testing.assert_array_equal(session.compute(session.state["W"])[0], array)


def holders(session):
    """The workers of each copy at the end of the row of W."""
    held = [share.held for share in session.state["W"].sources.popitem()[1].shares]
    copies = [held for end in ends_of(one.origin for one in held) for held in end.copies]
    there = who_has(session.backend.client, [copy.key for copy in copies])
    return {copy.key: there[copy.key] for copy in copies}


def test_copies_stay_at_two_workers_each_whatever_reads_them(session, monkeypatch):
    monkeypatch.setattr(recovery, "ANCHORED_AFTER", 2)
    session.assign(W=relation())
    for _ in range(3):
        session.assign(W=session.state["W"] + 1)
    before = holders(session)
    assert len(before) == 6 and all(len(there) == 1 for there in before.values())
    monkeypatch.setattr(recovery, "ANCHORED_AFTER", 100)
    W = session.state["W"]
    with session.hinted([]):
        session.hint(W @ W.T, "broadcast right")
        session.compute(W @ W.T)  # each share lies everywhere now
    assert holders(session) == before


@only_long
def test_a_copy_that_is_lost_is_made_again(session, monkeypatch):
    monkeypatch.setattr(recovery, "ANCHORED_AFTER", 2)
    session.assign(W=relation())
    for _ in range(3):
        session.assign(W=session.state["W"] + 1)
    monkeypatch.setattr(recovery, "ANCHORED_AFTER", 100)
    for number in range(3):
        kill(session, number)
        session.compute(session.state["W"].sum())  # two are left, which have copies for each other
        wait_for_workers(session.backend.client, 3)
        session.compute(session.state["W"].sum())
    assert len({worker for (worker,) in holders(session).values()}) >= 2
    np.testing.assert_array_equal(session.compute(session.state["W"])[0], ARRAY + 3)


@only_long
def test_a_long_row_comes_back_two_versions_at_a_time(session):
    session.assign(W=relation())
    for _ in range(12):
        session.assign(W=session.state["W"] + 1)
    kill(session, 0, 1, 2)
    seen, send = [], session.backend.recovery._send

    def counting(*given):
        seen.append(len(leftover(session.backend.client, seconds=0)))
        return send(*given)

    session.backend.recovery._send = counting
    np.testing.assert_array_equal(session.compute(session.state["W"])[0], ARRAY + 12)
    assert len(seen) >= 13
    assert max(seen) <= 3 * 3


@only_long
def test_a_share_that_another_worker_has_read_is_not_waited_for(session, tmp_path):
    (stored,) = session.persist(relation() * 2)
    client = session.backend.client
    (source,) = stored.sources.values()
    client.replicate([share.held.future for share in source.shares], n=3)
    kill(session, 1)
    session.save(stored, tmp_path / "A.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "A.npy"), ARRAY * 2)


def test_a_graph_of_dask_begins_with_what_is_there(session):
    pytest.importorskip("dask.array")
    (stored,) = session.persist(relation() * 2)
    (made_of_it,) = session.persist(stored + 1)  # two runs have to come back, one after the other
    kill(session, 1)
    lazy = session.to_dask(stored + made_of_it)
    found = finishing(30, lambda: lazy.compute(scheduler=session.backend.client.get))
    np.testing.assert_array_equal(found, ARRAY * 4 + 1)


@only_long
def test_all_copies_lost_is_an_error(session, monkeypatch):
    monkeypatch.setattr(recovery, "ANCHORED_AFTER", 2)
    session.assign(W=relation())
    for _ in range(3):
        session.assign(W=session.state["W"] + 1)
    kill(session, 0, 1, 2)
    with pytest.raises(LostError, match="every worker that had a copy of them died"):
        session.compute(session.state["W"])


@only_long
def test_an_array_that_was_changed_is_not_read_again(session):
    array = ARRAY.copy()
    (stored,) = session.persist(relation(array))
    array[7, 5] = -1.0
    np.testing.assert_array_equal(session.compute(stored)[0], ARRAY)
    kill(session, 0, 1, 2)
    with pytest.raises(PlanError, match=r"made from an array of 8×6 float64, which has been changed since"):
        session.compute(stored)


@only_long
def test_what_was_changed_between_two_tiles_is_not_read_again(session, monkeypatch):
    monkeypatch.setattr(dask_backend, "SMALL_SHARE", 0)  # shares come one by one
    array = ARRAY.copy()
    tiles = session.iterate(relation(array) * 2)
    next(tiles)
    array[:] = -1.0
    kill(session, 0, 1, 2)
    with pytest.raises(PlanError, match="which has been changed since"):
        list(tiles)


def test_windows_of_what_was_changed_are_not_read_again(session):
    array, tiles = ARRAY.copy(), {(n,): ARRAY[2 * n : 2 * n + 2].copy() for n in range(4)}
    (of_array,) = session.persist(relation(array)[2:7] + 1)
    (of_tiles,) = session.persist(tra.from_tiles(tiles, keys=("i",))[2:] + 1)
    array[0] = -1.0  # beside the window
    kill(session, 0, 1, 2)
    np.testing.assert_array_equal(session.compute(of_array)[0], ARRAY[2:7] + 1)
    np.testing.assert_array_equal(session.compute(of_tiles)[0], ARRAY.reshape(4, 2, 6)[2:] + 1)
    array[3] = tiles[2,][:] = -1.0
    kill(session, 0, 1, 2)
    for stored in (of_array, of_tiles):
        with pytest.raises(PlanError, match="which has been changed since"):
            session.compute(stored)


@only_long
def test_a_file_that_was_replaced_is_not_read_again(session, tmp_path):
    path = tmp_path / "A.npy"
    np.save(path, ARRAY)
    (stored,) = session.persist(tra.open(path, keys=("i", "j"), tile=2))
    np.save(path, ARRAY + 1)
    os.utime(path, ns=(1, 1))
    kill(session, 0, 1, 2)
    with pytest.raises(PlanError, match=r"A\.npy, which has been changed since"):
        session.compute(stored)


def test_a_training_goes_back_where_copies_are_lost(session, monkeypatch, tmp_path):
    x = np.random.default_rng(3).normal(size=(12, 4))
    X = tra.from_array(x, ("n", "d"), (4, 2), name="X")

    def train(asked, where, **more):
        return where.train(
            lambda p, X: tra.losses.squared_error(X @ p["w"], X.sum(axis=1)),
            {"w": np.zeros(4)},
            tra.Adam(0.1),
            data=[X],
            batch=5,
            epochs=4,
            stop=lambda record: asked.append(record.step) or record.step == 10,
            **more,
        )

    with tra.connect("local", sites=1, threads=1, cost_model="fixed") as plain:
        steps = []
        (wanted,) = plain.compute(train(steps, plain).parameters["w"])
    for folder in (None, tmp_path / "checkpoints") if LONG else (tmp_path / "checkpoints",):
        asked, failed = [], []
        run = recovery.Recovery.run

        def losing(self, *given, run=run, asked=asked, failed=failed, **named):
            if len(asked) in (4, 8) and asked[-1] not in failed:
                failed.append(asked[-1])
                raise LostError("both copies")
            return run(self, *given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(recovery.Recovery, "run", losing)
            found = train(asked, session, checkpoint=folder)
        assert failed == [4, 8]
        assert asked == steps == [record.step for record in found.history]
        np.testing.assert_allclose(session.compute(found.parameters["w"])[0], wanted, rtol=1e-9)


# -- what fails by itself ---------------------------------------------------------------------------


def test_an_error_of_a_kernel_is_raised_at_once(session):
    @tra.kernel("()->()", name="fails", output_dtype="f8")
    def fails(tile):
        raise ZeroDivisionError("of the kernel")

    workers = list(session.backend.workers)
    start = time.monotonic()
    with pytest.raises(Exception, match="of the kernel"):
        session.compute(relation().transform(fails))
    assert time.monotonic() - start < 10
    assert session.backend.workers == workers
    np.testing.assert_array_equal(session.compute(relation() + 1)[0], ARRAY + 1)


def test_a_task_that_kills_its_worker_each_time_is_given_up(session):
    @tra.kernel("()->()", name="deadly", output_dtype="f8")
    def deadly(tile):
        if tile.max() == ARRAY.max():
            os.kill(os.getpid(), signal.SIGKILL)
        return tile

    with pytest.raises(PlanError, match=r"4 workers died while tra-stage1 of site 2 ran there"):
        session.compute(relation().transform(deadly))
    np.testing.assert_array_equal(session.compute(relation() + 1)[0], ARRAY + 1)
