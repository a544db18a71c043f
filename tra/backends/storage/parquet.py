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
from tra.backends.storage.writer import BATCH_BYTES, BATCHING_BYTES, RowBuffer, TileWriter
from tra.errors import CatalogError

METADATA = b"tra"
READ_AT_ONCE = 1 << 20  # bytes of a column that are read ahead of its pages
CODE_BYTES = 20 << 20  # of PyArrow's own code, which is in memory once it was used
LEVEL_BYTES = 5  # of the levels of an element of a list, with what they have grown from
_POOLING = Lock()


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


def _decoding_bytes(group: Any) -> int:
    """The most that reading a row group takes: pages, what is made of them, and levels: where lists end.

    What was made of the group before may be about for a while.
    """
    n_values = max((group.column(place).num_values for place in range(group.num_columns)), default=0)
    return 3 * int(group.total_byte_size) + LEVEL_BYTES * int(n_values)


def _opened(location: Location) -> Any:
    """The file, read into memory of the system's allocator.

    That of Arrow keeps several times as much as it was asked for, and gives back nothing while any is used.
    """
    source = _source(location)
    with _POOLING:
        before = pa.default_memory_pool()
        pa.set_memory_pool(pa.system_memory_pool())
        try:
            return pq.ParquetFile(
                source, page_checksum_verification=True, buffer_size=READ_AT_ONCE, pre_buffer=False
            )
        finally:
            pa.set_memory_pool(before)


def _triples_hint(location: Location, schema: Any) -> str:
    """How a table of somebody else's is read, where it may be one of elements and their coordinates."""
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    others = [field.name for field in schema if pa.types.is_floating(field.type)]
    values = (others or whole[-1:])[:1]
    coordinates = tuple(name for name in whole if name not in values)
    if not coordinates or not values:
        return ""
    table = f"pyarrow.parquet.read_table({location.path!r})"
    return f"\n  hint: a table of elements is read by tra.from_coo({table}, {coordinates!r}, {values[0]!r})"


class ParquetReader(TableReader):
    """An open `.parquet` file."""

    def __init__(self, location: Location) -> None:
        self._file = _opened(location)
        self._reading = Lock()
        metadata = self._file.schema_arrow.metadata or {}
        if METADATA not in metadata:
            raise CatalogError(
                f"cannot read {location}: it has no description of a relation in its metadata: it was not "
                f"written by this engine{_triples_hint(location, self._file.schema_arrow)}"
            )
        data = unseal(metadata[METADATA])
        groups = [self._file.metadata.row_group(g) for g in range(self._file.metadata.num_row_groups)]
        super().__init__(type_from_json(data), [group.num_rows for group in groups])
        self.batch_bytes = CODE_BYTES + READ_AT_ONCE + max(map(_decoding_bytes, groups), default=0)
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
            return self._file.read_row_group(batch, columns=list(names), use_threads=False)


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

    working_bytes = BATCHING_BYTES + BATCH_BYTES + CODE_BYTES  # Arrow's allocator keeps a batch more

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
