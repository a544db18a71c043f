"""The paper's compile table: default plans give the reference evaluator's result, on any number of sites."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.kernel import kernel
from tra.algebra.relation import Relation
from tra.optimizer.compile_table import compile_default
from tra.optimizer.meshes import meshes
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalConcat,
    LocalJoin,
    Shuffle,
    is_exchange,
    plan_order,
)
from tra.optimizer.rules.registry import clean_up
from tra.testing import queries, relations


def sites():
    return st.integers(1, 5).flatmap(lambda n: st.sampled_from(meshes(n)))


@examples(120)
@given(queries(max_steps=3), sites())
def test_default_plans_of_random_queries(agreement, grown, mesh):
    relation = grown[-1].relation
    expected = agreement.expected(relation)
    if expected is None:
        return
    plans = compile_default((relation.expr,), mesh)
    (found,), _ = agreement.run(plans, relation.sources)
    agreement.same(found, expected)


@examples(120)
@given(relations(max_keys=2, max_rank=2), relations(max_keys=2, max_rank=2), st.data(), sites())
def test_default_plans_of_joins_of_two_relations(agreement, left, right, data, mesh):
    equal = [
        (a.name, b.name) for a in left.expr.type.keys for b in right.expr.type.keys if a.domain == b.domain
    ]
    on = [data.draw(st.sampled_from(equal))] if equal and data.draw(st.booleans()) else []
    try:
        joined = left.join(right, on=on, kernel=data.draw(st.sampled_from(["left", "right", "mul"])))
    except tra.errors.TraError:
        return
    plans = compile_default((joined.expr,), mesh)
    (found,), _ = agreement.run(plans, joined.sources)
    agreement.same(found, agreement.expected(joined))


@pytest.fixture(scope="module")
def matrix():
    return tra.from_array(np.arange(42.0).reshape(6, 7), keys=("i", "j"), tile=(2, 2), name="A")


def test_the_table_is_the_papers(matrix):
    mesh = (3,)
    product = matrix.join(matrix, on=[("i", "i"), ("j", "j")], kernel="mul")
    plan = compile_default((product.expr,), mesh)[0]
    assert isinstance(plan, LocalJoin) and isinstance(plan.left, Broadcast)
    plan = compile_default((product.transform("reduce_sum").aggregate(by="i").expr,), mesh)[0]
    assert isinstance(plan, LocalAggregate) and isinstance(plan.child, Shuffle)
    plan = compile_default((matrix.concat("j", 1).expr,), mesh)[0]
    assert isinstance(plan, LocalConcat) and isinstance(plan.child, Shuffle)
    for local in (
        matrix.rekey(lambda i, j: (j, i), keys=("j", "i")),
        matrix.filter(lambda i, j: i == j),
        -matrix,
    ):
        assert [is_exchange(node) for node in plan_order(*compile_default((local.expr,), mesh))] == [
            False,
            False,
        ]


def test_cleaned_default_plans_give_the_same(matrix, agreement):
    product = matrix.join(matrix, on=[("i", "i")], kernel=kernel("einsum", spec="ab,ac->bc")).aggregate(
        by=("j", "j_2")
    )
    expected = agreement.expected(product)
    for n in range(1, 6):
        plans = compile_default((product.expr,), meshes(n)[0])
        cleaned, fired = clean_up(plans)
        assert not any(isinstance(node, LocalJoin) for node in plan_order(*cleaned))
        assert fired
        for run in (plans, cleaned):
            agreement.same(agreement.run(run, product.sources)[0][0], expected)


def test_several_results_are_compiled_together(matrix, agreement):
    doubled, shifted = matrix * 2.0, matrix + 1.0
    both = Relation(doubled.expr, {**doubled.sources, **shifted.sources})
    found, _ = agreement.run(compile_default((doubled.expr, shifted.expr), (2,)), both.sources)
    agreement.same(found[0], agreement.expected(doubled))
    agreement.same(found[1], agreement.expected(shifted))
