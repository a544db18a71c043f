"""Live keys under the operators: projection, natural join, image, restriction, union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tra.algebra import density
from tra.algebra.image import check_image, image
from tra.algebra.key_function import (
    Const,
    KeyExpr,
    Opaque,
    conjuncts,
    holds,
    interval,
)  # fmt: skip
from tra.algebra.links import with_constant
from tra.algebra.live import (
    MAX_LISTED,
    Ranges,
    as_live,
    codes,
    is_empty,
    is_listable,
    is_plain,
    live_keys,
    ranges,
    sort_keys,
    unique_keys,
)  # fmt: skip
from tra.algebra.types import AtMost, Box, KeyArray, KeySet, Live, RelType


def with_live(type_: RelType, live: Live) -> RelType:
    """The type with another live set, in its one form.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> with_live(tensor_type((5,), "f8", ("i",), 2), KeySet(np.array([[0], [1]]))).live
        Box(ranges=((0, 2),))
    """
    changed = replace(type_, live=live)
    return replace(changed, live=as_live(changed))


def _no_keys(width: int) -> KeySet:
    """The live set of an empty relation."""
    return KeySet(np.zeros((0, width), dtype=np.int64))


def boxed(bounds: Ranges) -> Box | KeySet:
    """The box of these ranges; no keys when one is empty.

    Example:
        >>> boxed(((0, 2), (1, 3)))
        Box(ranges=((0, 2), (1, 3)))
    """
    return _no_keys(len(bounds)) if any(high <= low for low, high in bounds) else Box(bounds)


def kept(type_: RelType, axes_kept: bool) -> Live:
    """The live set of a relation with the same keys; listed when axes that held part of it are gone.

    Example:
        >>> from tra.algebra.types import Axis, Key
        >>> axis = Axis(2, (("i", 2), ("j", 1)), 6)  # three tiles: none at i=1, j=1
        >>> A = RelType((Key("i", 2), Key("j", 2)), (axis,), np.dtype("f8"), Box(((0, 2), (0, 2))))
        >>> kept(A, True), kept(A, False).keys.tolist()
        (Box(ranges=((0, 2), (0, 2))), [[0, 0], [0, 1], [1, 0]])
    """
    if axes_kept or not isinstance(type_.live, Box):
        return type_.live
    if is_plain(type_):
        return boxed(ranges(type_))
    return KeySet(live_keys(type_)) if is_listable(type_) else AtMost(ranges(type_))


def without_keys(type_: RelType, names: Sequence[str]) -> RelType:
    """The keys `names` of a relation, in that order, live where some key over them is.

    Links are positive, so that the least values of the keys that go say whether any tile has a length: they
    are put into the links, and a box stays a box.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> str(without_keys(tensor_type((5, 4), "f8", ("i", "j"), 2), ["j"]))
        '[j:2] of 2×2/4 float64'
    """
    keys = tuple(type_.keys[type_.names.index(name)] for name in names)
    positions = [type_.names.index(name) for name in names]
    bounds = ranges(type_)
    kept_bounds = tuple(bounds[p] for p in positions)
    if isinstance(type_.live, KeySet):
        return RelType(keys, (), type_.dtype, KeySet(unique_keys(type_.live.keys[:, positions])))
    if isinstance(type_.live, AtMost):
        gone = tuple(span for p, span in enumerate(bounds) if p not in positions)
        count = density.folded(type_.live.count, kept_bounds, gone)
        return RelType(keys, (), type_.dtype, AtMost(kept_bounds, count))
    lows = {name: low for name, (low, _) in zip(type_.names, bounds, strict=True) if name not in names}
    axes = tuple(
        with_constant(
            axis,
            {name: coef for name, coef in axis.link if name not in lows},
            sum(coef * lows[name] for name, coef in axis.link if name in lows),
        )
        for axis in type_.axes
    )
    return RelType(keys, axes, type_.dtype, Box(kept_bounds))


def projected(type_: RelType, names: Sequence[str]) -> Live:
    """The distinct projections of the live keys on some of them.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> projected(tensor_type((5, 4), "f8", ("i", "j"), 2), ["j"])
        Box(ranges=((0, 2),))
    """
    return kept(without_keys(type_, names), False)


def union(types: Sequence[RelType], names: Sequence[str]) -> Live:
    """The union of the projections of several live sets over one domain.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((6, 5), "f8", ("i", "j"), 2)
        >>> first, last = (replace(A, live=Box(((n, n + 1), (0, 3)))) for n in (0, 2))
        >>> union([first, last], ["i"]).keys.tolist()
        [[0], [2]]
    """
    sets = [replace(without_keys(t, names), axes=(), live=projected(t, names)) for t in types]
    if all(map(is_listable, sets)):
        return KeySet(unique_keys(np.concatenate([live_keys(t) for t in sets])))
    bounds = _hull([ranges(t) for t in sets])
    return AtMost(bounds, density.united([density.n_expected(t) for t in sets], bounds))


def _hull(bounds: Sequence[Ranges]) -> Ranges:
    return tuple((min(lo for lo, _ in r), max(hi for _, hi in r)) for r in zip(*bounds, strict=True))


def stacked(types: Sequence[RelType]) -> Live:
    """The live set of Stack: the number of the operand, then its key.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5,), "f8", ("i",), 2)
        >>> stacked([A, A])
        Box(ranges=((0, 2), (0, 3)))
    """
    first = types[0].live
    if isinstance(first, Box) and all(t.live == first for t in types):
        return Box(((0, len(types)), *first.ranges))
    if not all(map(is_listable, types)):
        bounds = ((0, len(types)), *_hull([ranges(t) for t in types]))
        return AtMost(bounds, sum(map(density.n_expected, types)))
    return KeySet(
        np.concatenate([np.insert(live_keys(t), 0, number, axis=1) for number, t in enumerate(types)])
    )


def joined(left: RelType, right: RelType, on: Sequence[tuple[int, int]]) -> Live:
    """The live set of a natural join: left key ++ right key without the joined positions.

    A box is to be read with the axes of both sides.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A, B = tensor_type((5, 4), "f8", ("i", "j"), 2), tensor_type((4,), "f8", ("j",), 2)
        >>> joined(A, B, [(1, 0)])
        Box(ranges=((0, 3), (0, 2)))
    """
    rest = [p for p in range(len(right.keys)) if p not in {theirs for _, theirs in on}]
    of_left, of_right = ranges(left), ranges(right)
    bounds = list(of_left)
    for mine, theirs in on:
        bounds[mine] = (
            max(of_left[mine][0], of_right[theirs][0]),
            min(of_left[mine][1], of_right[theirs][1]),
        )
    bounds += [of_right[p] for p in rest]
    if is_empty(left) or is_empty(right):
        return _no_keys(len(bounds))
    if isinstance(left.live, Box) and isinstance(right.live, Box):
        return boxed(tuple(bounds))
    listable = is_listable(left) and is_listable(right)
    pairs = matches(live_keys(left), live_keys(right), on, MAX_LISTED) if listable else None
    if pairs is None:
        return AtMost(tuple(bounds), density.n_pairs(left, right, on))
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
    if len(left) == len(right) == 1:  # tensors in one piece, which small ones are
        row = np.zeros(int(all(left[0, mine] == right[0, theirs] for mine, theirs in on)), dtype=np.int64)
        return row, row
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
    """The live set of σ: bounds stay bounds, other predicates are evaluated on the live keys.

    Example:
        >>> from tra.algebra.key_function import Op, Var
        >>> from tra.algebra.sources import tensor_type
        >>> filtered(tensor_type((5,), "f8", ("i",), 2), Op(">=", Var("i"), Const(1)))
        Box(ranges=((1, 3),))
    """
    if isinstance(type_.live, (Box, AtMost)) and not isinstance(predicate, Opaque):
        bounds = _narrowed(type_, predicate)
        if bounds is not None and any(high <= low for low, high in bounds):
            return _no_keys(len(bounds))
        if bounds is not None and isinstance(type_.live, AtMost):
            return AtMost(bounds, density.within(type_.live.count, ranges(type_), bounds))
        if bounds is not None:
            return Box(bounds)
    if not is_listable(type_):
        return AtMost(ranges(type_), density.n_expected(type_))
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


__all__ = [
    "boxed", "check_image", "filtered", "image", "joined", "kept", "matches", "projected",
    "stacked", "union", "with_live", "without_keys",
]  # fmt: skip
