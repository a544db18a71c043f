"""Sugar on relations with holes: an absent tile stands for zeros where that is right, else it is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra.live import is_dense
from tra.algebra.relation import Relation
from tra.errors import SchemaError
from tra.testing import arrays


@st.composite
def holed(draw, shape=(7, 5), dtype="f8"):
    """A tensor with holes, and the same with zeros in them."""
    whole = draw(arrays(shape, dtype))
    dense = tra.from_array(whole, tile=[draw(st.integers(1, 4)) for _ in shape])
    keep = draw(st.sets(st.integers(0, 20), max_size=12))
    type_ = dense.expr.type
    numbers = {key: n for n, key in enumerate(dense.tiles())}
    relation = dense.filter(lambda *key: numbers[key] in keep)
    array = np.zeros_like(whole)
    for key, tile in relation.tiles().items():
        columns = dict(zip(type_.names, key, strict=True))
        starts = [int(axis.offset(columns)) * axis.size for axis in type_.axes]
        array[tuple(slice(s, s + n) for s, n in zip(starts, tile.shape, strict=True))] = tile
    return relation, array


def agree(relation, array):
    assert (relation.shape, relation.dtype) == (array.shape, array.dtype)
    np.testing.assert_allclose(relation.fill(0).compute(), array)


@given(holed())
def test_filling(pair):
    relation, array = pair
    agree(relation, array)
    assert is_dense(relation.fill(0).expr.type)


@given(holed())
def test_sums_products_and_what_keeps_zero(pair):
    relation, array = pair
    agree(relation * 2.0, array * 2.0)
    agree(relation / 4, array / 4)
    agree(-relation, -array)
    agree(abs(relation), abs(array))
    agree(relation**2, array**2)
    agree(relation > 0, array > 0)
    agree(tra.relu(relation), np.maximum(array, 0))
    agree(relation + 0, array + 0)
    agree(relation + relation, array + array)
    agree(relation - relation, array - array)
    agree(relation * relation, array * array)
    agree(relation.sum(axis=0), array.sum(axis=0))
    agree((relation > 0).any(axis=1), (array > 0).any(axis=1))
    agree(relation.astype("i4"), array.astype("i4"))
    if not is_dense(relation.expr.type):
        for refused in (
            lambda: relation + 1,
            lambda: tra.exp(relation),
            lambda: relation >= 0,
            lambda: relation * np.inf,
            lambda: relation.max(),
            lambda: relation.argmin(axis=0),
            lambda: relation.prod(),
            lambda: tra.softmax(relation, axis=1),
            lambda: relation == 0,
            lambda: relation[1:],
            lambda: relation.compute(),
        ):
            with pytest.raises(SchemaError, match="fill"):
                refused()


def cut(array, keys=("i", "j")):
    return tra.from_array(array, keys=keys, tile=(2, 2))


ARRAY = np.arange(1.0, 31.0).reshape(6, 5)
OTHER = np.arange(5.0, 35.0).reshape(6, 5)


def blocks(array, keep):
    out = np.zeros_like(array)
    for i in range(3):
        for j in range(3):
            if keep(i, j):
                out[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = array[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
    return out


def test_two_relations_with_different_holes():
    def lower(i, j):
        return i >= j

    def upper(i, j):
        return i <= j

    A, B = cut(ARRAY).filter(lower), cut(OTHER).filter(upper)
    a, b = blocks(ARRAY, lower), blocks(OTHER, upper)
    agree(A + B, a + b)
    assert is_dense((A + B).expr.type)
    agree(A - B, a - b)
    agree(A * B, a * b)
    agree((A > 3) | (B > 3), (a > 3) | (b > 3))
    agree((A > 3) ^ (B > 3), (a > 3) ^ (b > 3))
    agree(A.astype("i4") + B, a.astype("i4") + b)
    agree((A > 3) + B.astype("f4"), (a > 3) + b.astype("f4"))
    agree(A.astype("i8") - (B > 3).astype("i4"), a.astype("i8") - (b > 3).astype("i4"))
    agree(A / cut(OTHER), a / OTHER)
    for refused in (lambda: A / B, lambda: A == B, lambda: A**B, lambda: tra.where(A > 0, A, B)):
        with pytest.raises(SchemaError, match="needs a dense relation"):
            refused()


def test_key_names_do_not_matter():
    A = cut(ARRAY).filter(lambda i, j: i != j)
    B = cut(OTHER, keys=("side", "q")).filter(lambda p, q: p == q)
    a, b = blocks(ARRAY, lambda i, j: i != j), blocks(OTHER, lambda i, j: i == j)
    agree(A + B, a + b)
    agree(B - A, b - a)
    agree(A * B, a * b)
    assert (A + B).keys == ("i", "j") and (B + A).keys == ("side", "q")


def test_products_broadcast_over_holes():
    A = cut(ARRAY).filter(lambda i, j: i != j)
    a = blocks(ARRAY, lambda i, j: i != j)
    v = np.arange(5.0)
    agree(A * tra.from_array(v, tile=2), a * v)
    agree(tra.from_array(v, tile=2) * A, a * v)
    agree(A @ v, a @ v)
    agree(tra.einsum("ij,kj->ik", A, A), a @ a.T)
    agree(A.T, a.T)
    agree(A * tra.from_array(v, tile=3), a * v)  # the smaller tensor is cut anew
    holed_row = tra.from_array(v, tile=3).filter(lambda i: i > 0)
    with pytest.raises(SchemaError, match="dense"):
        cut(ARRAY) * holed_row  # which would need an exchange of what is not there


def test_equal_holes_stay_holes():
    A = cut(ARRAY).filter(lambda i, j: j >= 1)
    a = blocks(ARRAY, lambda i, j: j >= 1)
    agree(A < A * 2, a < a * 2)
    agree(tra.maximum(A, A * -1), np.maximum(a, -a))
    agree(tra.where(A > 3, A, 0.0), np.where(a > 3, a, 0))
    assert (A < A * 2).expr.type.live == A.expr.type.live


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("i4", 3, True),
        ("i4", 2.0, True),
        ("i4", 2.5, False),
        ("i4", float("nan"), False),
        ("i4", 10**30, False),
        ("bool", True, True),
        ("bool", 2, False),
        ("f4", 0.1, True),
        ("f4", float("nan"), True),
        ("f4", 1j, False),
        ("c8", 1j, True),
        ("f8", np.float32(1.5), True),
    ],
)
def test_what_a_hole_can_be_filled_with(dtype, value, fits):
    A = tra.from_tiles({(1,): np.ones(2, dtype)}, keys="i")
    if not fits:
        with pytest.raises(SchemaError, match="cannot fill"):
            A.fill(value)
        return
    expected = np.concatenate([np.full(2, value).astype(dtype), np.ones(2, dtype)])
    np.testing.assert_array_equal(A.fill(value).compute(), expected)
    assert A.fill(value).dtype == np.dtype(dtype)


def test_a_key_called_side_is_no_trouble():
    A = tra.from_tiles({(1,): np.ones(2)}, keys="side")
    np.testing.assert_array_equal(A.fill(2).compute(), [2, 2, 1, 1])
    assert isinstance(A.fill(0), Relation)
