"""Open tiles are chosen so that sites have equal shares; what is cut, or speaks of keys, stays as written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra import reference
from tra.algebra.nodes import Source, postorder
from tra.algebra.relation import Relation
from tra.backends.recipe import checked_recipe
from tra.backends.step_plans import StepPlans
from tra.backends.step_query import is_open
from tra.optimizer.context import Context
from tra.optimizer.planner import plan_query
from tra.optimizer.tile_choice import with_chosen_tiles
from tra.optimizer.tile_sizes import cut_for_sites
from tra.workflows import matrix_factorisation
from tra.workflows.parameters import normal, zeros


def tensor(*shape, tile=None, keys=None):
    array = np.random.default_rng(0).integers(-4, 5, shape).astype("f8")
    return tra.from_array(array, keys=keys, tile=tile), array


def chosen(relation, n):
    open_ = frozenset(id_ for id_, source in relation.sources.items() if source.is_open)
    (expr,) = with_chosen_tiles((relation.expr,), open_, n)
    return Relation(expr, relation.sources)


@examples(40)
@given(st.integers(130, 700), st.integers(130, 700), st.sampled_from([2, 3, 4, 8]))
def test_results_are_the_same_tensor(rows, columns, n):
    (A, a), (B, b) = tensor(rows, columns), tensor(columns, 200)
    for query, expected in [(tra.relu(A @ B), np.maximum(a @ b, 0)), ((A.T * 2.0).sum(0), (a.T * 2).sum(0))]:
        cut = chosen(query, n)
        assert cut.shape == query.shape
        sources = {id_: source.cut(types(cut)[id_]) for id_, source in query.sources.items()}
        got = reference.to_array(reference.evaluate(cut.expr, sources), cut.expr.type)
        np.testing.assert_allclose(got, expected)


def check_same_tensor(query, n):
    """The query in chosen tiles, held against the query as written."""
    cut = chosen(query, n)
    assert cut.shape == query.shape
    assert cut.dtype == query.dtype
    sources = {id_: source.cut(types(cut)[id_]) for id_, source in query.sources.items()}
    expected, got = (
        reference.to_array(reference.evaluate(r.expr, given_), r.expr.type)
        for r, given_ in ((query, query.sources), (cut, sources))
    )
    np.testing.assert_allclose(got, expected)
    return cut


def forms():
    """Queries of whole tensors, by what is special about them."""
    (A, _), (B, _), (D, _), (E, _), (v, _) = (
        tensor(*shape) for shape in ((300, 270), (270, 260), (270, 20, 10), (300, 190, 150), (270,))
    )
    return {
        "product with three axes": tra.einsum("ij,jkl->ikl", A, D),
        "softmax": tra.softmax(A, axis=1) @ B,
        "slice": A[20:290, ::2] @ B[:135],
        "reversed": A[::-1] * 2,
        "concatenated": tra.concatenate([A, A[:100]], axis=0) @ B,
        "mean": A - A.mean(axis=0),
        "variance": A.var(axis=1),
        "least": A.min(axis=0) - A.max(axis=0),
        "place of the least": A.argmin(axis=1),
        "norm": A / tra.sqrt((A * A).sum()),
        "outer": v[:, None] * v[None, :],
        "many axes": tra.einsum("ijk,ij->ik", E, A[:, :190]),
        "nearest": ((A[:150, None, :] - B.T[None, :, :]) ** 2).sum(axis=2).argmin(axis=1),
        "transposed": E.transpose(2, 0, 1).sum(axis=1),
        "gradient": tra.grad(tra.square(A @ B).sum(), [B])[0],
        "logsumexp": tra.logsumexp(A, axis=1),
    }


@pytest.mark.parametrize("name", list(forms()))
@pytest.mark.parametrize("n", [2, 3])
def test_whole_tensors_are_cut_for_the_sites_whatever_makes_them(name, n):
    query = forms()[name]
    cut = check_same_tensor(query, n)
    assert cut.expr != query.expr
    assert all(max(type_.domains) % n == 0 for type_ in types(cut).values())


def test_an_operand_of_three_axes_stops_nothing():
    """Its product with a matrix is shared by both sites, whether or not it is cut smaller than the matrix."""
    (A, _), (D, _), (E, _) = tensor(1000, 1000), tensor(1000, 20, 10), tensor(1000, 200, 100)
    for other in (D, E):
        query = tra.einsum("ij,jkl->ikl", A, other)
        planned = plan_query((query.expr,), Context(n_sites=2, open=frozenset(query.sources)))
        work = [c.share for d, c in planned.assignment.chosen.items() if planned.assignment.operators[d].join]
        assert work == [0.5]
        assert not any("Retile" in type(node).__name__ for node in postorder(*planned.roots))
        assert not planned.form.notes


def test_only_what_speaks_of_keys_stays():
    (A, _), (B, _), (C, _) = tensor(1000, 1000), tensor(1000, 600), tensor(900, 700)
    spoken = C.filter(lambda i, j: i == j).fill(0).sum()
    query = tra.relu(A @ B) * spoken
    cut = check_same_tensor(query, 4)
    found = {id_: type_.tile_shape for id_, type_ in types(cut).items()}
    assert found[A.expr.id] == (250, 250)
    assert found[B.expr.id] == (250, 150)
    assert found[C.expr.id] == C.tile_shape


def test_what_meets_tensors_that_are_cut_stays_and_others_do_not():
    (A, _), (B, _), (C, _) = tensor(1000, 900), tensor(900, 700, tile=300), tensor(1000, 800)
    query = (A.retile(1000, 300) @ B).sum() + C.sum()
    found = {id_: type_.tile_shape for id_, type_ in types(check_same_tensor(query, 4)).items()}
    assert found[A.expr.id] == A.tile_shape
    assert found[B.expr.id] == (300, 300)
    assert found[C.expr.id] == (250, 200)


def test_idle_sites_are_told_with_what_to_do():
    A, _ = tensor(1000, 1000)
    kept = tra.exp(A).filter(lambda i, j: i == j)
    with tra.connect("local", sites=2, cost_model="fixed") as session:
        (note,) = session.explain(kept.fill(0).sum()).to_dict()["notes"]
        assert "the busiest of 2 sites has 2.0 times its share" in note
        assert "pass tile=, (500, 500) for" in note
        assert session.explain(tra.exp(A).sum()).to_dict()["notes"] == []


@pytest.mark.parametrize(
    ("shape", "tiles"), [((5_000_000,), 32), ((1_000_000, 4), 32), ((200_000, 100), 32), ((40_960, 1024), 40)]
)
def test_long_tensors_are_cut_into_few_tiles(shape, tiles):
    """As few as leaves all of them below a million elements; matrices stay as they are."""
    X = tra.from_array(np.broadcast_to(1.0, shape))
    assert X.frontier[0] > 32
    for n in (1, 2, 8):
        cut = chosen((X * 2 + 1).sum(), n)
        (type_,) = types(cut).values()
        assert type_.domains[0] == -(-tiles // n) * n


def test_tiles_stay_small_where_an_outer_product_is_made_of_them():
    x = tra.from_array(np.broadcast_to(1.0, (100_000,)))
    outer = x[:, None] * x[None, :]
    assert all(np.prod(node.type.tile_shape) <= 2**20 for node in postorder(chosen(outer, 1).expr))


@examples(60)
@given(st.integers(33, 90), st.integers(1, 5), st.integers(1, 4), st.integers(0, 1023))
def test_long_tensors_are_the_same_in_fewer_tiles(tiles, columns, n, rest):
    (X, _), (w, _) = tensor(1024 * tiles - rest, columns), tensor(1024 * tiles - rest)
    check_same_tensor((X * w[:, None]).sum(axis=0) + w.max(), n)
    check_same_tensor(X.T @ X, n)
    check_same_tensor(w[1:] - w[:-1], n)


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
