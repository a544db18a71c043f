"""The tiles of one relation at one site: keys in order, and an array for each.

Keys are sorted; a bag (parts of a sum that have just arrived) may hold a key several times, in the order of
the sites the parts came from. Arrays are never written to after they are stored here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tra.algebra.types import KeyArray, Tile, TileKey


class Tiles:
    """Keyed tiles, sorted by key.

    Example:
        >>> t = Tiles(np.array([[1], [0]]), [np.ones(2), np.zeros(3)])
        >>> t.keys.tolist(), [a.shape for a in t.arrays], t.nbytes
        ([[0], [1]], [(3,), (2,)], 40)
    """

    __slots__ = ("arrays", "keys")

    def __init__(self, keys: KeyArray, arrays: Sequence[Tile], *, is_sorted: bool = False) -> None:
        if not is_sorted and len(keys) > 1 and keys.shape[1]:
            order = np.lexsort(keys.T[::-1])
            keys, arrays = keys[order], [arrays[p] for p in order.tolist()]
        self.keys = keys
        self.arrays = list(arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.keys, self.arrays))

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[tuple[TileKey, Tile]]:
        return iter(zip(map(tuple, self.keys.tolist()), self.arrays, strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes of all tiles."""
        return sum(array.nbytes for array in self.arrays)

    def __sizeof__(self) -> int:
        return self.nbytes + int(self.keys.nbytes) + 64

    def within(self, box: Sequence[tuple[int, int]]) -> Tiles:
        """The tiles whose keys lie in a box."""
        return self.rows(np.flatnonzero(in_box(self.keys, box)))

    def rows(self, rows: KeyArray) -> Tiles:
        """Some of the tiles, in the order given."""
        return Tiles(self.keys[rows], [self.arrays[r] for r in rows.tolist()], is_sorted=True)

    def owned(self) -> Tiles:
        """The same tiles without views of larger arrays, which a view keeps alive."""
        arrays = [np.array(a, order="C") if _keeps_more(a) else a for a in self.arrays]
        return Tiles(self.keys, arrays, is_sorted=True)

    def copied(self) -> Tiles:
        """The same tiles without any view, so that nobody else can change them."""
        return Tiles(self.keys, [a if a.base is None else np.array(a) for a in self.arrays], is_sorted=True)


def _keeps_more(array: Tile) -> bool:
    """Claims that the memory behind an array is more than its elements."""
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    try:
        behind = base.nbytes if isinstance(base, np.ndarray) else memoryview(base).nbytes
    except TypeError:  # memory that does not say how much it is
        return True
    return behind > array.nbytes or not array.flags.c_contiguous


def in_box(keys: KeyArray, box: Sequence[tuple[int, int]]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which keys lie in a box.

    Example:
        >>> in_box(np.array([[0, 5], [1, 5]]), ((1, 2), (0, 9))).tolist()
        [False, True]
    """
    inside = np.ones(len(keys), dtype=bool)
    for column, (low, high) in enumerate(box):
        inside &= (keys[:, column] >= low) & (keys[:, column] < high)
    return inside


def _restore(keys: KeyArray, arrays: list[Tile]) -> Tiles:
    return Tiles(keys, arrays, is_sorted=True)


def no_tiles(arity: int) -> Tiles:
    """An empty relation.

    Example:
        >>> len(no_tiles(2))
        0
    """
    return Tiles(np.zeros((0, arity), dtype=np.int64), [])


def union(parts: Sequence[Tiles], arity: int) -> Tiles:
    """All tiles of several shares; equal keys stay apart, in the order of the shares.

    Example:
        >>> part = Tiles(np.array([[3]]), [np.ones(2)])
        >>> union([part, part], 1).keys.tolist()
        [[3], [3]]
    """
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else no_tiles(arity)
    return Tiles(np.concatenate([p.keys for p in parts]), [a for p in parts for a in p.arrays])
