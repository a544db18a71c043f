"""Generated sources hold every number that their dtype holds."""

import numpy as np
import pytest

import tra
from tra.algebra.distributions import check_constant, check_places
from tra.algebra.nodes import Constant, Random
from tra.algebra.operators import generated, transform
from tra.algebra.relation import Relation
from tra.algebra.sources import tensor_type
from tra.errors import SchemaError

NUMBERS = [
    (0, "b1 i1 u1 f2 f4 f8 g c8 c16 G"),
    (True, "b1 i1 u1 f2 f8 c8"),
    (np.True_, "b1 i1 u1 f8"),
    (-1.0, "i1 i8 f2 f8 c8"),
    (255, "u1 i2 f2"),
    (np.uint64(2**64 - 1), "u8 f4 f8"),
    (0.1, "f2 f4 f8 g c8 G"),
    (np.inf, "f2 f4 f8 g c8 c16"),
    (np.nan, "f2 f8 g c16"),
    (1e300, "f8 g c16"),
    (10**300, "f8 c16"),
    (np.longdouble(2) ** 1100, "g G"),
    (1 + 2j, "c8 c16 G"),
    (complex(np.inf, 0), "c8 c16"),
]
NONE = [
    (2, "b1"),
    (0.5, "b1 i8"),
    (-1, "b1 u1 u8"),
    (np.nan, "b1 i1 u8"),
    (np.inf, "i8"),
    (128, "i1"),
    (1e300, "f4 i8 c8"),
    (1e39 + 1j, "c8"),
    (1j * 1e39, "c8"),
    (10**400, "b1 i8 u1 f8 c16"),
    (1j, "b1 i8 f8"),
    (0j, "f4"),
    ("1", "f8"),
    (None, "f8"),
]


def each(table):
    return [(value, dtype) for value, dtypes in table for dtype in dtypes.split()]


@pytest.mark.parametrize(("value", "dtype"), each(NUMBERS))
def test_constants_of_a_dtype(value, dtype):
    made = Relation(generated(tensor_type((3,), dtype, ("i",), 2), Constant(value)), {})
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.full(3, value, dtype)
    np.testing.assert_array_equal(made.compute(), expected)
    assert made.dtype == expected.dtype


@pytest.mark.parametrize(("value", "dtype"), each(NONE))
def test_constants_that_a_dtype_does_not_hold(value, dtype):
    with pytest.raises(SchemaError, match=f"is no value of dtype {np.dtype(dtype)}: "):
        check_constant(value, np.dtype(dtype))


def test_places_along_an_axis():
    for extent, dtype in [(0, "u1"), (2, "b1"), (128, "i1"), (256, "u1"), (65505, "f2"), (10**9, "f4")]:
        check_places(extent, np.dtype(dtype))
    for extent, dtype in [(3, "b1"), (129, "i1"), (257, "u1"), (10**6, "f2"), (10**6, "?,f8")]:
        with pytest.raises(SchemaError, match=f"IOTA counts to {extent - 1}, which is no value"):
            check_places(extent, np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["g", "G"])
def test_long_doubles_have_holes_filled_and_constants_folded(dtype):
    holed = tra.from_tiles({1: np.ones(2, dtype)}, keys="i")
    np.testing.assert_array_equal(holed.fill(0).compute(), np.array([0, 0, 1, 1], dtype))
    one = generated(tensor_type((3,), dtype, ("i",), 2), Constant(0))
    np.testing.assert_array_equal(Relation(transform(one, "exp"), {}).compute(), np.ones(3, dtype))


@pytest.mark.parametrize(("dtype", "factor"), [("f2", 300.0), ("f4", 1e30), ("f8", 1e300)])
def test_gradients_that_a_dtype_does_not_hold_are_infinite(dtype, factor):
    A = tra.from_array(np.ones((4, 4), dtype), tile=2)
    (found,) = tra.grad((A * factor * factor).sum(), [A])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found.compute(), np.full((4, 4), np.inf, dtype))


@pytest.mark.parametrize("bounds", [(np.float16(0), np.float16(1)), (0, 1), (np.int8(0), np.int8(1))])
def test_bounds_of_any_type_draw_the_same(bounds):
    type_ = tensor_type((10_000,), "f8", ("i",), 3_000)
    found = Relation(generated(type_, Random("uniform", bounds, 3)), {}).compute()
    expected = Relation(generated(type_, Random("uniform", (0.0, 1.0), 3)), {}).compute()
    np.testing.assert_array_equal(found, expected)
    assert 0.9995 < expected.max() < 1


def test_integers_are_drawn_from_all_of_their_dtype():
    for dtype, low, high in [("u1", 0, 256), ("i1", -128, 128), ("i8", -(2**63), 2**63)]:
        type_ = tensor_type((20_000,), dtype, ("i",), 3_000)
        found = Relation(generated(type_, Random("uniform", (low, high), 1)), {}).compute()
        assert (found.min() < low + (high - low) / 100) and (found.max() > high - (high - low) / 100)
