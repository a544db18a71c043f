"""Rules on aggregations ask for laws: a kernel that has them is passed, whoever made it, and no other is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.nodes import Aggregate, Join, Transform
from tra.algebra.operators import aggregate, join, transform
from tra.optimizer.rules import aggregates
from tra.optimizer.rules.check import check_rule

from .rule_harness import check_fires, check_stays, drawn, keyed, names_of, some

N_EXAMPLES = 100
LATTICE = {"distributes_over": ["max", "min"], "elementwise": True}
thrice = tra.kernel("()->()", name="thrice", linear=[0])(lambda x: x + x + x)
turned = tra.kernel("(m,n)->(n,m)", name="turned", linear=[0])(lambda x: x.T)
raised = tra.kernel("()->()", name="raised", **LATTICE)(lambda x: x + x.dtype.type(1))
silent = tra.kernel("()->()", name="thrice in silence")(lambda x: x + x + x)
product = tra.kernel("(m,n),(n,p)->(m,p)", name="rows by columns", linear=[0, 1])(lambda x, y: x @ y)
plus = tra.kernel("(),()->()", name="plus", **LATTICE)(lambda x, y: x + y)
left_only = tra.kernel("(),()->()", name="squares right", linear=[0])(lambda x, y: x * y * y)
mute = tra.kernel("(),()->()", name="times in silence")(lambda x, y: x * y)
gone_wrong = tra.kernel("(),()->()", name="claims too much", linear=[0, 1])(lambda x, y: x * x * y)

ADDED = (["neg", thrice, turned, "transpose", "reduce_sum"], ["add"])
ORDERED = ([raised], ["max", "min"])
UNLAWFUL = (["square", "abs", silent], ["add"]), (["square", thrice, silent], ["max"]), ([raised], ["add"])
BILINEAR = (["mul", "matmul", "left", product, left_only], ["add"])
TROPICAL = (["add", plus], ["max", "min"])
UNPAIRED = (["sub", "max", mute], ["add"]), (["mul", product, mute], ["max"]), (["add", plus], ["add"])


def numbers(kind="f", n_keys=1):
    return keyed(n_keys, dtype={"f": "float64", "i": "int64"}[kind], max_keys=3, max_rank=2)


@st.composite
def summed(draw, pairs, kind="f"):
    """Σ over λ, by kernels and aggregations drawn from a pair of lists."""
    relation = draw(numbers(kind))
    kernels, folds = draw(st.sampled_from(pairs))
    mapped = drawn(lambda: relation.transform(draw(st.sampled_from(kernels))))
    by = draw(some(relation.keys))
    return drawn(lambda: mapped.aggregate(by=by, kernel=draw(st.sampled_from(folds))))


@st.composite
def contracted(draw, pairs, kind="f"):
    """Σ over ⋈, by kernels and aggregations drawn from a pair of lists."""
    left = draw(numbers(kind, n_keys=2))
    order = draw(st.permutations(range(len(left.keys))))
    right = drawn(lambda: left.rekey(lambda *k: tuple(k[p] for p in order), keys=list("xyz")[: len(order)]))
    if draw(st.booleans()):
        right = drawn(lambda: right.rekey(lambda *k: k, keys=left.keys))
    n_joined = draw(st.integers(0, len(order)))
    on = [(left.keys[order[p]], right.keys[p]) for p in range(n_joined)]
    kernels, folds = draw(st.sampled_from(pairs))
    both = drawn(lambda: left.join(right, on=on, kernel=draw(st.sampled_from(kernels))))
    by = draw(st.permutations(both.keys))[: draw(st.integers(0, 2))]
    return drawn(lambda: both.aggregate(by=by, kernel=draw(st.sampled_from(folds))))


@st.composite
def folded_twice(draw, first, then):
    relation = draw(numbers())
    by = draw(some(relation.keys))
    once = drawn(lambda: relation.aggregate(by=by, kernel=first))
    return drawn(lambda: once.aggregate(by=by[: draw(st.integers(0, len(by)))], kernel=then))


@st.composite
def folded_by(draw, n_gone):
    relation = draw(numbers(n_keys=n_gone))
    by = draw(st.permutations(relation.keys))[: len(relation.keys) - n_gone]
    return drawn(lambda: relation.aggregate(by=by, kernel="add"))


@st.composite
def rekeyed(draw, moves):
    relation = draw(numbers())
    names = ["x", *relation.keys[1:]]
    function = (lambda *k: k[::-1]) if moves else (lambda *k: (k[0] + 1, *k[1:]))
    changed = drawn(lambda: relation.rekey(function, keys=names))
    return drawn(lambda: changed.aggregate(by=["x"], kernel="add"))


CASES = {
    "aggregate_aggregate_fuse": (folded_twice("add", "add"), folded_twice("add", "max")),
    "aggregate_identity_drop": (folded_by(0), folded_by(1)),
    "aggregate_rekey_fold": (rekeyed(moves=True), rekeyed(moves=False)),
    "aggregate_transform_push": (summed([ADDED, ORDERED]), summed(UNLAWFUL)),
    "aggregate_join_push": (contracted([BILINEAR, TROPICAL]), contracted(UNPAIRED)),
}


def test_every_rule_is_tested():
    assert names_of(aggregates) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_and_keeps_the_meaning(name):
    check_fires(getattr(aggregates, name), CASES[name][0], N_EXAMPLES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_does_not_fire_where_the_law_is_missing(name):
    check_stays(getattr(aggregates, name), CASES[name][1], N_EXAMPLES)


@pytest.mark.parametrize("kernel", [*BILINEAR[0], *TROPICAL[0]], ids=str)
def test_every_lawful_kernel_is_passed(kernel):
    A, B = (tra.from_array(np.arange(16.0).reshape(4, 4), tile=2, name=name) for name in "AB")
    fold = "max" if kernel in TROPICAL[0] else "add"
    query = A.join(B, on=[("j", "i")], kernel=kernel).aggregate(by=("j", "j_2"), kernel=fold)
    assert check_rule(aggregates.aggregate_join_push, query.expr, query.sources) == 1


@examples(N_EXAMPLES)
@given(contracted([TROPICAL], kind="i") | summed([ORDERED], kind="i"))
def test_integers_may_wrap(relation):
    """max(a + c, b + c) is not max(a, b) + c where one of the sums wraps."""
    for rule in (aggregates.aggregate_join_push, aggregates.aggregate_transform_push):
        assert rule(relation.expr) is None


def claims_all(node):
    """A rule that asks for no law: Σ passes every kernel."""
    match node:
        case Aggregate(child=Transform(child=child, kernel=kernel), by=by, kernel=fold):
            return transform(aggregate(child, by, fold), kernel)
        case Aggregate(child=Join(left=left, right=right, on=on, kernel=kernel), by=by, kernel=fold):
            kept = [name for name in left.type.names if name in by or name in dict(on)]
            made = join(aggregate(left, kept, fold), right, on, kernel)
            return aggregate(made, by, fold)
    return None


def test_a_rule_that_claims_too_much_is_caught():
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    for query in (
        A.transform("square").aggregate(),
        A.join(A, on=[("j", "j")], kernel="sub").aggregate(by="j"),
    ):
        with pytest.raises(AssertionError, match="rule claims_all changed the tile"):
            check_rule(claims_all, query.expr, query.sources)
    linear = A.transform("neg").aggregate()
    assert check_rule(claims_all, linear.expr, linear.sources) == 1


def test_a_kernel_that_claims_too_much_is_caught():
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    B = tra.from_array([5.0, 6.0], keys="j", tile=1, name="B")
    query = A.join(B, on="j", kernel=gone_wrong)
    query = query.aggregate(by="j")
    with pytest.raises(AssertionError, match="rule aggregate_join_push changed the tile"):
        check_rule(aggregates.aggregate_join_push, query.expr, query.sources)


def test_keys_that_both_sides_have_are_folded_after_the_join():
    A, B = (tra.from_array(np.arange(24.0).reshape(4, 6), tile=2, name=name) for name in "AB")
    query = A.join(B, on=[("i", "i")], kernel="mul").aggregate(by=["j"])
    made = aggregates.aggregate_join_push(query.expr)
    assert made == A.join(B.aggregate(by="i"), on=[("i", "i")], kernel="mul").aggregate(by="j").expr
