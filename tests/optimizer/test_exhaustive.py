"""The search against exhaustive enumeration of the same space: every form, every mesh, every choice."""

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.nodes import Source
from tra.algebra.relation import Relation
from tra.algebra.sources import tensor_type
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.factors import price_factors
from tra.optimizer.forms import best_form
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import is_leaf, operator_graph
from tra.optimizer.planner import plan_query
from tra.optimizer.pricing import Pricing
from tra.optimizer.regions import exchanged, regions
from tra.optimizer.search import options_of
from tra.testing import queries

MOST = 1 << 24  # assignments of one mesh
ONE_BY_ONE = 2000


def forms(roots, context):
    """Every form of a query: all combinations of what its regions may be."""
    found = regions(roots, context)
    for chosen in itertools.product(*(region.options for region in found)):
        pairs = zip(found, chosen, strict=True)
        yield exchanged(roots, {region.root.digest: option.expr for region, option in pairs})


def cheapest(roots, context):
    """The price of the cheapest of all assignments; None where there are too many."""
    best = np.inf
    for made in forms(roots, context):
        graph = operator_graph(*made)
        for mesh in meshes(context.n_sites, ordered=False):
            prices = Pricing(graph, made, mesh, context)
            options = {d: options_of(operator, mesh, context) for d, operator in graph.items()}
            n = prod(map(len, options.values()))
            if n > MOST:
                return None
            best = min(best, priced_alone(prices, options) if n <= ONE_BY_ONE else added_up(prices, options))
    return best


def priced_alone(prices, options):
    """The least price of all assignments, each priced as a whole."""
    totals = []
    for choices in itertools.product(*options.values()):
        prices.chosen.update(zip(options, choices, strict=True))
        totals.append(prices.total())
    return min(totals)


def added_up(prices, options):
    """The same from one table of all assignments, some of which are priced as a whole beside it."""
    factors = price_factors(prices, options)
    assert factors.is_exact and set(factors.sizes) == set(options)
    table = np.zeros(tuple(map(len, options.values())))
    names = list(options)
    for factor in factors.tables:
        order = sorted(range(len(factor.scope)), key=lambda axis: names.index(factor.scope[axis]))
        shape = [len(options[name]) if name in factor.scope else 1 for name in names]
        table += factor.table.transpose(order).reshape(shape)
    rng = np.random.default_rng(0)
    for _ in range(20):
        place = tuple(int(rng.integers(n)) for n in table.shape)
        prices.chosen.update({d: found[p] for (d, found), p in zip(options.items(), place, strict=True)})
        assert table[place] == pytest.approx(prices.total(), rel=1e-9, abs=1e-15)
    return table.min()


def check(roots, context):
    expected = cheapest(roots, context)
    assume(expected is not None)
    form = best_form(roots, context)
    assert form.assignment.is_optimal
    assert form.assignment.seconds == pytest.approx(expected, rel=1e-9, abs=1e-15)
    event(f"{sum(not is_leaf(op) for op in form.assignment.operators.values())} operators")
    return form


MODELS = st.sampled_from([CostModel(latency=0.0), CostModel(), CostModel(latency=1e-5, bandwidth=1e8)])


@examples(60)
@given(queries(max_steps=6), st.integers(1, 3), MODELS, st.booleans())
def test_search_finds_what_enumeration_finds(agreement, grown, n, model, uploads):
    relation = grown[-1].relation
    expected = agreement.expected(relation)
    assume(expected is not None)
    ids = frozenset(relation.sources) if uploads else frozenset()
    context = Context(n_sites=n, model=model, uploads=ids)
    planned = plan_query((relation.expr,), context)
    check(planned.roots, context)
    (found,), _ = agreement.run(planned.program.roots, relation.sources, given=ids)
    agreement.same(found, expected)


def matrix(name, rows, columns, keys, tile):
    expr = Source(tensor_type((rows, columns), "f8", tuple(keys), tile), name, "0", name)
    return Relation(expr, {})


@st.composite
def chains(draw):
    """Products of up to four matrices and maps of them, of sizes that make all orders and splits best."""
    sizes = [draw(st.sampled_from([40, 400, 3000, 20_000])) for _ in range(draw(st.integers(3, 4)))]
    tile = 20
    keys = "ijklm"
    factors = [
        matrix(keys[p].upper(), sizes[p], sizes[p + 1], keys[p : p + 2], tile) for p in range(len(sizes) - 1)
    ]
    result = factors[0]
    for factor in factors[1:]:
        result = result @ factor
        if draw(st.integers(0, 3)) == 0:
            result = tra.relu(result)
    return result


@examples(60)
@given(chains(), st.sampled_from([2, 3, 4, 5]), MODELS)
def test_chains_are_planned_as_enumeration_would(result, n, model):
    check((result.expr,), Context(n_sites=n, model=model))
