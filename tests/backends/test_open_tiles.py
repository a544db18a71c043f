"""Tensors whose tile sizes were left out: results are the same on any number of sites."""

import numpy as np
import pytest

import tra
from tra.backends.plans import Plans
from tra.errors import PlanError

RNG = np.random.default_rng(0)
X, Y, V = RNG.normal(size=(256, 256)), RNG.normal(size=(256, 256)), RNG.normal(size=256)


@tra.kernel("(n)->(n)")
def running_sum_of_tiles(x):
    return np.cumsum(x)


QUERIES = {
    "softmax": lambda A, B, v: tra.softmax(A, axis=-1),
    "logsumexp": lambda A, B, v: tra.logsumexp(A, axis=0),
    "a kernel along an axis": lambda A, B, v: A.transform(running_sum_of_tiles),
    "a raw join of other keys": lambda A, B, v: A.join(v, on=[("i", "i")], kernel="mul"),
    "a diagonal of tiles": lambda A, B, v: A.transform("diag"),
    "sums of tiles": lambda A, B, v: tra.exp(A.transform("reduce_sum", axis=-1) / 300).aggregate("i", "add"),
    "product": lambda A, B, v: tra.relu(A @ B),
    "row": lambda A, B, v: A * v + B.sum(0) - A.max(axis=1)[:, None],
    "mean": lambda A, B, v: (A - A.mean(axis=0)).var(),
    "distances": lambda A, B, v: tra.einsum("abd,abd->ab", A[:, None] - B[None], A[:, None] - B[None]),
    "slice": lambda A, B, v: (A @ B)[3:100, ::2].T,
    "argmin": lambda A, B, v: (A @ B).argmin(axis=1),
    "whole": lambda A, B, v: tra.concatenate([A, B], axis=0) @ v,
}


@pytest.mark.parametrize("name", QUERIES)
def test_sites_do_not_change_results(name):
    A, B, v = (tra.from_array(a, keys=k) for a, k in ((X, ("i", "j")), (Y, ("j", "k")), (V, ("i",))))
    query = QUERIES[name](A, B, v)
    with tra.connect("local", threads=1) as alone:
        (expected,) = alone.compute(query)
    for sites in (2, 3, 4):
        with tra.connect("local", sites=sites, threads=1) as session:
            np.testing.assert_allclose(session.compute(query)[0], expected, rtol=1e-9, atol=1e-9)


def test_products_are_cut_for_the_sites():
    A, B = (tra.from_array(a) for a in (X, Y))
    with tra.connect("local", sites=4, threads=1) as session:
        figures = session.explain(A @ B).to_dict()
    assert all(entry["strategy"] != "compute everywhere" for entry in figures["strategies"])


def test_many_users_and_long_chains():
    x = tra.from_array(np.full(4, 1.01), tile=2)
    power = x
    for _ in range(80):
        power = power * x
    np.testing.assert_allclose(power.compute(), 1.01**81)
    A, v = tra.from_array(np.eye(4), tile=2), tra.from_array(np.ones(4), tile=2)
    result = v
    for _ in range(230):
        result = A @ result
    np.testing.assert_allclose(result.compute(), 1.0)


ROWS = np.random.default_rng(1).normal(size=(1000, 1000))  # one tile, where nobody asks for others


@pytest.fixture
def product():
    left, right = (tra.from_array(ROWS, name=name) for name in "AB")
    return left @ right


@pytest.fixture
def runs(monkeypatch):
    """The plans that run, in order."""
    found = []

    def noted(self, *arguments, **options):
        found.append(made(self, *arguments, **options))
        return found[-1]

    made = Plans.plan
    monkeypatch.setattr(Plans, "plan", noted)
    return found


def strategy(planned):
    """That of the one product in a plan."""
    (rule,) = (planned.assignment.chosen[d].rule for d, o in planned.assignment.operators.items() if o.join)
    return rule


def result_types(planned):
    return [str(root.type) for root in planned.program.roots]


