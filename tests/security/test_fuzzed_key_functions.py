"""Key functions made at random, in Python and in text: what they do to keys is what Python's integers do.

A few dozen in an ordinary run, thousands with TRA_LONG_TESTS=1.
"""

import operator
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tra
from tra.errors import QueryError, SchemaError
from tra.sql.runner import Options, run_statements

EXAMPLES = 2000 if os.environ.get("TRA_LONG_TESTS") else 30
A = tra.from_tiles({(i, j): np.float64(10 * i + j) for i in (0, 2, 3) for j in (0, 1)}, ("i", "j"), name="A")
NUMBERS = st.sampled_from([0, 1, 2, 3, 7, 1 << 31, 1 << 32, 1 << 61, 1 << 62, (1 << 63) - 1, 1 << 63, 10**25])
SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv, "%": operator.mod}


def trees(leaves):
    return st.tuples(st.sampled_from(sorted(SIGNS)), leaves, leaves)


EXPRESSIONS = st.recursive(st.sampled_from(["i", "j"]) | NUMBERS, trees, max_leaves=6)


def value(tree, i, j):
    """What Python's integers make of it, which have no end."""
    match tree:
        case "i":
            return i
        case "j":
            return j
        case int():
            return tree
        case (sign, left, right):
            return SIGNS[sign](value(left, i, j), value(right, i, j))


def text(tree):
    return f"({text(tree[1])} {tree[0]} {text(tree[2])})" if isinstance(tree, tuple) else str(tree)


def check(make, tree, bounded):
    """A function of keys gives the keys that Python's integers give, or an error."""
    found = bounded(make)
    if isinstance(found, SchemaError | QueryError):
        return
    try:
        expected = sorted((i, j, value(tree, i, j)) for i, j in A.tiles())
    except ZeroDivisionError:
        pytest.fail(f"{text(tree)} divides by zero, and was taken")
    assert sorted(bounded(lambda: list(found.tiles()))) == expected


@given(tree=EXPRESSIONS)
@settings(max_examples=EXAMPLES, deadline=None, database=None)
def test_in_python(tree, bounded):
    make = lambda: A.rekey(lambda i, j: (i, j, value(tree, i, j)), keys=("i", "j", "k"))  # noqa: E731
    check(make, tree, bounded)


@given(tree=EXPRESSIONS)
@settings(max_examples=EXAMPLES, deadline=None, database=None)
def test_in_text(tree, bounded):
    query = f"SELECT A.i, A.j, {text(tree)} AS k, A.tile FROM A"
    make = lambda: run_statements(None, query, {"A": A}, Options(execute=False)).relation  # noqa: E731
    check(make, tree, bounded)


@given(tree=EXPRESSIONS, bound=NUMBERS)
@settings(max_examples=EXAMPLES, deadline=None, database=None)
def test_filters(tree, bound, bounded):
    found = bounded(lambda: A.filter(lambda i, j: value(tree, i, j) < bound))
    if isinstance(found, SchemaError):
        return
    assert sorted(bounded(lambda: list(found.tiles()))) == sorted(
        (i, j) for i, j in A.tiles() if value(tree, i, j) < bound
    )
