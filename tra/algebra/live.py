"""Which keys of a relation have a tile.

Boxes answer by their bounds (`live_ranges`), in time that does not depend on the number of tiles. Key sets
are listed once; sets larger than `MAX_LISTED` are not listed while a query is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from tra.algebra.key_arrays import codes, first_missing, sort_keys, unique_keys
from tra.algebra.live_ranges import (
    Ranges,
    full_box,
    is_empty,
    is_plain,
    is_uniform,
    max_offset,
    ranges,
    required,
)  # fmt: skip
from tra.algebra.types import AtMost, Box, KeyArray, KeySet, Live, RelType, TileKey
from tra.errors import SchemaError

MAX_LISTED = 1 << 22


def is_listable(type_: RelType) -> bool:
    """Claims that the live keys may be listed while the query is built: there are at most `MAX_LISTED`.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> [is_listable(tensor_type((extent,), "f8", ("i",), 1)) for extent in (10**3, 10**7)]
        [True, False]
    """
    match type_.live:
        case KeySet():
            return True
        case Box():
            return prod(high - low for low, high in ranges(type_)) <= MAX_LISTED
        case AtMost():
            return False


def live_keys(type_: RelType) -> KeyArray:
    """All live keys, one per row, in lexicographic order.

    Example:
        >>> from tra.algebra.types import Axis, Key
        >>> axis = Axis(2, (("i", 2), ("j", 1)), 6)
        >>> type_ = RelType((Key("i", 2), Key("j", 2)), (axis,), np.dtype("f8"), Box(((0, 2), (0, 2))))
        >>> live_keys(type_).tolist()
        [[0, 0], [0, 1], [1, 0]]

    Raises:
        SchemaError: there are too many to list.
    """
    if isinstance(type_.live, KeySet):
        return type_.live.keys
    if not is_listable(type_):
        raise SchemaError(
            f"the keys of {type_} are too many to list while the query is built ({MAX_LISTED} at most)"
        )
    return box_keys(type_)


@lru_cache(maxsize=16)
def box_keys(type_: RelType) -> KeyArray:
    """The keys of a box, however many; for use when a query runs.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> box_keys(tensor_type((5, 2), "f8", ("i", "j"), (3, 1))).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    bounds = ranges(type_)
    shape = tuple(high - low for low, high in bounds)
    grid = np.indices(shape, dtype=np.int64).reshape(len(shape), prod(shape)).T
    keys = np.ascontiguousarray(grid + np.array([low for low, _ in bounds], dtype=np.int64))
    if not is_plain(type_):
        keys = keys[has_length(type_, keys)]
    keys.setflags(write=False)
    return keys


