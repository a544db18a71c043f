"""Passes: whatever fits the reference evaluator's result, in the smallest memory there is a schedule for."""

import re
import warnings
from contextlib import contextmanager
from itertools import permutations, product
from math import prod
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.backends.block import Block, cuts_of, window_of
from tra.backends.passes import limit, maps, runner
from tra.backends.passes.buffer import Buffer
from tra.backends.passes.kept import Kept
from tra.backends.passes.schedule import End
from tra.backends.passes.shape import Leaf
from tra.backends.pieces import PIECE
from tra.backends.tiles import Tiles
from tra.errors import MemoryLimitError, TraError
from tra.testing import queries, relations


@contextmanager
def only_tiles_count():
    """Sources are as if in files, and the process itself takes nothing."""
    with (
        patch("tra.backends.connect.INTERPRETER", 0),
        patch.object(limit, "_baseline", lambda query: 0),
        patch.object(limit, "DRIFT", 0),
        patch.object(limit, "leaf_of", lambda source, type_: Leaf()),
    ):
        yield


def session(bytes_):
    with patch("tra.backends.connect.INTERPRETER", 0):
        return tra.connect("local", threads=2, memory_limit=bytes_, progress=False)


def named(run):
    """The limit that an error names; None where there is none."""
    try:
        run()
    except MemoryLimitError as refused:
        return int(re.search(r"memory_limit=(\d+) would do", str(refused)).group(1))
    return None


def schedule_of(opened, relation, end=End.FILE):
    planned = opened._plans.plan((relation,), relation.sources, {}, whole=False)
    return opened.backend.limited(planned.program, relation.sources, end).schedule


