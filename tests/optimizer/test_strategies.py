"""Every strategy of every operator is right: forced one by one, and mixed at random, on many meshes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import LONG, examples
from tra.algebra.kernel import kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.nodes import Iota
from tra.algebra.operators import generated, stack
from tra.algebra.relation import Relation
from tra.optimizer.build import build
from tra.optimizer.compile_table import compile_default
from tra.optimizer.cost import is_legal
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import operator_graph
from tra.optimizer.plan import plan_order
from tra.optimizer.predict import moved
from tra.optimizer.roles import SCATTERED, Parts
from tra.optimizer.rules.registry import clean_up
from tra.optimizer.search import Assignment
from tra.optimizer.strategies import choices, held_parts
from tra.testing import queries

MESHES = [(2,), (3,), (5,), (2, 2), (2, 3)] if LONG else [(2,), (5,), (2, 3)]


def built(graph, chosen, mesh, root):
    return build(Assignment(mesh, graph, chosen, 0.0, {}), (root,), {})


def everywhere(graph, mesh):
    """Everything computed at every site."""
    return {d: next(c for c in choices(op, mesh) if set(c.vector) <= {None} and c.rule != "keep parts")
            for d, op in graph.items()}  # fmt: skip


def forced(graph, mesh, digest, choice):
    """One choice, the rest computed everywhere; an operand that must come in parts is left in parts."""
    chosen = everywhere(graph, mesh)
    while choice is not None:
        chosen[digest] = choice
        need = choice.inputs[0] if choice.rule == "keep parts" else None
        choice = None
        if need is not None:
            digest = graph[digest].children[0].digest
            choice = next(c for c in choices(graph[digest], mesh) if c.output == need)
    return chosen


def check(agreement, relation, graph, chosen, mesh, expected):
    plans = built(graph, chosen, mesh, relation.expr)
    (found,), measured = agreement.run(plans, relation.sources)
    agreement.same(found, expected)
    if agreement.bytes_are_known(plans):
        assert measured.bytes_moved == sum(moved(node) for node in plan_order(*plans))


def matrix(name, keys=("i", "j"), shape=(5, 7), tile=(2, 2), dtype="f8"):
    rng = np.random.default_rng(len(name) + sum(shape))
    return tra.from_array(rng.integers(-4, 5, shape).astype(dtype), keys=keys, tile=tile, name=name)


def each_operator():
    A, B = matrix("A"), matrix("B", ("j", "k"), (7, 3))
    short, long = matrix("a", "a", (6,), 2), matrix("b", "b", (10,), 2)
    holed = A.filter(lambda i, j: (i + j) % 2 == 0)
    return {
        "contraction": A @ B,
        "contraction of tiles": A.join(B, on="j", kernel="matmul").aggregate(by=("k", "i")),
        "join": A.join(B, on="j", kernel="matmul"),
        "join on two keys": A.join(A, on=("i", "j"), kernel="mul"),
        "join on none": short.join(long, on=(), kernel="outer"),
        "join of unequal domains": short.join(long, on=[("a", "b")], kernel="mul", truncate=True),
        "aggregate": A.transform("reduce_sum", axis=-1).aggregate(by="i"),
        "aggregate of all": A.sum(),
        "aggregate by max": A.transform("reduce_max", axis=-1).aggregate(by="i", kernel="max"),
        "rekey": A.rekey(lambda i, j: (j, i), keys=("j", "i")),
        "rekey by a shift": A.rekey(lambda i, j: (i + 1, j), keys=("i", "j")),
        "filter": holed,
        "transform": A.transform("neg"),
        "transform of the shape": A.T,
        "tile": A.tile(1, 1, "jj"),
        "concat": A.concat("j", 1),
        "concat of two": A.concat("j", 1).concat("i", 0),
        "stack": Relation(stack([A.expr, (A * 2).expr, A.expr], "s"), A.sources),
        "retile": A.retile(3, 4),
        "slice": A[1:4, ::-2],
        "concatenate": tra.concatenate([A, A[0:2]], axis=0),
        "generated": A + Relation(generated(A.expr.type, Iota(1)), {}),
        "filtered parts": (A @ B).filter(lambda i, k: i != k),
        "rekeyed parts": (A @ B).rekey(lambda i, k: (k, i), keys=("k", "i")),
        "linear map of parts": (A @ B).transform("neg"),
        "other map of parts": tra.relu(A @ B),
        "fill": holed.fill(3),
        "softmax": tra.softmax(A, axis=1),
        "argmin": A.argmin(axis=1),
        "dtype": matrix("C", dtype="i4") @ matrix("D", ("j", "k"), (7, 3), dtype="f4"),
        "booleans": -(1.0 * (matrix("E", dtype="?") @ matrix("F", ("j", "k"), (7, 3), dtype="?"))),
    }


CASES = each_operator()


@pytest.mark.parametrize("mesh", MESHES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_each_strategy_of_each_operator(name, mesh, agreement):
    relation = CASES[name]
    expected, graph = agreement.expected(relation), operator_graph(relation.expr)
    for digest, operator in graph.items():
        options = choices(operator, mesh)
        if len(mesh) == 2:  # the rest are those of one dimension, twice
            options = [o for o in options if len(set(o.output.roles)) > 1 or o.rule == "keep parts"]
        for choice in options:
            check(agreement, relation, graph, forced(graph, mesh, digest, choice), mesh, expected)


@pytest.mark.parametrize("name", CASES)
def test_the_default_plan_of_each_operator(name, agreement):
    relation = CASES[name]
    expected = agreement.expected(relation)
    for mesh in [(), (2,), (3,), (4,), (5,)]:
        plans = compile_default((relation.expr,), mesh)
        for either in (plans, clean_up(plans)[0]):
            (found,), measured = agreement.run(either, relation.sources)
            agreement.same(found, expected)
            if agreement.bytes_are_known(either):
                assert measured.bytes_moved == sum(moved(node) for node in plan_order(*either))


@examples(400)
@given(queries(max_steps=5), st.data())
def test_random_mixtures_of_strategies(agreement, grown, data):
    relation = grown[-1].relation
    expected = agreement.expected(relation)
    assume(expected is not None)
    mesh = data.draw(st.integers(1, 6).flatmap(lambda n: st.sampled_from(meshes(n))))
    graph = operator_graph(relation.expr)
    chosen = {}
    for digest, operator in graph.items():
        legal = [c for c in choices(operator, mesh) if fits(operator, c, chosen)]
        chosen[digest] = data.draw(st.sampled_from(legal))
    check(agreement, relation, graph, chosen, mesh, expected)


def fits(operator, choice, chosen):
    pairs = zip(operator.children, choice.inputs, strict=False)
    return all(need is None or is_legal(chosen[c.digest].output, need) for c, need in pairs)


@pytest.mark.parametrize("n", range(1, 6))
def test_parts_are_a_bag(n, agreement):
    """A product of ones: equal partial sums are all counted, whatever the strategy."""
    ones = tra.from_array(np.ones((6, 6)), keys=("i", "j"), tile=(2, 2), name="ones")
    product = ones @ ones
    for mesh in meshes(n):
        graph = operator_graph(product.expr)
        for digest, operator in graph.items():
            for choice in choices(operator, mesh):
                plans = built(graph, forced(graph, mesh, digest, choice), mesh, product.expr)
                (found,), _ = agreement.run(plans, product.sources)
                assert len(found) == 9
                assert all(np.all(tile == 6.0) for tile in found.values()), (mesh, choice)


def test_parts_are_a_bag_even_where_they_are_scattered(agreement):
    """Equal partial sums of tiles at unknown places are all counted."""
    A = tra.from_array([1.0] * 6, keys="i", tile=1, name="A")
    moved = A.rekey(lambda i: i + 1, keys="i")
    summed = moved.aggregate()
    plan = compile_default((summed.expr,), (3,))[0]
    assert plan.child.child.placement.roles == (SCATTERED,)
    cleaned, _ = clean_up((plan,))
    assert any(isinstance(r, Parts) for node in plan_order(*cleaned) for r in node.placement.roles)
    (found,), _ = agreement.run(cleaned, summed.sources)
    assert float(found[()][0]) == 6.0


def rules(relation, mesh=(2,)):
    operator = list(operator_graph(relation.expr).values())[-1]
    return {choice.rule for choice in choices(operator, mesh)}


def test_strategies_have_the_papers_names():
    A, B = matrix("A"), matrix("B", ("j", "k"), (7, 3))
    product = A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k"))
    one = {
        "broadcast left",
        "broadcast right",
        "co-partition, aggregate before shuffle",
        "compute everywhere",
    }
    assert rules(product) == one
    two = {"2-D split", "replicate (mixed split), aggregate before shuffle"}
    assert rules(product, (2, 2)) == one | two
    assert rules(product, ()) == {"one site"}


def test_parts_pass_through_what_is_linear_for_them():
    product = matrix("A") @ matrix("B", ("j", "k"), (7, 3))
    assert [role.key for role in held_parts(product.transform("neg").expr)] == ["j"]
    assert held_parts(product.transform("exp").expr) == []
    assert held_parts(product.filter(lambda i, k: i == k).expr) == [Parts(ADD, "j", 4, (0, 4))]
    whole = matrix("A", dtype="i4") @ matrix("B", ("j", "k"), (7, 3), dtype="i4")
    assert held_parts((whole * 2).expr) != []
    assert held_parts((whole / 2).expr) == [], "int32 sums may wrap before they are divided"
    either = matrix("A", dtype="?") @ matrix("B", ("j", "k"), (7, 3), dtype="?")
    assert held_parts(either.transform(kernel("scale", by=2.0)).expr) == [], "or is not plus"


def test_a_stored_relation_stays_where_it_is():
    A = matrix("A")
    operator = next(iter(operator_graph(A.expr).values()))
    placed = choices(operator, (2,))[0].output
    only = choices(operator, (2,), placed)
    assert [(c.rule, c.output) for c in only] == [("stored", placed)]
    assert replace(only[0], rule="") != only[0]
