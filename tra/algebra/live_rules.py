"""Live keys under the operators: projection, natural join, image, restriction, union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tra.algebra.key_function import (
    Const, KeyExpr, KeyFunction, Opaque, apply, bounds_of, conjuncts, holds, interval, plain_shift,
)  # fmt: skip
from tra.algebra.live import (
    MAX_LISTED, Ranges, as_live, codes, full_box, is_dense, is_listable, is_plain, live_keys, ranges, sort_keys,
    unique_keys,
)  # fmt: skip
from tra.algebra.types import AtMost, Box, Key, KeyArray, KeySet, Live, RelType
from tra.errors import SchemaError


def with_live(type_: RelType, live: Live) -> RelType:
    """The type with another live set, in its one form."""
    changed = replace(type_, live=live)
    return replace(changed, live=as_live(changed))


def no_keys(width: int) -> KeySet:
    """The live set of an empty relation."""
    return KeySet(np.zeros((0, width), dtype=np.int64))


def boxed(bounds: Ranges) -> Box | KeySet:
    """The box of these ranges; no keys when one is empty."""
    return no_keys(len(bounds)) if any(high <= low for low, high in bounds) else Box(bounds)


def kept(type_: RelType, axes_kept: bool) -> Live:
    """The live set of a relation with the same keys; listed when axes that held part of it are gone."""
    if axes_kept or not isinstance(type_.live, Box):
        return type_.live
    if is_plain(type_):
        return boxed(ranges(type_))
    return KeySet(live_keys(type_)) if is_listable(type_) else AtMost(ranges(type_))


def projected(type_: RelType, positions: Sequence[int]) -> Live:
    """The live set of Σ: the distinct projections of the live keys."""
    bounds = ranges(type_)
    kept_bounds = tuple(bounds[p] for p in positions)
    if is_plain(type_):
        return no_keys(len(positions)) if any(high <= low for low, high in bounds) else Box(kept_bounds)
    if not is_listable(type_):
        return AtMost(kept_bounds)
    return KeySet(unique_keys(live_keys(type_)[:, list(positions)]))


def union(types: Sequence[RelType], positions: Sequence[int]) -> Live:
    """The union of the projections of several live sets over one domain; O(1) where one of them is dense."""
    if any(is_dense(t) for t in types):
        dense = next(t for t in types if is_dense(t))
        return projected(dense, positions)
    sets = [replace(t, live=projected(t, positions), keys=tuple(t.keys[p] for p in positions), axes=()) for t in types]
    if all(map(is_listable, sets)):
        return KeySet(unique_keys(np.concatenate([live_keys(t) for t in sets])))
    return AtMost(_hull([ranges(t) for t in sets]))


def _hull(bounds: Sequence[Ranges]) -> Ranges:
    return tuple((min(lo for lo, _ in r), max(hi for _, hi in r)) for r in zip(*bounds, strict=True))


def stacked(types: Sequence[RelType]) -> Live:
    """The live set of Stack: the number of the operand, then its key."""
    first = types[0].live
    if isinstance(first, Box) and all(t.live == first for t in types):
        return Box(((0, len(types)), *first.ranges))
    if not all(map(is_listable, types)):
        return AtMost(((0, len(types)), *_hull([ranges(t) for t in types])))
    return KeySet(np.concatenate([np.insert(live_keys(t), 0, number, axis=1) for number, t in enumerate(types)]))


def joined(left: RelType, right: RelType, on: Sequence[tuple[int, int]]) -> Live:
    """The live set of a natural join: left key ++ right key without the joined positions."""
    rest = [p for p in range(len(right.keys)) if p not in {theirs for _, theirs in on}]
    of_left, of_right = ranges(left), ranges(right)
    bounds = list(of_left)
    for mine, theirs in on:
        bounds[mine] = (max(of_left[mine][0], of_right[theirs][0]), min(of_left[mine][1], of_right[theirs][1]))
    bounds += [of_right[p] for p in rest]
    if is_plain(left) and is_plain(right):
        empty = any(high <= low for low, high in (*bounds, *of_left, *of_right))
        return no_keys(len(bounds)) if empty else Box(tuple(bounds))
    if not (is_listable(left) and is_listable(right)):
        return AtMost(tuple(bounds))
    pairs = matches(live_keys(left), live_keys(right), on, MAX_LISTED)
    if pairs is None:
        return AtMost(tuple(bounds))
    keys = np.concatenate([live_keys(left)[pairs[0]], live_keys(right)[pairs[1]][:, rest]], axis=1)
    return KeySet(sort_keys(keys))


def matches(
    left: KeyArray, right: KeyArray, on: Sequence[tuple[int, int]], limit: int | None = None
) -> tuple[KeyArray, KeyArray] | None:
    """Row numbers of all matching pairs, left-major; None when there are more than `limit`.

    Example:
        >>> l, r = matches(np.array([[0], [1]]), np.array([[1], [1]]), [(0, 0)])
        >>> l.tolist(), r.tolist()
        ([1, 1], [0, 1])
    """
    l_on, r_on = left[:, [mine for mine, _ in on]], right[:, [theirs for _, theirs in on]]
    domains = tuple(
        int(max(l_on[:, c].max(initial=0), r_on[:, c].max(initial=0))) + 1 for c in range(len(on))
    )
    l_codes, r_codes = codes(l_on, domains), codes(r_on, domains)
    order = np.argsort(r_codes, kind="stable")
    sorted_codes = r_codes[order]
    start = np.searchsorted(sorted_codes, l_codes, side="left")
    counts = np.searchsorted(sorted_codes, l_codes, side="right") - start
    total = int(counts.sum())
    if limit is not None and total > limit:
        return None
    rows = np.repeat(np.arange(len(left)), counts)
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(start, counts) + within]


def filtered(type_: RelType, predicate: KeyExpr | Opaque) -> Live:
    """The live set of σ: bounds stay bounds, other predicates are evaluated on the live keys."""
    if isinstance(type_.live, (Box, AtMost)) and not isinstance(predicate, Opaque):
        bounds = _narrowed(type_, predicate)
        if bounds is not None and any(high <= low for low, high in bounds):
            return no_keys(len(bounds))
        if bounds is not None:
            return type(type_.live)(bounds)
    if not is_listable(type_):
        return AtMost(ranges(type_))
    keys = live_keys(type_)
    return KeySet(keys[holds(predicate, type_.names, keys)])


def _narrowed(type_: RelType, predicate: KeyExpr) -> Ranges | None:
    """The live ranges under a conjunction of comparisons with constants; None for other predicates."""
    bounds = dict(zip(type_.names, ranges(type_), strict=True))
    for part in conjuncts(predicate):
        if isinstance(part, Const):
            if not part.value:
                return ((0, 0),) * len(bounds) if bounds else None
            continue
        read = interval(part, MAX_LISTED << 40)
        if read is None:
            return None
        name, low, high = read
        bounds[name] = (max(bounds[name][0], low), min(bounds[name][1], high))
    return tuple(bounds.values())


def image(type_: RelType, function: KeyFunction, names: tuple[str, ...]) -> tuple[tuple[Key, ...], Live]:
    """Keys and live set of ReKey; a key that is only moved keeps its domain.

    Raises:
        SchemaError: two keys collide, or a component is negative (both name keys); or there are too many keys
            to check and the function has no known bounds.
    """
    moved = _moved(type_, function)
    if moved is not None and is_plain(type_):
        _check_corners(type_, function, names)
        bounds = [high for _, high in moved]
        return _image_keys(type_, function, names, bounds), Box(moved)
    if not is_listable(type_):
        moved = _bounded(type_, function)
        return _image_keys(type_, function, names, [high for _, high in moved]), AtMost(moved)
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
    """One past the largest image; a key that is only moved keeps its domain."""
    shifts = [None] * len(names) if isinstance(function, Opaque) else [plain_shift(e) for e in function]
    domains = [
        max(type_.domain(shift[0]), top) if shift and not shift[1] else top
        for shift, top in zip(shifts, tops, strict=True)
    ]
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
    """Checks a function that only moves, shifts and drops keys, on the few keys of a box that can go wrong."""
    bounds = ranges(type_)
    corner = [low for low, _ in bounds]
    rows = [corner]
    for position, (low, high) in enumerate(bounds):
        if high - low > 1:
            rows.append([*corner[:position], low + 1, *corner[position + 1 :]])
    old = np.array(rows, dtype=np.int64).reshape(len(rows), len(bounds))
    check_image(old, apply(function, type_.names, old).reshape(len(rows), len(names)))


def _bounded(type_: RelType, function: KeyFunction) -> Ranges:
    """The ranges of an image whose keys are too many to list; what they are is checked when the query runs."""
    bounds = dict(zip(type_.names, ranges(type_), strict=True))
    found = [] if isinstance(function, Opaque) else [bounds_of(expr, bounds) for expr in function]
    known = [span for span in found if span is not None]
    if isinstance(function, Opaque) or len(known) < len(found):
        raise SchemaError(
            f"{type_} has too many keys to apply this key function to while the query is built ({MAX_LISTED} at most); "
            "use +, -, *, // and % with constants"
        )
    if any(low < 0 for low, _ in known):
        raise SchemaError(f"this key function may be negative on {type_}, and its keys are too many to check")
    return tuple((low, high + 1) for low, high in known)


def check_image(old: KeyArray, new: KeyArray) -> None:
    """Checks that no two keys collide under a ReKey and that no component is negative.

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


__all__ = [
    "boxed", "check_image", "filtered", "full_box", "image", "joined", "kept", "matches", "no_keys", "projected",
    "stacked", "union", "with_live",
]  # fmt: skip
