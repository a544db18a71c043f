"""Slices of what is read: only the tiles that they meet are read, made or sent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra.makers import Iota
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.tensor_type import tensor_type

ARRAY = np.arange(60.0 * 50).reshape(60, 50)


class Counting:
    """An array that knows how many elements were asked of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, 0

    def __getitem__(self, window):
        part = self.array[window]
        found = Counting(part)
        found.root = getattr(self, "root", self)
        return found

    def __array__(self, dtype=None, copy=None):
        getattr(self, "root", self).asked += self.array.size
        return np.array(self.array, dtype)


@pytest.fixture(params=["array", ".npy", ".tra", ".zarr", ".parquet", "dask", "generated"])
def relation(request, tmp_path):
    if request.param == "array":
        return tra.from_array(ARRAY, tile=(7, 9))
    if request.param == "dask":
        return tra.from_array(pytest.importorskip("dask.array").from_array(ARRAY, chunks=20), tile=(7, 9))
    if request.param == "generated":
        made = Relation(generated(tensor_type((60, 50), "f8", ("i", "j"), (7, 9)), Iota(1)), {})
        return made + 50 * Relation(generated(tensor_type((60, 50), "f8", ("i", "j"), (7, 9)), Iota(0)), {})
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    with tra.connect("local", threads=1):
        tra.from_array(ARRAY, tile=(7, 9)).save(tmp_path / f"A{request.param}")
    return tra.open(tmp_path / f"A{request.param}", **({"tile": (7, 9)} if request.param == ".npy" else {}))


@pytest.mark.parametrize("sites", [1, 2])
def test_slices_of_every_kind_of_source(relation, sites):
    with tra.connect("local", sites=sites, threads=1):
        for rows, columns in (
            (slice(13, 15), slice(0, 50)),
            (slice(59, 60), slice(44, 50)),
            (slice(50, 3, -4), slice(1, 40, 3)),
            (slice(7, 14), slice(9, 18)),
            (slice(0, 60), slice(0, 50)),
        ):
            np.testing.assert_array_equal(relation[rows, columns].compute(), ARRAY[rows, columns])
        both = relation[3:20] @ relation[10:27].T
        np.testing.assert_allclose(both.compute(), ARRAY[3:20] @ ARRAY[10:27].T)
        (kept,) = tra.algebra.current.current().persist(relation[8:22, 3:])
        np.testing.assert_array_equal(kept[2:5].compute(), ARRAY[10:13, 3:])


@given(st.integers(0, 59), st.integers(0, 59), st.integers(0, 49), st.integers(0, 49))
def test_slices_of_two_relations_in_one_query(a, b, c, d):
    A = tra.from_array(ARRAY, tile=(7, 9))
    n = 60 - max(a, b)
    with tra.connect("local", sites=2, threads=1) as session:
        one, other = session.compute(A[a : a + n] + A[b : b + n], A[:, c:].sum() - A[:, d:].sum())
    np.testing.assert_array_equal(one, ARRAY[a : a + n] + ARRAY[b : b + n])
    np.testing.assert_allclose(other, ARRAY[:, c:].sum() - ARRAY[:, d:].sum())


def test_only_what_is_wanted_is_read():
    array = Counting(np.arange(10_000.0).reshape(100, 100))
    A = tra.from_array(array, tile=10)
    with tra.connect("local", threads=1) as session:
        assert A[42:47, 5:15].compute().shape == (5, 10)
        assert array.asked == 10 * 20  # two tiles
        facts = session.explain(A[42:47, 5:15]).to_dict()
        assert facts["peak_bytes_per_site"]["predicted"] <= 8 * (10 * 20 + 2 * 5 * 10)


def test_a_slice_of_numbers_without_end_is_made_alone():
    numbers = Relation(generated(tensor_type((12 * 4**15,), "u8", ("i",), 1 << 16), Iota(0)), {})
    with tra.connect("local", threads=1):
        assert numbers[10**10 : 10**10 + 5].compute().tolist() == list(range(10**10, 10**10 + 5))
