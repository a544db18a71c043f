"""Every plan is reached from the compile table by rules with names, and every plan on the way is right."""

from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import LONG, examples
from tra.algebra.nodes import Join
from tra.errors import PlanError
from tra.optimizer.compile_table import START, compile_default
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.hint import Hint
from tra.optimizer.placement import Placement
from tra.optimizer.planner import plan_query
from tra.optimizer.replay import replay
from tra.optimizer.roles import Split
from tra.optimizer.rules.registry import RULES, rules_named
from tra.testing import queries, relations

NAMES = {rule.name for rule in RULES}


def check(agreement, planned, relations_, hints=()):
    """Replays a plan, and runs every plan on the way; returns the rules."""
    expected = [agreement.expected(relation) for relation in relations_]
    sources = {id_: data for relation in relations_ for id_, data in relation.sources.items()}
    steps = list(replay(planned, hints))
    assert steps[0].rule == START
    assert all(set(rules_named(step.rule)) <= NAMES for step in steps[1:])
    assert steps[-1].plans == planned.program.roots
    for step in steps:
        for found, wanted in zip(agreement.run(step.plans, sources)[0], expected, strict=True):
            agreement.same(found, wanted)
    return [step.rule for step in steps[1:]]


@examples(60)
@given(queries(max_steps=4), st.integers(1, 5))
def test_plans_of_random_queries(agreement, grown, n):
    relation = grown[-1].relation
    assume(agreement.expected(relation) is not None)
    planned = plan_query((relation.expr,), Context(n_sites=n))
    check(agreement, planned, [relation])


@examples(60)
@given(relations("float64", max_rank=2).filter(lambda r: len(r.keys) > 1), st.integers(1, 5), st.data())
def test_plans_of_contractions(agreement, left, n, data):
    right = left.rekey(lambda *k: k[::-1], keys=left.keys[::-1])
    try:
        joined = left.join(right, on=[(left.keys[0], right.keys[-1])], kernel="mul")
        by = data.draw(st.permutations(joined.keys))[: data.draw(st.integers(0, 2))]
        relation = joined.aggregate(by=by).transform("square")
    except tra.errors.TraError:
        assume(False)
    check(agreement, plan_query((relation.expr,), Context(n_sites=n)), [relation])


@pytest.fixture(scope="module")
def given_():
    random = np.random.default_rng(0)
    names = {"A": "ij", "B": "jk", "C": "kl"}
    made = {n: tra.from_array(random.random((9, 9)), keys=tuple(k), tile=2, name=n) for n, k in names.items()}
    return made["A"], made["B"], made["C"]


@pytest.mark.parametrize("n", range(1, 6))
def test_choices_of_the_search_are_named(agreement, given_, n):
    A, B, C = given_
    product = (
        A.join(B, on="j", kernel="matmul").join(C, on="k", kernel="matmul").filter(lambda i, *rest: i > 0)
    )
    result = product.aggregate(by=("i", "l")).transform("exp")
    planned = plan_query((result.expr,), Context(n_sites=n))
    rules = check(agreement, planned, [result])
    assert {fired.name for fired in planned.fired} <= set(rules)
    assert "filter_join_push" in rules
    strategies = {choice.rule for choice in planned.assignment.chosen.values()}
    assert n == 1 or strategies & set(rules)


def test_the_first_plan_is_the_compile_tables(given_):
    A, B, _ = given_
    product = A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k"))
    planned = plan_query((product.expr,), Context(n_sites=3))
    assert next(replay(planned)).plans == compile_default((product.expr,), planned.assignment.mesh)


def test_stored_relations_and_wished_places(agreement, given_):
    A, B, _ = given_
    product = A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k"))
    placed = {A.expr.id: Placement((2,), (Split("j"),))}
    target = Placement((2,), (Split("k"),))
    context = Context(n_sites=2, placed=placed, targets={product.expr.digest: target})
    planned = plan_query((product.expr,), context)
    check(agreement, planned, [product])
    assert all(step.plans[0].placement == target for step in replay(planned))


@pytest.mark.parametrize("n", [7, 11, 13] if LONG else [7, 11])
def test_relations_stored_on_more_sites_than_the_plan_has(agreement, given_, n):
    """The compile table takes a right operand as it lies, but not at sites that the plan leaves idle."""
    A, B, C = given_
    wire = CostModel(latency=0.0, memory_bandwidth=1e12, flop_rate=1e12)
    stored = {"A": "i", "B": "k", "C": "l"}
    placed = {
        relation.expr.id: Placement((n,), (Split(stored[relation.expr.name]),)) for relation in (A, B, C)
    }
    product = A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k"))
    context = Context(n_sites=n, model=wire, placed=placed)
    for result in (product, tra.exp(product) + C.T, product[:, 1:] @ C[1:]):
        check(agreement, plan_query((result.expr,), context), [result])
    planned = plan_query((product.expr,), context)
    assert prod(planned.assignment.mesh) < n
    first = compile_default((product.expr,), planned.assignment.mesh, placed)
    assert next(replay(planned)).plans == first
    agreement.same(agreement.run(first, product.sources)[0][0], agreement.expected(product))


def test_several_results_are_replayed_together(agreement, given_):
    A, B, _ = given_
    product = A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k"))
    results = [product, product.transform("exp"), product.filter(lambda i, k: i == k)]
    planned = plan_query(tuple(r.expr for r in results), Context(n_sites=4))
    check(agreement, planned, results)


def test_hints_have_to_be_known(agreement, given_):
    A, B, _ = given_
    joined = A.join(B, on="j", kernel="matmul")
    kept = joined.filter(lambda i, j, k: i > 0)
    hints = (Hint(joined.expr, "broadcast right"),)
    planned = plan_query((kept.expr,), Context(n_sites=2, hints=hints))
    assert any(isinstance(node, Join) for node in planned.roots[0].children)
    assert "broadcast right" in check(agreement, planned, [kept], hints)
    with pytest.raises(PlanError, match="give the hints"):
        list(replay(planned))


def test_rules_that_are_off_stay_off(agreement, given_):
    A, B, _ = given_
    product = A.join(B, on="j", kernel="matmul").filter(lambda i, j, k: i > 0).aggregate(by=("i", "k"))
    off = ("filter_join_push", "aggregate_join_contract")
    planned = plan_query((product.expr,), Context(n_sites=2, without=off))
    assert not set(check(agreement, planned, [product])) & {"filter_join_push"}
