"""Folded keys: which tiles of a sum a site has a part of, where what is summed has holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from tra.algebra.key_function import apply, holds
from tra.algebra.live import box_keys, is_plain, ranges
from tra.algebra.nodes import Expr, Filter, ReKey
from tra.algebra.types import AtMost, KeyArray, KeySet, RelType

_MAX_BOX = 1 << 16  # keys: larger boxes with links of several keys are not listed for this


@dataclass(frozen=True, slots=True)
class Folded:
    """The live keys of what was folded, listed: the keys that the result has, then those that ended.

    Attributes:
        keys: one per row.
        gone: the names of the keys that ended, which are the last columns.
    """

    keys: KeySet
    gone: tuple[str, ...]

    @property
    def kept(self) -> KeyArray:
        """The columns of the result's keys."""
        return self.keys.keys[:, : self.keys.keys.shape[1] - len(self.gone)]

    def column(self, name: str) -> KeyArray:
        """The values of a key that ended."""
        return self.keys.keys[:, self.gone.index(name) - len(self.gone)]


@lru_cache(maxsize=64)
def folded_keys(type_: RelType, by: tuple[str, ...]) -> Folded | None:
    """The live keys of what is folded to the keys `by`; None where they fill a box, or are not known yet.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({(0, 1): [1.0], (2, 0): [2.0]}, keys=("i", "j"), name="A")
        >>> folded = folded_keys(A.expr.type, ("j",))
        >>> folded.gone, folded.kept.tolist(), folded.column("i").tolist()
        (('i',), [[1], [0]], [0, 2])
    """
    live = _listed(type_)
    if live is None:
        return None
    gone = tuple(name for name in type_.names if name not in by)
    places = [type_.names.index(name) for name in (*by, *gone)]
    ordered = live if places == sorted(places) else KeySet(live.keys[:, places])
    return Folded(ordered, gone)


def _listed(type_: RelType) -> KeySet | None:
    """The live keys where they are listed, or are no box and few."""
    if isinstance(type_.live, KeySet):
        return type_.live
    few = prod(high - low for low, high in ranges(type_)) <= _MAX_BOX
    if isinstance(type_.live, AtMost) or is_plain(type_) or not few:
        return None
    return KeySet(box_keys(type_))


@lru_cache(maxsize=64)
def passed_on(folded: Folded, expr: Expr) -> Folded:
    """What is left of folded keys where parts pass through a node: σ drops keys, ReKey changes them.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({(0, 1): [1.0], (2, 0): [2.0]}, keys=("i", "j"), name="A")
        >>> moved = A.aggregate(by="j").rekey(lambda j: j + 3, keys="j")
        >>> passed_on(folded_keys(A.expr.type, ("j",)), moved.expr).kept.tolist()
        [[4], [3]]
    """
    match expr:
        case Filter(child=child, predicate=predicate):
            inside = holds(predicate, child.type.names, folded.kept)
            return Folded(KeySet(folded.keys.keys[inside]), folded.gone)
        case ReKey(child=child, function=function) if len(folded.kept):
            new = apply(function, child.type.names, folded.kept)
            ended = folded.keys.keys[:, folded.kept.shape[1] :]
            return Folded(KeySet(np.concatenate([new, ended], axis=1)), folded.gone)
        case ReKey(keys=names):
            return Folded(KeySet(np.zeros((0, len(names) + len(folded.gone)), np.int64)), folded.gone)
        case _:
            return folded


def distinct_keys(columns: Sequence[KeyArray], domains: Sequence[int]) -> KeyArray:
    """The distinct rows of some columns in lexicographic order, in linear time where domains are small.

    Example:
        >>> distinct_keys([np.array([1, 0, 1]), np.array([0, 2, 0])], (2, 3)).tolist()
        [[0, 2], [1, 0]]
    """
    shape, n = tuple(max(domain, 1) for domain in domains), len(columns[0])
    if prod(shape) > max(8 * n, 1 << 16):
        keys: KeyArray = np.unique(np.stack(columns, axis=1), axis=0)
        return keys
    marked = np.zeros(shape, dtype=np.bool_)
    marked[tuple(columns)] = True
    return np.argwhere(marked)
