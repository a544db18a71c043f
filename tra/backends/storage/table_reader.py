"""Tiles by key out of a table: key columns and a tile column, in batches of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from threading import Lock
from typing import Any

import numpy as np

from tra.algebra.live import sort_keys
from tra.algebra.types import KeyArray, RelType, Tile, TileKey
from tra.backends.storage.tile_check import holds_exactly, is_listed, native, shape_at, with_keys


@dataclass(frozen=True)
class _Batch:
    """The elements of a batch, where each tile begins, and the stamp of what they were read from."""

    elements: Tile
    offsets: KeyArray
    stamp: tuple[int, ...]


class TableReader(ABC):
    """An open table. Where its tiles lie is read from the key columns, once and when first asked.

    Attributes:
        digest: what the table holds, in one word; empty where that is not known.
        kept_bytes: how much of what was read stays in memory.
        batch_bytes: the most that reading a batch takes, with what it makes; none where that is a view.
    """

    digest = ""
    kept_bytes: float = 128 << 20
    batch_bytes = 0

    def __init__(self, type_: RelType, rows: list[int]) -> None:
        """`rows` are the numbers of rows of the batches."""
        if native(type_.dtype) != type_.dtype:
            raise ValueError(f"it was written on a machine of another byte order ({type_.dtype})")
        self._type = type_
        self._starts = [0, *accumulate(rows)]
        self._batches: dict[int, _Batch] = {}
        self._kept = 0
        self._keeping = Lock()
        self._loading = [Lock() for _ in range(16)]

    @abstractmethod
    def batch_keys(self, batch: int) -> KeyArray:
        """The keys of a batch, one per row."""

    @abstractmethod
    def batch_elements(self, batch: int, sizes: KeyArray) -> Tile:
        """The elements of all tiles of a batch, one after the other; `sizes` says how many per row."""

    def stamp(self, batch: int) -> tuple[int, ...]:
        """What changes with the file that a batch lies in, where that is not the file that was opened."""
        return ()

    def check_batch(self, batch: int, lengths: KeyArray) -> None:  # noqa: B027 - most have nothing to compare
        """Checks that the tiles of a batch may have these shapes, one per row.

        Raises:
            ValueError: they may not.
        """

    @cached_property
    def type(self) -> RelType:
        """The type of the relation; listed live keys are read."""
        return with_keys(self._type, self._sorted) if is_listed(self._type) else self._type

    def read(self, key: TileKey) -> Tile:
        """The tile at a key, read-only.

        Raises:
            ValueError: there is none, or what is there is damaged.
        """
        row = self._find(tuple(map(int, key)))
        batch = bisect_right(self._starts, row) - 1
        found, place = self._batch(batch), row - self._starts[batch]
        piece = found.elements[found.offsets[place] : found.offsets[place + 1]]
        if not piece.flags.aligned:
            piece = piece.copy()
        piece.setflags(write=False)
        return piece.reshape(shape_at(self._type, key))

    def _batch(self, batch: int) -> _Batch:
        """A batch, read if it was not, or if its file has changed since."""
        with self._loading[batch % len(self._loading)]:
            found, stamp = self._batches.get(batch), self.stamp(batch)
            return self._load(batch, stamp) if found is None or found.stamp != stamp else found

    def _load(self, batch: int, stamp: tuple[int, ...]) -> _Batch:
        keys = self._keys[self._starts[batch] : self._starts[batch + 1]]
        lengths = self._type.tile_lengths(keys)
        self.check_batch(batch, lengths)
        sizes = np.prod(lengths, axis=1, dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        self._forget(batch)
        found = _Batch(self.batch_elements(batch, sizes), offsets, stamp)
        with self._keeping:
            self._batches[batch] = found
            self._kept += found.elements.nbytes
            self._keep(self.kept_bytes, 1)
        return found

    def let_go(self, n_bytes: int = 0) -> None:
        """Lets go of batches that were read: of all, or down to so many bytes and the last batch."""
        if self.batch_bytes:
            with self._keeping:
                self._keep(n_bytes, 1 if n_bytes else 0)

    def _keep(self, n_bytes: float, n_batches: int) -> None:
        while len(self._batches) > n_batches and self._kept > n_bytes:
            self._kept -= self._batches.pop(next(iter(self._batches))).elements.nbytes

    def _forget(self, batch: int) -> None:
        with self._keeping:
            before = self._batches.pop(batch, None)
            self._kept -= 0 if before is None else before.elements.nbytes

    def _find(self, key: TileKey) -> int:
        keys, order = self._sorted, self._order
        place = bisect_left(range(len(keys)), key, key=lambda r: tuple(keys[r].tolist()))
        if place == len(keys) or tuple(keys[place].tolist()) != key:
            raise ValueError("there is no tile at this key")
        return int(order[place])

    @cached_property
    def _keys(self) -> KeyArray:
        """All keys in the order of the rows."""
        found = [self.batch_keys(batch) for batch in range(len(self._starts) - 1)]
        keys = np.concatenate([np.zeros((0, len(self._type.keys)), np.int64), *found])
        self.check_keys(keys)
        return keys

    @cached_property
    def _order(self) -> KeyArray:
        keys = self._keys
        return np.lexsort(keys.T[::-1]) if keys.shape[1] else np.arange(len(keys))

    @cached_property
    def _sorted(self) -> KeyArray:
        """The keys in lexicographic order."""
        return self._keys[self._order]

    def check_keys(self, keys: KeyArray) -> None:
        """Checks that keys are unique, in their domains, and as many as the type says.

        Raises:
            ValueError: they are not.
        """
        inside = np.all((keys >= 0) & (keys < np.array(self._type.domains, np.int64)))
        ordered = sort_keys(keys)
        unique = len(keys) < 2 or (keys.shape[1] and np.all(np.any(ordered[1:] != ordered[:-1], axis=1)))
        if not inside or not unique:
            raise ValueError("its keys are damaged")
        if not is_listed(self._type) and not holds_exactly(self._type, ordered):
            raise ValueError("it has other keys than it says")


def column_rows(table: Any, names: tuple[str, ...]) -> KeyArray:
    """Key columns of a batch or table as one array, a key per row.

    Example:
        >>> import pyarrow as pa
        >>> column_rows(pa.table({"i": [0, 0], "j": [4, 5], "tile": [0.5, 1.5]}), ("i", "j")).tolist()
        [[0, 4], [0, 5]]

    Raises:
        ValueError: a key is no whole number.
    """
    found = [table.column(name).to_numpy() for name in names]
    for name, column in zip(names, found, strict=True):
        if column.dtype.kind not in "iu":  # what is missing makes floats of integers
            raise ValueError(f"its keys {name} are no whole numbers, or some are missing")
    columns = [column.astype(np.int64) for column in found]
    return np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0), np.int64)
