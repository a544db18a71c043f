"""Relations as Arrow tables: one int64 column per key, and the tiles in one of two forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tra.algebra.types import RelType, Tile, TileKey
from tra.errors import SchemaError


def arrow_table(tiles: Mapping[TileKey, Tile], type_: RelType) -> pa.Table:
    """The tiles of a relation as a table in the order of their keys.

    Where all tiles have one shape and Arrow has their dtype, the column ``tile`` is a fixed-shape tensor
    (plain numbers for tiles of rank 0). Elsewhere it holds the bytes of each tile in row-major order, with a
    column ``shape`` beside it and the dtype in the metadata of its field.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> table = arrow_table({(0,): np.ones(2), (1,): np.ones(1)}, tensor_type((3,), "f8", ("i",), 2))
        >>> table.column_names, table["shape"].to_pylist()
        (['i', 'tile', 'shape'], [[2], [1]])

    Raises:
        SchemaError: a key is called ``tile`` or ``shape``.
    """
    taken = sorted({"tile", "shape"} & set(type_.names))
    if taken:
        raise SchemaError(f"a key called {taken[0]!r} hides a column of the table; rekey {type_} first")
    rows = sorted(tiles)
    keys = np.array(rows, dtype=np.int64).reshape(len(rows), len(type_.keys))
    fields = [pa.field(name, pa.int64()) for name in type_.names]
    columns = [pa.array(column) for column in keys.T]
    ordered = [tiles[key] for key in rows]
    for field, column in _number_column(ordered, type_) or _byte_columns(ordered, type_):
        fields.append(field)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _number_column(tiles: list[Tile], type_: RelType) -> list[tuple[Any, Any]]:
    """The tiles as one column of numbers; none where Arrow has no type for them."""
    shapes = {tile.shape for tile in tiles}
    if len(shapes) != 1 or type_.dtype.kind not in "fiu" or type_.dtype.itemsize > 8:
        return []
    shape = shapes.pop()
    if not all(shape):
        return []
    stacked = np.ascontiguousarray(np.stack(tiles), dtype=type_.dtype.newbyteorder("="))
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(stacked) if shape else pa.array(stacked)
    return [(pa.field("tile", column.type), column)]


def _byte_columns(tiles: list[Tile], type_: RelType) -> list[tuple[Any, Any]]:
    """The tiles as bytes, and their shapes."""
    dtype = repr(type_.dtype.descr) if type_.dtype.names else type_.dtype.str
    contents = pa.array([np.ascontiguousarray(tile).tobytes() for tile in tiles], pa.large_binary())
    shapes = pa.array([list(tile.shape) for tile in tiles], pa.list_(pa.int64()))
    return [
        (pa.field("tile", contents.type, metadata={"dtype": dtype}), contents),
        (pa.field("shape", shapes.type), shapes),
    ]
