"""The tiles of one relation at one site: keys in order, and an array for each.

Keys are sorted; a bag (parts of a sum that have just arrived) may hold a key several times, in the order of
the sites the parts came from. Arrays are never written to after they are stored here. Where tiles lie side by
side in larger arrays, these are known as blocks, and tiles are views of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tra.algebra.types import KeyArray, RelType, Tile, TileKey
from tra.backends.block import Block, Ranges, empty_block, is_covered, keys_of, window_of


class Tiles:
    """Keyed tiles, sorted by key.

    Attributes:
        blocks: the blocks that together are all tiles, or None where tiles are arrays of their own.
        is_own: the arrays, where there are no blocks, were made here and are nobody else's, so that whoever
            is given them may write to them.

    Example:
        >>> t = Tiles(np.array([[1], [0]]), [np.ones(2), np.zeros(3)])
        >>> t.keys.tolist(), [a.shape for a in t.arrays], t.nbytes
        ([[0], [1]], [(3,), (2,)], 40)
    """

    __slots__ = ("_arrays", "_keys", "blocks", "is_own")

    def __init__(
        self, keys: KeyArray, arrays: Sequence[Tile], *, is_sorted: bool = False, is_own: bool = False
    ) -> None:
        self.blocks: tuple[Block, ...] | None = None
        self.is_own = is_own
        self._set(keys, arrays, is_sorted)

    def _set(self, keys: KeyArray, arrays: Sequence[Tile], is_sorted: bool) -> None:
        if not is_sorted and len(keys) > 1 and keys.shape[1]:
            order = np.lexsort(keys.T[::-1])
            keys, arrays = keys[order], [arrays[p] for p in order.tolist()]
        self._keys: KeyArray | None = keys
        self._arrays: list[Tile] | None = list(arrays)

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Tiles:
        """The tiles of some blocks, at least one; blocks of equal keys are parts of a sum, in their order.

        Example:
            >>> halves = Tiles.of([Block(((n, n + 1),), np.full(2, n), ((0, 2),)) for n in range(2)])
            >>> [(key, tile.tolist()) for key, tile in halves]
            [((0,), [0, 0]), ((1,), [1, 1])]
        """
        made = cls.__new__(cls)
        made.blocks, made._keys, made._arrays, made.is_own = tuple(blocks), None, None, False
        return made

    def _cut(self) -> None:
        """Makes keys and views of tiles of the blocks."""
        assert self.blocks
        keys = [block.keys() for block in self.blocks]
        alone = len(keys) == 1
        together = keys[0] if alone else np.concatenate(keys)
        self._set(together, [tile for block in self.blocks for tile in block.tiles()], alone)

    @property
    def keys(self) -> KeyArray:
        """The keys, one per row, in lexicographic order."""
        if self._keys is None:
            self._cut()
        assert self._keys is not None
        return self._keys

    @property
    def arrays(self) -> list[Tile]:
        """The tile of each key."""
        if self._arrays is None:
            self._cut()
        assert self._arrays is not None
        return self._arrays

    @property
    def arity(self) -> int:
        """How many components a key has."""
        return len(self.blocks[0].box) if self.blocks is not None else int(self.keys.shape[1])

    def __reduce__(self) -> tuple[Any, ...]:
        if self.blocks is not None:
            return (_restore_blocks, (self.shared().blocks,))
        return (_restore, (self._keys, self._arrays))

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[tuple[TileKey, Tile]]:
        return iter(zip(map(tuple, self.keys.tolist()), self.arrays, strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes of all tiles."""
        if self.blocks is not None:
            return sum(block.array.nbytes for block in self.blocks)
        return sum(array.nbytes for array in self.arrays)

    def __sizeof__(self) -> int:
        return self.nbytes + 64 + (256 if self._keys is None else int(self._keys.nbytes))

    def within(self, box: Ranges) -> Tiles:
        """The tiles whose keys lie in a box."""
        if self.blocks is None:
            return self.rows(np.flatnonzero(in_box(self.keys, box)))
        found = [part for block in self.blocks if (part := block.within(box)) is not None]
        return Tiles.of(found) if found else no_tiles(len(box))

    def rows(self, rows: KeyArray) -> Tiles:
        """Some of the tiles, in the order given."""
        return Tiles(self.keys[rows], [self.arrays[r] for r in rows.tolist()], is_sorted=True)

    def block(self, type_: RelType, box: Ranges) -> Block | None:
        """One block of the tiles in a box, copied together where it must be; None where tiles are missing.

        Args:
            type_: the relation, which has cuts.
            box: the keys; of those that cut no axis one.
        """
        if self.blocks is not None:
            found = [part for block in self.blocks if (part := block.within(box)) is not None]
            if len(found) == 1 and found[0].box == box:
                return found[0]
            return _together(type_, box, found) if is_covered(found, box) else None
        inside = np.flatnonzero(in_box(self.keys, box))
        n_keys = prod(high - low for low, high in box)
        if len(inside) != n_keys or not np.array_equal(self.keys[inside], keys_of(box)):
            return None  # tiles are missing, or there are several of one key
        made = empty_block(type_, box)
        for tile, row in zip(made.tiles(), inside.tolist(), strict=True):
            tile[...] = self.arrays[row]
        return made

    def shared(self) -> Tiles:
        """The same tiles, which somebody else may hold too."""
        if self.blocks is None or not self.has_fresh:
            return self
        return Tiles.of([block.shared() for block in self.blocks])

    @property
    def has_fresh(self) -> bool:
        """Claims that some block may be written to or given away."""
        return any(block.is_fresh for block in self.blocks or ())

    def memory(self) -> set[int]:
        """What the arrays are views of, by identity: tiles that share memory have some of it in common."""
        arrays = self.arrays if self.blocks is None else [block.array for block in self.blocks]
        return {id(_root(array)) for array in arrays}

    def owned(self) -> Tiles:
        """The same tiles without views of larger arrays, which a view keeps alive."""
        if self.blocks is not None:
            kept = [
                _moved(b, np.array(b.array, order="C")) if _keeps_more(b.array) else b for b in self.blocks
            ]
            return Tiles.of(kept)
        arrays = [np.array(a, order="C") if _keeps_more(a) else a for a in self.arrays]
        return Tiles(self.keys, arrays, is_sorted=True)

    def contiguous(self) -> Tiles:
        """The same tiles, each in one run of memory, which travels as it is; pickling copies any other."""
        if self.blocks is not None:
            return Tiles.of([_moved(b, np.asarray(b.array, order="C")) for b in self.blocks])
        return Tiles(self.keys, [np.asarray(a, order="C") for a in self.arrays], is_sorted=True)

    def copied(self) -> Tiles:
        """The same tiles without any view, so that nobody else can change them."""
        if self.blocks is not None:
            kept = [b if b.array.base is None else _moved(b, np.array(b.array)) for b in self.blocks]
            return Tiles.of([block.shared() for block in kept])
        return Tiles(self.keys, [a if a.base is None else np.array(a) for a in self.arrays], is_sorted=True)


