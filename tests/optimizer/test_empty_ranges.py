"""Fewer tiles than sites: what a site without tiles sends and gets is nothing, in prices as in runs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra.live import live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.sources import tensor_type
from tra.algebra.types import KeySet
from tra.algebra.volume import n_elements
from tra.optimizer.build import build
from tra.optimizer.exchange import exchange_bytes, pieces
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import operator_graph
from tra.optimizer.placement import Placement
from tra.optimizer.plan import Broadcast, Scan
from tra.optimizer.predict import predict
from tra.optimizer.pricing import Pricing
from tra.optimizer.program import program
from tra.optimizer.roles import ALL, Split
from tra.optimizer.search import Assignment, Context, options_of

ROWS, EVERYWHERE = Placement((4,), (Split("i"),)), Placement((4,), (ALL,))


def tiles(*keys, domain):
    return tra.from_tiles({(k,): np.ones(2) for k in keys}, keys=("i",), domain=(domain,), name="A")


def copied(relation):
    """The plan that copies a relation from where its rows lie to four sites."""
    source = relation.expr
    scan = Scan(source.type, ROWS, source.id, source.version, source.name)
    return Broadcast(source.type, EVERYWHERE, scan)


@pytest.mark.parametrize(("keys", "domain", "senders"), [
    ((0, 1), 2, {1, 3}), ((0, 3), 8, {0, 1}), ((2, 4, 5), 8, {1, 2}), ((7,), 8, {3}), ((0, 2), 4, {0, 2}),
])  # fmt: skip
def test_who_has_no_tile_sends_nothing(agreement, keys, domain, senders):
    relation = tiles(*keys, domain=domain)
    plan = copied(relation)
    sent = pieces(relation.expr.type, ROWS, EVERYWHERE)
    assert {piece.source for piece in sent} == senders and len(sent) == 4 * len(senders)
    assert program((plan,)).n_tasks == 8  # a scan and a copy at each site, and no task that cuts nothing out
    (found,), measured = agreement.run((plan,), relation.sources)
    agreement.same(found, agreement.expected(relation))
    assert measured.bytes_moved == exchange_bytes(relation.expr.type, ROWS, EVERYWHERE) == 3 * len(keys) * 16


@pytest.mark.parametrize("sites", [4, 5, 26])
def test_parts_of_two_tiles_come_from_two_sites(agreement, sites):
    A = tra.from_array(np.arange(12.0).reshape(2, 6), keys=("i", "j"), tile=1, name="A")
    total = A.aggregate(by=("j",))
    graph = operator_graph(total.expr)
    chosen = {
        digest: next(o for o in options_of(op, (sites,), Context(n_sites=sites)) if o.vector == ("i",))
        for digest, op in graph.items()
    }
    assignment = Assignment((sites,), graph, chosen, 0.0)
    plans = build(assignment, (total.expr,), {})
    made = predict(program(plans), assignment)
    (found,), measured = agreement.run(plans, total.sources)
    agreement.same(found, agreement.expected(total))
    assert made.bytes_moved == measured.bytes_moved
    assert made.bytes_moved <= 2 * 6 * 8
    assert made.tasks == measured.tasks


@pytest.mark.parametrize("extents", [(2, 2, 2), (1, 2, 3), (5, 2, 2)])
def test_predicted_bytes_are_what_is_sent(agreement, extents):
    """Every strategy of every operator, one at a time and some together, of tensors of one to five tiles."""
    rng = np.random.default_rng(sum(extents))
    n, k, m = extents
    A = tra.from_array(rng.random((n, k)), keys=("i", "j"), tile=1, name="A")
    B = tra.from_array(rng.random((k, m)), keys=("j", "k"), tile=1, name="B")
    for result, sites in itertools.product((A @ B, A.sum(0), A.sum(), A.T + 1.0, A[1:]), (3, 4, 6)):
        for mesh in meshes(sites):
            for _ in range(4):
                check(agreement, result, mesh, rng)


def check(agreement, result, mesh, rng):
    """Runs a plan of random choices, if there is one."""
    context = Context(n_sites=int(np.prod(mesh)))
    graph, roots = operator_graph(result.expr), (result.expr,)
    options = {digest: options_of(op, mesh, context) for digest, op in graph.items()}
    chosen = {digest: found[rng.integers(len(found))] for digest, found in options.items()}
    prices = Pricing(graph, roots, mesh, context)
    prices.chosen.update(chosen)
    if np.isfinite(prices.total()):
        assignment = Assignment(mesh, graph, chosen, prices.total())
        plans = build(assignment, roots, {})
        _, measured = agreement.run(plans, result.sources)
        assert predict(program(plans), assignment).bytes_moved == measured.bytes_moved


@given(st.data())
def test_elements_of_boxes_are_counted_from_sums_as_key_by_key(data):
    extents = data.draw(st.sampled_from([(40, 30), (400_000, 300_000), (11, 7, 9), (5,)]))
    whole = tensor_type(extents, "f8", tuple("ijk"[: len(extents)]), (3, 2, 1)[: len(extents)])
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    domains = [key.domain for key in whole.keys]
    keys = np.unique(np.stack([rng.integers(0, d, 60) for d in domains], axis=1), axis=0)
    type_ = with_live(whole, KeySet(keys))
    listed = live_keys(type_)
    sizes = np.prod(type_.tile_lengths(listed), axis=1)
    for _ in range(20):
        box = [tuple(sorted(rng.integers(-1, d + 2, 2).tolist())) for d in domains]
        inside = np.all(
            [(c >= low) & (c < high) for c, (low, high) in zip(listed.T, box, strict=True)], axis=0
        )
        assert n_elements(type_, box) == sizes[inside].sum()