def check(agreement, relation, times):
    expected = agreement.expected(relation)
    if expected is None:
        return
    with only_tiles_count(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with session(1) as tight:
            least = named(lambda: tight.tiles(relation)) or 1
        with session(max(int(least * times), 1)) as opened:
            assert schedule_of(opened, relation).held <= least * times
            agreement.same(opened.tiles(relation), expected)
        if least > 1:
            with session(least - 1) as tight:
                assert named(lambda: tight.tiles(relation)) == least


@examples(30)
@given(queries(max_steps=6), st.sampled_from([1, 1.3, 2, 5]))
def test_compositions_of_operators_in_windows(agreement, grown, times):
    check(agreement, grown[-1].relation, times)


@examples(20)
@given(relations("f8", max_keys=3, max_rank=2), st.data())
def test_folds_in_windows(agreement, relation, data):
    names = relation.expr.type.names
    kept = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    kernel = data.draw(st.sampled_from(["add", "max"]))
    try:
        folded = relation.aggregate(kept, kernel)
    except TraError:
        return
    check(agreement, folded, 1)


def sparse(path, n, columns=None):
    """A matrix in a file that takes no space on disk."""
    made = np.lib.format.open_memmap(path, "w+", np.float64, (n, columns or n))
    del made
    return tra.open(path)


def test_a_product_of_matrices_larger_than_memory_reads_about_the_bound(tmp_path):
    n, limit_ = 22_400, 10**9
    A, B = (sparse(tmp_path / f"{name}.npy", n) for name in "AB")
    with patch.object(limit, "_baseline", lambda query: 10**8), session(limit_) as opened:
        planned = opened._plans.plan((A @ B,), (A @ B).sources, {}, whole=True)
        found = opened.backend.limited(planned.program, (A @ B).sources, End.TAKEN)
    assert 0.8 * limit_ <= found.peak <= limit_
    (only,) = found.facts()
    assert only["folds"] and only["reads_ahead"] and len(only["loops"]) == 3
    assert only["bytes_read"] <= 1.3 * 8 * (2 * n**3 / (limit_ / 8) ** 0.5 + 2 * n * n)


def test_data_that_two_products_take_is_read_once(tmp_path):
    n, columns, hidden, limit_ = 40_000, 100, 8, 4 * 10**6
    X = sparse(tmp_path / "X.npy", n, columns)
    W = tra.from_array(np.ones((columns, hidden)), ("j", "k"))
    (gradient,) = tra.grad((tra.relu(X @ W) ** 2).mean(), [W])
    with only_tiles_count(), session(limit_) as opened:
        (only,) = opened.explain(gradient).to_dict()["passes"]
    assert only["bytes_read"] <= 1.01 * 8 * n * columns > 4 * limit_


def test_what_waits_goes_to_disk_and_explain_says_so(tmp_path):
    A, B, C = (sparse(tmp_path / f"{name}.npy", 4000) for name in "ABC")  # 128 MB each
    query = (tra.relu(A @ B) @ C).sum(axis=0)
    with only_tiles_count(), session(100 * 10**6) as opened:
        explained = opened.explain(query)
    passes = explained.to_dict()["passes"]
    assert sum(one["bytes_spilled"] for one in passes) in (0, 8 * 4000**2)
    assert explained.to_dict()["peak_bytes_per_site"]["predicted"] == max(p["resident_bytes"] for p in passes)
    assert max(p["resident_bytes"] for p in passes) <= 100 * 10**6
    assert "passes\n" in str(explained) and "read ahead" in str(explained)


def test_folds_other_than_sums_in_windows(tmp_path):
    array = np.random.default_rng(0).standard_normal((60, 40))
    A = tra.from_array(array, tile=10)
    with only_tiles_count(), session(18_000) as opened:
        found = opened.compute(A.max(axis=0), (A * A).sum(), (A - A.mean(axis=0)).argmax(axis=1))
        assert len(opened.explain(A.max(axis=0)).to_dict()["passes"][0]["loops"])
    for mine, theirs in zip(
        found, (array.max(axis=0), (array**2).sum(), (array - array.mean(axis=0)).argmax(axis=1)), strict=True
    ):
        np.testing.assert_allclose(mine, theirs)


@pytest.mark.parametrize("kind", ["map", "chunks", "fortran"])
def test_arrays_outside_of_memory_are_read_by_windows(tmp_path, kind):
    array = np.random.default_rng(0).standard_normal((90, 70))
    if kind == "map":
        np.save(tmp_path / "x.npy", array)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")[3:]
    elif kind == "fortran":
        np.save(tmp_path / "x.npy", np.asfortranarray(array))
        given = tmp_path / "x.npy"
    else:
        zarr = pytest.importorskip("zarr")
        given = zarr.create_array(tmp_path / "x.zarr", shape=array.shape, chunks=(32, 16), dtype="f8")
        given[:] = array
    A = tra.open(given, tile=16) if kind == "fortran" else tra.from_array(given, tile=16)
    expected = array[3:] if kind == "map" else array
    with patch.object(limit, "_baseline", lambda query: 0), session(10**8) as opened:
        np.testing.assert_array_equal(opened.compute(A.T * 2)[0], expected.T * 2)
        np.testing.assert_allclose(opened.compute(A.sum(axis=0))[0], expected.sum(axis=0))


def windows_of_both_forms():
    """Per-example values whose first windows, of two tiles, come as tiles, and the last as a block."""
    n = int(PIECE / 8 / 1.5)  # of one tile: two are too large to be copied into a block, one is not
    array = np.random.default_rng(0).random((5 * n, 8))
    return array, tra.exp(tra.from_array(array, tile=(n, 4)).sum(axis=1)), np.exp(array.sum(axis=1))


@pytest.mark.parametrize("times", [6, 5.5, 5, 4, 3.5])
@pytest.mark.parametrize(
    "of",
    [
        lambda y: y / y.sum(),
        lambda y: (y / y.max()).sum(),
        lambda y: ((y - y.sum()) * (y - y.sum())).sum(),
        lambda y: y[::-1] + y,
    ],
)
def test_what_is_kept_of_windows_that_come_as_blocks_and_as_tiles(of, times):
    array, y, expected = windows_of_both_forms()
    with only_tiles_count(), session(int(array.nbytes / 5 * times)) as opened:
        np.testing.assert_allclose(opened.compute(of(y))[0], of(expected))


def test_windows_that_are_kept_do_come_as_blocks_and_as_tiles():
    array, y, _ = windows_of_both_forms()
    came, put = [], Kept.put
    with (
        only_tiles_count(),
        patch.object(Kept, "put", lambda kept, tiles, *a: came.append(tiles.blocks) or put(kept, tiles, *a)),
        session(int(array.nbytes / 5 * 5.5)) as opened,
    ):
        opened.compute((y / y.max()).sum())
    assert None in came and any(came)


@pytest.mark.parametrize("is_block", list(product([False, True], repeat=3)))
def test_windows_in_any_form_and_order_lie_side_by_side(is_block):
    array = np.arange(50.0).reshape(10, 5)
    type_ = tra.from_array(array, keys=("i", "j"), tile=(2, 3)).expr.type
    for order in permutations([(0, 2), (2, 3), (3, 5)]):
        kept = Kept(type_)
        for rows, whole in zip(order, is_block, strict=True):
            box = (rows, (0, 2))
            window = np.array(array[window_of(type_, box)])
            tiles = Tiles.of([Block(box, window, cuts_of(type_))])
            kept.put(tiles if whole else Tiles(tiles.keys, tiles.arrays), is_whole=False)
            window[...] = -1  # a buffer is used again
        (block,) = kept.tiles.blocks
        np.testing.assert_array_equal(block.array, array)


def test_windows_of_a_result_with_holes_stay_tiles_in_any_form_and_order():
    relation = tra.from_tiles({(0,): np.ones(2), (2,): np.full(2, 2.0)}, keys=("i",), domain=(4,))
    block, tile = Block(((0, 1),), np.ones(2), ((0, 2),)), Tiles(np.array([[2]]), [np.full(2, 2.0)])
    for order in permutations([Tiles.of([block]), tile]):
        kept = Kept(relation.expr.type)
        for tiles in order:
            kept.put(tiles, is_whole=False)
        assert {key: found.tolist() for key, found in kept.tiles} == {(0,): [1.0, 1.0], (2,): [2.0, 2.0]}


@examples(100)
@given(st.data())
def test_slabs_of_a_map_are_small_and_make_the_window(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 9), max_size=3), label="shape"))
    array = np.arange(prod(shape), dtype=data.draw(st.sampled_from(["i2", "i8"]))).reshape(shape)
    array = array.transpose(data.draw(st.permutations(range(len(shape)))))
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in array.shape]
    window, most = tuple(slice(*pair) for pair in ends), data.draw(st.sampled_from([8, 24, 100]))
    seen = np.zeros(array.shape, int)
    with patch.object(maps, "SLAB", most):
        for part in maps.slabs(array, window):
            found = array[(*part, ...)]
            low, high = np.lib.array_utils.byte_bounds(found)
            assert high - low <= most and found.size
            seen[part] += 1
    expected = np.zeros(array.shape, int)
    expected[window] = 1
    np.testing.assert_array_equal(seen, expected)


def test_windows_of_uneven_lengths_go_to_the_same_memory(tmp_path):
    made = []

    class Watched(Buffer):
        def array(self, shape, dtype):
            found = super().array(shape, dtype)
            made.append((self, self._memory, found.size))
            return found

    A, B = (tra.from_array(np.ones((80, 80)), tile=8) for _ in range(2))
    with only_tiles_count(), patch.object(runner, "Buffer", Watched):
        for bytes_ in range(60_000, 120_000, 10_000):
            with session(bytes_) as opened:
                opened.save(A @ B, tmp_path / "C.npy")
    grown = {}
    for buffer, memory, size in made:
        assert all(other is memory for other, _ in grown.setdefault(buffer, [(memory, size)]))
        grown[buffer].append((memory, size))
    assert any(len({size for _, size in sizes}) > 1 for sizes in grown.values())  # there are uneven windows
