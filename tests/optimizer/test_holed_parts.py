"""Parts of sums of relations with holes: what is predicted is sent, and sites without parts send nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.optimizer.build import build
from tra.optimizer.context import Context
from tra.optimizer.exchange import pieces
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import operator_graph
from tra.optimizer.plan import is_exchange, plan_order
from tra.optimizer.predict import predict
from tra.optimizer.pricing import Pricing
from tra.optimizer.program import program
from tra.optimizer.roles import Parts
from tra.optimizer.search import Assignment, options_of


def square(n):
    return tra.from_array(np.arange(1.0, n * n + 1).reshape(n, n), keys=("i", "j"), tile=1, name="A")


def plans_of(result, mesh, chosen, options):
    """The plan of some choices with its price, or None where there is none."""
    graph, roots = operator_graph(result.expr), (result.expr,)
    prices = Pricing(graph, roots, mesh, Context(n_sites=int(np.prod(mesh))))
    prices.chosen.update(chosen(graph, options(graph)))
    if not np.isfinite(prices.total()):
        return None, None
    assignment = Assignment(mesh, graph, dict(prices.chosen), prices.total())
    return build(assignment, roots, {}), assignment


def options_on(mesh):
    context = Context(n_sites=int(np.prod(mesh)))
    return lambda graph: {digest: options_of(op, mesh, context) for digest, op in graph.items()}


def by_vector(vector):
    """Every operator is split alike, but for a result that has none of its keys."""

    def pick(_, options):
        return {
            digest: next((o for o in found if o.vector == vector), found[-1])
            for digest, found in options.items()
        }

    return pick


def check(agreement, result, plans, assignment):
    (found,), measured = agreement.run(plans, result.sources)
    agreement.same(found, agreement.expected(result))
    assert predict(program(plans), assignment).bytes_moved == measured.bytes_moved
    return measured


@pytest.mark.parametrize(("mesh", "vector"), [((8,), ("i",)), ((2, 4), ("i", "j")), ((4, 2), ("i", "i"))])
@pytest.mark.parametrize("by", [(), ("i",), ("j",)])
def test_a_sum_of_a_diagonal(agreement, mesh, vector, by):
    """Where the rows and columns of a site do not meet on the diagonal, it has no part to send."""
    total = square(8).filter(lambda i, j: i == j).aggregate(by=by)
    plans, assignment = plans_of(total, mesh, by_vector(vector), options_on(mesh))
    check(agreement, total, plans, assignment)


def test_a_site_without_parts_sends_none(agreement):
    total = square(2).filter(lambda i, j: i == j).aggregate(by=())
    plans, assignment = plans_of(total, (2, 2), by_vector(("i", "j")), options_on((2, 2)))
    exchanges = [node for node in plan_order(*plans) if is_exchange(node)]
    parts = [node for node in exchanges if node.child.placement.parts]
    assert parts
    for node in parts:
        sent = pieces(node.child.type, node.child.placement, node.placement)
        assert {piece.source for piece in sent} == {0, 3}
    check(agreement, total, plans, assignment)


def queries_of(A, B):
    """Sums of holed relations and what parts of them pass through."""
    product = A.join(B, on="j", kernel="mul").aggregate(by=("i", "k"))
    rows = A.aggregate(by="i")
    return (
        A.aggregate(by=()),
        rows,
        A.aggregate(by="j", kernel="max"),
        product,
        A.join(B, on="j", kernel="mul").aggregate(by=("k",)),
        rows.filter(lambda i: i > 1),
        rows.rekey(lambda i: (i + 2,), keys=("r",)).filter(lambda r: r != 3),
        rows.transform("neg"),
        product.rekey(lambda i, k: (k, i), keys=("k", "i")).transform("neg"),
        A.aggregate(by=("j", "i")).aggregate(by=("i",)),
    )


@examples(60)
@given(st.data())
def test_predicted_bytes_are_what_is_sent(agreement, data):
    """Random choices for relations with random holes, some of them with parts that pass through operators."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    shape = tuple(rng.integers(1, 7, 2).tolist())
    every = list(itertools.product(*map(range, shape)))
    held = [every[p] for p in rng.choice(len(every), rng.integers(1, len(every) + 1), replace=False)]
    A = tra.from_tiles({key: rng.random(2) for key in held}, ("i", "j"), domain=shape, name="A")
    B = tra.from_tiles(
        {(j, k): rng.random(2) for j in range(shape[1]) for k in range(3)}, ("j", "k"), name="B"
    )
    result = data.draw(st.sampled_from(queries_of(A, B)))
    mesh = data.draw(st.sampled_from([m for n in (2, 4, 6, 8) for m in meshes(n)] + [(2, 2, 2), (26,)]))
    for _ in range(10):

        def drawn(_, options):
            return {digest: found[rng.integers(len(found))] for digest, found in options.items()}

        plans, assignment = plans_of(result, mesh, drawn, options_on(mesh))
        if plans is not None and not any(node.placement.is_scattered for node in plan_order(*plans)):
            check(agreement, result, plans, assignment)


def test_parts_that_pass_through_are_known(agreement):
    """A key function moves what is known of parts along with the tiles."""
    moved = square(4).filter(lambda i, j: i == j).aggregate(by="i").rekey(lambda i: (3 - i,), keys=("r",))

    def kept(graph, options):
        last = list(options)[-1]
        picked = {d: next(o for o in found if "j" in o.vector or d == last) for d, found in options.items()}
        picked[last] = next(o for o in options[last] if isinstance(o.output.roles[0], Parts))
        return picked

    plans, assignment = plans_of(moved, (4,), kept, options_on((4,)))
    assert assignment.chosen[moved.expr.digest].rule == "keep parts"
    measured = check(agreement, moved, plans, assignment)
    assert 0 < measured.bytes_moved <= 4 * 8
