"""Blocks: what runs on many tiles as on one gives what tiles give, and writes over nobody's memory."""

import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra.live import live_keys
from tra.algebra.sources import ArraySource, tensor_type
from tra.backends.block import cuts_of
from tra.backends.read_tiles import read_tiles
from tra.backends.tiles import Tiles, union

RNG = np.random.default_rng(0)


def held(shape, tile, box=None):
    """A tensor, its type, and its tiles in a box of keys."""
    array = RNG.normal(size=shape)
    type_ = tensor_type(shape, "f8", [f"k{n}" for n in range(len(shape))], tile)
    box = box or tuple((0, key.domain) for key in type_.keys)
    return array, type_, read_tiles(type_, box, ArraySource(array, type_))


# -- tiles in blocks --------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=0, max_size=3), st.data())
def test_a_block_has_the_tiles_of_its_box(axes, data):
    array, type_, tiles = held([n for n, _ in axes], [size for _, size in axes])
    box = tuple(
        tuple(sorted(data.draw(st.tuples(st.integers(0, key.domain), st.integers(0, key.domain)))))
        for key in type_.keys
    )
    source = ArraySource(array, type_)
    wanted = {tuple(k) for k in product(*(range(low, high) for low, high in box))}
    found = dict(iter(tiles.within(box)))
    assert set(found) == wanted
    for key, tile in found.items():
        np.testing.assert_array_equal(tile, source.read(key))
    assert tiles.within(box).nbytes == sum(tile.nbytes for tile in found.values())


def test_blocks_are_put_together():
    array, type_, _ = held((7, 9), (2, 4))
    source = ArraySource(array, type_)
    parts = [read_tiles(type_, ((a, a + 2), (0, 3)), source) for a in (0, 2)]
    whole = union(parts, 2).block(type_, ((0, 4), (0, 3)))
    np.testing.assert_array_equal(whole.array, array)
    assert union(parts[:1] * 2, 2).block(type_, ((0, 4), (0, 3))) is None  # parts of a sum are no tensor
    loose = Tiles(live_keys(type_), [source.read(tuple(k)) for k in live_keys(type_).tolist()])
    np.testing.assert_array_equal(loose.block(type_, ((1, 3), (0, 3))).array, array[2:6])
    assert loose.rows(np.array([0, 1])).block(type_, ((0, 4), (0, 3))) is None


def test_arrays_from_a_message_are_aligned():
    _, _, tiles = held((4, 6), (2, 3))
    buffers = []
    data = pickle.dumps(tiles.contiguous(), protocol=5, buffer_callback=buffers.append)
    raw = bytearray(1) + b"".join(bytes(buffer.raw()) for buffer in buffers)
    back = pickle.loads(data, buffers=[memoryview(raw)[1:]])
    assert all(block.array.flags.aligned for block in back.blocks)
    np.testing.assert_array_equal(back.blocks[0].array, tiles.blocks[0].array)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_axes_of_arrays_from_a_message_lie_as_they_did(axes):
    """Sums and products of what lies otherwise have other bits; messages put arrays anywhere."""
    array = np.ones((2, 3, 4)).transpose(axes)
    for skipped in (0, 1):
        buffers = []
        data = pickle.dumps(
            Tiles(np.zeros((1, 0), np.int64), [array]), protocol=5, buffer_callback=buffers.append
        )
        sent = [memoryview(bytearray(skipped) + bytes(buffer.raw()))[skipped:] for buffer in buffers]
        (back,) = pickle.loads(data, buffers=sent).arrays
        assert back.flags.aligned and back.strides == array.strides


def test_relations_that_have_no_blocks():
    holed = tra.from_tiles({(0,): [1.0, 2.0], (2,): [3.0]}, "i")
    assert cuts_of(holed.expr.type) is None
    diagonal = tra.from_array(np.eye(4), ("i", "j"), 2).rekey(lambda i, j: (i, j, i), keys=("i", "j", "k"))
    with tra.connect("local", threads=1) as session:
        assert session.tiles(holed).keys() == {(0,), (2,)}
        assert len(session.tiles(diagonal)) == 4


# -- memory -----------------------------------------------------------------------------------------


def queries_over(A, B):
    return {
        "chain": tra.exp(A * 2) - A,
        "result used twice": (A @ B) + tra.relu(A @ B),
        "transposed, then overwritten": (A + B).T * 2 + (A + B),
        "update": A - (A @ B) * 0.5,
        "the input": A,
    }


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tile", [None, 3])
@pytest.mark.parametrize("name", list(queries_over(*[tra.from_array(np.eye(2))] * 2)))
def test_inputs_and_results_share_no_memory(agreement, name, tile, threads):
    a, b = RNG.normal(size=(2, 8, 8))
    kept = a.copy(), b.copy()
    A, B = tra.from_array(a, ("i", "j"), tile, "A"), tra.from_array(b, ("i", "j"), tile, "B")
    with tra.connect("local", threads=threads) as session:
        query = queries_over(A, B)[name]
        first, second = session.compute(query, query)
        stored, more = session.persist(query, query + 1)
        first[...] = 0
        for found in (second, *session.compute(stored)):
            np.testing.assert_allclose(found, session.compute(more)[0] - 1)
            found[...] = 0
        np.testing.assert_allclose(session.compute(stored)[0], session.compute(more)[0] - 1)
    np.testing.assert_array_equal((a, b), kept)


