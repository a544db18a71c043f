"""How many elements the live tiles of a key range hold: what sizes, exchanges and memory are counted in.

Where the live keys are not known before the run there are two answers: costs count what is expected, limits
what may be there. What is kept for later is the second, since equal types may differ in what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from math import ceil, prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tra.algebra.live import MAX_LISTED, Ranges, live_keys, ranges
from tra.algebra.types import AtMost, Axis, Box, KeyArray, KeySet, RelType

Size: TypeAlias = Callable[[RelType, Sequence[tuple[int, int]] | None], int]  # bytes of keys in some ranges

_SPARSE = 8  # entries of a table of sums, by keys listed


def n_elements(type_: RelType, within: Sequence[tuple[int, int]] | None = None) -> int:
    """Elements of all live tiles whose key lies in the ranges `within` (all when left out).

    Exact, ragged edges included, wherever the live keys are known; otherwise what is expected (`density`).

    Example:
        >>> from tra.algebra.types import Axis, Box, Key
        >>> t = RelType((Key("i", 3),), (Axis(4, (("i", 1),), 10),), np.dtype("f8"), Box(((0, 3),)))
        >>> n_elements(t), n_elements(t, [(2, 3)])
        (10, 2)
    """
    return expected_of(type_, n_elements_at_most(type_, within))


def n_elements_at_most(type_: RelType, within: Sequence[tuple[int, int]] | None = None) -> int:
    """The same where a limit is kept: of what is expected, all that may be there.

    Example:
        >>> from tra.algebra.types import Axis, Key
        >>> t = RelType((Key("i", 3),), (Axis(4, (("i", 1),), 10),), np.dtype("f8"), AtMost(((0, 3),), 1.5))
        >>> n_elements_at_most(t), n_elements(t)
        (10, 5)
    """
    bounds = ranges(type_)
    if within is not None:
        bounds = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(bounds, within, strict=True))
    return _count(type_, bounds)


def expected_of(type_: RelType, most: int) -> int:
    """What is expected of a number that grows with the number of tiles, from what there may be at most.

    Example:
        >>> expected_of(RelType((), (), np.dtype("f8"), AtMost((), 0.25)), 100)
        25
    """
    live = type_.live
    if not isinstance(live, AtMost) or live.expected is None:
        return most
    return ceil(most * live.expected / max(prod(high - low for low, high in live.ranges), 1))


def is_estimated(type_: RelType) -> bool:
    """Claims that fewer tiles are expected than there may be.

    Example:
        >>> is_estimated(RelType((), (), np.dtype("f8"), AtMost((), 0.25)))
        True
    """
    return isinstance(type_.live, AtMost) and type_.live.expected is not None


@lru_cache(maxsize=8192)
def _count(type_: RelType, bounds: Ranges) -> int:
    if any(high <= low for low, high in bounds):
        return 0
    match type_.live:
        case Box():
            return _count_box(type_, dict(zip(type_.names, bounds, strict=True)))
        case KeySet():
            return _count_listed(type_, bounds)
        case AtMost():
            return _count_box(type_, dict(zip(type_.names, bounds, strict=True)))


def _count_listed(type_: RelType, bounds: Ranges) -> int:
    """By look-ups in sums over the keys that the box cuts, or where keys are sparse by a look at each."""
    cut = tuple(c for c, (own, whole) in enumerate(zip(bounds, ranges(type_), strict=True)) if own != whole)
    sums = _sums(type_, cut)
    if sums is not None:
        corners = product(*((low, high) for low, high in (bounds[c] for c in cut)))
        signs = product((-1, 1), repeat=len(cut))
        return sum(prod(sign) * int(sums[corner]) for sign, corner in zip(signs, corners, strict=True))
    keys, sizes = _listed(type_)
    inside = np.ones(len(keys), dtype=np.bool_)
    for c in cut:
        inside &= (keys[:, c] >= bounds[c][0]) & (keys[:, c] < bounds[c][1])
    return int(sizes[inside].sum())


def _count_box(type_: RelType, spans: dict[str, tuple[int, int]]) -> int:
    """A product over groups of keys that no axis joins; absent tiles have length 0 and count nothing."""
    total = prod(axis.size for axis in type_.axes if not axis.link)
    left = [axis for axis in type_.axes if axis.link]
    while left:
        group, left = _tied(left)
        names = sorted({name for axis in group for name, _ in axis.link})
        total *= _count_group(group, {name: spans.pop(name) for name in names})
    return total * prod(high - low for low, high in spans.values())


def _tied(axes: Sequence[Axis]) -> tuple[list[Axis], list[Axis]]:
    """The first axis with all that share keys with it, and the others."""
    group, rest = [axes[0]], list(axes[1:])
    for _ in axes:
        names = {name for axis in group for name, _ in axis.link}
        group += [axis for axis in rest if names & dict(axis.link).keys()]
        rest = [axis for axis in rest if not names & dict(axis.link).keys()]
    return group, rest


def _count_group(axes: Sequence[Axis], spans: dict[str, tuple[int, int]]) -> int:
    """Σ over the keys of the product of the lengths along these axes."""
    if len(axes) == 1 and len(spans) == 1 and axes[0].link[0][1] == 1:
        ((low, high),) = spans.values()
        size, extent = axes[0].size, axes[0].extent
        return max(min(high * size, extent) - low * size, 0)
    shape = tuple(high - low for low, high in spans.values())
    if prod(shape) > MAX_LISTED:
        return prod(shape) * prod(axis.size for axis in axes)
    places = np.indices(shape, dtype=np.int64).reshape(len(shape), prod(shape))
    columns = {name: place + low for (name, (low, _)), place in zip(spans.items(), places, strict=True)}
    return int(np.prod([axis.lengths(columns, prod(shape)) for axis in axes], axis=0, dtype=np.int64).sum())


def n_elements_at_most_each(type_: RelType, boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Elements of all live tiles in each of many boxes of keys: `n_elements_at_most`, box by box.

    Args:
        type_: the relation.
        boxes: (number of boxes, number of keys, 2), lower and upper bounds; empty where upper ≤ lower.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> boxes = np.array([[[0, 1]], [[2, 3]], [[2, 2]]])
        >>> n_elements_at_most_each(tensor_type((10,), "f8", ("i",), 4), boxes).tolist()
        [4, 2, 0]
    """
    plain = isinstance(type_.live, Box) and all(_is_simple(axis) for axis in type_.axes)
    cut = [axis.link[0][0] for axis in type_.axes if axis.link] if plain else []
    if not plain or len(set(cut)) < len(cut):
        every = (n_elements_at_most(type_, tuple(map(tuple, box))) for box in boxes.tolist())
        return np.fromiter(every, np.int64, len(boxes))
    live = np.array(ranges(type_), dtype=np.int64).reshape(-1, 2)
    lows, highs = np.maximum(boxes[:, :, 0], live[:, 0]), np.minimum(boxes[:, :, 1], live[:, 1])
    total = np.full(len(boxes), prod(axis.size for axis in type_.axes if not axis.link), dtype=np.int64)
    for place, name in enumerate(type_.names):
        low, high = lows[:, place], highs[:, place]
        if name in cut:
            axis = next(axis for axis in type_.axes if axis.link and axis.link[0][0] == name)
            low, high = (np.minimum(end * axis.size, axis.extent) for end in (low, high))
        total *= np.maximum(high - low, 0)
    return total


