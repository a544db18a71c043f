"""How many elements the live tiles of a key range hold: what sizes, exchanges and memory are counted in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from tra.algebra.live import is_listable, is_plain, live_keys, n_live, ranges
from tra.algebra.types import KeyArray, KeySet, RelType

Ranges = tuple[tuple[int, int], ...]


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


@lru_cache(maxsize=65536)
def _count(type_: RelType, bounds: Ranges) -> int:
    if any(high <= low for low, high in bounds):
        return 0
    if _is_separable(type_):
        return _separable(type_, bounds)
    if not is_listable(type_):
        return prod(high - low for low, high in bounds) * prod(type_.tile_shape)
    keys, sizes = _listed(type_)
    inside = np.ones(len(keys), dtype=bool)
    for column, (low, high) in enumerate(bounds):
        inside &= (keys[:, column] >= low) & (keys[:, column] < high)
    return int(sizes[inside].sum())


def _is_separable(type_: RelType) -> bool:
    """Claims that the count is a product over keys and axes: dense ranges, one plain key per cut axis."""
    linked = [axis.link for axis in type_.axes if axis.link]
    single = all(len(link) == 1 for link in linked) and len({link[0][0] for link in linked}) == len(linked)
    return single and is_plain(type_)


def _separable(type_: RelType, bounds: Ranges) -> int:
    total, span = 1, dict(zip(type_.names, bounds, strict=True))
    for axis in type_.axes:
        if not axis.link:
            total *= axis.size
            continue
        name, coef = axis.link[0]
        low, high = span.pop(name)
        if coef == 1:
            total *= max(min(high * axis.size, axis.extent) - low * axis.size, 0) if axis.size else 0
        else:
            total *= sum(min(max(axis.extent - axis.size * coef * k, 0), axis.size) for k in range(low, high))
    return total * prod(high - low for low, high in span.values())


@lru_cache(maxsize=256)
def _listed(type_: RelType) -> tuple[KeyArray, KeyArray]:
    keys = live_keys(type_)
    return keys, np.prod(type_.tile_lengths(keys), axis=1, dtype=np.int64)


def n_bytes(type_: RelType, within: Sequence[tuple[int, int]] | None = None) -> int:
    """Bytes of all live tiles in a key range."""
    return n_elements(type_, within) * type_.dtype.itemsize


def mean_tile(type_: RelType) -> float:
    """Elements of an average live tile."""
    count = len(type_.live.keys) if isinstance(type_.live, KeySet) else n_live(type_)
    return n_elements(type_) / count if count else 0.0