def has_length(type_: RelType, keys: KeyArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of these keys stand for tiles of positive length along every axis that is not of size 0.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> has_length(tensor_type((5,), "f8", ("i",), 2), np.array([[0], [2], [3]]))
        array([ True,  True, False])
    """
    cut = [place for place, axis in enumerate(type_.axes) if axis.size]
    result: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.all(type_.tile_lengths(keys)[:, cut] > 0, axis=1)
    return result


def n_live(type_: RelType) -> int:
    """How many keys are live (an upper bound where they cannot be listed).

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> n_live(tensor_type((5, 4), "f8", ("i", "j"), 2))
        6
    """
    if isinstance(type_.live, KeySet):
        return len(type_.live.keys)
    if is_plain(type_) or not is_listable(type_):
        return prod(high - low for low, high in ranges(type_))
    return len(live_keys(type_))


def frontier(type_: RelType) -> TileKey:
    """One past the largest live key, per component; zeros when there is none.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> frontier(replace(tensor_type((5, 4), "f8", ("i", "j"), 2), live=Box(((1, 2), (0, 2)))))
        (2, 2)
    """
    return tuple(high for _, high in ranges(type_))


def missing_key(type_: RelType) -> TileKey | None:
    """The first required key that is not live; None when there is none, or the keys are not known yet.

    Example:
        >>> from tra.algebra.types import Key
        >>> holed = RelType((Key("i", 3),), (), np.dtype("f8"), KeySet(np.array([[0], [2]])))
        >>> missing_key(holed)
        (1,)
    """
    whole = required(type_)
    match type_.live:
        case AtMost():
            return None
        case Box():
            return _missing_from_box(ranges(type_), ranges(whole))
        case KeySet(keys=keys):
            return _first_gap(whole, keys)


def _missing_from_box(have: Ranges, want: Ranges) -> TileKey | None:
    """The first missing key: the low corner, or else one step beyond the box along its last short side."""
    if have == want:
        return None
    key = [0] * len(want)
    short = [p for p, ((_, high), (_, needed)) in enumerate(zip(have, want, strict=True)) if high < needed]
    if short and not any(low for low, _ in have):
        key[short[-1]] = have[short[-1]][1]
    return tuple(key)


def _first_gap(whole: RelType, keys: KeyArray, chunk: int = 1 << 16) -> TileKey | None:
    """The first key of `whole` that is not among `keys`, found without listing all of them at once."""
    bounds, at = ranges(whole), 0
    shape = tuple(high - low for low, high in bounds)
    for start in range(0, prod(shape), chunk):
        numbers = np.arange(start, min(start + chunk, prod(shape)))
        wanted = _places(numbers, shape) + np.array([low for low, _ in bounds], dtype=np.int64)
        wanted = wanted[has_length(whole, wanted)]
        have = keys[at : at + len(wanted)]
        different = np.flatnonzero(np.any(wanted[: len(have)] != have, axis=1))
        if len(different) or len(have) < len(wanted):
            return tuple(wanted[different[0] if len(different) else len(have)].tolist())
        at += len(wanted)
    return None


def _places(numbers: KeyArray, shape: Sequence[int]) -> KeyArray:
    """Places by their numbers in row-major order; unlike `unravel_index` in as many as there may be."""
    columns = np.zeros((len(numbers), len(shape)), dtype=np.int64)
    for position in reversed(range(len(shape))):
        numbers, columns[:, position] = np.divmod(numbers, shape[position])
    return columns


def is_dense(type_: RelType) -> bool:
    """Claims that no required key is missing; a set that is not known yet counts as holed.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i", "j"), 2)
        >>> is_dense(A), is_dense(replace(A, live=Box(((1, 2), (0, 2)))))
        (True, False)
    """
    if isinstance(type_.live, AtMost):
        return False
    return type_.live == full_box(type_) or missing_key(type_) is None


def hole_text(type_: RelType) -> str:
    """What is missing, for messages: a key, or that it will be known when the query runs.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> hole_text(replace(tensor_type((5,), "f8", ("i",), 2), live=Box(((1, 3),))))
        '[i:3] of 2/5 float64 has no tile at key (0,)'
    """
    if isinstance(type_.live, AtMost):
        return f"the keys of {type_} are known only when it runs, and it may have holes"
    return f"{type_} has no tile at key {missing_key(type_)}"


def as_live(type_: RelType) -> Live:
    """The live set in its one form, so that equal sets have equal types: a box where it is one.

    A dense relation has the box of its whole domain, an empty one has no keys listed.

    Example:
        >>> from tra.algebra.types import Key
        >>> as_live(RelType((Key("i", 2),), (), np.dtype("f8"), KeySet(np.array([[0], [1]]))))
        Box(ranges=((0, 2),))
    """
    live = type_.live
    if isinstance(live, AtMost):
        return live
    if is_empty(type_):
        return KeySet(np.zeros((0, len(type_.keys)), dtype=np.int64))
    bounds = ranges(type_)
    box = full_box(type_) if bounds == ranges(required(type_)) else Box(bounds)
    if isinstance(live, Box):
        return box
    boxed = replace(type_, live=box)
    return box if is_listable(boxed) and n_live(boxed) == len(live.keys) else live


__all__ = [
    "MAX_LISTED", "Ranges", "as_live", "box_keys", "codes", "first_missing", "frontier", "full_box",
    "has_length", "hole_text", "is_dense", "is_empty", "is_listable", "is_plain", "is_uniform", "live_keys",
    "max_offset", "missing_key", "n_live", "ranges", "required", "sort_keys", "unique_keys",
]  # fmt: skip
