"""Products of mixed types are reordered where no product is made in a narrower type than in the query."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra import reference
from tra.optimizer.context import Context
from tra.optimizer.regions import regions

SHAPES = [(300, 400), (400, 200), (200, 30)]


def relations(dtypes, shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    named = zip("ABCD", shapes, dtypes, strict=False)
    return [tra.from_array(rng.integers(-3, 4, s).astype(d), name=name) for name, s, d in named]


def planned(query):
    with tra.connect("local", threads=1) as session:
        return session.explain(query).to_dict()


def multiplied(explained):
    return {form["order"] for form in explained["forms"]}


def test_products_that_stay_as_wide_are_reordered():
    A, B, C = relations(["f8", "f8", "f4"])
    found = planned(A @ B @ C)
    assert multiplied(found) == {"A·(B·C)"}
    assert found["flops"]["predicted"] == 2 * (400 * 200 * 30 + 300 * 400 * 30)
    np.testing.assert_array_equal((A @ B @ C).compute(), A.compute() @ B.compute() @ C.compute().astype("f8"))


def test_products_may_become_wider():
    A, B, C = relations(["f4", "f4", "f8"])
    assert multiplied(planned(A @ B @ C)) == {"A·(B·C)"}


@pytest.mark.parametrize("narrow", ["f4", "i4", "f2"])
def test_products_do_not_become_narrower(narrow):
    A, B, C = relations([narrow, narrow, "f8"], [(30, 400), (400, 200), (200, 3000)])
    found = planned(A @ (B @ C))
    assert multiplied(found) <= {"A·(B·C)"}
    assert found["flops"]["predicted"] == 2 * (400 * 200 * 3000 + 30 * 400 * 3000)
    (note,) = found["notes"]
    assert "(A·B)·C" in note
    assert "times less work, and is not taken" in note
    assert (np.dtype(narrow).name if narrow[0] == "f" else "integers") in note


def test_a_note_only_where_another_order_would_pay():
    A, B, C = relations(["f8", "f8", "f4"], [(30, 400), (400, 200), (200, 3000)])
    assert planned(A @ B @ C)["notes"] == []


def test_integers_stay_as_they_are():
    """Their products wrap, which those of floats do not."""
    A, B, C = relations(["i2", "i2", "f8"])
    found = planned(A @ B @ C)
    assert multiplied(found) <= {"(A·B)·C"}
    small = np.full((2, 2), 300, "i2")
    X, Y = tra.from_array(small), tra.from_array(small)
    v = tra.from_array(np.ones(2))
    np.testing.assert_array_equal((X @ Y @ v).compute(), (small @ small) @ np.ones(2))


@examples(60)
@given(
    st.lists(st.sampled_from(["f4", "f8", "c8", "i4", "i2", "?"]), min_size=3, max_size=4), st.integers(0, 9)
)
def test_every_option_is_the_same_tensor_of_the_same_type(dtypes, seed):
    shapes = [(3, 4), (4, 2), (2, 5), (5, 3)]
    given_ = relations(dtypes, shapes, seed)
    for query in (left(given_), right(given_)):
        expected = reference.to_array(reference.evaluate(query.expr, query.sources), query.expr.type)
        for region in regions([query.expr], Context()):
            for option in region.options:
                assert option.expr.type == query.expr.type
                got = reference.to_array(reference.evaluate(option.expr, query.sources), option.expr.type)
                np.testing.assert_array_equal(got, expected)


def left(factors):
    total = factors[0]
    for factor in factors[1:]:
        total = total @ factor
    return total


def right(factors):
    total = factors[-1]
    for factor in reversed(factors[:-1]):
        total = factor @ total
    return total
