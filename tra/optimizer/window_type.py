"""Windows of relations: the type of the tiles in a box of keys, which count from zero then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from tra.algebra.density import within
from tra.algebra.live import live_keys, ranges
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, RelType

Ranges: TypeAlias = tuple[tuple[int, int], ...]


class NotWindowedError(Exception):
    """Windows of a result are not made of windows of what it reads."""


def whole_box(type_: RelType) -> Ranges:
    """All keys of a relation's domains.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> whole_box(tensor_type((5, 4), "f8", ("i", "j"), 2))
        ((0, 3), (0, 2))
    """
    return tuple((0, domain) for domain in type_.domains)


def window_type(type_: RelType, box: Ranges) -> RelType:
    """The type of a relation's tiles in a box of keys, which count from zero then.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> str(window_type(tensor_type((5, 4), "f8", ("i", "j"), 2), ((1, 3), (0, 2))))
        '[i:2, j:2] of 2/3×2/4 float64'

    Raises:
        NotWindowedError: a key that is cut counts tiles along an axis together with others, or along several.
    """
    at = {key.name: part for key, part in zip(type_.keys, box, strict=True) if part != (0, key.domain)}
    axes = tuple(_window_axis(axis, at) for axis in type_.axes)
    if any(sum(name in dict(axis.link) for axis in type_.axes) > 1 for name in at):
        raise NotWindowedError(f"a key of {type_} cuts several axes")
    keys = tuple(Key(key.name, high - low) for key, (low, high) in zip(type_.keys, box, strict=True))
    return RelType(keys, axes, type_.dtype, _window_live(type_, box))


def _window_axis(axis: Axis, at: Mapping[str, tuple[int, int]]) -> Axis:
    names = [name for name, _ in axis.link if name in at]
    if not names:
        return axis
    if len(axis.link) > 1 or axis.link[0][1] != 1:
        raise NotWindowedError(f"several keys cut an axis of {axis}")
    low, high = at[names[0]]
    extent = max(min(axis.extent, high * axis.size) - low * axis.size, 0)
    return replace(axis, extent=extent)


def _window_live(type_: RelType, box: Ranges) -> Box | KeySet | AtMost:
    if isinstance(type_.live, KeySet):
        keys = live_keys(type_)
        low, high = (([side[n] for side in box]) for n in (0, 1))
        inside = ((keys >= low) & (keys < high)).all(axis=1)
        return KeySet(keys[inside] - low)
    met = zip(ranges(type_), box, strict=True)
    cut = tuple((max(a, low) - low, max(min(b, high), max(a, low)) - low) for (a, b), (low, high) in met)
    if isinstance(type_.live, AtMost):
        return AtMost(cut, within(type_.live.count, ranges(type_), box))
    return Box(cut)
