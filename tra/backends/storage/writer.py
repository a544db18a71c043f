"""Writing a relation: tiles go to a file beside the target, which takes its place only when all are there."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import numpy as np

from tra.algebra.live import required
from tra.algebra.retiling import check_whole
from tra.algebra.types import AtMost, KeyArray, RelType, Tile, TileKey
from tra.backends.storage.failures import writing
from tra.backends.storage.location import Location, locate
from tra.backends.storage.part_writers import PartWriter, Written, window_at
from tra.backends.storage.places import place_of
from tra.backends.storage.tile_check import TileCheck
from tra.backends.threads import parallel
from tra.backends.tiles import Tiles
from tra.errors import CatalogError

BATCH_BYTES = 8 << 20
BATCHING_BYTES = 6 * BATCH_BYTES  # a batch, what is made of it, and what PyArrow makes of that


class TileWriter(ABC):
    """Takes the tiles of a relation in any order, one by one; a context manager.

    Leaving the context puts the relation in place, whole. Leaving it by an exception leaves what was there.

    Attributes:
        working_bytes: the most that it holds for itself, beside a copy of a tile.
        is_shared: threads may put tiles side by side.
    """

    working_bytes = 0
    is_shared = False

    def __init__(self, path: str | os.PathLike[str] | Location, type_: RelType) -> None:
        self.location = locate(path)
        self._check = TileCheck(type_)
        self.type = self._check.type
        self.place = place_of(self.location)

    @abstractmethod
    def is_own(self) -> bool:
        """Claims that what lies at the target is of this format, so that it may be replaced."""

    @abstractmethod
    def begin(self) -> None:
        """Makes the temporary file."""

    @abstractmethod
    def put(self, key: TileKey, tile: Tile) -> None:
        """Writes a tile that was checked."""

    @abstractmethod
    def finish(self) -> None:
        """Completes the temporary file."""

    @abstractmethod
    def abandon(self) -> None:
        """Lets go of the temporary file, whatever became of it."""

    def write(self, key: TileKey, tile: Tile) -> None:
        """Takes the tile at a key.

        Raises:
            SchemaError: it does not fit the type, or came before.
            CatalogError: it cannot be written.
        """
        key, tile = self._check.accept(key, tile)
        with writing(self.location, key):
            self.put(key, tile)

    def write_all(self, tiles: Iterable[tuple[TileKey, Tile]]) -> None:
        """Takes tiles with their keys, one after the other; those in memory by all threads of the task."""
        if self.is_shared and isinstance(tiles, Tiles):
            parallel(lambda item: self.write(*item), [*tiles])
            return
        for key, tile in tiles:
            self.write(key, tile)

    def part(self, name: str) -> PartWriter | None:
        """What writes some of the tiles where they lie; None where tiles have to come here.

        Args:
            name: of letters a to z, digits and hyphens, and of no other part.
        """
        return None

    def accept_part(self, written: Written) -> None:
        """Takes note of what a part writer has written.

        Raises:
            SchemaError: a tile came before.
        """
        self._check.accept_keys(written.keys)

    def __enter__(self) -> Self:
        self._check_target()
        try:
            with writing(self.location):
                self.place.begin()
                self.begin()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._check.finish()
                self._check_target()
                with writing(self.location):
                    self.finish()
                    self.put_in_place()
        finally:
            self._discard()

    def _check_target(self) -> None:
        with writing(self.location):
            exists = self.place.exists()
            is_file = exists and self.place.is_file()
        if not exists:
            return
        if self.location.suffix == ".tra" and is_file:
            raise CatalogError(
                f"{self.place} is a query file and is never overwritten; save under another name"
            )
        if not self.is_own():
            raise CatalogError(
                f"{self.place} exists and is not in the format {self.location.suffix}: not overwritten; "
                "save under another name, or remove it first"
            )

    def put_in_place(self) -> None:
        """Gives the finished file or folder its name; what had it is gone."""
        self.place.put()

    def _discard(self) -> None:
        self.abandon()
        self.place.end()


class TensorWriter(TileWriter):
    """Writes whole tensors: every tile has its place in one array.

    Raises:
        SchemaError: the relation is no whole tensor; names a hole.
    """

    def __init__(self, path: str | os.PathLike[str] | Location, type_: RelType) -> None:
        self.location = locate(path)
        self.check_places(type_)
        super().__init__(path, required(type_) if isinstance(type_.live, AtMost) else type_)

    def check_places(self, type_: RelType) -> None:
        """Checks that every tile has its place, and every place a tile.

        Raises:
            SchemaError: the relation is no whole tensor; names a hole.
        """
        check_whole(type_, f"a {self.location.suffix} file")

    def window(self, key: TileKey) -> tuple[int | slice, ...]:
        """The place of a tile in the whole tensor: keys that cut no axis lead."""
        return window_at(self.type, key)


class RowBuffer:
    """Tiles with their keys, gathered until they make a batch of rows.

    Attributes:
        n_bytes: of the tiles.
        is_full: the rows make a batch: one tile more of the size of the last would be too many.
    """

    def __init__(self, n_keys: int) -> None:
        self._n_keys = n_keys
        self._keys: list[TileKey] = []
        self._tiles: list[Tile] = []
        self.n_bytes, self.is_full = 0, False

    def add(self, key: TileKey, tile: Tile) -> None:
        """Adds a row; the tile is copied unless the batch is full with it."""
        self.n_bytes += tile.nbytes
        self._keys.append(key)
        self.is_full = self.n_bytes + tile.nbytes > BATCH_BYTES or len(self._keys) >= BATCH_BYTES // 64
        self._tiles.append(np.asarray(tile, order="C") if self.is_full else tile.copy())

    def take(self) -> tuple[KeyArray, list[Tile]]:
        """All rows, which the buffer forgets."""
        keys = np.array(self._keys, dtype=np.int64).reshape(len(self._keys), self._n_keys)
        tiles = self._tiles
        self._keys, self._tiles, self.n_bytes, self.is_full = [], [], 0, False
        return keys, tiles
