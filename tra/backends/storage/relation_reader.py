"""Reading the native format: a directory of Arrow files and a manifest, mapped into memory.

``manifest.json`` holds the type of the relation and lists the parts. A part is an uncompressed Arrow IPC file
of the tiles of one shape: a column per key and a column of tiles (`tile_column`). Keys and tiles of each
batch carry checksums, which are compared when first read.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from tra.algebra.types import KeyArray, Tile
from tra.backends.storage.location import Location
from tra.backends.storage.table_reader import TableReader, column_rows
from tra.backends.storage.tile_column import TileColumn
from tra.backends.storage.type_text import type_from_json, unseal

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of rows: how many, and the checksums of its keys and of its tiles."""

    rows: int
    keys_crc32: int
    tiles_crc32: int


@dataclass(slots=True)
class _Part:
    """A part as the manifest lists it, mapped when first used."""

    path: Path
    shape: tuple[int, ...]
    n_bytes: int
    batches: list[Batch]
    lock: Lock = field(default_factory=Lock)
    file: Any = None

    def batch(self, number: int) -> Any:
        """The batch as Arrow sees it."""
        with self.lock:
            if self.file is None:
                self.file = self._mapped()
            batch = self.file.get_batch(number)
        batch.validate()
        if batch.num_rows != self.batches[number].rows:
            raise ValueError(f"{self.path.name} has other rows than the manifest says")
        return batch

    def _mapped(self) -> Any:
        if self.path.stat().st_size != self.n_bytes:
            raise ValueError(
                f"{self.path.name} is of {self.path.stat().st_size} bytes, the manifest says {self.n_bytes}"
            )
        file = pa.ipc.open_file(pa.memory_map(str(self.path)))
        if file.num_record_batches != len(self.batches):
            raise ValueError(f"{self.path.name} has other batches than the manifest says")
        return file


class RelationReader(TableReader):
    """An open `.tra` directory."""

    kept_bytes = float("inf")  # views of the map: they cost nothing

    def __init__(self, location: Location) -> None:
        folder = Path(location.path)
        text = (folder / MANIFEST).read_bytes()
        data = unseal(text)
        parts = [_part(folder, part) for part in data["parts"]]
        self._slots = [(part, number) for part in parts for number in range(len(part.batches))]
        self._column: str = data["tiles"]
        super().__init__(type_from_json(data), [part.batches[number].rows for part, number in self._slots])
        self.digest = f"{zlib.crc32(text):08x}"

    def batch_keys(self, batch: int) -> KeyArray:
        part, number = self._slots[batch]
        keys = column_rows(part.batch(number), self._type.names)
        if zlib.crc32(keys.data) != part.batches[number].keys_crc32:
            raise ValueError(f"{part.path.name} is damaged (the checksum of its keys differs)")
        return keys

    def batch_elements(self, batch: int, sizes: KeyArray) -> Tile:
        part, number = self._slots[batch]
        stored = part.batch(number).column(self._column)
        elements = TileColumn(self._type.dtype, part.shape).decode(stored, sizes)
        if zlib.crc32(elements.view(np.uint8).data) != part.batches[number].tiles_crc32:
            raise ValueError(f"{part.path.name} is damaged (the checksum of its tiles differs)")
        return elements


def _part(folder: Path, data: dict[str, Any]) -> _Part:
    name, shape = str(data["file"]), tuple(map(int, data["shape"]))
    return _Part(
        folder / Path(name).name, shape, int(data["bytes"]), [Batch(*map(int, b)) for b in data["batches"]]
    )
