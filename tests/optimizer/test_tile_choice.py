"""Open tiles are chosen so that sites have equal shares; what is cut, or speaks of keys, stays as written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tra
from tra.algebra import reference
from tra.algebra.nodes import Source, postorder
from tra.algebra.relation import Relation
from tra.backends.recipe import checked_recipe
from tra.backends.step_plans import StepPlans
from tra.backends.step_query import is_open
from tra.optimizer.context import Context
from tra.optimizer.planner import plan_query
from tra.optimizer.tile_choice import cut_for_sites, with_chosen_tiles
from tra.workflows import matrix_factorisation
from tra.workflows.parameters import normal, zeros


def tensor(*shape, tile=None, keys=None):
    array = np.random.default_rng(0).integers(-4, 5, shape).astype("f8")
    return tra.from_array(array, keys=keys, tile=tile), array


def chosen(relation, n):
    open_ = frozenset(id_ for id_, source in relation.sources.items() if source.is_open)
    (expr,) = with_chosen_tiles((relation.expr,), open_, n)
    return Relation(expr, relation.sources)


@settings(deadline=None, max_examples=40)
@given(st.integers(130, 700), st.integers(130, 700), st.sampled_from([2, 3, 4, 8]))
def test_results_are_the_same_tensor(rows, columns, n):
    (A, a), (B, b) = tensor(rows, columns), tensor(columns, 200)
    for query, expected in [(tra.relu(A @ B), np.maximum(a @ b, 0)), ((A.T * 2.0).sum(0), (a.T * 2).sum(0))]:
        cut = chosen(query, n)
        assert cut.shape == query.shape
        sources = {id_: source.cut(types(cut)[id_]) for id_, source in query.sources.items()}
        got = reference.to_array(reference.evaluate(cut.expr, sources), cut.expr.type)
        np.testing.assert_allclose(got, expected)


def types(relation):
    return {node.id: node.type for node in postorder(relation.expr) if isinstance(node, Source)}


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8])
def test_every_site_has_an_equal_share(n):
    (A, _), (B, _) = tensor(1200, 1200), tensor(1200, 1200, keys=("j", "k"))
    assert all(f % n == 0 for f in chosen(A @ B, n).frontier)
    ids = frozenset((A @ B).sources)
    planned = plan_query(((A @ B).expr,), Context(n_sites=n, open=ids))
    assert list(planned.assignment.chosen.values())[-1].share <= 1 / (0.85 * n) + 1e-9


def test_what_is_cut_or_speaks_of_keys_stays():
    (A, _), (B, _) = tensor(1200, 1200), tensor(1200, 1200, tile=400)
    for query in (
        A.rekey(lambda i, j: (i + 1, j), keys=("i", "j")),
        A.filter(lambda i, j: i > 0),
        A.tile(0, 100, "k"),
    ):
        assert chosen(query, 4).expr == query.expr
    meeting = A.retile(400, 400) @ B
    assert chosen(meeting, 4).expr == meeting.expr


def test_tiles_stay_large_enough():
    A, _ = tensor(100, 1200)
    assert chosen(A, 8).frontier == (1, 8)


def test_explicit_tiles_stay_where_they_are_what_a_default_would_be():
    """Matrices given so, and generated ones."""
    (A, _), (B, _) = tensor(1200, 1200, tile=600), tensor(1200, 1200, keys=("j", "k"))
    assert B.tile_shape == (600, 600)
    assert chosen(A @ B, 4).expr == (A @ B).expr
    free, fixed = (normal((1200, 8), "f8", ("i", "r"), 1.0, 0, tile) for tile in (None, (600, 8)))
    assert free.expr.type == fixed.expr.type
    assert is_open(free) and not is_open(fixed)


def test_an_axis_that_meets_a_fixed_one_stays():
    (W, _), (X, _) = tensor(1200, 900, tile=600), tensor(1200, 900)
    V = zeros((1200, 900), "f8", ("i", "j"))
    assert V.tile_shape == X.tile_shape == (600, 900)
    assert cut_for_sites(V.expr.type, 3).tile_shape == (400, 300)
    assert cut_for_sites(V.expr.type, 3, fixed=[W.expr.type]).tile_shape == (600, 300)
    assert cut_for_sites(V.expr.type, 1) == V.expr.type


def stepped(loss, parameters, data, sites):
    """The plans of a training on some sites; nothing runs."""
    return StepPlans(None, checked_recipe(loss, parameters, tra.SGD(0.1), data), n_sites=sites)


def test_factors_are_cut_as_their_matrix_is():
    R = tra.from_array(np.broadcast_to(1.0, (5000, 1200)), keys=("u", "i"), tile=(1000, 600), name="R")
    factors = matrix_factorisation.initial(R, rank=4)
    plans = stepped(lambda p: matrix_factorisation.loss(R, **p), factors, (), 6)
    assert [plans.initial[name].tile_shape for name in "UV"] == [(1000, 4), (600, 4)]


@pytest.mark.parametrize(("tile", "cut"), [((300, 600), 600), (None, 200)])
def test_parameters_are_cut_as_the_data_they_meet(tile, cut):
    X = tra.from_array(np.ones((300, 1200)), keys=("n", "d"), tile=tile, name="X")
    w = zeros((1200,), "f8", ("d",))
    plans = stepped(lambda p, x: tra.square(x @ p["w"]).sum(), {"w": w}, (X,), 6)
    assert plans.initial["w"].tile_shape == (cut,)
