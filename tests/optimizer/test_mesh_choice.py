"""Which meshes are searched: `optimal` is said where no mesh, in no order of its dimensions, is cheaper."""

import numpy as np
import pytest

import tra
from tests.long import LONG
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.mesh_choice import meshes_to_search
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import operator_graph
from tra.optimizer.search import search

LATENCIES = [0.0, 1e-4]


def matrix(name, shape, keys, tile):
    return tra.from_array(np.broadcast_to(1.0, shape), keys=keys, tile=tile, name=name)


def cut_anew(shape, old, new):
    return (matrix("A", shape, ("i", "j"), old).retile(new).expr,)


def found_on(roots, context, mesh, monkeypatch):
    """The cheapest plan on one mesh."""
    with monkeypatch.context() as patched:
        patched.setattr("tra.optimizer.search.meshes_to_search", lambda *_: ([mesh], True))
        return search(roots, context)


QUERIES = [
    cut_anew((60, 240), (24, 10), (10, 60)),
    cut_anew((60, 240), (24, 10), (60, 7)),
    cut_anew((240, 60), (7, 60), (24, 10)),
    (
        tra.concatenate(
            [matrix(n, (240, 60), ("i", "j"), (60, t)) for n, t in (("A", 60), ("B", 10))], 0
        ).expr,
    ),
]


@pytest.mark.parametrize(("n", "queries"), [(6, QUERIES), (12, QUERIES if LONG else QUERIES[1:2])])
def test_the_best_order_of_dimensions_is_found(n, queries, monkeypatch):
    differ = 0
    for roots in queries:
        for latency in LATENCIES:
            context = Context(n_sites=n, model=CostModel(latency=latency))
            found = search(roots, context)
            prices = {mesh: found_on(roots, context, mesh, monkeypatch) for mesh in meshes(n)}
            assert found.seconds == pytest.approx(min(one.seconds for one in prices.values()))
            assert not found.is_optimal or all(one.is_optimal for one in prices.values())
            unordered = min(prices[mesh].seconds for mesh in meshes(n, ordered=False))
            differ += found.seconds < unordered * (1 - 1e-9)
    assert differ or n != 6, "no query tells orders apart: the test shows nothing"


def test_no_claim_where_orders_are_not_tried():
    context = Context(n_sites=18)
    assert not search(QUERIES[0], context).is_optimal
    assert (6, 3) in meshes(18) and (3, 6) not in meshes(18)


def test_one_product_does_not_tell_orders_apart(monkeypatch):
    A, B = matrix("A", (240, 1000), ("i", "j"), 24), matrix("B", (1000, 60), ("j", "k"), (24, 10))
    roots = (A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k")).expr,)
    for n in (6, 12):
        context = Context(n_sites=n)
        graph = operator_graph(*roots)
        assert meshes_to_search(graph, n, context.model, ordered=False) == (meshes(n, ordered=False), True)
        every = [found_on(roots, context, mesh, monkeypatch).seconds for mesh in meshes(n)]
        assert search(roots, context).seconds == pytest.approx(min(every))


def test_more_than_eight_orders_are_not_tried():
    roots = QUERIES[0]
    graph = operator_graph(*roots)
    assert len(meshes(16)) > 8
    assert meshes_to_search(graph, 16, CostModel(), ordered=False) == (meshes(16, ordered=False), False)
