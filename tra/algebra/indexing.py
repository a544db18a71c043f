"""Basic indexing and concatenation of whole tensors, as in NumPy: integers, slices, None, an ellipsis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from tra.algebra.nodes import Cut, Expr, Window
from tra.algebra.retiling import full_windows, retile
from tra.algebra.whole_tensor import axis_key, axis_order, current_cuts, expand_dims, fresh_name, recut, squeeze, whole_form
from tra.errors import SchemaError


def take(expr: Expr, index: Any) -> Expr:
    """``tensor[index]`` for integers, slices with any step, None and one ellipsis.

    Raises:
        SchemaError: an index is out of range, of another kind, or there are too many.
    """
    expr = whole_form(expr)
    items = _expanded(index if isinstance(index, tuple) else (index,), len(expr.type.axes), expr)
    windows, dropped, place = list(full_windows(expr.type)), [], 0
    for item in items:
        if item is None:
            continue
        extent = expr.type.axes[place].extent
        if isinstance(item, slice):
            windows[place] = _window(item, extent)
        else:
            windows[place] = Window(_position(item, extent, place, expr), 1, 1)
            dropped.append(place)
        place += 1
    taken = _windowed(expr, windows)
    for place in reversed(dropped):
        taken = squeeze(taken, place)
    place = 0
    for item in items:
        if item is None:
            taken = expand_dims(taken, place)
        place += item is None or isinstance(item, slice)
    return taken


def _expanded(items: tuple[Any, ...], rank: int, expr: Expr) -> list[Any]:
    n_dots = sum(item is Ellipsis for item in items)
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > rank or n_dots > 1:
        raise SchemaError(f"too many indices: {expr.type} has {rank} axes, got {used}")
    rest: list[Any] = [slice(None)] * (rank - used)
    if not n_dots:
        return [*items, *rest]
    at = next(p for p, item in enumerate(items) if item is Ellipsis)
    return [*items[:at], *rest, *items[at + 1 :]]


def _window(item: slice, extent: int) -> Window:
    try:
        start, stop, step = item.indices(extent)
    except TypeError:
        raise SchemaError(f"slices take integers; got {item}") from None
    return Window(start, step, len(range(start, stop, step)))


def _position(item: Any, extent: int, place: int, expr: Expr) -> int:
    try:
        at = operator.index(item)
    except TypeError:
        raise SchemaError(f"cannot index with {type(item).__name__}: use integers, slices, None and ...") from None
    if isinstance(item, bool) or not -extent <= at < extent:
        raise SchemaError(f"index {item} is out of range for axis {place} of {expr.type}, extent {extent}")
    return at % extent


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

    Raises:
        SchemaError: no tensors, different ranks or extents, or an axis that is not there.
    """
    if not operands:
        raise SchemaError("concatenate needs at least one tensor")
    wholes = [whole_form(o) for o in operands]
    first = wholes[0]
    rank = len(first.type.axes)
    if not -rank <= axis < rank:
        raise SchemaError(f"there is no axis {axis}: {first.type} has {rank} axes")
    place = axis % rank
    sizes = {p: a.size for p, a in enumerate(first.type.axes) if axis_key(first.type, p)}
    names = {p: fresh_name(name, ()) for p in sizes if (name := axis_key(first.type, p))}
    if len(wholes) == 1:
        return first
    matched = [_same_cuts(w, sizes, names, place) for w in wholes]
    cut = current_cuts(first.type)
    if cut[place].size is None:
        cut[place] = Cut(max(first.type.axes[place].extent, 1), fresh_name(f"k{place}", first.type.names))
    return axis_order(retile(matched, cut, along=place))


def _same_cuts(expr: Expr, sizes: dict[int, int], names: dict[int, str], along: int) -> Expr:
    if len(expr.type.axes) <= max(sizes, default=0):
        return expr
    return recut(expr, {p: s for p, s in sizes.items() if p != along}, names)
