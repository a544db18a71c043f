"""Tiles in files, for source nodes: small values that travel, and open their file where they are read.

Tiles are views of mapped files. Writers here replace files and never change them, so a view stays what it
was; a program that cuts a mapped file in place takes its pages away from under the view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from tra.algebra.sources import ArraySource, FixedTiles
from tra.algebra.types import KeySet, RelType, Tile, TileKey
from tra.backends.storage.failures import reading
from tra.backends.storage.location import Location
from tra.backends.storage.numpy_files import open_npy, open_npz
from tra.backends.storage.open_files import Version, opened
from tra.backends.storage.plain_files import PlainArray
from tra.backends.storage.relation_reader import open_relation
from tra.backends.storage.zarr_array import open_zarr


def _open_parquet(location: Location) -> Any:
    from tra.backends.storage.parquet import ParquetReader  # PyArrow takes a while to load

    return ParquetReader(location)


OPENERS: dict[str, Callable[[Location], Any]] = {
    ".tra": open_relation,
    ".parquet": _open_parquet,
    ".npy": open_npy,
    ".npz": open_npz,
    ".zarr": open_zarr,
}


def open_file(location: Location, version: Version | None = None, check: str = "read") -> tuple[Any, Version]:
    """The reader of a file, opened once in this process, and the version of what it holds.

    Args:
        location: the file.
        version: the version that a source was made for.
        check: when the checksums of a `.tra` relation are compared.

    Raises:
        ValueError: the file is damaged, or not of that version any more.
    """
    opener = OPENERS[location.suffix]
    if location.suffix == ".tra" and check != "read":
        opener = partial(open_relation, check=check)
    return opened(location, opener, version, check)


@dataclass(frozen=True)
class TableFile(FixedTiles):
    """The tiles of a `.tra` directory or a `.parquet` file."""

    location: Location
    version: Version
    check: str = "read"
    remote = True

    @property
    def path(self) -> str:
        """Where the file lies."""
        return self.location.path

    @property
    def is_encoded(self) -> bool:
        """Claims that whoever reads a tile has to decode it."""
        return self.location.suffix == ".parquet"

    def read(self, key: TileKey) -> Tile:
        """The tile at a key, read-only; a view of the mapped file where it can be.

        Raises:
            CatalogError: the file or the tile is not there, has changed or is damaged.
        """
        with reading(self.location, key):
            reader, _ = open_file(self.location, self.version, self.check)
            tile: Tile = reader.read(key)
            return tile

    def let_go(self, n_bytes: int = 0) -> None:
        """Lets go of decoded batches that the reader keeps: of all, or down to so many bytes and the last.

        Raises:
            CatalogError: the file has changed.
        """
        self._reader().let_go(n_bytes)

    @property
    def batch_bytes(self) -> int:
        """Bytes that reading a batch takes, with what it makes; none where batches are views of a map."""
        return int(self._reader().batch_bytes)

    def _reader(self) -> Any:
        with reading(self.location):
            return open_file(self.location, self.version, self.check)[0]


def _is_scattered(array: Any, window: tuple[slice, ...], dtype: np.dtype[Any]) -> bool:
    """Claims that a window is better read than mapped: much that is no part of it is on the pages around."""
    is_plain = isinstance(array, PlainArray) and array.dtype == dtype and len(window) == len(array.shape)
    return is_plain and not array.lies_together(window)


def _is_live(type_: RelType, key: TileKey) -> bool:
    """Claims that a key in the domain has a tile."""
    if isinstance(type_.live, KeySet):
        return key in _listed(type_.live)
    return all(low <= k < high for k, (low, high) in zip(key, type_.live.ranges, strict=True))


@lru_cache(maxsize=16)
def _listed(live: KeySet) -> frozenset[TileKey]:
    return frozenset(map(tuple, live.keys.tolist()))


@dataclass(frozen=True)
class ArrayFile:
    """The tiles of a whole tensor: `.npy`, `.npz` or `.zarr`."""

    location: Location
    version: Version
    type: RelType
    is_open: bool = False
    remote = True

    @property
    def path(self) -> str:
        """Where the file lies."""
        return self.location.path

    @property
    def is_encoded(self) -> bool:
        """Claims that whoever reads a tile has to decode it."""
        return self.location.suffix == ".zarr"

    def cut(self, type_: RelType) -> ArrayFile:
        """The same array in other tiles."""
        return replace(self, type=type_)

    def read(self, key: TileKey) -> Tile:
        """The tile at a key, read-only; a view of the mapped file where it can be.

        Raises:
            CatalogError: the file or the tile is not there, or has changed.
        """
        with reading(self.location, key):
            domains = self.type.domains
            if len(key) != len(domains) or not all(0 <= k < d for k, d in zip(key, domains, strict=True)):
                raise ValueError("there is no tile at this key")
            if not _is_live(self.type, tuple(map(int, key))):
                raise ValueError("there is no tile at this key")
        return self._read(self.type.tile_window(key), key)

    def read_window(self, window: tuple[slice, ...]) -> Tile:
        """The elements in a window of the whole tensor, read-only; a view of the map where they lie so.

        Raises:
            CatalogError: the file is not there, or has changed.
        """
        return self._read(window, None)

    def opened(self) -> Any:
        """The array in the file, which is opened if it is not: a map, or what gives its windows.

        Raises:
            CatalogError: the file is not there, or has changed.
        """
        with reading(self.location):
            return open_file(self.location, self.version)[0]

    def reads_rows(self, rows: Sequence[int], windows: Sequence[slice], out: Tile) -> bool:
        """Reads some rows, within windows of the other axes; claims that the file has them as they are."""
        array = self.opened()
        if not isinstance(array, PlainArray) or array.dtype != out.dtype:
            return False
        with reading(self.location):
            array.read_rows(rows, windows, out)
        return True

    def _read(self, window: tuple[slice, ...], key: TileKey | None) -> Tile:
        with reading(self.location, key):
            array, _ = open_file(self.location, self.version)
            if key is None and _is_scattered(array, window, self.type.dtype):
                tile = np.empty([w.stop - w.start for w in window], self.type.dtype)
                array.read(window, tile)
                tile.setflags(write=False)
            else:
                tile = ArraySource(array, self.type).read_window(window)
            if not tile.flags.aligned or tile.dtype != self.type.dtype:
                tile = np.array(tile, dtype=self.type.dtype)
                tile.setflags(write=False)
            self.check()
            return tile

    def check(self) -> None:
        """Checks that what was read is of the file: chunks of zarr are files of their own, found by name.

        Raises:
            CatalogError: it has changed.
        """
        if self.location.suffix == ".zarr" and not self.location.is_remote:
            self.opened()
