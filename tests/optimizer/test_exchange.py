"""Exchanges: every tile reaches every site that needs it, once per part, and bytes are what is sent."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tra.algebra.kernels.elementwise import ADD
from tra.algebra.live import live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.sources import tensor_type
from tra.algebra.types import KeySet
from tra.algebra.volume import n_bytes, n_elements
from tra.optimizer.boxes import box_of, holds_part
from tra.optimizer.cost import CostModel, route
from tra.optimizer.exchange import exchange_bytes, paper_elements, pieces, received
from tra.optimizer.meshes import coordinates, n_sites
from tra.optimizer.placement import Placement, replicated
from tra.optimizer.roles import ALL, SCATTERED, Parts, Split

ROLES = [ALL, Split("i"), Split("j")]
PARTS = Parts(ADD, "k", 3, (0, 3))


def ragged(extents=(11, 7), tiles=(3, 2)):
    return tensor_type(extents, "f4", ("i", "j"), tiles)


def lies_at(type_, placement, site):
    inside = live_keys(type_)
    for column, (low, high) in enumerate(box_of(type_, placement, site)):
        inside = inside[(inside[:, column] >= low) & (inside[:, column] < high)]
    return [tuple(key) for key in inside.tolist()]


def holders(placement, key, type_, site, need):
    """How many tiles of a key there are for one site: one, or as many as there are parts to fold."""
    folded = [d for d in placement.parts if need.roles[d] != placement.roles[d]]
    here = list(coordinates(placement.mesh))[site]
    n = 0
    for other, coords in enumerate(coordinates(placement.mesh)):
        fixed = [d for d in range(len(coords)) if d in placement.parts and d not in folded]
        if all(coords[d] == here[d] for d in fixed) and holds_part(placement, other):
            n += key in lies_at(type_, placement, other)
    copied = 1
    for g, role in zip(placement.mesh, placement.roles, strict=True):
        copied *= g if role == ALL else 1
    assert n % copied == 0
    return n // copied


def check(type_, have, need):
    sent = pieces(type_, have, need)
    arrived = {}
    for piece in sent:
        held = lies_at(type_, have, piece.source)
        for key in live_keys(type_).tolist():
            if all(a <= k < b for k, (a, b) in zip(key, piece.box, strict=True)):
                assert tuple(key) in held, "a site sends what it does not hold"
                arrived.setdefault((piece.target, tuple(key)), []).append(piece.source)
    for site in range(n_sites(need.mesh)):
        for key in lies_at(type_, need, site):
            sources = arrived.pop((site, key), [])
            assert len(set(sources)) == len(sources)
            assert len(sources) == holders(have, key, type_, site, need), (have, need, site, key)
    assert not arrived, "a site gets what it does not need"
    crossing = [p for p in sent if p.source != p.target]
    total = sum(n_elements(type_, p.box) for p in crossing) * type_.dtype.itemsize
    for site, n in enumerate(received(type_, have, need)):
        assert n == sum(n_elements(type_, p.box) for p in crossing if p.target == site) * type_.dtype.itemsize
    assert exchange_bytes(type_, have, need) == (0 if have == need else total)


@pytest.mark.parametrize("mesh", [(2,), (3,), (5,), (2, 2), (2, 3)])
def test_all_exchanges_of_a_ragged_tensor(mesh):
    type_ = ragged()
    for have in product([*ROLES, PARTS], repeat=len(mesh)):
        for need in product(ROLES, repeat=len(mesh)):
            check(type_, Placement(mesh, have), Placement(mesh, need))


@given(st.data())
def test_exchanges_of_relations_with_holes(data):
    whole = ragged((9, 5), (2, 1))
    keys = live_keys(whole)
    kept = data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
    type_ = with_live(whole, KeySet(keys[np.array(kept)]))
    mesh = data.draw(st.sampled_from([(2,), (3,), (2, 2)]))
    have = tuple(data.draw(st.sampled_from([*ROLES, PARTS])) for _ in mesh)
    need = tuple(data.draw(st.sampled_from(ROLES)) for _ in mesh)
    check(type_, Placement(mesh, have), Placement(mesh, need))


def test_parts_that_stay_parts_are_not_mixed():
    mesh, type_ = (2, 2), ragged()
    have, need = Placement(mesh, (PARTS, Split("i"))), Placement(mesh, (PARTS, ALL))
    check(type_, have, need)
    assert all(p.source // 2 == p.target // 2 for p in pieces(type_, have, need))


def test_scattered_tiles_that_stay_are_not_sent():
    mesh, type_ = (2, 2), ragged()
    have, need = Placement(mesh, (SCATTERED, Parts(ADD))), Placement(mesh, (SCATTERED, Split("i")))
    assert all(p.source // 2 == p.target // 2 for p in pieces(type_, have, need))


def test_scattered_tiles_are_asked_for_everywhere_and_counted_once():
    type_ = tensor_type((12, 4), "f8", ("i", "j"), (1, 4))
    have, need = Placement((3,), (SCATTERED,)), Placement((3,), (Split("i"),))
    assert len(pieces(type_, have, need)) == 9
    assert exchange_bytes(type_, have, need) == pytest.approx(n_bytes(type_) * 2 / 3, rel=0.05)


# -- the exchange table: bytes received per site, by formula ---------------------------------------


@pytest.mark.parametrize("g", [2, 3, 4, 5])
def test_the_exchange_table(g):
    size = 60
    type_ = tensor_type((size, size), "f8", ("i", "j"), (1, 1))
    n = n_bytes(type_) // g
    rows, columns, all_, parts = (
        Placement((g,), (role,)) for role in (Split("i"), Split("j"), ALL, Parts(ADD))
    )
    assert set(received(type_, rows, all_)) == {(g - 1) * n}
    assert sum(received(type_, rows, columns)) == pytest.approx((1 - 1 / g) * n * g)
    assert set(received(type_, parts, rows)) == {(g - 1) * n}
    steps = route(type_, parts, all_)
    total = sum(exchange_bytes(type_, a, b) for a, b in steps)
    assert total == 2 * (g - 1) * n * g
    assert received(type_, all_, rows) == (0,) * g
    assert received(type_, rows, rows) == (0,) * g


def test_parts_go_everywhere_by_the_cheaper_route():
    square = tensor_type((60, 60), "f8", ("i", "j"), (1, 1))
    scalar = tensor_type((), "f8")
    parts, all_ = Placement((4,), (Parts(ADD),)), replicated((4,))
    assert len(route(square, parts, all_)) == 2
    assert len(route(scalar, parts, all_)) == 1


def test_a_split_of_one_dimension_is_gathered_along_it_only():
    type_ = tensor_type((8, 8), "f8", ("i", "j"), (1, 1))
    have, need = Placement((2, 2), (Split("i"), Split("j"))), Placement((2, 2), (Split("i"), ALL))
    assert all(p.source // 2 == p.target // 2 for p in pieces(type_, have, need))
    assert exchange_bytes(type_, have, need) == n_bytes(type_)


def test_the_papers_count():
    type_ = ragged()
    n = n_elements(type_)
    for g in (2, 3, 5):
        rows, columns, all_ = (Placement((g,), (role,)) for role in (Split("i"), Split("j"), ALL))
        assert paper_elements(type_, rows, all_) == g * n
        assert paper_elements(type_, rows, columns) == n
        assert paper_elements(type_, rows, rows) == 0


def test_an_exchange_that_sends_nothing_takes_its_latency():
    """It ends a stage all the same, and each site has one task more to run."""
    type_, model = tensor_type((60, 60), "f8", ("i", "j"), (1, 1)), CostModel(latency=0.5)
    rows, everywhere = Placement((4,), (Split("i"),)), replicated((4,))
    assert exchange_bytes(type_, everywhere, rows) == 0
    assert model.transfer(type_, everywhere, rows) == 0.5
    assert model.transfer(type_, rows, rows) == 0.0
