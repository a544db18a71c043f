"""Densities: counts are exact, estimates are near where their assumptions hold, and plans use them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra import live, live_rules, reference
from tra.algebra.density import density, n_expected, n_matches, n_pairs
from tra.algebra.types import AtMost


def blocks(rng, n, part, keys, name):
    """A relation of n×n tiles of which a part is there, at random."""
    chosen = rng.random((n, n)) < part
    chosen[0, 0] = True  # at least one, which says how large tiles are
    there = np.argwhere(chosen).tolist()
    tiles = {(i, j): rng.normal(size=(2, 2)) for i, j in there}
    return tra.from_tiles(tiles, keys, domain=(n, n), name=name)


@pytest.fixture
def unlisted(monkeypatch):
    """Sets of more than 300 keys are too many to list."""
    for module in (live, live_rules):
        monkeypatch.setattr(module, "MAX_LISTED", 300)


@examples(150)
@given(*(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2)))
def test_pairs_are_counted_without_being_listed(left, right):
    expected = sum(a == b for a in left for b in right)
    arrays = (np.array(keys, dtype=np.int64).reshape(-1, 2) for keys in (left, right))
    assert n_matches(*arrays) == expected


@examples(150)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_what_can_be_listed_is_exact(one, other, seed):
    rng = np.random.default_rng(seed)
    A, B = blocks(rng, 5, one, ("i", "k"), "A"), blocks(rng, 5, other, ("k", "j"), "B")
    joined = A.join(B, on="k", kernel="matmul")
    assert n_pairs(A.expr.type, B.expr.type, [(1, 0)]) == len(reference.evaluate(joined.expr, joined.sources))
    product = joined.aggregate(("i", "j"), "add")
    found = reference.evaluate(product.expr, product.sources)
    assert density(product.expr.type) == len(found) / 25


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6])
def test_estimates_are_near(unlisted, part):
    rng = np.random.default_rng(0)
    A, B = blocks(rng, 16, part, ("i", "k"), "A"), blocks(rng, 16, part, ("k", "j"), "B")
    joined = A.join(B, on="k", kernel="matmul")
    product = joined.aggregate(("i", "j"), "add")
    assert isinstance(joined.expr.type.live, AtMost) or part < 0.3
    n_joined = len(reference.evaluate(joined.expr, joined.sources))
    assert n_expected(joined.expr.type) == n_joined  # by histograms
    n_found = len(reference.evaluate(product.expr, product.sources))
    assert n_expected(product.expr.type) == pytest.approx(n_found, rel=0.15)
    for later in (product.rekey(lambda i, j: (j, i), keys=("j", "i")), product.transform("neg")):
        assert n_expected(later.expr.type) == n_expected(product.expr.type)
    half = product.filter(lambda i, j: i < 8)
    assert n_expected(half.expr.type) == pytest.approx(n_found / 2, rel=0.25)
    assert half.nbytes == pytest.approx(n_expected(half.expr.type) * 32, abs=8)


def test_explain_shows_what_it_assumed_and_what_it_met(unlisted):
    rng = np.random.default_rng(0)
    A, B = blocks(rng, 16, 0.3, ("i", "k"), "A"), blocks(rng, 16, 0.3, ("k", "j"), "B")
    with tra.connect("local", threads=2) as session:
        before, after = session.explain(A @ B), session.explain(A @ B, analyze=True)
        met = len(session.tiles(A @ B)) / 256
    assumed = density((A @ B).expr.type)
    figure = after.nodes[-1]["density"]
    assert figure == {"predicted": assumed, "measured": met} and assumed != met
    assert before.nodes[-1]["density"] == {"predicted": assumed, "measured": None}
    assert after.nodes[-1]["pairs"]["measured"] == pytest.approx(after.nodes[-1]["pairs"]["predicted"])
    assert "of tiles (met " in str(after) and "met" not in str(before)


def test_dense_relations_show_none():
    A = tra.from_array(np.ones((4, 4)), tile=2, name="A")
    with tra.connect("local", threads=1) as session:
        found = session.explain(A @ A, analyze=True)
    assert all(node["density"] is None and node["pairs"] is None for node in found.nodes)


def test_sparse_work_is_priced_as_such():
    rng = np.random.default_rng(0)
    with tra.connect("local", threads=1) as session:
        flops = {
            part: session.explain(
                blocks(rng, 12, part, ("i", "k"), "A") @ blocks(rng, 12, part, ("k", "j"), "B")
            ).to_dict()["flops"]["predicted"]
            for part in (0.1, 1.1)
        }
    assert flops[0.1] < flops[1.1] / 40
