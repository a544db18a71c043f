"""The form of a query is chosen with its plan: a user's kernels take part by their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.relation import Relation
from tra.optimizer import forms
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.forms import best_form, floor, wishes
from tra.optimizer.hint import Hint
from tra.optimizer.placement import Placement
from tra.optimizer.planner import plan_query
from tra.optimizer.regions import EXPAND, ORDER
from tra.optimizer.roles import Split
from tra.optimizer.search import search

product = tra.kernel(
    "(m,n),(n,p)->(m,p)",
    name="form product",
    contraction=True,
    linear=[0, 1],
    flops=lambda dims: 2.0 * dims["m"] * dims["n"] * dims["p"],
)(lambda x, y: x @ y)
silent = tra.kernel("(m,n),(n,p)->(m,p)", name="form product in silence", linear=[0, 1])(lambda x, y: x @ y)


def chain(by, extents=(40, 40, 40, 2), tile=20):
    i, j, k, last = extents
    shapes = {"A": ("ij", (i, j)), "B": ("jk", (j, k)), "C": ("kl", (k, last))}
    A, B, C = (
        tra.from_array(
            np.arange(np.prod(s), dtype=float).reshape(s) % 7, keys=tuple(keys), tile=tile, name=name
        )
        for name, (keys, s) in shapes.items()
    )
    first = A.join(B, on="j", kernel=by).aggregate(by=("i", "k"))
    return first.join(C, on="k", kernel=by).aggregate(by=("i", "l"))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_users_product_is_reordered_like_matmul(agreement, n):
    for by in ("matmul", product):
        query = chain(by)
        form = best_form((query.expr,), Context(n_sites=n))
        assert [option.rule for _, option in form.changes] == [ORDER]
        found = Relation(form.roots[0], query.sources)
        agreement.same(agreement.expected(found), agreement.expected(query))
    assert not best_form((chain(silent).expr,), Context(n_sites=n)).changes


def test_a_rule_that_is_off_leaves_the_form():
    assert not best_form((chain("matmul").expr,), Context(without=(ORDER,))).changes


def test_a_hinted_operator_keeps_its_form():
    query = chain("matmul")
    form = best_form((query.expr,), Context(n_sites=2, hints=(Hint(query.expr, "co-partition"),)))
    assert ORDER not in [option.rule for _, option in form.changes]


def test_neighbours_are_a_few_matrix_products(agreement):
    q, x = (
        tra.from_array(np.arange(n * 6.0).reshape(n, 6) % 5, keys=(c, "i"), tile=100, name=c)
        for c, n in (("q", 60), ("x", 80))
    )
    far = q[:, None] - x[None]
    query = tra.einsum("qxi,qxi->qx", far, far)
    planned = plan_query((query.expr,), Context(n_sites=2, tolerance=1e-9))
    assert EXPAND in {fired.name for fired in planned.fired}
    agreement.same(agreement.run(planned.program.roots, query.sources)[0][0], agreement.expected(query))


def test_wishes_follow_what_becomes_of_a_result():
    query = chain("matmul")
    form = best_form((query.expr,), Context())
    target = Placement((1,), (Split("i"),))
    wished = Context(targets={query.expr.digest: target}, hints=(Hint(query.expr, "one site"),))
    moved = wishes(wished, (query.expr, query.expr), (*form.roots, *form.roots))
    assert dict(moved.targets) == {form.roots[0].digest: target}
    assert moved.hints == (Hint(form.roots[0], "one site"),)


def four_factors(seed):
    extents = np.random.default_rng(seed).integers(1, 30, 5) * 10
    A, B, C, D = (
        tra.from_array(np.ones(extents[n : n + 2]), tile=50, name=f"{name}{seed}")
        for n, name in enumerate("ABCD")
    )
    return A @ B @ C @ D


def test_no_form_of_many_is_planned_twice(monkeypatch):
    """Five regions of 15 orders and more: regions take turns, and the form chosen is not among the others."""
    asked = []
    monkeypatch.setattr(forms, "search", lambda roots, context: asked.append(roots) or search(roots, context))
    roots = tuple(four_factors(seed).expr for seed in range(5))
    form = best_form(roots, Context(n_sites=2))
    assert len(form.changes) > 1 and not form.assignment.is_optimal
    assert len(asked) > 1 and len(asked) == len(set(asked))
    first, *others = form.considered
    assert first.price == form.assignment.seconds and not first.is_floor
    assert first.orders not in [other.orders for other in others]
    assert len({other.orders for other in others}) == len(others)


def test_of_equal_forms_the_one_of_less_work_is_taken():
    query = four_factors(0)
    form = best_form((query.expr,), Context(n_sites=2, model=CostModel(paper=True, tie_break=0.0)))
    ties = [other for other in form.considered if other.price == form.assignment.seconds]
    assert ties[0].orders == form.considered[0].orders


@examples(75)
@given(st.tuples(*[st.sampled_from([1, 3, 7, 40])] * 4), st.integers(1, 20), st.integers(1, 4))
def test_the_chosen_form_is_right_and_no_plan_beats_its_floor(agreement, extents, tile, n):
    query = chain(product, extents, tile)
    form = best_form((query.expr,), Context(n_sites=n))
    assert floor(form.roots, Context(n_sites=n)) <= form.assignment.seconds * (1 + 1e-9)
    planned = plan_query((query.expr,), Context(n_sites=n))
    agreement.same(agreement.run(planned.program.roots, query.sources)[0][0], agreement.expected(query))
