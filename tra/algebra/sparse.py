"""Sparse tensors: elements with their coordinates, kept sparse; a tile is filled in when it is read.

Tiles without any element are holes. A zero that is stored is an element. Elements at one place are added, as
SciPy does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tra.algebra.arguments import given_list, given_name
from tra.algebra.live_rules import with_live
from tra.algebra.nodes import Source
from tra.algebra.sources import FixedTiles, check_dtype, source_id
from tra.algebra.tensor_type import tensor_type
from tra.algebra.types import LARGEST, KeyArray, KeySet, RelType, Tile, TileKey
from tra.errors import SchemaError, near_name


class SparseTiles(FixedTiles):
    """Elements in the order of their tiles.

    Attributes:
        type: the relation; its live keys are the tiles that have an element.
    """

    remote = False

    def __init__(self, places: KeyArray, values: Tile, type_: RelType) -> None:
        """`places` are the coordinates, one row per element; `type_` says how the whole tensor is cut."""
        keys = _tile_keys(places, type_)
        order = np.lexsort((*places.T[::-1], *keys.T[::-1])) if places.shape[1] else np.arange(len(places))
        self._places, self._values = _added(places[order], values[order])
        ordered = _tile_keys(self._places, type_)
        new = np.ones(len(ordered), dtype=bool)
        new[1:] = np.any(ordered[1:] != ordered[:-1], axis=1)
        starts = np.flatnonzero(new)
        self.type = with_live(type_, KeySet(ordered[starts]))
        edges = [*starts.tolist(), len(ordered)]
        self._rows = dict(zip(map(tuple, ordered[starts].tolist()), pairwise(edges), strict=True))

    def read(self, key: TileKey) -> Tile:
        """The tile at a key, filled in.

        Example:
            >>> type_ = tensor_type((2, 4), "f8", tile=2)
            >>> SparseTiles(np.array([[1, 2], [0, 3]]), np.array([5.0, 6.0]), type_).read((0, 1))
            array([[0., 6.],
                   [5., 0.]])
        """
        start, stop = self._rows[key]
        window = self.type.tile_window(key)
        tile = np.zeros([along.stop - along.start for along in window], self.type.dtype)
        corner = np.array([along.start for along in window], np.int64)
        tile[tuple((self._places[start:stop] - corner).T)] = self._values[start:stop]
        tile.setflags(write=False)
        return tile


def _tile_keys(places: KeyArray, type_: RelType) -> KeyArray:
    """The key of the tile of each element; key p cuts axis p."""
    sizes = [max(axis.size, 1) for axis in type_.axes[: len(type_.keys)]]
    return places[:, : len(sizes)] // np.array(sizes, np.int64)


def _added(places: KeyArray, values: Tile) -> tuple[KeyArray, Tile]:
    """Elements that follow each other at one place, added; others keep their bits."""
    new = np.ones(len(places), dtype=bool)
    new[1:] = np.any(places[1:] != places[:-1], axis=1)
    if new.all():
        return places, values
    starts = np.flatnonzero(new)
    return places[starts], np.add.reduceat(values, starts, dtype=values.dtype)


def is_sparse(value: object) -> bool:
    """Claims that a value is a sparse matrix or array of SciPy.

    Example:
        >>> is_sparse(np.ones(3))
        False
    """
    return type(value).__module__.partition(".")[0] == "scipy" and hasattr(value, "tocoo")


def sparse_source(
    matrix: Any, keys: Sequence[str] | str | None, tile: Sequence[int] | int | None, name: str | None
) -> tuple[Source, SparseTiles]:
    """A source over a sparse matrix of SciPy; see `tra.from_array`."""
    given_name(name)
    found = matrix.tocoo()
    coordinates = getattr(found, "coords", None) or (found.row, found.col)
    places = np.stack([np.asarray(c, np.int64) for c in coordinates], axis=1)
    return _source(places, np.asarray(found.data), found.shape, keys, tile, name)


def coo_source(
    table: Any,
    coordinates: Sequence[str],
    values: str,
    shape: Sequence[int] | None,
    keys: Sequence[str] | str | None,
    tile: Sequence[int] | int | None,
    name: str | None,
) -> tuple[Source, SparseTiles]:
    """A source over a table of coordinates and values; see `tra.from_coo`.

    Example:
        >>> table = {"row": [0, 4], "col": [1, 1], "x": [2.0, 3.0]}
        >>> source, tiles = coo_source(table, ("row", "col"), "x", None, None, 2, "A")
        >>> str(source.type), tiles.read((2, 0))
        ('[row:3, col:1] of 2/5×2 float64', array([[0., 3.]]))

    Raises:
        SchemaError: a column is missing, or has nulls, or coordinates are no integers within the shape.
    """
    given_name(name)
    names = list(given_list(coordinates))
    columns = [_column(table, column) for column in [*names, values]]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(f"{n} has {len(c)}" for n, c in zip([*names, values], columns, strict=True))
        raise SchemaError(f"the columns of a table are of one length; {lengths}")
    for column, array in zip(names, columns, strict=False):
        if array.dtype.kind not in "iu":
            raise SchemaError(f"coordinates are integers; column {column!r} is of {array.dtype}")
        most = int(array.max(initial=0))
        if most >= LARGEST:
            raise SchemaError(f"coordinate {most} of {column!r} is too large: {LARGEST - 1} is the largest")
    places = np.stack([np.asarray(c, np.int64) for c in columns[:-1]], axis=1)
    extents = _extents(places, names, shape)
    return _source(places, columns[-1], extents, names if keys is None else keys, tile, name)


def _extents(places: KeyArray, names: Sequence[str], shape: Sequence[int] | None) -> list[int]:
    """The extents of the whole tensor, which hold all coordinates."""
    if shape is not None and len(shape) != len(names):
        raise SchemaError(f"shape={tuple(shape)} has {len(shape)} extents for {len(names)} coordinates")
    low, high = places.min(axis=0, initial=0).tolist(), (places.max(axis=0, initial=-1) + 1).tolist()
    extents = high if shape is None else [int(extent) for extent in shape]
    for name, least, most, extent in zip(names, low, high, extents, strict=True):
        if least < 0 or most > extent:
            outside = least if least < 0 else most - 1
            raise SchemaError(f"coordinate {outside} of {name!r} lies outside its extent, {extent}")
    return extents


def _column(table: Any, name: str) -> Tile:
    """A column of a table, without copying where that can be."""
    names = _column_names(table)
    if name not in names:
        raise SchemaError(f"the table has no column {name!r}, but {', '.join(names)}{near_name(name, names)}")
    column = table[name]
    nulls = getattr(column, "null_count", 0)
    if nulls() if callable(nulls) else nulls:
        raise SchemaError(f"column {name!r} has missing values")
    found = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if found.ndim != 1:
        raise SchemaError(f"a column is one-dimensional; {name!r} has shape {found.shape}")
    return found


def _column_names(table: Any) -> list[str]:
    if isinstance(table, Mapping):
        return [str(name) for name in table]
    names = getattr(table, "column_names", None)
    names = getattr(table, "columns", None) if names is None else names
    if names is None:
        raise SchemaError(
            f"a table has columns, as those of pandas, Arrow and dicts do; got {type(table).__name__}"
        )
    return [str(name) for name in names]


def _source(
    places: KeyArray,
    values: Tile,
    shape: Sequence[int],
    keys: Sequence[str] | str | None,
    tile: Sequence[int] | int | None,
    name: str | None,
) -> tuple[Source, SparseTiles]:
    check_dtype(values.dtype)
    whole = tensor_type(shape, values.dtype.newbyteorder("="), keys, tile)
    data = SparseTiles(places, values.astype(whole.dtype, copy=False), whole)
    id_ = source_id("sparse")
    return Source(data.type, id_, "0", name or id_.replace("-", "_")), data
