"""Writers of some tiles of a relation, which travel to where these tiles lie.

Whoever writes the relation makes its temporary file or folder, hands out part writers, and puts all in place
when every part is written; see `TileWriter.part`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Protocol

from tra.algebra.types import KeyArray, RelType, Tile, TileKey
from tra.backends.storage.failures import writing
from tra.backends.storage.location import Location
from tra.backends.storage.manifest import Part
from tra.backends.storage.plain_files import write_plain
from tra.backends.storage.tile_check import TileCheck

Tiles = Iterable[tuple[TileKey, Tile]]


@dataclass(frozen=True)
class Written:
    """What became of some tiles: their keys, and the files of their own that they lie in."""

    keys: KeyArray
    parts: tuple[Part, ...] = ()


class PartWriter(Protocol):
    """Writes some tiles of a relation, wherever it is.

    Attributes:
        path: what has to be seen from there.
    """

    @property
    def path(self) -> Path: ...

    def write_all(self, tiles: Tiles) -> Written:
        """Writes tiles with their keys, and waits until they are on the disk.

        Raises:
            SchemaError: a tile does not fit the type.
            CatalogError: it cannot be written.
        """


@dataclass(frozen=True)
class PlainPart:
    """Tiles in a plain file of one array, which is as long already as it will be.

    Attributes:
        location: what messages call it.
        path: the file.
        begin: where its elements begin, in bytes.
        type: the relation.
    """

    location: Location
    path: Path
    begin: int
    type: RelType

    def write_all(self, tiles: Tiles) -> Written:
        """Writes tiles where their elements belong."""
        check = TileCheck(self.type)
        if not prod(self.type.shape):
            return Written(_taken(check, tiles))
        with writing(self.location), self.path.open("r+b", buffering=0) as file:
            for key, tile in tiles:
                place, taken = check.accept(key, tile)
                window = [slice(k, k + 1) if isinstance(k, int) else k for k in window_at(self.type, place)]
                write_plain(file.fileno(), self.begin, self.type.shape, window, taken)
            os.fsync(file.fileno())
        return Written(check.keys)


@dataclass(frozen=True)
class ZarrPart:
    """Tiles as chunks of a zarr array."""

    location: Location
    path: Path
    type: RelType

    def write_all(self, tiles: Tiles) -> Written:
        """Writes each tile, which is a chunk of its own."""
        check = TileCheck(self.type)
        with writing(self.location):
            from tra.backends.storage.chunk_store import ChunkStore, array_of  # zarr may be missing

            store = ChunkStore(self.path)
            array = array_of(store)
            for key, tile in tiles:
                place, taken = check.accept(key, tile)
                if prod(taken.shape):
                    array[window_at(self.type, place)] = taken
            store.sync()
        return Written(check.keys)


def _taken(check: TileCheck, tiles: Tiles) -> KeyArray:
    for key, tile in tiles:
        check.accept(key, tile)
    return check.keys


def window_at(type_: RelType, key: TileKey) -> tuple[int | slice, ...]:
    """The place of a tile in the whole tensor: keys that cut no axis lead.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> window_at(tensor_type((5, 4), "f8", ("i", "j"), 2), (2, 1))
        (slice(4, 5, None), slice(2, 4, None))
    """
    columns = dict(zip(type_.names, key, strict=True))
    free = [k for name, k in columns.items() if name not in type_.linked]
    starts = [axis.size * int(axis.offset(columns)) for axis in type_.axes]
    ends = [min(s + a.size, a.extent) for s, a in zip(starts, type_.axes, strict=True)]
    return (*free, *map(slice, starts, ends))
