"""Kernels that are NumPy's functions with constants or in turn: the same bits, into whatever memory."""

import warnings

import numpy as np
import pytest

from tra.algebra.formula import formula, is_one_pass, takes_out
from tra.algebra.kernel import bind_literal, kernel
from tra.backends.kernel_calls import call, call_into

VALUES = [-300, -2.5, -1, -0.0, 0.0, 0.25, 1, 3, 70, np.nan, np.inf, -np.inf]
REAL, NUMBERS = "?bBhHiIlLefd", "bBhHiIlLefdFD"


def values(code, length=12):
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return np.array(VALUES[:length]).astype(code)


def literal(name, position, value):
    return bind_literal(kernel(name), position, value)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


CASES = {  # the kernel, what it means, the dtypes it is tried on
    "relu": (kernel("relu"), lambda x: np.maximum(x, x.dtype.type(0)), REAL + "FD"),
    "sigmoid": (kernel("sigmoid"), sigmoid, NUMBERS),
    "scale": (kernel("scale", by=-2.5), lambda x: x * -2.5, REAL + "FD"),
    "scale by an integer": (kernel("scale", by=3), lambda x: x * 3, REAL + "FD"),
    "clip": (kernel("clip", low=-1, high=2), lambda x: np.clip(x, -1, 2), "bhilefd"),
    "add": (literal("add", 1, 1), lambda x: x + 1, REAL + "FD"),
    "sub from": (literal("sub", 0, 1.5), lambda x: 1.5 - x, NUMBERS),
    "div by": (literal("div", 1, 3), lambda x: x / 3, REAL + "FD"),
    "max": (literal("max", 0, -0.0), lambda x: np.maximum(-0.0, x), REAL),
    "lt": (literal("lt", 1, 0.5), lambda x: x < 0.5, REAL),
    "a literal after a function": (literal("logaddexp", 1, 0.0), lambda x: np.logaddexp(x, 0.0), "efd"),
}


def same_bits(found, expected):
    expected = np.asarray(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bits_are_those_of_the_definition(name):
    by, meaning, codes = CASES[name]
    assert takes_out(by.function)
    for code in codes:
        x = values(code)
        expected = meaning(x)
        same_bits(call(by, x), expected)
        same_bits(call(by, x.reshape(3, 4)[:, ::2]), meaning(x.reshape(3, 4)[:, ::2]))
        same_bits(call(by, x[1, ...]), meaning(x[1, ...]))
        place = np.full_like(expected, 7)
        assert call_into(place, by, x) is place
        same_bits(place, expected)
        if expected.dtype == x.dtype:  # an operand may lie in the same place
            same_bits(call_into(x, by, x), expected)


def test_an_operand_may_overlap_the_place():
    for by, meaning in ((kernel("sigmoid"), sigmoid), (kernel("relu"), lambda x: np.maximum(x, 0.0))):
        whole = np.linspace(-3, 3, 50_000)
        expected = meaning(whole[:-1].copy())
        same_bits(call_into(whole[1:], by, whole[:-1]), expected)


def test_literals_of_a_function_of_three_are_bound_one_by_one():
    fma = formula((lambda a, b, c, out: np.add(a * b, c, out=out), ..., ..., ...))
    once = fma.steps[0].bound(1, 10.0)
    assert once.bound(0, 2.0)((np.ones(1),), None).tolist() == [21.0]
    assert once.bound(1, 2.0)((np.ones(1),), None).tolist() == [12.0]


def test_what_looks_once_and_what_writes():
    assert is_one_pass(kernel("relu").function) and is_one_pass(literal("add", 0, 1).function)
    assert not is_one_pass(kernel("sigmoid").function)
    assert not takes_out(literal("where", 1, 1.0).function)


def test_an_overflow_on_the_way_to_nothing_is_no_complaint():
    with warnings.catch_warnings(action="error"):
        assert call(kernel("sigmoid"), np.array([-1e4], "f4")).tolist() == [0.0]
