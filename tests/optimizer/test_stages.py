"""Stages and tasks: each node once, inputs from earlier stages, no task that only hands something through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.nodes import Iota
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.optimizer.compile_table import compile_default
from tra.optimizer.context import Context
from tra.optimizer.placement import Placement
from tra.optimizer.plan import Broadcast, LocalMap, Make, Scan, Shuffle, is_exchange, plan_order
from tra.optimizer.planner import plan_query
from tra.optimizer.program import program
from tra.optimizer.roles import ALL, Split
from tra.optimizer.stages import cut_stages
from tra.testing import queries


def matrix(name, keys, shape=(6, 6)):
    return tra.from_array(np.arange(36.0).reshape(shape), keys=tuple(keys), tile=(2, 2), name=name)


def placed(mesh, **roles):
    return {name: Placement(mesh, (role,)) for name, role in roles.items()}


def stored_product(right=None):
    A, B = matrix("A", "ij"), matrix("B", "jk")
    held = {A.expr.id: Placement((2,), (Split("i"),)), B.expr.id: Placement((2,), (right or Split("j"),))}
    return A @ B, held


@examples(80)
@given(queries(max_steps=6), st.integers(1, 4), st.booleans())
def test_stages_hold_every_node_once_and_in_order(grown, n, given_):
    relation = grown[-1].relation
    roots = (relation.expr, grown[0].relation.expr)
    plans = compile_default(roots, (n,) if n > 1 else ())
    ids = frozenset(relation.sources) if given_ else frozenset()
    made = program(plans, ids)
    nodes = [node.digest for stage in made.stages for node in stage.nodes]
    held = {scan.digest for scan in made.given}
    assert len(set(nodes)) == len(nodes)
    assert set(nodes) | held == {node.digest for node in plan_order(*plans)}
    assert all(isinstance(scan, Scan) and scan.id in ids for scan in made.given)
    ready = set(held)
    for number, stage in enumerate(made.stages):
        assert stage.number == number
        assert set(stage.inputs) <= ready
        here = set(stage.inputs)
        for node in stage.nodes:
            needs = {child.digest for child in node.children}
            assert needs <= (ready if is_exchange(node) else here)
            here.add(node.digest)
        ready |= set(stage.outputs)
    assert {root.digest for root in plans} <= ready
    assert len(made.tasks) == len(made.stages) * n
    for task in made.tasks:
        for _, output in task.local:
            assert output.site == task.site


def test_a_stored_relation_costs_no_task():
    product, held = stored_product(right=ALL)
    planned = plan_query((product.expr,), Context(n_sites=2, placed=held))
    assert [type(n).__name__ for s in planned.program.stages for n in s.nodes] == ["LocalContract"]
    assert planned.program.n_tasks == 2
    assert len(planned.program.given) == 2


def test_a_broadcast_of_a_stored_relation_is_sends_and_one_stage():
    product, held = stored_product()
    planned = plan_query((product.expr,), Context(n_sites=2, placed=held))
    assert [type(n).__name__ for s in planned.program.stages for n in s.nodes] == [
        "Broadcast",
        "LocalContract",
    ]
    assert len(planned.program.tasks) == 2
    assert len(planned.program.cut_outputs) == 2
    assert planned.program.n_tasks == 4


def test_a_result_that_is_stored_already_costs_nothing(agreement):
    A = matrix("A", "ij")
    held = {A.expr.id: Placement((2,), (Split("i"),))}
    made = plan_query((A.expr,), Context(n_sites=2, placed=held)).program
    assert made.n_tasks == 0 and made.stages == ()
    (found,), _ = agreement.run(made.roots, A.sources, given=[A.expr.id])
    agreement.same(found, agreement.expected(A))


def test_what_is_read_or_made_waits_for_its_first_user():
    A = matrix("A", "ij")
    made = Relation(generated(A.expr.type, Iota(1)), {})
    total = A.sum(axis=1) + made.sum(axis=1)
    plans = compile_default((total.expr,), (2,))
    stages = cut_stages(plans)
    leaves = [node for stage in stages for node in stage.nodes if isinstance(node, Scan | Make)]
    assert len(leaves) == 2
    for stage in stages:
        if any(isinstance(node, Scan | Make) for node in stage.nodes):
            assert len(stage.nodes) > 1
    scan = compile_default((A.expr,), (2,))[0]
    late = LocalMap(A.expr.type, scan.placement, scan, None, ())
    sent = Shuffle(A.expr.type, Placement((2,), (Split("j"),)), late)
    assert [len(stage.nodes) for stage in cut_stages((sent,))] == [2, 1]


def test_a_source_that_is_sent_and_used_in_place_is_read_once():
    A = matrix("A", "ij")
    scan = compile_default((A.expr,), (2,))[0]
    copied = Broadcast(A.expr.type, Placement((2,), (ALL,)), scan)
    stages = cut_stages((scan, copied))
    assert [[type(n).__name__ for n in s.nodes] for s in stages] == [["Scan"], ["Broadcast"]]


def test_results_of_one_stage_are_picked_by_tasks_that_are_counted(agreement):
    A = matrix("A", "ij")
    roots = ((-A).expr, (A * A).expr)
    made = plan_query(roots, Context(n_sites=2)).program
    assert len(made.stages) == 1 and len(made.stages[0].outputs) == 2
    assert len(made.picked_outputs) == 4
    assert made.n_tasks == 2 + 4
    found, _ = agreement.run(made.roots, A.sources)
    agreement.same(found[0], agreement.expected(-A))
    agreement.same(found[1], agreement.expected(A * A))


def test_equal_pieces_are_cut_once():
    A = matrix("A", "ij")
    scan = compile_default((A.expr,), (3,))[0]
    copied = Broadcast(A.expr.type, Placement((3,), (ALL,)), scan)
    made = program((copied,), given=[A.expr.id])
    assert len(made.cut_outputs) == 3  # one per holder, whoever takes it
    assert made.n_tasks == 6


@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_site_is_one_stage(n):
    product, _ = stored_product()
    planned = plan_query((tra.relu(product).expr,), Context(n_sites=n))
    if n == 1:
        assert planned.program.n_tasks == 1
    assert planned.program.n_sites == n
