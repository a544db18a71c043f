"""Bounds of the live keys of a relation, and what follows from them without listing a key.

Links are positive, so that the low corner of a box lies at the least offset along every axis, and its bounds
can be cut down to what is live in time that does not depend on the number of tiles.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from tra.algebra.types import AtMost, Axis, Box, KeySet, RelType

Ranges = tuple[tuple[int, int], ...]


def ranges(type_: RelType) -> Ranges:
    """Bounds ``[low, high)`` of the live keys, per component; all ``(0, 0)`` when there are none.

    The bounds of boxes and key sets are tight: some live key attains each of them.

    Example:
        >>> from tra.algebra.types import Key
        >>> axis = Axis(2, (("i", 2), ("j", 1)), 6)  # three tiles, counted by i and j
        >>> ranges(RelType((Key("i", 2), Key("j", 2)), (axis,), np.dtype("f8"), Box(((1, 2), (0, 2)))))
        ((1, 2), (0, 1))
    """
    match type_.live:
        case Box():
            return _tight(type_)
        case KeySet(ranges=bounds) | AtMost(ranges=bounds):
            return bounds


@lru_cache(maxsize=4096)
def _tight(type_: RelType) -> Ranges:
    """The bounds of the keys in a box whose tiles have a positive length along every axis."""
    bounds = type_.live.ranges
    spans = dict(zip(type_.names, bounds, strict=True))
    empty = any(high <= low for low, high in bounds)
    for axis in type_.axes:
        if not axis.size or empty:
            continue
        room = axis.n_tiles - 1 - sum(coef * spans[name][0] for name, coef in axis.link)
        empty = room < 0
        for name, coef in axis.link:
            low, high = spans[name]
            spans[name] = (low, min(high, low + room // coef + 1))
    return ((0, 0),) * len(bounds) if empty else tuple(spans[name] for name in type_.names)


def is_empty(type_: RelType) -> bool:
    """Claims that no key is live.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5,), "f8", ("i",), 2)
        >>> is_empty(A), is_empty(replace(A, live=Box(((3, 3),))))
        (False, True)
    """
    if isinstance(type_.live, KeySet):
        return not len(type_.live.keys)
    return any(high <= low for low, high in ranges(type_))


def max_offset(axis: Axis, type_: RelType) -> int:
    """The largest offset of a live tile along `axis`; a bound, exact for listed keys and mixed-radix chains.

    Example:
        >>> from tra.algebra.types import Key
        >>> axis = Axis(4, (("i", 1),), 10)
        >>> max_offset(axis, RelType((Key("i", 3),), (axis,), np.dtype("f8"), Box(((0, 2),))))
        1
    """
    if is_empty(type_):
        return 0
    if isinstance(type_.live, KeySet):
        return int(np.max(axis.offset(type_.columns(type_.live.keys))))
    bounds = dict(zip(type_.names, ranges(type_), strict=True))
    top = sum(coef * (bounds[name][1] - 1) for name, coef in axis.link)
    return min(top, axis.n_tiles - 1) if axis.size else top


def is_uniform(axis: Axis, type_: RelType) -> bool:
    """Claims that all live tiles are full along `axis`.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((6, 5), "f8", ("i", "j"), 2)
        >>> [is_uniform(axis, A) for axis in A.axes]
        [True, False]
    """
    return is_empty(type_) or (max_offset(axis, type_) + 1) * axis.size <= axis.extent


def is_plain(type_: RelType) -> bool:
    """Claims that every key within the live ranges is live, so that the ranges say it all.

    Example:
        >>> from tra.algebra.types import Key
        >>> axes = [Axis(2, (("i", 2), ("j", 1)), extent) for extent in (8, 6)]  # four tiles, and three
        >>> keys, box = (Key("i", 2), Key("j", 2)), Box(((0, 2), (0, 2)))
        >>> [is_plain(RelType(keys, (axis,), np.dtype("f8"), box)) for axis in axes]  # (1, 1) has no tile
        [True, False]
    """
    if not isinstance(type_.live, Box):
        return False
    bounds = dict(zip(type_.names, ranges(type_), strict=True))
    return all(
        sum(coef * (bounds[name][1] - 1) for name, coef in axis.link) < axis.n_tiles
        for axis in type_.axes
        if axis.size
    )


def full_box(type_: RelType) -> Box:
    """The box of the whole domain.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> full_box(tensor_type((5, 4), "f8", ("i", "j"), 2))
        Box(ranges=((0, 3), (0, 2)))
    """
    return Box(tuple((0, key.domain) for key in type_.keys))


def required(type_: RelType) -> RelType:
    """The same relation without holes: every key whose tile has a positive length.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5,), "f8", ("i",), 2)
        >>> required(replace(A, live=Box(((1, 2),)))) == A
        True
    """
    return replace(type_, live=full_box(type_))
