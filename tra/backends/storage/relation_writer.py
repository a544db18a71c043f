"""Writing the native format (see `relation_reader`): one part per tile shape, the manifest last."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tra.algebra.types import RelType, Tile, TileKey
from tra.algebra.whole_tensor import fresh_name
from tra.backends.storage.location import Location
from tra.backends.storage.relation_reader import MANIFEST, Batch
from tra.backends.storage.tile_column import TileColumn
from tra.backends.storage.type_text import FORMAT, seal, type_to_json
from tra.backends.storage.writer import BATCHING_BYTES, RowBuffer, TileWriter

BUFFER_BYTES = 64 << 20


class RelationWriter(TileWriter):
    """Writes a `.tra` directory; holds at most `BUFFER_BYTES` of tiles, and one tile more.

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

    def __init__(self, path: str | os.PathLike[str] | Location, type_: RelType) -> None:
        super().__init__(path, type_)
        self._parts: dict[tuple[int, ...], _PartWriter] = {}
        self._column = fresh_name("tile", self.type.names)

    def is_own(self) -> bool:
        return _is_relation(self.target)

    def begin(self) -> None:
        self.temporary.mkdir()

    def put(self, key: TileKey, tile: Tile) -> None:
        part = self._parts.get(tile.shape)
        if part is None:
            file = self.temporary / f"part-{len(self._parts)}.arrow"
            part = self._parts[tile.shape] = _PartWriter(file, self.type, tile.shape, self._column)
        part.buffer.add(key, tile)
        if part.buffer.is_full:
            part.flush()
        elif sum(p.buffer.n_bytes for p in self._parts.values()) > BUFFER_BYTES:
            max(self._parts.values(), key=lambda p: p.buffer.n_bytes).flush()

    def finish(self) -> None:
        parts = [part.close() for part in self._parts.values()]
        text = seal({**type_to_json(self.type), "tiles": self._column, "parts": parts})
        (self.temporary / MANIFEST).write_text(text)

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
        self._batches: list[Batch] = []

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
        self._batches.append(Batch(len(tiles), zlib.crc32(keys.data), crc))

    def close(self) -> dict[str, Any]:
        """Completes the file; what the manifest says of it."""
        self.flush()
        self._file.close()
        self._sink.close()
        return {
            "file": self.path.name,
            "shape": self.shape,
            "rows": sum(batch.rows for batch in self._batches),
            "bytes": self.path.stat().st_size,
            "batches": [astuple(batch) for batch in self._batches],
        }

    def abandon(self) -> None:
        """Closes the file as it is."""
        with suppress(Exception):
            self._file.close()
        self._sink.close()


def _is_relation(path: Path) -> bool:
    """Claims that a folder is a relation of the native format, of any version and in any state."""
    try:
        data = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get("format") == FORMAT