def test_what_is_kept_shows_its_tiles_and_is_made_in_others(product, runs):
    assert product.frontier == (1, 1)
    with tra.connect("local", sites=4, threads=1) as session:
        (kept,) = session.persist(product)
        assert kept.frontier == product.frontier and kept.tile_shape == product.tile_shape
        assert list(kept.tiles()) == [(0, 0)]
        np.testing.assert_allclose(kept.compute(), ROWS @ ROWS)
    assert strategy(runs[0]) == "2-D split"
    assert result_types(runs[0]) == [str(product.expr.type)]


def test_tiles_are_those_shown_and_are_made_in_others(product, runs):
    with tra.connect("local", sites=4, threads=1) as session:
        ((key, tile),) = session.tiles(product).items()
    assert key == (0, 0) and strategy(runs[0]) == "2-D split"
    np.testing.assert_allclose(tile, ROWS @ ROWS)


def test_results_that_are_kept_together_share_what_they_read(product, runs):
    with tra.connect("local", sites=4, threads=1) as session:
        kept = session.persist(product, product.sum(axis=1), product.T)
        assert [k.frontier for k in kept] == [(1, 1), (1,), (1, 1)]
        for found, expected in zip(kept, (ROWS @ ROWS, (ROWS @ ROWS).sum(1), (ROWS @ ROWS).T), strict=True):
            np.testing.assert_allclose(found.compute(), expected, atol=1e-9)
    assert strategy(runs[0]) != "compute everywhere"


def test_files_of_arrays_are_written_in_any_tiles(product, runs, tmp_path):
    with tra.connect("local", sites=4, threads=1) as session:
        session.save(product, tmp_path / "C.npy")
        session.save(product, tmp_path / "C.tra")
    array, table = runs
    assert strategy(array) == strategy(table) == "2-D split"
    assert result_types(array) == ["[i:4, j:4] of 250/1000×250/1000 float64"]
    assert result_types(table) == [str(product.expr.type)]
    np.testing.assert_allclose(np.load(tmp_path / "C.npy"), ROWS @ ROWS)
    assert tra.open(tmp_path / "C.tra").frontier == (1, 1)
    np.testing.assert_allclose(tra.open(tmp_path / "C.tra").compute(), ROWS @ ROWS)


def test_a_source_that_is_kept_is_not_cut_for_nothing(runs):
    A = tra.from_array(np.ones((1200, 1200)))
    with tra.connect("local", sites=4, threads=1) as session:
        assert session.persist(A)[0].frontier == A.frontier == (2, 2)
    assert result_types(runs[0]) == [str(A.expr.type)] and len(runs[0].assignment.operators) == 1


def test_what_must_not_be_cut_is_kept_as_written(runs):
    A, B = (tra.from_array(X, keys=k) for k in (("i", "j"), ("i", "j")))
    query = A.transform(running_sum_of_tiles) + B
    with tra.connect("local", sites=3, threads=1) as session:
        (kept,) = session.persist(query)
        np.testing.assert_allclose(kept.compute(), np.cumsum(X, axis=1) + X)


def test_hints_are_for_the_tiles_that_plans_are_made_in(product, runs):
    """What `explain` offers can be asked for."""
    with tra.connect("local", sites=4, threads=1) as session:
        offered = next(
            entry["alternatives"]
            for entry in session.explain(product).to_dict()["strategies"]
            if entry["operator"].startswith("Contraction")
        )
        assert len(offered) > 3
        for name in offered:
            session.hint(product, name)
            np.testing.assert_allclose(session.compute(product)[0], ROWS @ ROWS)
            assert strategy(runs[-1]) == name
            session.persist(product)
            assert strategy(runs[-1]) == name
        session.hint(product, split=("i", "j_2"))
        with pytest.raises(PlanError, match=r"^\[i:4, j_2:4\] of 250/1000.* has no strategy 'broadcast'"):
            session.hint(product, "broadcast")


def test_hints_for_given_tiles_are_for_these(product):
    A, B = (tra.from_array(ROWS, tile=1000) for _ in range(2))
    with tra.connect("local", sites=4, threads=1) as session:
        session.hint(A @ B, "compute everywhere")
        with pytest.raises(PlanError, match="has no strategy 'broadcast left'"):
            session.hint(A @ B, "broadcast left")
