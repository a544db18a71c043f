"""Writing the native format (see `relation_reader`): one part per tile shape, the manifest last."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from tra.algebra.types import AtMost, RelType, Tile, TileKey
from tra.algebra.whole_tensor import fresh_name
from tra.backends.storage.durable import sync
from tra.backends.storage.failures import writing
from tra.backends.storage.location import Location
from tra.backends.storage.manifest import Batch, Part, manifest_of
from tra.backends.storage.part_writers import PartWriter, Written
from tra.backends.storage.relation_append import appended
from tra.backends.storage.relation_folder import replaced
from tra.backends.storage.tile_check import TileCheck, with_keys
from tra.backends.storage.tile_column import TileColumn
from tra.backends.storage.writer import BATCHING_BYTES, RowBuffer, TileWriter

BUFFER_BYTES = 64 << 20


class RelationWriter(TileWriter):
    """Writes a `.tra` directory; holds at most `BUFFER_BYTES` of tiles, and one tile more.

    Args:
        path: its place.
        type_: what is written.
        append: adds to the relation that is there, where one is, instead of replacing it.
        placement: how the tiles lie on the sites that made them, for the manifest.

    Example:
        >>> import tempfile
        >>> from tra.algebra.sources import tensor_type
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "x.tra"
        >>> with RelationWriter(path, tensor_type((5,), "f8", tile=2)) as out:
        ...     for i in (2, 0, 1):
        ...         out.write((i,), np.arange(2 * i, min(2 * i + 2, 5), dtype="f8"))
        >>> sorted(p.name for p in path.iterdir())
        ['manifest.json', 'part-0.arrow', 'part-1.arrow']
        >>> folder.cleanup()
    """

    working_bytes = BATCHING_BYTES

    def __init__(
        self,
        path: str | os.PathLike[str] | Location,
        type_: RelType,
        append: bool = False,
        placement: str = "one site",
    ) -> None:
        super().__init__(path, type_)
        self._column = fresh_name("tile", self.type.names)
        self._files = _Files(self.place.temporary, self.type, self._column)
        self._others: tuple[Part, ...] = ()
        self._joined = appended if append else replaced
        self._placement = placement

    def is_own(self) -> bool:
        return self.place.is_relation()

    def begin(self) -> None:
        self.place.temporary.mkdir()

    def put(self, key: TileKey, tile: Tile) -> None:
        self._files.put(key, tile)

    def part(self, name: str) -> PartWriter | None:
        return RelationPart(self.location, self.place.temporary, self.type, self._column, name)

    def accept_part(self, written: Written) -> None:
        super().accept_part(written)
        self._others += written.parts

    def finish(self) -> None:
        self._files.close()

    def put_in_place(self) -> None:
        parts = [*self._files.entries(), *self._others]
        manifest = manifest_of(self._known(), parts, self._column, self._placement)
        self.place.publish(manifest, self._joined)

    def _known(self) -> RelType:
        """The type with its live keys, where only the run knew them."""
        if not isinstance(self.type.live, AtMost):
            return self.type
        return with_keys(self.type, self._check.keys)

    def abandon(self) -> None:
        self._files.abandon()


@dataclass(frozen=True)
class RelationPart:
    """Tiles of a relation in files of their own.

    Attributes:
        location: what messages call it.
        path: the folder where the files go.
        type: the relation.
        column: the name of the column of tiles.
        name: what tells the files from those of other parts.
    """

    location: Location
    path: Path
    type: RelType
    column: str
    name: str

    def write_all(self, tiles: Iterable[tuple[TileKey, Tile]]) -> Written:
        """Writes tiles into files of their own, which whoever does the same work again does not touch."""
        name = f"{self.name}-{uuid4().hex[:12]}-"
        check, files = TileCheck(self.type), _Files(self.path, self.type, self.column, name)
        try:
            with writing(self.location):
                for key, tile in tiles:
                    files.put(*check.accept(key, tile))
                files.close()
                return Written(check.keys, tuple(files.entries()))
        finally:
            files.abandon()


class _Files:
    """The files of some tiles, one for each shape; holds at most `BUFFER_BYTES` of tiles, and one more."""

    def __init__(self, folder: Path, type_: RelType, column: str, name: str = "") -> None:
        self._folder, self._type, self._column, self._name = folder, type_, column, name
        self._parts: dict[tuple[int, ...], _PartWriter] = {}

    def put(self, key: TileKey, tile: Tile) -> None:
        part = self._parts.get(tile.shape)
        if part is None:
            file = self._folder / f"part-{self._name}{len(self._parts)}.arrow"
            part = self._parts[tile.shape] = _PartWriter(file, self._type, tile.shape, self._column)
        part.buffer.add(key, tile)
        if part.buffer.is_full:
            part.flush()
        elif sum(p.buffer.n_bytes for p in self._parts.values()) > BUFFER_BYTES:
            max(self._parts.values(), key=lambda p: p.buffer.n_bytes).flush()

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def entries(self) -> list[Part]:
        return [part.entry() for part in self._parts.values()]

    def abandon(self) -> None:
        for part in self._parts.values():
            part.abandon()


class _PartWriter:
    """One Arrow file of tiles of one shape."""

    def __init__(self, path: Path, type_: RelType, shape: tuple[int, ...], column: str) -> None:
        self.path, self.shape = path, shape
        self.buffer = RowBuffer(len(type_.keys))
        self._tiles = TileColumn(type_.dtype, shape)
        self._schema = pa.schema([*((name, pa.int64()) for name in type_.names), (column, self._tiles.type)])
        self._sink = pa.OSFile(str(path), "wb")
        self._file = pa.ipc.new_file(self._sink, self._schema)
        self._checksums: list[tuple[int, int]] = []  # of the keys and of the tiles of each batch

    def flush(self) -> None:
        """Writes the rows gathered so far as a batch."""
        keys, tiles = self.buffer.take()
        if not tiles:
            return
        columns = [*map(pa.array, keys.T), self._tiles.encode(tiles)]
        self._file.write_batch(pa.record_batch(columns, schema=self._schema))
        crc = 0
        for tile in tiles:
            crc = zlib.crc32(np.reshape(tile, -1).view(np.uint8).data, crc)
        self._checksums.append((zlib.crc32(keys.data), crc))

    def close(self) -> None:
        """Completes the file and brings it to the disk."""
        self.flush()
        self._file.close()
        self._sink.close()
        sync(self.path)

    def entry(self) -> Part:
        """What the manifest says of the file: where its batches lie is asked of Arrow."""
        with pa.memory_map(str(self.path)) as file:
            begin = file.read_buffer().address
            file.seek(0)
            stored = pa.ipc.open_file(file)
            batches = tuple(
                _located(stored.get_batch(number), begin, checksums)
                for number, checksums in enumerate(self._checksums)
            )
        return Part(self.path.name, self.path.stat().st_size, self.shape, batches)

    def abandon(self) -> None:
        """Closes the file as it is."""
        with suppress(Exception):
            self._file.close()
        self._sink.close()


def _located(batch: Any, begin: int, checksums: tuple[int, int]) -> Batch:
    """A batch and where its columns lie, the data of each being its last buffer."""
    *keys, tiles = [_place(column.buffers()[-1], begin) for column in batch.columns]
    return Batch(batch.num_rows, tuple(keys), checksums[0], tiles, checksums[1])


def _place(buffer: Any, begin: int) -> int:
    return int(buffer.address - begin) if buffer is not None and buffer.size else 0
