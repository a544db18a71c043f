"""Sources: arrays, tiles by key, generated values; and Arrow tables."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra import live, reference
from tra.algebra.generate import generate_tile, philox
from tra.algebra.nodes import Constant, Iota, Random
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.sources import ArraySource, TileSource, tensor_type
from tra.algebra.types import Axis, Box, Key, KeySet, RelType
from tra.errors import SchemaError
from tra.testing import check_type, dtypes, relations, shapes


def test_how_arrays_are_cut():
    a = np.ones((10, 6, 4))
    assert str(tra.from_array(a, tile=(4, 6, 1), name="A")) == "A[i:3, j:1, k:4] of 4/10×6×1/4 float64"
    assert str(tra.from_array(a, keys=("x",), tile=4, name="A")) == "A[x:3] of 4/10×6×4 float64"
    assert str(tra.from_array(a, keys=("row",), tile=(4, 6, 9), name="A")) == "A[row:3] of 4/10×6×4 float64"
    assert str(tra.from_array(a, keys=(), name="A")) == "A[] of 10×6×4 float64"
    assert str(tra.from_array(np.float32(2), name="s")) == "s[] of scalars float32"
    assert str(tra.from_array(np.ones((0, 3)), tile=2, name="E")) == "E[i:1, j:2] of 0×2/3 float64"
    assert tra.from_array(np.ones((4000, 4000))).tile_shape == (1000, 1000)
    assert tra.from_array([1, 2], name="list").compute().tolist() == [1, 2]


def test_anything_that_is_sliced_is_an_array():
    class Lazy:
        shape, dtype, read = (5,), np.dtype("i4"), ()

        def __getitem__(self, window):
            self.read += (window,)
            return np.arange(5, dtype="i4")[window]

    lazy = Lazy()
    A = tra.from_array(lazy, tile=2)
    assert lazy.read == ()
    assert A.compute().tolist() == [0, 1, 2, 3, 4] and len(lazy.read) == 3
    assert isinstance(next(iter(A.sources.values())), TileSource)

    class Foreign:  # a dtype that NumPy does not know
        shape, dtype = (2,), "torch.float32"

        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0])

    assert tra.from_array(Foreign()).compute().tolist() == [1.0, 2.0]


def test_tiles_read_are_read_only_views():
    a = np.arange(6.0)
    source = ArraySource(a, tensor_type((6,), "f8", ("i",), 4))
    tile = source.read((1,))
    assert tile.base is not None and tile.tolist() == [4, 5] and not tile.flags.writeable


def test_relations_from_tiles():
    A = tra.from_tiles({(0, 2): np.ones((2, 3)), (1, 0): np.ones((1, 3))}, keys=("i", "j"), name="A")
    assert str(A) == "A[i:2, j:3] of 2/3×3/9 float64" and A.frontier == (2, 3)
    assert (
        str(tra.from_tiles({0: np.ones((2, 2)), 1: np.ones((2, 2))}, "n", name="B"))
        == "B[n:2] of 2×2 float64"
    )
    assert tra.from_tiles({(): 3}, keys=()).compute() == 3
    C = tra.from_tiles({0: np.ones(2)}, "i", axes=[Axis(2, (("i", 1),), 6)], domain=[3])
    assert C.shape == (6,) and C.frontier == (1,)
    assert C.fill(0).compute().tolist() == [1, 1, 0, 0, 0, 0]
    zero = tra.from_tiles({(0, 0): np.ones((2, 0)), (1, 0): np.ones((2, 0))}, keys=("i", "j"))
    assert zero.compute().shape == (4, 0)
    empty = tra.from_tiles({}, "i", axes=[Axis(2, (("i", 1),), 4)], domain=[2])
    assert empty.tiles() == {} and empty.fill(1).compute().tolist() == [1] * 4


def test_tiles_of_length_zero_past_the_extent_are_left_out():
    A = tra.from_tiles({0: np.ones(2), 1: np.ones(0)}, keys="i")
    assert A.shape == (2,) and set(A.tiles()) == {(0,)} and live.is_dense(A.expr.type)


@given(relations())
def test_relations_come_back_from_their_tiles(relation):
    tiles = relation.tiles()
    if not tiles:
        return
    type_ = relation.expr.type
    again = tra.from_tiles(tiles, type_.names, type_.axes, type_.domains)
    assert again.expr.type == type_
    for key, tile in again.tiles().items():
        np.testing.assert_array_equal(tile, tiles[key])


def test_philox_is_philox():
    first, second = philox(np.array([0], np.uint64), 0)
    assert (int(first[0]), int(second[0])) == (0x6627E8D5E169C58D, 0xBC57AC4C9B00DBD8)


@given(shapes(min_rank=1), st.integers(0, 2**63), st.data())
def test_generated_values_do_not_depend_on_the_tiling(shape, seed, data):
    def cut(maker, dtype):
        tile = [data.draw(st.integers(1, 5)) for _ in shape]
        return Relation(generated(tensor_type(shape, dtype, tile=tile), maker), {})

    for maker in (Random("uniform", (-1.0, 2.0), seed), Random("normal", (5.0, 0.1), seed)):
        np.testing.assert_array_equal(cut(maker, "f8").compute(), cut(maker, "f8").compute())
        assert cut(maker, "f4").compute().dtype == np.float32
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    places = np.indices(shape)[axis]
    np.testing.assert_array_equal(cut(Iota(axis), "i8").compute(), places)
    np.testing.assert_array_equal(cut(Constant(3), "c8").compute(), np.full(shape, 3, "c8"))


def test_random_numbers_look_random():
    def values(maker):
        return Relation(generated(tensor_type((200, 300), "f8", tile=(70, 70)), maker), {}).compute()

    uniform, normal = values(Random("uniform", (-1.0, 3.0), 5)), values(Random("normal", (2.0, 3.0), 5))
    assert -1 <= uniform.min() < -0.99 and 2.99 < uniform.max() < 3
    assert abs(uniform.mean() - 1) < 0.02 and abs(normal.mean() - 2) < 0.05 and abs(normal.std() - 3) < 0.05
    assert len(np.unique(uniform)) == uniform.size
    assert not np.array_equal(uniform, values(Random("uniform", (-1.0, 3.0), 6)))


def test_keys_that_cut_no_axis_have_their_own_numbers():
    type_ = RelType((Key("n", 3),), (Axis(2, (), 2),), np.dtype("f8"), Box(((0, 3),)))
    tiles = [generate_tile(type_, Random("uniform", (0.0, 1.0), 1), (n,)) for n in range(3)]
    assert len(np.unique(tiles)) == 6


@given(dtypes(), st.booleans())
def test_arrow_tables(dtype, ragged):
    a = np.arange(10 if ragged else 9).reshape(-1, 1).astype(dtype) * np.ones((1, 2), dtype)
    A = tra.from_array(a, keys=("i",), tile=3)
    table = A.to_arrow()
    assert table["i"].type == pa.int64() and table["i"].to_pylist() == list(range(table.num_rows))
    tensor = not ragged and dtype.kind in "fi"
    assert table.column_names == (["i", "tile"] if tensor else ["i", "tile", "shape"])
    if tensor:
        assert table["tile"].type.shape == [3, 2]
        stacked = table["tile"].combine_chunks().to_numpy_ndarray()
        np.testing.assert_array_equal(stacked.reshape(-1, 2), a)
        return
    stored = np.dtype(table.schema.field("tile").metadata[b"dtype"].decode())
    for n, (content, shape) in enumerate(
        zip(table["tile"].to_pylist(), table["shape"].to_pylist(), strict=True)
    ):
        np.testing.assert_array_equal(np.frombuffer(content, stored).reshape(shape), A.tiles()[(n,)])


def test_arrow_tables_of_unusual_relations():
    scalars = tra.from_tiles({(n, 2 * n): n / 2 for n in range(3)}, keys=("i", "j")).to_arrow()
    assert scalars.to_pydict() == {"i": [0, 1, 2], "j": [0, 2, 4], "tile": [0.0, 0.5, 1.0]}
    alone = tra.from_array(np.ones((2, 2)), keys=()).to_arrow()
    assert alone.column_names == ["tile"] and alone.num_rows == 1
    empty = tra.from_array(np.ones(4), keys="i", tile=2).filter(lambda i: False).to_arrow()
    assert empty.num_rows == 0 and empty.column_names == ["i", "tile", "shape"]
    zero = tra.from_array(np.ones((2, 0)), keys="i", tile=1).to_arrow()
    assert zero["shape"].to_pylist() == [[1, 0], [1, 0]]
    pairs = tra.from_array(np.ones(2), keys="i").argmin().expr.child
    held = Relation(pairs, {})
    assert held.dtype.names == ("value", "index")
    with pytest.raises(SchemaError, match="a key called 'tile' hides a column"):
        tra.from_array(np.ones(2), keys="tile").to_arrow()


def test_a_tile_that_is_missing_is_seen_when_the_query_runs():
    A = tra.from_array(np.ones(8), keys="i", tile=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "MAX_LISTED", 1)
        B = A.filter(lambda i: i * i != 4)
        with pytest.raises(SchemaError, match=r"no tile at key \(2,\)"):
            reference.to_array(reference.evaluate(B.expr, B.sources), B.expr.type)
        check_type(B.expr, B.tiles())


def test_key_sets_are_equal_by_content():
    one, other = KeySet(np.array([[0], [2]])), KeySet(np.array([[0], [2]]))
    assert one == other and hash(one) == hash(other) and one != KeySet(np.array([[0], [1]]))
    with pytest.raises(ValueError, match="read-only"):
        one.keys[0] = 1
