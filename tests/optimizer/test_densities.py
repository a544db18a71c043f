"""Densities: counts are exact, estimates are near where their assumptions hold, and plans use them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra import live, live_rules, reference
from tra.algebra.density import density, n_expected, n_matches, n_pairs
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.nodes import Source
from tra.algebra.sources import tensor_type
from tra.algebra.types import AtMost
from tra.algebra.volume import n_bytes, n_bytes_at_most
from tra.backends.passes.schedule import End
from tra.errors import MemoryLimitError
from tra.optimizer.context import Context
from tra.optimizer.exchange import exchange_bytes, received_at_most
from tra.optimizer.operators import operator_graph
from tra.optimizer.placement import Placement
from tra.optimizer.planner import plan_query
from tra.optimizer.pricing import working_set
from tra.optimizer.roles import ALL, Parts, Split
from tra.optimizer.rules.equal import same_type
from tra.optimizer.strategies import choices
from tra.optimizer.windowed import windowed


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


def expecting(count, n=20, size=2):
    """The type of a square relation whose keys are not known, of which so many are expected."""
    return replace(tensor_type((n * size,) * 2, "f8", ("i", "j"), size), live=AtMost(((0, n),) * 2, count))


def test_types_are_equal_whatever_is_expected_of_them():
    few, many = expecting(4.0), expecting(300.0)
    assert few == many and hash(few) == hash(many)
    assert few != replace(few, live=AtMost(((0, 20), (0, 19)), 4.0))
    assert [n_bytes(t) for t in (few, many)] == [4 * 32, 300 * 32]
    assert {n_bytes_at_most(t) for t in (few, many)} == {400 * 32}


def test_what_is_kept_by_type_does_not_mix_estimates():
    rows, columns, all_ = (Placement((4,), (role,)) for role in (Split("i"), Split("j"), ALL))
    few, many = expecting(4.0), expecting(300.0)
    for have, need in ((rows, all_), (rows, columns), (Placement((4,), (Parts(ADD),)), rows)):
        most = sum(received_at_most(many, have, need))
        for type_, count in ((many, 300), (few, 4), (many, 300)):
            assert exchange_bytes(type_, have, need) == pytest.approx(most * count / 400, abs=4)
    many_sites = tuple(Placement((25,), (role,)) for role in (Split("i"), ALL))  # counted all at once
    assert [exchange_bytes(t, *many_sites) for t in (many, few)] == [
        pytest.approx(24 * 300 * 32, abs=25), pytest.approx(24 * 4 * 32, abs=25)
    ]  # fmt: skip


@pytest.mark.parametrize("box", [((0, 10), (0, 20)), ((5, 12), (3, 9)), ((19, 20), (0, 20))])
def test_windows_expect_their_part(box):
    expr = Source(expecting(100.0), "x", "0", "x")
    found = windowed(expr, box).expr.type
    volume = (box[0][1] - box[0][0]) * (box[1][1] - box[1][0])
    assert found.live.count == pytest.approx(100 * volume / 400)
    assert found.live.ranges == tuple((0, high - low) for low, high in box)


def test_windows_of_what_is_not_estimated_are_not_either():
    expr = Source(expecting(None), "x", "0", "x")
    assert windowed(expr, ((0, 10), (0, 10))).expr.type.live.expected is None


def test_rules_apply_whatever_is_expected():
    node = Source(expecting(100.0), "x", "0", "x")
    assert same_type(node, lambda: Source(expecting(3.0), "y", "0", "y")) is not None


def unknown_product(rng):
    """A sum of products of which a few tiles are expected, and any may be there."""
    A, B = blocks(rng, 24, 0.15, ("i", "k"), "A"), blocks(rng, 24, 0.15, ("k", "j"), "B")
    product = A.join(B, on="k", kernel="matmul").aggregate(("i", "j"), "add")
    return product.join(product.transform("neg"), on=["i", "j"], kernel="add").transform("exp")


def test_a_limit_on_sites_is_kept_by_all_tiles_that_may_be(monkeypatch):
    for module in (live, live_rules):
        monkeypatch.setattr(module, "MAX_LISTED", 40)
    relation = unknown_product(np.random.default_rng(0))
    assert n_bytes_at_most(relation.expr.type) > 1.5 * n_bytes(relation.expr.type)
    free = plan_query((relation.expr,), Context(n_sites=2)).prediction
    assert free.most_bytes_per_site > 1.3 * free.peak_bytes_per_site
    between = (free.most_bytes_per_site + free.peak_bytes_per_site) // 2
    with pytest.raises(MemoryLimitError) as refused:
        plan_query((relation.expr,), Context(n_sites=2, memory_limit=between))
    assert refused.value.would_do == free.most_bytes_per_site
    found = plan_query((relation.expr,), Context(n_sites=2, memory_limit=free.most_bytes_per_site))
    assert found.prediction.most_bytes_per_site <= free.most_bytes_per_site


def test_operators_are_left_out_by_all_tiles_that_may_be():
    node = Source(expecting(4.0), "x", "0", "x")
    (operator,) = operator_graph(node).values()
    assert min(working_set(operator, choice) for choice in choices(operator, (2,))) == 200 * 32


def test_passes_hold_all_tiles_that_may_be(monkeypatch):
    for module in (live, live_rules):
        monkeypatch.setattr(module, "MAX_LISTED", 40)
    relation = unknown_product(np.random.default_rng(0))
    with tra.connect("local", threads=1, memory_limit="4GB", progress=False) as session:
        planned = session._plans.plan((relation,), relation.sources, {}, whole=False)
        passes = session.backend.limited(planned.program, relation.sources, End.FILE)
    assert passes.schedule.held >= n_bytes_at_most(relation.expr.type)
