"""Exchanges between placements: one function says who sends what, and both price and plan come from it.

For every destination site the pieces are boxes of keys: what it needs, cut with what a source site holds.
Replicas are taken from the nearest copy (the site itself where it has one); parts are taken from every site
that holds one. Repartition works in elements instead of keys, since its tiles do not line up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from tra.algebra.nodes import Cut, Window
from tra.algebra.retiling import offsets_along
from tra.algebra.types import RelType
from tra.algebra.volume import n_elements
from tra.optimizer.placement import (
    Parts, Placement, Ranges, Replicated, Scattered, box_of, n_sites, site_coordinates, site_number,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """What one site sends another: the tiles in a box of keys."""

    source: int
    target: int
    box: Ranges


@lru_cache(maxsize=1 << 14)
def pieces(type_: RelType, have: Placement, need: Placement) -> tuple[Piece, ...]:
    """All pieces of an exchange, by target site, then source site; empty boxes are left out."""
    result = []
    for target in range(n_sites(need.mesh)):
        wanted = box_of(type_, need, target)
        for source in _senders(have, need, target):
            box = _intersect(wanted, box_of(type_, have, source))
            if all(low < high for low, high in box):
                result.append(Piece(source, target, box))
    return tuple(result)


def _senders(have: Placement, need: Placement, target: int) -> list[int]:
    """The sites that may hold something for the target, in site order."""
    own = site_coordinates(have.mesh, target)
    choices: list[Sequence[int]] = []
    for g, role, wanted, c in zip(have.mesh, have.roles, need.roles, own, strict=True):
        stays = isinstance(role, Replicated) or (isinstance(role, Parts) and role == wanted)
        choices.append([c] if stays else range(g))
    return sorted(site_number(have.mesh, coords) for coords in product(*choices))


def _intersect(a: Ranges, b: Ranges) -> Ranges:
    return tuple((max(x[0], y[0]), min(x[1], y[1])) for x, y in zip(a, b, strict=True))


@lru_cache(maxsize=1 << 16)
def received(type_: RelType, have: Placement, need: Placement) -> tuple[int, ...]:
    """Bytes each site receives from other sites in an exchange."""
    totals = [0.0] * n_sites(need.mesh)
    shares = 1.0
    for g, role in zip(have.mesh, have.roles, strict=True):
        shares *= g if isinstance(role, Scattered) else 1
    for piece in pieces(type_, have, need):
        if piece.source != piece.target:
            totals[piece.target] += n_elements(type_, piece.box) / shares
    return tuple(round(total) * type_.dtype.itemsize for total in totals)


def exchange_bytes(type_: RelType, have: Placement, need: Placement) -> int:
    """Bytes that cross between sites in an exchange.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.placement import Split, ALL
        >>> t = tensor_type((100, 10), "f8", ("i", "j"), (10, 10))
        >>> exchange_bytes(t, Placement((2,), (Split("i"),)), Placement((2,), (ALL,)))
        8000
    """
    return 0 if have == need else sum(received(type_, have, need))


def paper_elements(type_: RelType, have: Placement, need: Placement) -> int:
    """What the paper's model charges, in elements: s·|R| for a broadcast, |R| for a shuffle, 0 if satisfied."""
    if have == need:
        return 0
    whole = n_elements(type_)
    return whole * n_sites(need.mesh) if all(isinstance(r, Replicated) for r in need.roles) else whole


# -- repartition: boxes of elements -----------------------------------------------------------------


def tile_starts(type_: RelType, key: Sequence[int]) -> list[int]:
    """Where the tile at a key begins along each axis of the whole tensor."""
    columns = dict(zip(type_.names, (int(k) for k in key), strict=True))
    return [int(axis.offset(columns)) * axis.size for axis in type_.axes]


