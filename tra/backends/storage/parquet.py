"""Relations as one Parquet file: a column per key and a column of tiles, the type in the file's metadata.

Pages are plain and uncompressed, with checksums that are compared when read. A row group is a few MB, so
that a tile can be read without its neighbours in other groups.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tra.algebra.live import is_uniform
from tra.algebra.types import KeyArray, RelType, Tile, TileKey
from tra.algebra.whole_tensor import fresh_name
from tra.backends.storage.location import Location
from tra.backends.storage.table_reader import TableReader, column_rows
from tra.backends.storage.tile_check import shape_at
from tra.backends.storage.tile_column import TileColumn
from tra.backends.storage.type_text import seal, type_from_json, type_to_json, unseal
from tra.backends.storage.writer import BATCHING_BYTES, RowBuffer, TileWriter

METADATA = b"tra"


def tile_column(type_: RelType) -> TileColumn:
    """How the tiles of a relation stand in one column: ragged ones have no common shape.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> tile_column(tensor_type((4, 3), "f4", tile=(2, 3))).type
        FixedShapeTensorType(extension<arrow.fixed_shape_tensor[value_type=float, shape=[2,3]]>)
        >>> tile_column(tensor_type((5, 3), "f4", tile=(2, 3))).type
        LargeListType(large_list<item: float>)
    """
    uniform = all(is_uniform(axis, type_) for axis in type_.axes)
    return TileColumn(type_.dtype, shape_at(type_, (0,) * len(type_.keys)) if uniform else None)


def _source(location: Location) -> Any:
    """What Arrow reads: a path, or an open remote file."""
    if not location.is_remote:
        return location.path
    from tra.backends.storage.remote import RemoteFile

    return RemoteFile(location.path).open()


class ParquetReader(TableReader):
    """An open `.parquet` file."""

    def __init__(self, location: Location) -> None:
        self._file = pq.ParquetFile(_source(location), memory_map=True, page_checksum_verification=True)
        self._reading = Lock()
        metadata = self._file.schema_arrow.metadata or {}
        if METADATA not in metadata:
            raise ValueError(
                "it has no description of a relation in its metadata: it was not written by this engine"
            )
        data = unseal(metadata[METADATA])
        groups = self._file.metadata
        super().__init__(
            type_from_json(data), [groups.row_group(g).num_rows for g in range(groups.num_row_groups)]
        )
        self._column: str = data["tiles"]
        self._shape: list[int] | None = data["shape"]

    def batch_keys(self, batch: int) -> KeyArray:
        names = self._type.names
        return column_rows(self._columns(batch, names or (self._column,)), names)

    def batch_elements(self, batch: int, sizes: KeyArray) -> Tile:
        stored = self._columns(batch, (self._column,)).column(0)
        column = TileColumn(self._type.dtype, None if self._shape is None else tuple(self._shape))
        return column.decode(stored.chunk(0) if stored.num_chunks == 1 else stored.combine_chunks(), sizes)

    def _columns(self, batch: int, names: tuple[str, ...]) -> Any:
        with self._reading:
            return self._file.read_row_group(batch, columns=list(names))


class ParquetWriter(TileWriter):
    """Writes a `.parquet` file.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from tra.algebra.sources import tensor_type
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "x.parquet"
        >>> with ParquetWriter(path, tensor_type((4,), "f8", tile=2)) as out:
        ...     out.write_all([((1,), np.ones(2)), ((0,), np.zeros(2))])
        >>> pq.read_table(path).column("i").to_pylist()
        [1, 0]
        >>> folder.cleanup()
    """

    working_bytes = BATCHING_BYTES

    def __init__(self, path: str | os.PathLike[str] | Location, type_: RelType) -> None:
        super().__init__(path, type_)
        self._tiles = tile_column(self.type)
        self._name = fresh_name("tile", self.type.names)
        text = seal({**type_to_json(self.type), "tiles": self._name, "shape": self._tiles.shape})
        columns = [*((name, pa.int64()) for name in self.type.names), (self._name, self._tiles.type)]
        self._schema = pa.schema(columns, metadata={METADATA: text})
        self._buffer = RowBuffer(len(self.type.keys))
        self._file: Any = None

    def is_own(self) -> bool:
        with suppress(OSError), self.place.open() as file:
            return file.read(4) == b"PAR1"
        return False

    def begin(self) -> None:
        self._file = pq.ParquetWriter(
            str(self.place.temporary),
            self._schema,
            use_dictionary=False,
            compression="none",
            write_statistics=list(self.type.names),
            write_page_checksum=True,
        )

    def put(self, key: TileKey, tile: Tile) -> None:
        self._buffer.add(key, tile)
        if self._buffer.is_full:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._file.close()

    def abandon(self) -> None:
        with suppress(Exception):
            self._file.close()

    def _flush(self) -> None:
        keys, tiles = self._buffer.take()
        if tiles:
            batch = pa.record_batch([*map(pa.array, keys.T), self._tiles.encode(tiles)], schema=self._schema)
            self._file.write_batch(batch, row_group_size=len(tiles))
