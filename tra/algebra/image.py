"""Keys and live keys after a ReKey: the image of the old ones, checked to be unique and not negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tra.algebra.density import n_expected
from tra.algebra.key_function import (
    Const,
    KeyFunction,
    Opaque,
    apply,
    bounds_of,
    plain_shift,
    variables,
)
from tra.algebra.live import (
    MAX_LISTED,
    Ranges,
    is_listable,
    live_keys,
    ranges,
    sort_keys,
    unique_keys,
)
from tra.algebra.types import AtMost, Box, Key, KeyArray, KeySet, Live, RelType
from tra.errors import SchemaError


def image(type_: RelType, function: KeyFunction, names: tuple[str, ...]) -> tuple[tuple[Key, ...], Live]:
    """Keys and live set of ReKey.

    A domain is one past the largest image. A key that is only moved keeps its own, so that empty last blocks
    stay part of the tensor; but not where keys that vary are dropped, as on a diagonal.

    Example:
        >>> from tra.algebra.key_function import Op, Var
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5,), "f8", ("i",), 2)
        >>> image(A, (Op("+", Var("i"), Const(4)),), ("k",))
        ((Key(name='k', domain=7),), Box(ranges=((4, 7),)))

    Raises:
        SchemaError: two keys collide, or a component is negative (both name keys); or there are too many keys
            to check and the function has no known bounds.
    """
    moved = _moved(type_, function)
    if moved is not None and isinstance(type_.live, Box):
        _check_corners(type_, function, names)
        bounds = [high for _, high in moved]
        return _image_keys(type_, function, names, bounds), Box(moved)
    if not is_listable(type_):
        moved = _bounded(type_, function)
        return _image_keys(type_, function, names, [high for _, high in moved]), AtMost(
            moved, n_expected(type_)
        )
    old = live_keys(type_)
    new = apply(function, type_.names, old)
    if len(old) and new.shape[1] != len(names):
        raise SchemaError(
            f"the key function gives {new.shape[1]} components for {len(names)} keys ({', '.join(names)})"
        )
    new = new.reshape(len(old), len(names))
    check_image(old, new)
    tops = [max(int(column.max(initial=0)) + 1, 1) for column in new.T]
    return _image_keys(type_, function, names, tops), KeySet(sort_keys(new))


def _image_keys(
    type_: RelType, function: KeyFunction, names: Sequence[str], tops: Sequence[int]
) -> tuple[Key, ...]:
    if isinstance(function, Opaque):
        least = function.domains or (1,) * len(names)
        return tuple(map(Key, names, map(max, tops, least)))
    read = frozenset[str]().union(*map(variables, function))
    spans = zip(type_.names, ranges(type_), strict=True)
    drops = any(high - low > 1 for name, (low, high) in spans if name not in read)
    domains = []
    for expr, top in zip(function, tops, strict=True):
        shift = plain_shift(expr)
        moved = shift is not None and not shift[1] and not drops
        domains.append(max(type_.domain(shift[0]), top) if shift and moved else top)
    return tuple(map(Key, names, domains))


def _moved(type_: RelType, function: KeyFunction) -> Ranges | None:
    """The ranges of the image when each component is a constant or a key of its own, shifted; else None."""
    if isinstance(function, Opaque):
        return None
    bounds = dict(zip(type_.names, ranges(type_), strict=True))
    moved: list[tuple[int, int]] = []
    for expr in function:
        shift = plain_shift(expr)
        if isinstance(expr, Const):
            moved.append((expr.value, expr.value + 1))
        elif shift is not None and shift[0] in bounds:
            low, high = bounds.pop(shift[0])
            moved.append((low + shift[1], high + shift[1]))
        else:
            return None
    return tuple(moved)


def _check_corners(type_: RelType, function: KeyFunction, names: Sequence[str]) -> None:
    """Checks a function that only moves, shifts and drops keys, on the keys of a box that can go wrong."""
    bounds = ranges(type_)
    corner = [low for low, _ in bounds]
    rows = [corner]
    for position, (low, high) in enumerate(bounds):
        if high - low > 1:
            rows.append([*corner[:position], low + 1, *corner[position + 1 :]])
    old = np.array(rows, dtype=np.int64).reshape(len(rows), len(bounds))
    check_image(old, apply(function, type_.names, old).reshape(len(rows), len(names)))


def _bounded(type_: RelType, function: KeyFunction) -> Ranges:
    """The ranges of an image whose keys are too many to list; they are checked when the query runs."""
    bounds = dict(zip(type_.names, ranges(type_), strict=True))
    found = [] if isinstance(function, Opaque) else [bounds_of(expr, bounds) for expr in function]
    known = [span for span in found if span is not None]
    if isinstance(function, Opaque) or len(known) < len(found):
        raise SchemaError(
            f"{type_} has too many keys to apply this key function to while the query is built "
            f"({MAX_LISTED} at most); use +, -, *, // and % with constants"
        )
    if any(low < 0 for low, _ in known):
        raise SchemaError(f"this key function may be negative on {type_}, and its keys are too many to check")
    return tuple((low, high + 1) for low, high in known)


def check_image(old: KeyArray, new: KeyArray) -> None:
    """Checks that no two keys collide under a ReKey and that no component is negative.

    Example:
        >>> check_image(np.array([[0], [1]]), np.array([[5], [5]]))
        Traceback (most recent call last):
        tra.errors.SchemaError: rekey is not injective: keys (0,) and (1,) both become (5,); ...

    Raises:
        SchemaError: names the keys.
    """
    if np.any(new < 0):
        row = int(np.argmax(np.any(new < 0, axis=1)))
        raise SchemaError(
            f"rekey maps key {tuple(old[row].tolist())} to {tuple(new[row].tolist())}: keys are not negative"
        )
    if len(unique_keys(new)) == len(new):
        return
    order = np.lexsort(new.T[::-1]) if new.shape[1] else np.arange(len(new))
    same = np.flatnonzero(np.all(new[order[1:]] == new[order[:-1]], axis=1))[0]
    first, second = sorted((tuple(old[order[same]].tolist()), tuple(old[order[same + 1]].tolist())))
    raise SchemaError(
        f"rekey is not injective: keys {first} and {second} both become {tuple(new[order[same]].tolist())}; "
        "aggregate over the dropped keys, or filter first"
    )
