"""Sparse matrices of SciPy and tables of triples: in and out, with every bit and every hole."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.live import live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.sources import tensor_type
from tra.algebra.types import KeySet
from tra.errors import SchemaError
from tra.testing import reference_session

DTYPES = ["f8", "f4", "i8", "i4", "u1", "?"]


@st.composite
def relations(draw, dtypes=DTYPES, ranks=(1, 3)):
    """Holed relations, many of whose elements are zero, some of them negative zeros and NaNs."""
    shape = draw(st.lists(st.integers(1, 7), min_size=ranks[0], max_size=ranks[1]))
    tile = [draw(st.integers(1, 4)) for _ in shape]
    type_ = tensor_type(shape, draw(st.sampled_from(dtypes)), tile=tile)
    keys = live_keys(type_)
    kept = keys[[draw(st.booleans()) for _ in keys]]
    type_ = with_live(type_, KeySet(kept))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    values = np.array([0, 0, 0, 1, 2]) if type_.dtype.kind in "iub" else np.array([0, 0, -0.0, np.nan, 2.5])
    tiles = {}
    for key in map(tuple, kept.tolist()):
        window = type_.tile_window(key)
        tiles[key] = rng.choice(values, [w.stop - w.start for w in window]).astype(type_.dtype)
    sizes = [axis.size for axis in type_.axes]
    return tra.from_tiles(
        tiles, keys=type_.names, axes=type_.axes, domain=type_.domains
    ) if tiles else None, sizes


def assert_same(found, relation):
    assert found.expr.type == relation.expr.type
    with reference_session():
        expected, tiles = relation.tiles(), found.tiles()
    assert list(tiles) == list(expected)
    for key, tile in expected.items():
        assert (tiles[key].dtype, tiles[key].tobytes()) == (tile.dtype, tile.tobytes())


@given(drawn=relations())
@examples(80)
def test_scipy_and_back(drawn):
    pytest.importorskip("scipy")
    relation, sizes = drawn
    if relation is None:
        return
    with tra.connect("local", threads=1):
        sparse = relation.to_scipy()
    assert sparse.shape == relation.shape
    assert_same(tra.from_array(sparse, keys=relation.keys, tile=sizes), relation)


@given(drawn=relations(), pandas=st.booleans())
@examples(80)
def test_tables_and_back(drawn, pandas):
    relation, sizes = drawn
    if relation is None:
        return
    with tra.connect("local", threads=1):
        table = relation.to_coo()
    if pandas:
        pytest.importorskip("pandas")
        table = table.to_pandas()
    found = tra.from_coo(table, relation.keys, shape=relation.shape, tile=sizes)
    assert_same(found, relation)


def test_matrices_of_every_format():
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.zeros((7, 5))
    dense[0, 0], dense[6, 4], dense[3, 2] = 1, 2, 3
    dense[3, 3] = np.nan
    for kind in ("csr", "csc", "coo", "bsr", "dok", "lil", "dia"):
        for holder in (sparse.coo_matrix(dense), sparse.coo_array(dense)):
            A = tra.from_array(holder.asformat(kind), keys=("i", "j"), tile=3)
            np.testing.assert_array_equal(A.fill(0).compute(), dense)
            assert (1, 0) in A.tiles() and (0, 1) not in A.tiles()


def test_products_of_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    A = sparse.random(40, 30, 0.05, random_state=0)
    B = np.random.default_rng(0).normal(size=(30, 4))
    found = (tra.from_array(A, tile=8) @ B).fill(0).compute()
    np.testing.assert_allclose(found, A @ B, atol=1e-12)


def test_elements_at_one_place_are_added():
    table = {"i": [1, 0, 1], "j": [2, 0, 2], "v": [0.5, -0.0, 0.25]}
    A = tra.from_coo(table, ("i", "j"), "v", shape=(3, 3), tile=2)
    assert A.tiles()[0, 1].tolist() == [[0.0], [0.75]]
    assert np.signbit(A.tiles()[0, 0][0, 0])


def test_nothing_is_filled_in_before_it_is_read():
    n = 1 << 40
    A = tra.from_coo({"i": [5, n - 1], "v": [1.0, 2.0]}, ["i"], "v", shape=(n,), tile=1 << 10)
    assert A.sum().compute() == 3.0 and len(A.tiles()) == 2


def test_an_empty_table():
    table = pa.table({"i": pa.array([], pa.int64()), "v": pa.array([], pa.float64())})
    assert tra.from_coo(table, ["i"], "v", shape=(5,), tile=2).tiles() == {}


@pytest.mark.parametrize(
    "table, message",
    [
        ({"i": [0], "x": [1.0]}, "no column 'v', but i, x"),
        ({"i": [0.5], "v": [1.0]}, "coordinates are integers; column 'i' is of float64"),
        ({"i": [-1], "v": [1.0]}, "coordinate -1 of 'i' lies outside its extent, 4"),
        ({"i": [4], "v": [1.0]}, "coordinate 4 of 'i' lies outside its extent, 4"),
        ({"i": [0, 1], "v": [1.0]}, "one length; i has 2, v has 1"),
        ({"i": [0], "v": ["a"]}, "booleans or numbers"),
        (pa.table({"i": [0, None], "v": [1.0, 2.0]}), "column 'i' has missing values"),
        ([1, 2], "columns by name|columns, as those"),
    ],
)
def test_tables_that_do_not_fit(table, message):
    with pytest.raises(SchemaError, match=message):
        tra.from_coo(table, ["i"], "v", shape=(4,))


def test_tables_of_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"i": [0, 2], "v": [1.0, 2.0]})
    assert tra.from_coo(frame, ["i"], "v", tile=2).fill(0).compute().tolist() == [1, 0, 2]
    with pytest.raises(SchemaError, match="missing values"):
        tra.from_coo(polars.DataFrame({"i": [0, None], "v": [1.0, 2.0]}), ["i"], "v")


def test_what_has_no_coordinates():
    pytest.importorskip("scipy")
    for call, message in [
        (lambda A: (A.sum() + 0).to_scipy(), "one number"),
        (lambda A: A.astype("c8").to_coo(), "Arrow has no complex64"),
        (lambda A: A.to_coo(values="i"), "hides one of coordinates"),
    ]:
        with pytest.raises(SchemaError, match=message):
            call(tra.from_array([[1.0, 2.0]]))