def two_results(A, B):
    product = A @ B
    turned = product.rekey(lambda i, j: (j, i), keys=("p", "q"))
    return {
        "a rename and what it renames": (turned * turned, product),
        "a rename twice": (turned.join(turned, [("p", "p"), ("q", "q")], "mul"), product, turned),
        "a transpose": (product.T * product.T, product),
        "a filter that keeps all": (tra.exp(product.filter(lambda i, j: i >= 0)), product),
        "one within the other": (product, tra.exp(product) * 2, tra.exp(product)),
    }


@pytest.mark.parametrize("sites", [1, 2])
@pytest.mark.parametrize("tile", [None, 3])
@pytest.mark.parametrize("name", list(two_results(*[tra.from_array(np.eye(2), ("i", "j"))] * 2)))
def test_no_result_is_made_in_the_memory_of_another(agreement, name, tile, sites):
    A, B = (tra.from_array(RNG.normal(size=(8, 8)), ("i", "j"), tile, n) for n in "AB")
    with tra.connect("local", sites=sites, threads=1) as session:
        results = two_results(A, B)[name]
        stored = session.persist(*results)
        for query, found, kept in zip(results, session.compute(*results), stored, strict=True):
            (expected,) = session.compute(query)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(session.compute(kept)[0], expected)
            agreement.same(session.tiles(query), agreement.expected(query))


def test_tiles_that_are_looked_at_are_not_to_be_written_to():
    with tra.connect("local", threads=1) as session:
        (A,) = session.persist(tra.from_array(np.arange(6.0), ("i",), 2) * 2)
        for _, tile in session.iterate(A):
            with pytest.raises(ValueError, match="read-only"):
                tile[...] = 0


@given(st.sampled_from(["add", "mul", "max"]), st.integers(1, 3), st.integers(1, 4))
def test_tiles_of_one_row_meet_longer_ones(agreement, kernel, size, n):
    """Keys are joined, elements broadcast within each pair of tiles: whole tensors would not."""
    A = tra.from_array(RNG.normal(size=size * n), ("i",), size, "A")
    B = tra.from_array(RNG.normal(size=n), ("i",), 1, "B")
    for query in (A.join(B, "i", kernel), B.join(A, "i", kernel)):
        with tra.connect("local", threads=1) as session:
            agreement.same(session.tiles(query), agreement.expected(query))


@given(st.integers(1, 3), st.integers(1, 4))
def test_batches_of_one_meet_longer_ones(agreement, size, n):
    A = tra.from_array(RNG.normal(size=(size * n, 3, 4)), ("i", "a", "k"), (size, 2, 3), "A")
    B = tra.from_array(RNG.normal(size=(n, 4, 3)), ("i", "k", "b"), (1, 3, 2), "B")
    query = A.join(B, ("i", "k"), "matmul").aggregate(("i", "a", "b"), "add")
    with tra.connect("local", threads=1) as session:
        agreement.same(session.tiles(query), agreement.expected(query))


def test_persisted_state_is_not_overwritten():
    """A stored operand is of no further use to the query, but to the session."""
    with tra.connect("local", sites=2, threads=1) as session:
        (A,) = session.persist(tra.from_array(np.ones((6, 6)), ("i", "j"), 2) * 3)
        for _ in range(2):
            np.testing.assert_array_equal((tra.exp(A) * 0 + A).compute(), np.full((6, 6), 3.0))


# -- threads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        (700, 300, 500),
        (40, 90_000, 30),
        (3000, 64, 64),
        (64, 64, 5000),
        (1, 900, 900),
        (1025, 100, 1500),
        (1025, 64, 1025),
        (2049, 40, 1999),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "c8"])
def test_threads_do_not_change_a_bit(shape, dtype):
    n, k, m = shape
    if dtype == "i8" and n * k * m > 5e7:
        pytest.skip("products of integers take long")
    a, b = RNG.normal(size=(n, k)).astype(dtype), RNG.normal(size=(k, m)).astype(dtype)
    query = tra.from_array(a, ("i", "k")) @ tra.from_array(b, ("k", "j"))
    found = []
    for threads in (1, 2, 3):
        with tra.connect("local", threads=threads) as session:
            found += session.compute(query)
    assert all(other.tobytes() == found[0].tobytes() for other in found[1:])
    np.testing.assert_allclose(found[0], a @ b, rtol=1e-3, atol=1e-3 * np.sqrt(k))


def test_results_of_many_pieces():
    """Chains over arrays of many pieces: rows, columns and scalars that are broadcast, ragged tiles."""
    a, row, column = RNG.normal(size=(701, 911)), RNG.normal(size=911), RNG.normal(size=(701, 1))
    A, r, c = (
        tra.from_array(a, ("i", "j"), (64, 100)),
        tra.from_array(row, ("j",), 100),
        tra.from_array(column, ("i", "one"), (64, 1)),
    )
    with tra.connect("local", threads=2) as session:
        (found,) = session.compute(tra.exp(A * 0.5 + r) / (c * c + 1) - A.mean())
    np.testing.assert_allclose(found, np.exp(a * 0.5 + row) / (column * column + 1) - a.mean())
