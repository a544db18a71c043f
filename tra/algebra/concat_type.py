"""What Concat makes of the type of its operand: the glued axis, and whether every group has all its tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tra.algebra import live_rules
from tra.algebra.links import eliminate, unlinked
from tra.algebra.live import (
    first_missing,
    has_length,
    hole_text,
    is_listable,
    is_plain,
    is_uniform,
    live_keys,
    ranges,
    required,
    sort_keys,
    unique_keys,
)
from tra.algebra.types import Axis, Box, KeyArray, RelType, as_link
from tra.errors import SchemaError


def concat_type(type_: RelType, name: str, place: int) -> RelType:
    """Concat: the key `name` goes, the axis at `place` grows; rule E for the other axes.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i", "j"), 2)
        >>> str(concat_type(A, "i", 0))
        '[j:2] of 5×2/4 float64'
        >>> str(concat_type(A, "j", 0))
        '[i:3] of 4/10×2 float64'

    Raises:
        SchemaError: a tile is missing from a group (its key is named), the groups differ in their number of
            tiles, or the axis is cut by other keys as well.
    """
    glued, counted = _glued(type_, name, place)
    _check_groups(type_, name, place, counted=counted)
    axes = tuple(glued if p == place else eliminate(a, p, {name}, type_) for p, a in enumerate(type_.axes))
    keys = tuple(key for key in type_.keys if key.name != name)
    rest = live_rules.without_keys(type_, [key.name for key in keys])
    if counted and isinstance(rest.live, Box):  # a glued tile has a length where its first piece has one
        rest = replace(rest, axes=(*rest.axes[:place], glued, *rest.axes[place + 1 :]))
    live = live_rules.kept(rest, set(axes) >= {axis for axis in rest.axes if axis.link})
    return live_rules.with_live(RelType(keys, axes, type_.dtype, Box(())), live)


def _glued(type_: RelType, name: str, place: int) -> tuple[Axis, bool]:
    """The glued axis; and whether the offsets along it say how many tiles are in each group.

    Where they do, the last group may have fewer of them; elsewhere every group has one tile per key value.
    """
    old, factor = type_.axes[place], type_.domain(name)
    link = dict(old.link)
    coef = link.pop(name, 0)
    finest = coef == 1 or (coef and factor == 1)
    if finest and not link:
        return unlinked(min(old.extent, old.size * factor)), True
    if finest and all(c % factor == 0 or type_.domain(k) == 1 for k, c in link.items()):
        coarser = as_link({k: max(c // factor, 1) for k, c in link.items()})
        return Axis(old.size * factor, coarser, old.extent), True
    if not old.link:
        return unlinked(old.size * factor), False
    if not coef:
        return Axis(old.size * factor, old.link, old.extent * factor), False
    if is_uniform(old, type_):
        return unlinked(old.size * factor), False
    raise SchemaError(
        f"cannot concat {name} along axis {place} of {type_}: the last tile along it is shorter, and "
        f"{name} is not the finest of the keys that cut it"
    )


def _check_groups(type_: RelType, name: str, place: int, *, counted: bool) -> None:
    """Checks that every live group has all its tiles.

    Raises:
        SchemaError: a tile is missing, or groups differ in their number of tiles.
    """
    if _has_all(type_, name, place, counted=counted):
        return
    if not is_listable(type_):
        raise SchemaError(
            f"concat over {name} needs whole groups: {hole_text(type_)}; fill the holes with .fill(0)"
        )
    keys, whole = live_keys(type_), required(type_)
    wanted = _group_members(whole, keys, type_.names.index(name))
    if counted:
        wanted = wanted[has_length(replace(whole, axes=(type_.axes[place],)), wanted)]
    missing = first_missing(wanted, keys)
    if missing is None:
        return
    if not has_length(whole, np.array([missing], dtype=np.int64))[0]:
        raise SchemaError(
            f"cannot concat {name} along axis {place} of {type_}: the groups differ in their number of tiles "
            f"(there is none at {missing})"
        )
    raise SchemaError(
        f"concat over {name} needs a dense relation: {type_} has no tile at key {missing}; "
        "fill the holes with .fill(0)"
    )


def _has_all(type_: RelType, name: str, place: int, *, counted: bool) -> bool:
    """Claims, without listing keys, that every live group has all its tiles."""
    if not isinstance(type_.live, Box):
        return False
    position = type_.names.index(name)
    if is_plain(type_) and ranges(type_)[position] == (0, type_.domain(name)):
        return True
    low, high = type_.live.ranges[position]
    covers = low == 0 and high >= ranges(required(type_))[position][1]
    alone = all(name not in dict(axis.link) for p, axis in enumerate(type_.axes) if p != place)
    return counted and covers and alone


def _group_members(whole: RelType, keys: KeyArray, position: int) -> KeyArray:
    """Every key of the groups that `keys` belong to, in lexicographic order, with or without length."""
    n = whole.domains[position]
    groups = unique_keys(np.delete(keys, position, axis=1))
    members = np.insert(np.repeat(groups, n, axis=0), position, np.tile(np.arange(n), len(groups)), axis=1)
    return sort_keys(members)
