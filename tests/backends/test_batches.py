"""Minibatches: the order of rows, and rows gathered from arrays, mapped files and relations at rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra.tensor_type import tensor_type
from tra.backends.batches import RowsSource, batch_rows, batch_type, row_order
from tra.backends.read_tiles import read_tiles


def source_of(relation):
    return relation.sources[relation.expr.id]


@given(st.integers(1, 300), st.integers(1, 50), st.integers(-5, 2**70), st.integers(0, 5))
def test_an_epoch_has_each_row_once(n_rows, size, seed, epoch):
    batches = list(batch_rows(n_rows, size, seed, epoch))
    assert sorted(np.concatenate(batches).tolist()) == list(range(n_rows))
    assert {len(batch) for batch in batches[:-1]} <= {size}
    assert 1 <= len(batches[-1]) <= size


def test_orders_differ_by_seed_and_epoch_and_by_nothing_else():
    orders = {(s, e): row_order(100, s, e).tolist() for s in (0, 1, 2**40) for e in (0, 1, 2)}
    assert len({tuple(order) for order in orders.values()}) == 9
    assert row_order(100, 1, 2).tolist() == orders[1, 2]


def test_an_order_is_fair():
    first = np.array([row_order(10, seed, 0)[0] for seed in range(5000)])
    counts = np.bincount(first, minlength=10)
    assert abs(counts - 500).max() < 5 * np.sqrt(500)


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    n_keys = draw(st.integers(0, len(shape)))
    tile = [draw(st.integers(1, 10)) if p < n_keys else n for p, n in enumerate(shape)]
    return shape, list("abc"[:n_keys]), tile


@given(tensors(), st.data())
def test_batches_are_rows(tensor, data):
    shape, keys, tile = tensor
    array = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    relation = tra.from_array(array, keys=keys, tile=tile)
    rows = np.array(data.draw(st.lists(st.integers(0, shape[0] - 1), min_size=1, max_size=12)))
    type_ = batch_type(relation.expr.type, len(rows))
    tiled = tra.from_tiles(relation.tiles(), keys, relation.expr.type.axes, relation.expr.type.domains)
    for given_ in (relation, tiled):  # an array is read at once, other sources tile by tile
        source = RowsSource(source_of(given_), relation.expr.type, rows, type_)
        box = tuple((0, domain) for domain in type_.domains)
        found = dict(iter(read_tiles(type_, box, source)))
        whole = tra.from_tiles(found, keys, type_.axes, type_.domains).compute()
        np.testing.assert_array_equal(whole, array[rows])
        assert whole.dtype == array.dtype


@pytest.mark.parametrize("suffix", [".npy", ".tra"])
def test_rows_of_a_file_are_read_by_those_who_need_them(tmp_path, suffix):
    array = np.arange(60.0).reshape(20, 3)
    tra.from_array(array, tile=(8, 2)).save(tmp_path / f"X{suffix}")
    X = tra.open(tmp_path / f"X{suffix}")
    rows = np.array([19, 0, 7, 8])
    source = RowsSource(source_of(X), X.expr.type, rows, batch_type(X.expr.type, 4))
    assert source.remote and source.path == str(tmp_path / f"X{suffix}")
    np.testing.assert_array_equal(source.read((0, 0)), array[rows][:, : X.tile_shape[1]])


def test_a_batch_is_cut_as_its_data_is_as_far_as_it_goes():
    assert str(batch_type(tensor_type((5000, 3), "f4", ("n", "d"), (1000, 2)), 2500)) == (
        "[n:3, d:2] of 1000/2500×2/3 float32"
    )
    assert str(batch_type(tensor_type((5000, 3), "f4", ()), 256)) == "[] of 256×3 float32"
