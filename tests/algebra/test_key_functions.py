"""Key functions: what is traced means what Python means, and what is not traced is called on real keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tra.algebra.key_function import (
    Const,
    Not,
    Op,
    Opaque,
    Var,
    apply,
    bounds_of,
    conjuncts,
    evaluate,
    holds,
    interval,
    plain_shift,
    substitute,
    text,
    trace,
    variables,
)
from tra.errors import SchemaError

KEYS = np.array([[i, j] for i in range(4) for j in range(3)])
TABLE = [2, 0, 3, 1]

FUNCTIONS = [
    lambda i, j: (j, i),
    lambda i, j: (i + 1, 2 * j),
    lambda i, j: i * 3 + j,
    lambda i, j: (i // 2, i % 2, 7 - j),
    lambda i, j: (np.int64(3) + i, j - np.int32(1) + 1),
    lambda i, j: divmod(i, 2),
    lambda i, j: -i + 9,
    lambda i, j: 7 // (j + 1) + 7 % (i + 1),
    lambda i, j: i & 1,
    lambda i, j: (i | j, ~i + 5),
    lambda i, j: TABLE[i],
    lambda i, j: {0: 5}.get(i, j),
    lambda i, j: max(i, j),
    lambda i, j: abs(i - j),
    lambda i, j: i if i > j else j,
    lambda i, j: (3, True),
    lambda i, j: (),
]
PREDICATES = [
    lambda i, j: i == j,
    lambda i, j: (i >= 1) & (j < 2),
    lambda i, j: (i == 0) | ~(j != 1),
    lambda i, j: i >= 1,
    lambda i, j: i in {0, 2},
    lambda i, j: i in (0, 2),
    lambda i, j: i == 1 or j == 1,
    lambda i, j: 0 < i < 3,
    lambda i, j: bool(i),
    lambda i, j: np.array([True, False, True, False])[i],
    lambda i, j: True & (i > 1),
    lambda i, j: True,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_traced_function_means_what_python_means(function):
    expected = []
    for i, j in KEYS.tolist():
        value = function(i, j)
        expected.append(list(value) if isinstance(value, tuple) else [value])
    traced = trace(function, ("i", "j"))
    assert apply(traced, ("i", "j"), KEYS).tolist() == np.array(expected, dtype=np.int64).tolist()


@pytest.mark.parametrize("predicate", PREDICATES)
def test_a_traced_predicate_means_what_python_means(predicate):
    traced = trace(predicate, ("i", "j"))
    read = traced if isinstance(traced, Opaque) else traced[0]
    assert holds(read, ("i", "j"), KEYS).tolist() == [bool(predicate(i, j)) for i, j in KEYS]


@pytest.mark.parametrize("function", [FUNCTIONS[0], FUNCTIONS[3], FUNCTIONS[5], PREDICATES[1], PREDICATES[2]])
def test_plain_arithmetic_is_traced(function):
    assert not isinstance(trace(function, ("i", "j")), Opaque)


@pytest.mark.parametrize(
    "function", [FUNCTIONS[8], FUNCTIONS[10], FUNCTIONS[11], PREDICATES[4], PREDICATES[7]]
)
def test_what_needs_a_value_is_opaque(function):
    traced = trace(function, ("i", "j"))
    assert isinstance(traced, Opaque)
    assert traced == Opaque(traced.function, traced.names, traced.digest) and traced != "something else"
    assert text(traced).startswith("<function")


def test_errors_of_key_functions():
    with pytest.raises(SchemaError, match=r"takes \(i\), but the keys are \(i, j\)"):
        trace(lambda i: i, ("i", "j"))
    with pytest.raises(SchemaError, match=r"fails on key \(2,\): IndexError"):
        apply(trace(lambda i: [0, 1][i], ("i",)), ("i",), np.array([[0], [2]]))
    with pytest.raises(SchemaError, match=r"must return integers; on key \(0,\) it returns 0.0"):
        apply(trace(lambda i: i / 2, ("i",)), ("i",), np.array([[0]]))
    with pytest.raises(SchemaError, match="different lengths"):
        apply(trace(lambda i: (0,) * [1, 2][i], ("i",)), ("i",), np.array([[0], [1]]))
    with pytest.raises(SchemaError, match="divides by zero"):
        apply(trace(lambda i: 4 // i, ("i",)), ("i",), np.array([[0]]))
    with pytest.raises(SchemaError, match="divides by zero"):
        apply(trace(lambda i: 4 // (0 * i), ("i",)), ("i",), np.array([[1]]))


EXPRESSIONS = st.recursive(
    st.sampled_from([Var("i"), Var("j")]) | st.integers(-3, 5).map(Const),
    lambda inner: (
        st.builds(Op, st.sampled_from(["+", "-", "*", "//", "%", "<", "=="]), inner, inner)
        | st.builds(Not, st.builds(Op, st.just("<"), inner, inner))
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_bounds_hold_on_every_key(expr):
    bounds = bounds_of(expr, {"i": (0, 4), "j": (0, 3)})
    if bounds is None:
        return
    try:
        with np.errstate(all="ignore"):
            values = np.broadcast_to(evaluate(expr, {"i": KEYS[:, 0], "j": KEYS[:, 1]}), (len(KEYS),))
    except ZeroDivisionError:  # within a comparison, which has bounds whatever its sides
        return
    assert bounds[0] <= values.min() and values.max() <= bounds[1]


@given(EXPRESSIONS)
def test_substitution_variables_and_text(expr):
    values = {"i": 3, "j": 2}
    try:
        meant = eval(text(expr), {}, values)
    except ZeroDivisionError:
        return
    with np.errstate(all="ignore"):
        assert evaluate(expr, values) == meant
        swapped = substitute(expr, {"i": Var("a"), "j": Const(2)})
        assert evaluate(swapped, {"a": 3}) == meant
    assert variables(swapped) == ({"a"} if "i" in variables(expr) else set())


def test_reading_intervals_and_shifts():
    i, two = Var("i"), Const(2)
    assert interval(Op("<", i, two), 9) == ("i", 0, 2)
    assert interval(Op("<", two, i), 9) == ("i", 3, 9)
    assert interval(Op("==", i, Const(-1)), 9) == ("i", 0, 0)
    assert interval(Op("!=", i, two), 9) is None
    assert plain_shift(Op("+", two, i)) == ("i", 2)
    assert plain_shift(Op("*", two, i)) is None
    both = Op("and", Op("<", i, two), Op("and", Op("<", two, i), Not(i)))
    assert len(list(conjuncts(both))) == 3
