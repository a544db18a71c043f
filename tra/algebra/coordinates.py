"""Relations as elements with coordinates: what sparse libraries and tables of triples hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tra.algebra.retiling import check_links, free_keys
from tra.algebra.tensor_type import default_names
from tra.algebra.types import KeyArray, RelType, Tile, TileKey
from tra.errors import SchemaError


def elements(tiles: Mapping[TileKey, Tile], type_: RelType, what: str) -> tuple[KeyArray, Tile]:
    """Coordinates in the whole tensor, a row per element, and values, in the order of the tiles.

    Elements whose bits are all zero are left out, but for the first of a tile that has no other: it says that
    the tile is there. Negative zeros and numbers that are none stay.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> type_ = tensor_type((4,), "f8", tile=2)
        >>> places, values = elements({(0,): np.zeros(2), (1,): np.array([0.0, 5.0])}, type_, "to_coo")
        >>> places.tolist(), values
        ([[0], [3]], array([0., 5.]))

    Raises:
        SchemaError: keys do not say where tiles lie in one tensor, or elements are pairs.
    """
    check_links(type_, what)
    if type_.dtype.names is not None:
        raise SchemaError(f"{what} takes numbers; {type_} has pairs")
    free = [type_.names.index(key.name) for key in free_keys(type_)]
    places, values = [np.zeros((0, len(type_.shape)), np.int64)], [np.zeros(0, type_.dtype)]
    for key in sorted(tiles):
        tile = np.ascontiguousarray(tiles[key])
        kept = _stored(tile)
        inside = (
            np.stack(np.unravel_index(kept, tile.shape), axis=1) if tile.ndim else np.zeros((len(kept), 0))
        )
        lead = np.broadcast_to(np.array([key[p] for p in free], np.int64), (len(kept), len(free)))
        starts = np.array(type_.tile_starts(key), np.int64)
        places.append(np.concatenate([lead, inside + starts], axis=1))
        values.append(tile.reshape(-1)[kept])
    return np.concatenate(places), np.concatenate(values)


def _stored(tile: Tile) -> KeyArray:
    """The flat places of the elements that are kept of a tile."""
    bits = tile.reshape(-1).view(np.uint8).reshape(tile.size, tile.dtype.itemsize)
    kept = np.flatnonzero(bits.any(axis=1))
    return kept if len(kept) or not tile.size else np.zeros(1, np.int64)


def coordinate_names(type_: RelType) -> tuple[str, ...]:
    """A name per axis of the whole tensor: that of the key that stands for it or cuts it alone.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> coordinate_names(tensor_type((4, 3, 2), "f8", keys=("row", "col")))
        ('row', 'col', 'k')
    """
    links = [[name for name, _ in axis.link] for axis in type_.axes]
    spare = [name for name in default_names(len(type_.shape) + len(type_.keys)) if name not in type_.names]
    found = [key.name for key in free_keys(type_)]
    for place, link in enumerate(links):
        wished = default_names(place + 1)[place]
        found.append(link[0] if len(link) == 1 else wished if wished in spare else spare[-1 - place])
    return tuple(found)


def coo_table(tiles: Mapping[TileKey, Tile], type_: RelType, values: str) -> Any:
    """A table of Arrow with a column per axis, and one of values.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> coo_table({(0,): np.array([0.0, 5.0])}, tensor_type((2,), "f8"), "x").to_pylist()
        [{'i': 1, 'x': 5.0}]

    Raises:
        SchemaError: Arrow has no such numbers, or two columns would have one name.
    """
    import pyarrow as pa  # it takes a while to load

    if type_.dtype.kind == "c" or type_.dtype.itemsize > 8:
        raise SchemaError(f"Arrow has no {type_.dtype}; to_scipy() has, and A.real and A.imag are relations")
    names = coordinate_names(type_)
    if values in names:
        raise SchemaError(f"a column of values called {values!r} hides one of coordinates; give another name")
    places, found = elements(tiles, type_, "to_coo")
    columns = [pa.array(column) for column in places.T]
    return pa.Table.from_arrays([*columns, pa.array(found)], names=[*names, values])


def scipy_array(tiles: Mapping[TileKey, Tile], type_: RelType) -> Any:
    """A sparse array of SciPy, with coordinates.

    Raises:
        SchemaError: SciPy is not there, or the relation is one number.
    """
    try:
        from scipy.sparse import coo_array
    except ImportError:
        raise SchemaError("to_scipy needs the package scipy: pip install 'tra-engine[tables]'") from None
    if not type_.shape:
        raise SchemaError(f"SciPy's sparse arrays have an axis at least; {type_} is one number")
    places, values = elements(tiles, type_, "to_scipy")
    return coo_array((values, tuple(places.T)), shape=type_.shape)