def _is_simple(axis: Axis) -> bool:
    """Claims that one key alone says which tile of the axis this is."""
    return not axis.link or (len(axis.link) == 1 and axis.link[0][1] == 1)


@lru_cache(maxsize=16)
def _sums(type_: RelType, columns: tuple[int, ...]) -> KeyArray | None:
    """Elements of all keys below each corner in some columns; None where corners are far more than keys."""
    keys, sizes = _listed(type_)
    shape = tuple(type_.keys[c].domain + 1 for c in columns)
    if prod(shape) > min(_SPARSE * max(len(keys), 1 << 10), MAX_LISTED):
        return None
    if not columns:
        return np.array(sizes.sum(), dtype=np.int64)
    table = np.zeros(shape, dtype=np.int64)
    np.add.at(table, tuple(keys[:, c] + 1 for c in columns), sizes)
    for axis in range(len(columns)):
        np.cumsum(table, axis=axis, out=table)
    return table


@lru_cache(maxsize=16)
def _listed(type_: RelType) -> tuple[KeyArray, KeyArray]:
    keys = live_keys(type_)
    return keys, np.prod(type_.tile_lengths(keys), axis=1, dtype=np.int64)


def n_bytes(type_: RelType, within: Sequence[tuple[int, int]] | None = None) -> int:
    """Bytes of all live tiles in a key range.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> n_bytes(tensor_type((5, 3), "f4", ("i", "j"), 2))
        60
    """
    return n_elements(type_, within) * type_.dtype.itemsize


def n_bytes_at_most(type_: RelType, within: Sequence[tuple[int, int]] | None = None) -> int:
    """The same where a limit is kept: of what is expected, all that may be there.

    Example:
        >>> n_bytes_at_most(RelType((), (), np.dtype("f8"), AtMost((), 0.25)))
        8
    """
    return n_elements_at_most(type_, within) * type_.dtype.itemsize
