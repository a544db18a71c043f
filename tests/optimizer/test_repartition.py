"""Repartition: counted bytes are the elements that cross, whatever cuts old and new tensors."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.long import examples
from tra.algebra.nodes import Cut, Window
from tra.algebra.relation import from_array
from tra.algebra.retiling import full_windows, retile
from tra.algebra.sources import FixedTiles
from tra.optimizer.placement import Placement
from tra.optimizer.plan import Repartition, Scan
from tra.optimizer.repartition import repartition_received, runs, window_slices
from tra.optimizer.roles import ALL, Split

MESHES = [(2,), (3,), (4,), (2, 2)]


@given(st.data())
def test_window_slices_share_what_sets_of_places_share(data):
    step = data.draw(st.sampled_from([1, 2, 3, -1, -2]))
    count = data.draw(st.integers(0, 6))
    extent = 20
    reach = step * max(count - 1, 0)
    start = data.draw(st.integers(max(0, -reach), min(extent - 1, extent - 1 - reach)))
    window, offset = Window(start, step, count), data.draw(st.integers(0, 4))
    old = tuple(sorted((data.draw(st.integers(0, extent)), data.draw(st.integers(0, extent)))))
    new = tuple(sorted((data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12)))))
    places = {offset + n: start + n * step for n in range(count)}
    wanted = {q: p for q, p in places.items() if new[0] <= q < new[1] and old[0] <= p < old[1]}
    shared = window_slices(window, new, old, offset)
    if shared is None:
        assert not wanted
        return
    taken, put = shared
    olds, news = np.arange(*old)[taken], np.arange(*new)[put]
    assert dict(zip(news.tolist(), olds.tolist(), strict=True)) == wanted


@st.composite
def sources(draw, extent):
    """A vector or matrix cut by one key per axis, or by two as a tile of a tile."""
    size = draw(st.sampled_from([1, 2, 4, 6]))
    relation = from_array(
        np.arange(extent * 3.0).reshape(extent, 3), keys=("i", "j"), tile=(size, 2), name="A"
    )
    divisors = [d for d in (1, 2, 3) if min(size, extent) % d == 0]
    return relation.tile(0, draw(st.sampled_from(divisors)), "ii") if draw(st.booleans()) else relation


@examples(80)
@given(st.data())
def test_bytes_are_the_elements_that_cross(agreement, data):
    mesh = data.draw(st.sampled_from(MESHES))
    operands = [
        data.draw(sources(data.draw(st.sampled_from([5, 7, 12]))))
        for _ in range(data.draw(st.integers(1, 2)))
    ]
    cuts = [Cut(data.draw(st.integers(1, 5)), "i"), Cut(data.draw(st.integers(1, 3)), "j")]
    node = retile([o.expr for o in operands], cuts)
    plans = []
    for operand in operands:
        type_ = operand.expr.type
        placed = Placement(mesh, tuple(Split(data.draw(st.sampled_from(type_.names))) for _ in mesh))
        plans.append(Scan(type_, placed, operand.expr.digest, "0", "A"))
    need = Placement(mesh, tuple(data.draw(st.sampled_from([Split("i"), Split("j"), ALL])) for _ in mesh))
    plan = Repartition(node.type, need, tuple(plans), 0, node.windows, tuple(cuts))
    held = {o.expr.digest: Held(agreement.expected(o)) for o in operands}
    (tiles,), measured = agreement.run([plan], held)
    agreement.same(tiles, agreement.expected(type(operands[0])(node, sources_of(operands))))
    types, have = tuple(o.expr.type for o in operands), tuple(p.placement for p in plans)
    assert measured.bytes_moved == sum(repartition_received(types, have, node.type, need, 0, node.windows))


class Held(FixedTiles):
    """Tiles by key."""

    remote = False

    def __init__(self, tiles):
        self.tiles = tiles

    def read(self, key):
        return self.tiles[key]


def sources_of(relations):
    return {key: source for relation in relations for key, source in relation.sources.items()}


def test_runs_of_a_tile_of_a_tile():
    relation = from_array(np.zeros(14), keys="i", tile=6).tile(0, 2, "ii")
    assert runs(relation.expr.type, 0, ((0, 3), (0, 3))) == [(0, 14)]
    assert runs(relation.expr.type, 0, ((0, 3), (0, 1))) == [(0, 2), (6, 8), (12, 14)]
    assert runs(relation.expr.type, 0, ((1, 3), (1, 3))) == [(8, 12)]


def test_a_scalar_and_an_empty_tensor_move_nothing():
    for array in (np.zeros(()), np.zeros((0, 3))):
        type_ = from_array(array).expr.type
        place = Placement((2,), (ALL,))
        assert repartition_received((type_,), (place,), type_, place, 0, (full_windows(type_),)) == (0, 0)
