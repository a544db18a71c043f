"""Basic indexing and concatenation of whole tensors, as in NumPy: integers, slices, None, an ellipsis."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tra.algebra.arguments import given_integer
from tra.algebra.nodes import Cut, Expr, Window, shown
from tra.algebra.retiling import full_windows, retile
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import (
    axis_key,
    axis_order,
    current_cuts,
    expand_dims,
    fresh_name,
    recut,
    squeeze,
    whole_form,
)
from tra.errors import SchemaError


def take(expr: Expr, index: Any) -> Expr:
    """``tensor[index]`` for integers, slices with any step, None and one ellipsis.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> str(take(A.expr, (slice(None, None, 2), 0)).type)
        '[i:2] of 2/3 float64'

    Raises:
        SchemaError: an index is out of range, of another kind, or there are too many.
    """
    expr = whole_form(expr)
    items = _expanded(index if isinstance(index, tuple) else (index,), expr.type)
    places = [item for item in items if item is not None]
    windows = [_window(item, place, expr.type) for place, item in enumerate(places)]
    taken = _windowed(expr, windows)
    for place in reversed(range(len(places))):
        if not isinstance(places[place], slice):
            taken = squeeze(taken, place)
    place = 0
    for item in items:
        if item is None:
            taken = expand_dims(taken, place)
        place += item is None or isinstance(item, slice)
    return taken


def _expanded(items: tuple[Any, ...], type_: RelType) -> list[Any]:
    """One item per axis, and None for each new one."""
    rank = len(type_.axes)
    dots = [place for place, item in enumerate(items) if item is Ellipsis]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > rank:
        raise SchemaError(f"too many indices: {type_} has {rank} axes, got {used}")
    if len(dots) > 1:
        raise SchemaError("an index has at most one ellipsis (...)")
    at = dots[0] if dots else len(items)
    return [*items[:at], *[slice(None)] * (rank - used), *items[at + 1 :]]


def _window(item: Any, place: int, type_: RelType) -> Window:
    extent = type_.axes[place].extent
    try:
        if isinstance(item, slice):
            start, stop, step = item.indices(extent)
            return Window(start, step, len(range(start, stop, step)))
        if isinstance(item, bool):
            raise TypeError
        at = operator.index(item)
    except (TypeError, ValueError):
        shown = item if isinstance(item, slice) else type(item).__name__
        raise SchemaError(
            f"cannot index with {shown}: an index is made of integers, slices of integers, None and ..."
            f"{_other_way(item)}"
        ) from None
    if not -extent <= at < extent:
        raise SchemaError(f"index {at} is out of range for axis {place} of {type_}, extent {extent}")
    return Window(at % extent, 1, 1)


def _other_way(item: Any) -> str:
    """What to write for an index of another kind, as a hint."""
    if isinstance(item, slice | float | bool | np.bool_):
        return ""
    if isinstance(item, str):
        return "\n  hint: keys are picked by A.filter(lambda i, j: i == j)"
    if getattr(getattr(item, "dtype", None), "kind", "") == "b" or (
        isinstance(item, list) and bool in map(type, item)
    ):
        return (
            "\n  hint: how many elements meet a condition is known only when it has run: "
            "tra.where(condition, A, 0) keeps the places, A.compute()[mask] picks elements in NumPy"
        )
    return "\n  hint: a few places are tra.concatenate([A[p : p + 1] for p in places])"


def _windowed(expr: Expr, windows: Sequence[Window]) -> Expr:
    if tuple(windows) == full_windows(expr.type):
        return expr
    cuts = [
        Cut() if cut.size is None else Cut(max(min(cut.size, w.count), 1), cut.key)
        for cut, w in zip(current_cuts(expr.type), windows, strict=True)
    ]
    return axis_order(retile([expr], cuts, [windows]))


def concatenate(operands: Sequence[Expr], axis: int = 0) -> Expr:
    """Tensors one after the other along an axis; other extents must agree.

    The other axes are cut as in the first operand; along the axis the largest tile of an operand stays.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0] * 4, keys="i", tile=2)
        >>> str(concatenate([A.expr, A.expr]).type)
        '[i:4] of 2/8 float64'

    Raises:
        SchemaError: no tensors, different ranks or extents, or an axis that is not there.
    """
    if not operands:
        raise SchemaError("concatenate needs at least one tensor")
    wholes = [whole_form(o) for o in operands]
    first = wholes[0].type
    rank = len(first.axes)
    for other in wholes[1:]:
        if len(other.type.axes) != rank:
            raise SchemaError(
                f"cannot concatenate tensors of {rank} and {len(other.type.axes)} axes\n"
                f"  first {shown(wholes[0])}\n  other {shown(other)}"
            )
    axis = given_integer(axis, "an axis")
    if not -rank <= axis < rank:
        raise SchemaError(f"there is no axis {axis}: {shown(wholes[0])} has {rank} axes")
    if len(wholes) == 1:
        return wholes[0]
    place = axis % rank
    _check_extents(wholes, place)
    names = {p: name for p in range(rank) if (name := axis_key(first, p)) is not None}
    sizes = {p: first.axes[p].size for p in names if p != place}
    matched = [recut(w, sizes, names) for w in wholes]
    cuts = current_cuts(first)
    cuts[place] = _joint_cut([w.type for w in wholes], place, names)
    return axis_order(retile(matched, cuts, along=place))


def _check_extents(wholes: Sequence[Expr], along: int) -> None:
    """Checks that tensors agree in all extents but one, before they are cut alike."""
    first, *others = wholes
    for other in others:
        for place, (wanted, found) in enumerate(zip(first.type.axes, other.type.axes, strict=True)):
            if place != along and wanted.extent != found.extent:
                raise SchemaError(
                    f"cannot concatenate along axis {along}: along axis {place} the extents are "
                    f"{wanted.extent} and {found.extent}\n  first {shown(first)}\n  other {shown(other)}"
                )


def _joint_cut(types: Sequence[RelType], place: int, names: Mapping[int, str]) -> Cut:
    longest = max(type_.axes[place].size for type_ in types)
    others = [name for p, name in names.items() if p != place]
    return Cut(max(longest, 1), fresh_name(names.get(place, f"k{place}"), others))
