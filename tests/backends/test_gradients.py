"""Gradients are planned and run like any query: on any sites they are what the reference evaluator makes."""

import time
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.gradient import gradients
from tra.algebra.nodes import Aggregate, Generated, Join, ReKey, Transform, postorder
from tra.algebra.relation import Relation
from tra.optimizer.context import Context
from tra.optimizer.plan import LocalContract, plan_order
from tra.optimizer.planner import plan_query

from ..algebra.gradient_harness import compositions, sources_of, weighted

RANDOM = np.random.default_rng(0)


def slopes_of(relation):
    """The gradient of a weighted sum of the relation, with respect to all that it is made of."""
    loss = weighted(relation.expr)
    return [Relation(expr, relation.sources) for expr in gradients(loss, sources_of(loss))]


@examples(150)
@given(compositions(), st.sampled_from([1, 2, 3]))
def test_random_compositions(agreement, drawn, sites):
    for slope in slopes_of(drawn[0]):
        expected = agreement.expected(slope)
        if expected is None:
            continue
        with tra.connect("local", sites=sites, threads=1) as session, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with np.errstate(all="ignore"):
                found = session.tiles(slope)
        agreement.same(found, expected)
        agreement.typed(slope, found)


def network(rows=12, sizes=(6, 5, 3), tile=4):
    """A network of two layers: its loss and its parameters."""
    x, y = (tra.from_array(RANDOM.standard_normal((rows, n)), tile=tile) for n in (sizes[0], sizes[-1]))
    hidden, parameters = x, []
    for place, (n, m) in enumerate(pairwise(sizes)):
        weights = tra.from_array(RANDOM.standard_normal((n, m)), tile=tile, name=f"W{place}")
        bias = tra.from_array(RANDOM.standard_normal(m), tile=tile, name=f"b{place}")
        parameters += [weights, bias]
        hidden = hidden @ weights + bias
        hidden = tra.tanh(hidden) if place + 2 < len(sizes) else hidden
    return ((hidden - y) ** 2).mean(), parameters


def holed():
    """A holed parameter in a product, a maximum, and rows of what follows."""
    tiles = {(0, 1): RANDOM.standard_normal((2, 2)), (2, 0): RANDOM.standard_normal((2, 2))}
    sparse = tra.from_tiles(tiles, ("i", "j"), domain=(3, 3), name="S")
    dense = tra.from_array(RANDOM.standard_normal((6, 4)), keys=("j", "k"), tile=2)
    product = sparse.join(dense, on="j", kernel="matmul").aggregate(by=("i", "k")).fill(0)
    return (product.max(axis=0) ** 2).sum() + product[::-2].sum(), [sparse, dense]


def second_order():
    """A Hessian times a vector."""
    loss, parameters = network()
    slopes = tra.grad(loss, parameters)
    return sum(((s * s).sum() for s in slopes[1:]), (slopes[0] * slopes[0]).sum()), parameters


def check(session, agreement, made):
    """The loss and its gradients, in one plan."""
    loss, parameters = made
    loss, slopes = tra.value_and_grad(loss, parameters)
    for relation in (loss, *slopes):
        agreement.same(session.tiles(relation), agreement.expected(relation))
    dense = [slope for slope, given in zip(slopes, parameters, strict=True) if given.expr.name != "S"]
    found = session.compute(loss, *dense)
    for array, slope in zip(found[1:], dense, strict=True):
        with tra.connect("local", threads=1):
            agreement.close(array, slope.compute())


@pytest.mark.parametrize("sites", [1, 2, 3])
@pytest.mark.parametrize("query", [network, holed, second_order])
def test_local_sites(agreement, query, sites):
    with tra.connect("local", sites=sites, threads=1) as session:
        check(session, agreement, query())


@pytest.mark.xdist_group("dask")
@pytest.mark.parametrize("query", [network, holed, second_order])
def test_a_cluster(agreement, client, query):
    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as session:
        check(session, agreement, query())


def nodes_of(relations, kind):
    """The nodes of a kind that the relations are made of, once each."""
    return {n.digest: n for r in relations for n in postorder(r.expr) if isinstance(n, kind)}.values()


def test_the_dense_path_makes_no_tiles_of_keys():
    """No adjoint is spread over keys or axes on the way: products are differentiated into products."""
    loss, parameters = network(rows=4096, sizes=(1024, 1024, 512), tile=512)
    slopes = tra.grad(loss, parameters)
    assert not nodes_of(slopes, Generated)
    products = [n for n in nodes_of(slopes, Join) if n.kernel.name in ("matmul", "einsum")]
    assert len(products) == 2 + 3  # forwards; each weight's gradient, and the way back through the second


def test_a_least_squares_gradient_is_one_contraction():
    x, y = (
        tra.from_array(np.ones((64, 8)), tile=4, name="X"),
        tra.from_array(np.ones((64, 6)), tile=4, name="Y"),
    )
    w = tra.from_array(np.ones((8, 6)), tile=4, name="W")
    (slope,) = tra.grad(((x @ w - y) ** 2).sum(), w)
    last = slope.expr
    while isinstance(last, ReKey):  # other names of keys, which the rules fuse
        last = last.child
    assert isinstance(last, Aggregate) and last.kernel.name == "add"
    product = last.child
    assert isinstance(product, Join) and str(product.kernel) == "einsum(spec='ab,ac->cb')"
    assert len(nodes_of([slope], Join)) == 3 and not nodes_of([slope], Generated)
    assert {n.kernel.name for n in nodes_of([slope], Transform)} == {"mul"}
    planned = plan_query((slope.expr,), Context(n_sites=2))
    products = [n for n in plan_order(*planned.program.roots) if isinstance(n, LocalContract)]
    assert len(products) == 2  # forwards and back; no product of tiles is stored


def test_deep_networks_are_differentiated_and_planned_quickly():
    n = 50
    tensors = {name: np.broadcast_to(np.float32(0), (4096, 1024)) for name in "XY"}
    hidden, y = (tra.from_array(tensors[name], name=name) for name in "XY")
    parameters = []
    for layer in range(n):
        shapes = (("W", (1024, 1024)), ("b", (1024,)))
        pair = [tra.from_array(np.broadcast_to(np.float32(0), s), name=f"{p}{layer}") for p, s in shapes]
        parameters += pair
        hidden = tra.relu(hidden @ pair[0] + pair[1])
    start = time.process_time()
    loss = ((hidden - y) ** 2).sum() * 0.5
    slopes = tra.grad(loss, parameters)
    assert time.process_time() - start < 1
    assert not nodes_of(slopes, Generated)
    new = tuple((given - 0.1 * slope).expr for given, slope in zip(parameters, slopes, strict=True))
    start = time.process_time()
    planned = plan_query(new, Context(n_sites=2))
    assert time.process_time() - start < 5
    assert planned.program.n_tasks > 0
