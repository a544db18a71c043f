"""Rules on filters: they reach the sources, by the keys they read, and never where keys do not allow it."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.nodes import Filter, Join, postorder
from tra.algebra.operators import stack
from tra.algebra.relation import Relation
from tra.optimizer.rules import filters
from tra.optimizer.rules.registry import normalise

from .rule_harness import check_fires, check_stays, drawn, keyed, names_of, some

N_EXAMPLES = 100


@st.composite
def predicates(draw, first=0, last=-1):
    """A predicate that reads two keys, given by position."""
    low, high = draw(st.integers(0, 2)), draw(st.integers(1, 4))
    return draw(
        st.sampled_from(
            [
                lambda *k: k[first] >= low,
                lambda *k: (k[first] < high) & (k[last] >= low),
                lambda *k: (k[first] + k[last]) % 2 == 0,
                lambda *k: ~(k[first] == low),
                lambda *k: True,
                lambda *k: False,
            ]
        )
    )


def looked_up(*k):
    return k[0] in {0, 2}


@st.composite
def filtered(draw, build, predicate=None, n_keys=1):
    found = draw(keyed(n_keys))
    relation = drawn(lambda: build(draw, found))
    assume(relation.keys)
    return relation.filter(predicate or draw(predicates()))


def turned(draw, relation):
    order = draw(st.permutations(range(len(relation.keys))))
    by = draw(st.integers(0, 1))
    names = ["x", *relation.keys[1:]]
    return relation.rekey(lambda *k: (k[order[0]] + by, *(k[p] for p in order[1:])), keys=names)


def mapped(draw, relation):
    return relation.transform(draw(st.sampled_from(["square", "transpose", "squeeze", "reduce_max"])))


def folded(draw, relation):
    by = draw(some(relation.keys, least=1))
    return relation.aggregate(by=by, kernel=draw(st.sampled_from(["add", "max"])))


def once(draw, relation):
    return relation.filter(draw(predicates()))


def partial_on(draw, relation):
    return relation.filter(lambda *k: k[0] > 0)


def stacked(draw, relation):
    other = relation.filter(draw(predicates()))
    return Relation(stack([relation.expr, other.expr, relation.expr], "n"), relation.sources)


@st.composite
def joined(draw, predicate=None, on=None, kernels=("left", "right", "mul", "outer", "matmul")):
    left = draw(keyed(max_keys=2, max_rank=2))
    right = drawn(lambda: draw(st.sampled_from([left, left.rekey(lambda *k: k[::-1], keys=left.keys[::-1])])))
    if draw(st.booleans()):
        right = right.filter(lambda *k: k[0] > 0)
    pairs = draw(st.sampled_from([[], [(left.keys[0], right.keys[-1])]])) if on is None else on
    both = drawn(lambda: left.join(right, on=pairs, kernel=draw(st.sampled_from(kernels))))
    return both.filter(predicate or draw(predicates()))


def both_sides(*k):
    return (k[0] + k[-1]) % 2 == 0


CASES = {
    "filter_filter_fuse": (filtered(once), filtered(partial_on, lambda *k: 6 // k[0] >= 2)),
    "filter_true_drop": (filtered(once, lambda *k: k[0] < 9), None),
    "filter_rekey_push": (filtered(turned), filtered(turned, looked_up)),
    "filter_transform_push": (filtered(mapped), filtered(folded)),
    "filter_aggregate_push": (filtered(folded), filtered(folded, looked_up)),
    "filter_join_push": (joined(), joined(both_sides, on=[])),
    "filter_join_equate": (
        joined(lambda *k: (k[0] == k[-1]) & (k[0] > 0), on=[], kernels=("left", "mul", "matmul")),
        joined(lambda *k: k[0] <= k[-1], on=[]),
    ),
    "filter_stack_push": (filtered(stacked), filtered(stacked, looked_up)),
}


def test_every_rule_is_tested():
    assert names_of(filters) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_and_keeps_the_meaning(name):
    check_fires(getattr(filters, name), CASES[name][0], N_EXAMPLES)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][1] is not None])
def test_a_rule_does_not_fire_where_keys_do_not_allow_it(name):
    check_stays(getattr(filters, name), CASES[name][1], N_EXAMPLES)


@examples(N_EXAMPLES)
@given(filtered(once, lambda *k: k[0] > 0))
def test_a_filter_that_drops_something_stays(relation):
    dropped = relation.expr.type != relation.expr.child.type
    assert (filters.filter_true_drop(relation.expr) is None) == dropped


def matrices():
    names = (("A", "ij"), ("B", "km"))
    return (tra.from_array(np.arange(16.0).reshape(4, 4), keys=tuple(k), tile=2, name=n) for n, k in names)


def test_a_product_is_never_made_for_pairs_that_are_thrown_away():
    A, B = matrices()
    pairs = A.join(B, on=[], kernel="matmul").filter(lambda i, j, k, m: (j == k) & (i == 0) & (m < 9))
    (plain,), fired = normalise((pairs.aggregate(by=("i", "m")).expr,))
    (made,) = (node for node in postorder(plain) if isinstance(node, Join))
    assert made == A.filter(lambda i, j: i == 0).join(B, on=[("j", "k")], kernel="matmul").expr
    assert {f.name for f in fired} >= {"filter_join_equate", "filter_join_push", "aggregate_rekey_fold"}


def test_a_filter_that_guards_a_division_stays_below_it():
    A, _ = matrices()
    guarded = A.filter(lambda i, j: i > 0).filter(lambda i, j: 4 // i == 4)
    (plain,), _ = normalise((guarded.expr,))
    assert (
        sum(isinstance(node, Filter) for node in postorder(plain)) == 1
    )  # of one key, that is all that is left
    joined = A.filter(lambda i, j: i > 0).join(A, on=[("i", "i")], kernel="left")
    divided = joined.filter(lambda i, j, j_2: 4 // i == 4)
    assert normalise((divided.expr,))[0]


def test_a_filter_does_not_double_work_that_another_user_needs():
    A, B = matrices()
    product = A.join(B, on=[("j", "k")], kernel="matmul")
    roots = (product.expr, product.filter(lambda i, j, m: i == 0).expr)
    assert normalise(roots) == (roots, ())


def test_a_fixed_operator_stays():
    A, B = matrices()
    summed = A.join(B, on=[("j", "k")], kernel="matmul").aggregate(by=("i",)).expr
    assert normalise((summed,), fixed=(summed,)) == ((summed,), ())
    assert [fired.name for fired in normalise((summed,))[1]] == ["aggregate_join_push"]


def test_a_filter_moves_past_any_number_of_maps():
    A = tra.from_array([1.0, 2.0, 3.0, 4.0], tile=1, name="A")
    query = A
    for _ in range(150):
        query = tra.tanh(query)
    assert set(query.filter(lambda i: i == 0).tiles()) == {(0,)}
