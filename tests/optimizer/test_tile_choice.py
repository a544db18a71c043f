"""Open tiles are chosen so that sites have equal shares; what is cut, or speaks of keys, stays as written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tra
from tra.algebra import reference
from tra.algebra.nodes import Source, postorder
from tra.algebra.relation import Relation
from tra.optimizer.context import Context
from tra.optimizer.planner import plan_query
from tra.optimizer.tile_choice import with_chosen_tiles


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
