"""Exchanges between placements: one function says who sends what, and both price and plan come from it.

For every destination site the pieces are boxes of keys: what it needs, cut with what a source site holds.
Replicas are taken from the nearest copy (the site itself where it has one); parts are taken from every site
that holds one. Repartition, which works in elements because its tiles do not line up, is in `repartition`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from tra.algebra.live import ranges
from tra.algebra.types import KeySet, RelType
from tra.algebra.volume import (
    Size,
    expected_of,
    n_bytes,
    n_elements,
    n_elements_at_most,
    n_elements_at_most_each,
)
from tra.optimizer.boxes import Ranges, all_hold_parts, box_array, box_of, boxes_of, holds_part
from tra.optimizer.meshes import n_sites, site_coordinates, site_number
from tra.optimizer.part_type import asked_parts_box, held_parts_box, part_type
from tra.optimizer.placement import Placement
from tra.optimizer.roles import Parts, Replicated, Role, Scattered

_MANY = 24  # sites: from here on arrays are faster


@dataclass(frozen=True, slots=True)
class Piece:
    """What one site sends another: the tiles in a box of keys."""

    source: int
    target: int
    box: Ranges


def _holds_any(type_: RelType, have: Placement) -> Callable[[int, Ranges], bool]:
    """Claims that a site has a tile in a box that it holds, as far as that is known."""
    parts = part_type(type_, have)
    holds = _live_in(type_ if parts is None else parts)
    return lambda site, box: holds((*(held_parts_box(have, site) if parts else ()), *box))


def _live_in(type_: RelType) -> Callable[[Ranges], bool]:
    """Claims that a box has a live key, by box, as far as that is known; tiles may be without elements."""
    if isinstance(type_.live, KeySet):
        keys = replace(type_, axes=())
        return lambda box: n_elements(keys, box) > 0
    live = ranges(type_)
    return lambda box: all(low < high for low, high in _intersect(box, live))


@lru_cache(maxsize=1 << 14)
def pieces(type_: RelType, have: Placement, need: Placement) -> tuple[Piece, ...]:
    """All pieces of an exchange, by target site, then source site; boxes without a live key are left out.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import ALL, Split
        >>> t = tensor_type((4,), "f8", ("i",), 1)
        >>> rows, everywhere = Placement((2,), (Split("i"),)), Placement((2,), (ALL,))
        >>> [(p.source, p.target, p.box) for p in pieces(t, rows, everywhere)]
        [(0, 0, ((0, 2),)), (1, 0, ((2, 4),)), (0, 1, ((0, 2),)), (1, 1, ((2, 4),))]
    """
    result, holds_any = [], _holds_any(type_, have)
    for target in range(n_sites(need.mesh)):
        wanted = box_of(type_, need, target)
        for source in senders(have, need, target):
            box = _intersect(wanted, box_of(type_, have, source))
            if holds_any(source, box):
                result.append(Piece(source, target, box))
    return tuple(result)


def piece_bytes(type_: RelType, have: Placement, piece: Piece, size: Size = n_bytes) -> int:
    """Bytes of a piece; of scattered tiles, of all that may lie in its box.

    Args:
        type_: the relation.
        have: where it lies.
        piece: what is sent of it.
        size: counts bytes, those expected or those that there may be.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split
        >>> t = tensor_type((4,), "f8", ("i",), 1)
        >>> piece_bytes(t, Placement((2,), (Split("i"),)), Piece(0, 1, ((0, 2),)))
        16
    """
    parts = part_type(type_, have)
    if parts is None:
        return size(type_, piece.box)
    return size(parts, (*held_parts_box(have, piece.source), *piece.box))


def senders(have: Placement, need: Placement, target: int) -> list[int]:
    """The sites that may hold something for the target, in site order.

    Example:
        >>> from tra.optimizer.roles import ALL, Split
        >>> have, need = Placement((2, 2), (ALL, Split("i"))), Placement((2, 2), (ALL, ALL))
        >>> senders(have, need, 3)
        [2, 3]
    """
    choices: list[Sequence[int]] = []
    for g, role, wanted, c in _along(have, need, target):
        stays = isinstance(role, Replicated) or (isinstance(role, Parts | Scattered) and role == wanted)
        choices.append([c] if stays else range(g))
    sites = sorted(site_number(have.mesh, coords) for coords in product(*choices))
    return [site for site in sites if holds_part(have, site)]


def _along(have: Placement, need: Placement, target: int) -> Iterator[tuple[int, Role, Role | None, int]]:
    """For each mesh dimension of the source its size and role, the role wanted, and where the target stands.

    A target on another mesh stands beside the source site of its number, or of a number that is left.
    """
    wanted: Sequence[Role | None] = need.roles if have.mesh == need.mesh else [None] * len(have.roles)
    own = site_coordinates(have.mesh, target % n_sites(have.mesh))
    return zip(have.mesh, have.roles, wanted, own, strict=True)


def _intersect(a: Ranges, b: Ranges) -> Ranges:
    return tuple((max(x[0], y[0]), min(x[1], y[1])) for x, y in zip(a, b, strict=True))


def received(type_: RelType, have: Placement, need: Placement) -> tuple[int, ...]:
    """Bytes each site receives from other sites; of scattered tiles, what a sender holds on average.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import ALL, Split
        >>> rows, everywhere = Placement((2,), (Split("i"),)), Placement((2,), (ALL,))
        >>> received(tensor_type((3,), "f8", ("i",), 1), rows, everywhere)
        (16, 8)
    """
    return tuple(expected_of(type_, most) for most in received_at_most(type_, have, need))


@lru_cache(maxsize=1 << 16)
def received_at_most(type_: RelType, have: Placement, need: Placement) -> tuple[int, ...]:
    """The same if all tiles are there that may be.

    That is the sum over `pieces`, counted without listing them: all that a site needs, less what it has.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import ALL, Split
        >>> rows, everywhere = Placement((2,), (Split("i"),)), Placement((2,), (ALL,))
        >>> received_at_most(tensor_type((3,), "f8", ("i",), 1), rows, everywhere)
        (16, 8)
    """
    parts = part_type(type_, have)
    if parts is not None:
        return tuple(_received_parts(parts, type_, have, need))
    if n_sites(need.mesh) > _MANY and have.mesh == need.mesh and not have.is_scattered:
        return _received_by_many(type_, have, need)
    volume, plain = _volumes(type_), not have.parts and not have.is_scattered
    held = boxes_of(type_, have)
    totals = []
    for site, wanted in enumerate(boxes_of(type_, need)):
        own = 0
        if site < len(held) and (plain or holds_part(have, site)):
            own = volume(_intersect(wanted, held[site]))
        total = (1 if plain else n_tellers(have, need, site)) * volume(wanted) - own
        totals.append(round(total / have.scatter) * type_.dtype.itemsize)
    return tuple(totals)


def _received_parts(parts: RelType, type_: RelType, have: Placement, need: Placement) -> Iterator[int]:
    """The same of parts that sites hold of some tiles only: those that a target asks for, less its own."""
    held, volume = boxes_of(type_, have), _volumes(parts)
    for site, wanted in enumerate(boxes_of(type_, need)):
        total = volume((*asked_parts_box(have, need, site), *wanted))
        if site < len(held):
            total -= volume((*held_parts_box(have, site), *_intersect(wanted, held[site])))
        yield total * type_.dtype.itemsize


def _received_by_many(type_: RelType, have: Placement, need: Placement) -> tuple[int, ...]:
    """The same for all sites at once; sites that hold no part because it is empty are few, and looked at."""
    keys = tuple((k.name, k.domain) for k in type_.keys)
    wanted, held = box_array(keys, need), box_array(keys, have)
    shared = np.stack(
        [np.maximum(wanted[..., 0], held[..., 0]), np.minimum(wanted[..., 1], held[..., 1])], axis=-1
    )
    own, all_ = n_elements_at_most_each(type_, shared), _held_each(type_, need)
    if have.parts and all_hold_parts(have):
        all_ = all_ * prod(have.mesh[d] for d in have.parts if have.roles[d] != need.roles[d])
    elif have.parts:
        sites = range(len(wanted))
        own = own * np.array([holds_part(have, site) for site in sites])
        all_ = all_ * np.array([n_tellers(have, need, site) for site in sites])
    return tuple(((all_ - own) * type_.dtype.itemsize).tolist())


@lru_cache(maxsize=1 << 10)
def _held_each(type_: RelType, placement: Placement) -> NDArray[np.int64]:
    return n_elements_at_most_each(type_, box_array(tuple((k.name, k.domain) for k in type_.keys), placement))


@lru_cache(maxsize=1 << 10)
def _volumes(type_: RelType) -> Callable[[Ranges], int]:
    """Elements by box; searches ask for the same boxes over and over."""
    known: dict[Ranges, int] = {}

    def volume(box: Ranges) -> int:
        if box not in known:
            known[box] = n_elements_at_most(type_, box)
        return known[box]

    return volume


@lru_cache(maxsize=1 << 16)
def n_tellers(have: Placement, need: Placement, target: int) -> int:
    """How many sites may send one tile to a target: one of each part, and all where it may be scattered.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.roles import ALL
        >>> n_tellers(Placement((3, 2), (Parts(ADD), ALL)), Placement((3, 2), (ALL, ALL)), 0)
        3
    """
    at = (
        None if isinstance(role, Parts | Scattered) and role != wanted else c
        for _, role, wanted, c in _along(have, need, target)
    )
    return _n_holding(have, tuple(at))


@lru_cache(maxsize=1 << 12)
def _n_holding(have: Placement, at: tuple[int | None, ...]) -> int:
    """How many sites hold a part, of those at a place along each mesh dimension; None is anywhere."""
    choices = [range(g) if place is None else [place] for g, place in zip(have.mesh, at, strict=True)]
    return sum(holds_part(have, site_number(have.mesh, coords)) for coords in product(*choices))


def exchange_bytes(type_: RelType, have: Placement, need: Placement) -> int:
    """Bytes that cross between sites in an exchange.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split, ALL
        >>> t = tensor_type((100, 10), "f8", ("i", "j"), (10, 10))
        >>> exchange_bytes(t, Placement((2,), (Split("i"),)), Placement((2,), (ALL,)))
        8000
    """
    return 0 if have == need else sum(received(type_, have, need))


def paper_elements(type_: RelType, have: Placement, need: Placement) -> int:
    """What the paper's model charges, in elements: |R| for every copy and every part sent, 0 if satisfied.

    That is s·|R| for a broadcast to s sites, |R| for a shuffle, |R| for each part of a two-phase aggregation.

    Source: Yuan et al., PVLDB 14(8), 2021, section 4.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split, ALL
        >>> t = tensor_type((100, 10), "f8", ("i", "j"), (10, 10))
        >>> rows, columns, everywhere = (Placement((2,), (role,)) for role in (Split("i"), Split("j"), ALL))
        >>> [paper_elements(t, rows, need) for need in (everywhere, columns, rows)]
        [2000, 1000, 0]
    """
    if have == need:
        return 0
    copies = prod(g for g, role in zip(need.mesh, need.roles, strict=True) if isinstance(role, Replicated))
    gone = [d for d in have.parts if have.mesh != need.mesh or need.roles[d] != have.roles[d]]
    return n_elements(type_) * copies * prod(have.mesh[d] for d in gone)