def _together(type_: RelType, box: Ranges, parts: Sequence[Block]) -> Block:
    """Parts of a box, of which no two share a key, as one block."""
    made = empty_block(type_, box)
    corner = [window.start for window in window_of(type_, box)]
    for part in parts:
        place = zip(window_of(type_, part.box), corner, strict=True)
        made.array[tuple(slice(w.start - c, w.stop - c) for w, c in place)] = part.array
    return made


def _moved(block: Block, array: Tile) -> Block:
    return replace(block, array=array)


def _root(array: Tile) -> Any:
    """What an array is a view of in the end: an array of its own, or whatever lent its memory."""
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return base


def _keeps_more(array: Tile) -> bool:
    """Claims that the memory behind an array is more than its elements."""
    base = _root(array)
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
    return Tiles(keys, list(map(_aligned, arrays)), is_sorted=True)


def _restore_blocks(blocks: Sequence[Block]) -> Tiles:
    return Tiles.of([_moved(block, _aligned(block.array)) for block in blocks])


def _aligned(array: Tile) -> Tile:
    """An array that came in a message, anywhere in it: NumPy would copy it before every product.

    Its axes keep their order in memory, which sums and products depend on.
    """
    return array if array.flags.aligned else array.copy(order="K")


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
    parts = [part for part in parts if part.blocks or len(part)]
    if len(parts) < 2:
        return parts[0] if parts else no_tiles(arity)
    if all(part.blocks for part in parts):
        return Tiles.of([block for part in parts for block in part.blocks or ()])
    return Tiles(np.concatenate([p.keys for p in parts]), [a for p in parts for a in p.arrays])


def bounds(tiles: Tiles) -> Ranges:
    """The least ranges that hold the keys of all tiles.

    Example:
        >>> bounds(Tiles(np.array([[1, 5], [3, 4]]), [np.ones(1)] * 2))
        ((1, 4), (4, 6))
    """
    if tiles.blocks is not None:
        boxes: list[Ranges] = [block.box for block in tiles.blocks]
        spans = [[box[place] for box in boxes] for place in range(len(boxes[0]))]
        least = [(min(low for low, _ in along), max(high for _, high in along)) for along in spans]
        return tuple(least)
    if not len(tiles.keys):
        return ((0, 0),) * tiles.arity
    columns: list[list[int]] = tiles.keys.T.tolist()
    return tuple((min(column), max(column) + 1) for column in columns)
