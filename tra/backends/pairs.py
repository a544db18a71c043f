"""Pairs of tiles that a join brings together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tra.algebra.live_rules import matches
from tra.algebra.types import KeyArray, RelType
from tra.backends.tiles import Tiles

On: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Pairs:
    """Rows of matching pairs with their joined keys.

    Attributes:
        left: rows of the left operand.
        right: those of the right one that they meet.
        keys: keys of the left one, and those of the right one that are not joined.
    """

    left: KeyArray
    right: KeyArray
    keys: KeyArray

    def sorted(self) -> Pairs:
        """The pairs in the order of the joined keys."""
        if not self.keys.shape[1]:
            return self
        order = np.lexsort(self.keys.T[::-1])
        return Pairs(self.left[order], self.right[order], self.keys[order])


def pairs_of(left: Tiles, right: Tiles, lt: RelType, rt: RelType, on: On) -> Pairs:
    """The pairs whose keys agree, of relations of two types.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> t = tensor_type((2,), "f8", ("i",), 1)
        >>> tiles = Tiles(np.array([[0], [1]]), [np.ones(1)] * 2)
        >>> pairs_of(tiles, tiles, t, t, [("i", "i")]).right.tolist()
        [0, 1]
    """
    positions = [(lt.names.index(mine), rt.names.index(theirs)) for mine, theirs in on]
    found = matches(left.keys, right.keys, positions)
    assert found is not None
    rest = [p for p in range(len(rt.keys)) if p not in {theirs for _, theirs in positions}]
    return Pairs(*found, np.concatenate([left.keys[found[0]], right.keys[found[1]][:, rest]], axis=1))