def window_slices(window: Window, new: tuple[int, int], old: tuple[int, int], offset: int) -> tuple[slice, slice] | None:
    """Which elements of an old tile go where in a new one, along one axis.

    Args:
        window: the elements of the old tensor that the new one is made of.
        new: begin and end of the new tile, in the new tensor.
        old: begin and end of the old tile, in the old tensor.
        offset: where this operand's window begins in the new tensor.

    Returns:
        A slice of the old tile and one of the new tile, or None when they share nothing.

    Example:
        >>> window_slices(Window(1, 2, 4), (0, 3), (2, 6), 0)
        (slice(1, 4, 2), slice(1, 3, None))
    """
    low, high = max(new[0] - offset, 0), min(new[1] - offset, window.count)
    step = window.step
    if step > 0:
        low = max(low, -(-(old[0] - window.start) // step))
        high = min(high, (old[1] - 1 - window.start) // step + 1)
    else:
        low = max(low, -(-(window.start - old[1] + 1) // -step))
        high = min(high, (window.start - old[0]) // -step + 1)
    if low >= high:
        return None
    first, last = window.start + low * step - old[0], window.start + (high - 1) * step - old[0]
    stop: int | None = last + (1 if step > 0 else -1)
    taken = slice(first, None if stop is not None and stop < 0 else stop, step)
    return taken, slice(low + offset - new[0], high + offset - new[0])


def key_span(type_: RelType, axis: int, box: Ranges) -> tuple[int, int]:
    """The elements along an axis that the tiles of a key box reach, as begin and end."""
    spans = dict(zip(type_.names, box, strict=True))
    ax = type_.axes[axis]
    if not ax.link:
        return 0, ax.extent
    low = sum(coef * spans[name][0] for name, coef in ax.link)
    high = sum(coef * (spans[name][1] - 1) for name, coef in ax.link) + 1
    return min(low * ax.size, ax.extent), min(high * ax.size, ax.extent)


@lru_cache(maxsize=1 << 14)
def repartition_pieces(
    types: tuple[RelType, ...], have: tuple[Placement, ...], type_: RelType, need: Placement, along: int,
    windows: tuple[tuple[Window, ...], ...],
) -> tuple[tuple[Piece, int, int], ...]:  # fmt: skip
    """Pieces of a repartition with their operand and their size in elements; the box is of new keys."""
    result = []
    starts = offsets_along(windows, along)
    for target in range(n_sites(need.mesh)):
        wanted = box_of(type_, need, target)
        if any(low >= high for low, high in wanted):
            continue
        for operand, (old, placed) in enumerate(zip(types, have, strict=True)):
            for source in _senders(placed, need, target):
                n = _shared(old, box_of(old, placed, source), type_, wanted, windows[operand], along, starts[operand])
                if n:
                    result.append((Piece(source, target, wanted), operand, n))
    return tuple(result)


def _shared(
    old: RelType, old_box: Ranges, new: RelType, new_box: Ranges, windows: Sequence[Window], along: int, start: int
) -> int:
    """Elements that the old tiles of one box give to the new tiles of another."""
    if any(low >= high for low, high in (*old_box, *new_box)):
        return 0
    count = 1
    for axis, window in enumerate(windows):
        shared = window_slices(window, key_span(new, axis, new_box), key_span(old, axis, old_box), start if axis == along else 0)
        if shared is None:
            return 0
        count *= shared[1].stop - shared[1].start
    olds, news = dict(zip(old.names, old_box, strict=True)), dict(zip(new.names, new_box, strict=True))
    for key in old.keys:
        if key.name not in old.linked:
            low, high = max(olds[key.name][0], news[key.name][0]), min(olds[key.name][1], news[key.name][1])
            count *= max(high - low, 0)
    return count


def repartition_bytes(
    types: tuple[RelType, ...], have: tuple[Placement, ...], type_: RelType, need: Placement, along: int,
    windows: tuple[tuple[Window, ...], ...],
) -> int:  # fmt: skip
    """Bytes that cross between sites in a repartition."""
    found = repartition_pieces(types, have, type_, need, along, windows)
    return sum(n for piece, _, n in found if piece.source != piece.target) * type_.dtype.itemsize


def same_cuts(type_: RelType, cuts: Sequence[Cut]) -> bool:
    """Claims that a relation is cut like this already."""
    return all(
        (not axis.link and cut.size is None) or (axis.size == cut.size and len(axis.link) == 1)
        for axis, cut in zip(type_.axes, cuts, strict=True)
    )
