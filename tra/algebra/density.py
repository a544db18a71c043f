"""How many tiles there are: counted where the live keys are known, estimated where they are too many to list.

Sources say exactly which tiles they have, and operators keep exact sets as long as these can be listed. Above
that a set is known by its bounds and by an expected count, under two assumptions: tiles are spread evenly
over the bounds, and those of two relations independently of each other. Then

* a join of n and m tiles on keys with v values in both has n·m/v pairs; where the operands are listed, the
  pairs are counted instead, by the histograms of the joined keys;
* a fold leaves a key where at least one of its g tiles is there: 1 − (1 − d)^g of the keys, for density d;
* a union of relations of density d and e has 1 − (1 − d)(1 − e) of the keys;
* ranges of keys hold their part of the count; maps and re-keys change nothing.

Source: the independence assumption of query optimizers since Selinger et al., SIGMOD 1979; for sparse
products Cohen, J. Comb. Optim. 2, 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, log1p, prod

import numpy as np

from tra.algebra.key_arrays import codes
from tra.algebra.live import is_listable, live_keys, n_live
from tra.algebra.live_ranges import Ranges, is_empty, ranges, required
from tra.algebra.types import AtMost, KeyArray, RelType


def volume(bounds: Ranges) -> int:
    """How many keys some ranges hold.

    Example:
        >>> volume(((0, 2), (1, 4))), volume(())
        (6, 1)
    """
    return prod(max(high - low, 0) for low, high in bounds)


def n_expected(type_: RelType) -> float:
    """How many keys are live: exact where they are known, expected where they are not.

    Example:
        >>> from dataclasses import replace
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i", "j"), 2)
        >>> n_expected(A), n_expected(replace(A, live=AtMost(((0, 3), (0, 2)), 1.5)))
        (6.0, 1.5)
    """
    return type_.live.count if isinstance(type_.live, AtMost) else float(n_live(type_))


def density(type_: RelType) -> float:
    """The part of the required keys that have a tile; 1 for a dense relation.

    Example:
        >>> import tra
        >>> density(tra.from_tiles({0: [1.0], 3: [2.0]}, "i").expr.type)
        0.5
    """
    return min(n_expected(type_) / max(n_live(required(type_)), 1), 1.0)


def n_pairs(left: RelType, right: RelType, on: Sequence[tuple[int, int]]) -> float:
    """How many pairs a join makes, none of them listed.

    Args:
        left: one operand.
        right: the other.
        on: pairs of places of the joined keys.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({(0, 1): [1.0], (0, 2): [2.0]}, ("i", "k"), domain=(4, 4)).expr.type
        >>> n_pairs(A, A, [(0, 0)]), n_pairs(A, A, [(1, 0)])
        (4.0, 0.0)
    """
    if is_empty(left) or is_empty(right):
        return 0.0
    if is_listable(left) and is_listable(right):
        mine, theirs = zip(*on, strict=True) if on else ((), ())
        return float(n_matches(live_keys(left)[:, mine], live_keys(right)[:, theirs]))
    of_left, of_right = ranges(left), ranges(right)
    found = n_expected(left) * n_expected(right)
    for one, other in on:
        (a, b), (c, d) = of_left[one], of_right[other]
        found *= max(min(b, d) - max(a, c), 0) / ((b - a) * (d - c))
    return found


def n_matches(left: KeyArray, right: KeyArray) -> int:
    """How many pairs of equal rows two arrays of keys have: a product of their histograms.

    Example:
        >>> n_matches(np.array([[1], [1], [2]]), np.array([[1], [1], [3]]))
        4
    """
    if not left.shape[1]:
        return len(left) * len(right)
    tops = tuple(
        int(max(a.max(initial=0), b.max(initial=0))) + 1 for a, b in zip(left.T, right.T, strict=True)
    )
    of_left, n_left = np.unique(codes(left, tops), return_counts=True)
    of_right, n_right = np.unique(codes(right, tops), return_counts=True)
    _, mine, theirs = np.intersect1d(of_left, of_right, assume_unique=True, return_indices=True)
    return int(n_left[mine] @ n_right[theirs])


def folded(count: float, kept: Ranges, gone: Ranges) -> float:
    """How many keys a fold leaves of so many, when they are spread evenly over the ranges.

    Example:
        >>> folded(8.0, ((0, 4),), ((0, 4),))  # half of the tiles, four for each key
        3.75
    """
    n_kept, n_gone = volume(kept), volume(gone)
    if not n_kept or not n_gone:
        return 0.0
    return n_kept * _any_of(min(count / n_kept / n_gone, 1.0), n_gone)


def _any_of(part: float, times: float) -> float:
    """The chance of at least one success, exact for small ones."""
    return 1.0 if part >= 1.0 else -expm1(times * log1p(-part))


def united(counts: Sequence[float], bounds: Ranges) -> float:
    """How many keys within some ranges are in at least one of several independent sets.

    Example:
        >>> united([2.0, 2.0], ((0, 4),))
        3.0
    """
    size = volume(bounds)
    return size * (1 - prod(1 - min(count / size, 1.0) for count in counts)) if size else 0.0


def within(count: float, whole: Ranges, part: Ranges) -> float:
    """How many of the keys in some ranges lie in a part of these.

    Example:
        >>> within(6.0, ((0, 4), (0, 3)), ((1, 3), (0, 3)))
        3.0
    """
    shared = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(whole, part, strict=True))
    return count * volume(shared) / max(volume(whole), 1)
