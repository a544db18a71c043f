"""How many elements the live tiles of a key range hold: what sizes, exchanges and memory are counted in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from tra.algebra.live import MAX_LISTED, Ranges, live_keys, ranges
from tra.algebra.types import AtMost, Axis, Box, KeyArray, KeySet, RelType


def n_elements(type_: RelType, within: Sequence[tuple[int, int]] | None = None) -> int:
    """Elements of all live tiles whose key lies in the ranges `within` (all when left out).

    Exact, ragged edges included, wherever the live keys are known; an upper bound otherwise.

    Example:
        >>> from tra.algebra.types import Axis, Box, Key
        >>> t = RelType((Key("i", 3),), (Axis(4, (("i", 1),), 10),), np.dtype("f8"), Box(((0, 3),)))
        >>> n_elements(t), n_elements(t, [(2, 3)])
        (10, 2)
    """
    bounds = ranges(type_)
    if within is not None:
        bounds = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(bounds, within, strict=True))
    return _count(type_, bounds)


@lru_cache(maxsize=8192)
def _count(type_: RelType, bounds: Ranges) -> int:
    if any(high <= low for low, high in bounds):
        return 0
    match type_.live:
        case Box():
            return _count_box(type_, dict(zip(type_.names, bounds, strict=True)))
        case KeySet():
            keys, sizes = _listed(type_)
            lows, highs = np.array(bounds, dtype=np.int64).reshape(len(bounds), 2).T
            return int(sizes[np.all((keys >= lows) & (keys < highs), axis=1)].sum())
        case AtMost():
            return prod(high - low for low, high in bounds) * prod(type_.tile_shape)


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
