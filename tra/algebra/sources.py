"""Where tiles come from: arrays and dictionaries of tiles that the user already has.

Arrays are borrowed: they are neither copied nor hashed. A source is known by an id and a version; sources on
disk live with the storage code of the backends and have the same two methods.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tra.algebra.live import full_box, sort_keys
from tra.algebra.nodes import Source
from tra.algebra.live_rules import with_live
from tra.algebra.types import Axis, Box, Key, KeySet, RelType, Tile, TileKey
from tra.algebra.whole_tensor import default_tile, fresh_name
from tra.errors import SchemaError

_ids = itertools.count(1)
DEFAULT_NAMES = "ijklmnopqrstuvwxyz"


@runtime_checkable
class TileSource(Protocol):
    """Data behind a source node.

    Attributes:
        remote: workers can read the tiles themselves (a file by its path); otherwise the client sends them.
    """

    remote: bool

    def read(self, key: TileKey) -> Tile:
        """The tile at a live key; the caller does not write to it."""
        ...


class ArraySource:
    """A borrowed array, read by slices."""

    remote = False

    def __init__(self, array: Any, type_: RelType) -> None:
        self.array = array
        self.type = type_

    def read(self, key: TileKey) -> Tile:
        """The slice of the array that the key stands for."""
        columns = dict(zip(self.type.names, key, strict=True))
        starts = [int(axis.offset(columns)) * axis.size for axis in self.type.axes]
        window = tuple(slice(s, min(s + a.size, a.extent)) for s, a in zip(starts, self.type.axes, strict=True))
        piece = np.asarray(self.array[window])
        if isinstance(self.array, np.ndarray):
            piece = piece.view()
        piece.setflags(write=False)
        return piece


class TilesSource:
    """Tiles by key."""

    remote = False

    def __init__(self, tiles: Mapping[TileKey, Tile]) -> None:
        self.tiles = tiles

    def read(self, key: TileKey) -> Tile:
        """The tile at the key."""
        return self.tiles[key]


def source_id(kind: str) -> str:
    """A new id, unique in this process."""
    return f"{kind}-{next(_ids)}"


def tensor_type(
    shape: Sequence[int], dtype: Any, keys: Sequence[str] | None = None, tile: Sequence[int] | int | None = None
) -> RelType:
    """The type of a whole tensor cut into tiles; key p cuts axis p.

    Raises:
        SchemaError: more keys than axes, keys named twice, or tile sizes that do not fit.
    """
    rank = len(shape)
    names = tuple(DEFAULT_NAMES[:rank] if keys is None else keys)
    if len(names) > rank:
        raise SchemaError(f"{len(names)} keys ({', '.join(names)}) for an array of {rank} axes, shape {tuple(shape)}")
    if len(set(names)) < len(names):
        raise SchemaError(f"a key is named twice: {', '.join(names)}")
    sizes = _tile_sizes(tile, shape, len(names))
    axes, found = [], []
    for place, extent in enumerate(int(e) for e in shape):
        if place < len(names):
            size = min(sizes[place], extent)
            axes.append(Axis(size, ((names[place], 1),), extent))
            found.append(Key(names[place], axes[-1].n_tiles))
        else:
            axes.append(Axis(extent, (), extent))
    result = RelType(tuple(found), tuple(axes), np.dtype(dtype), Box(()))
    return RelType(result.keys, result.axes, result.dtype, full_box(result))


def _tile_sizes(tile: Sequence[int] | int | None, shape: Sequence[int], n_keys: int) -> list[int]:
    if tile is None:
        return [max(size, 1) for size in default_tile(shape)]
    sizes = [int(tile)] * n_keys if isinstance(tile, (int, np.integer)) else [int(t) for t in tile]
    if len(sizes) not in (n_keys, len(shape)):
        raise SchemaError(f"tile={tuple(sizes)} has {len(sizes)} sizes for {n_keys} keys")
    if any(size < 1 for size in sizes):
        raise SchemaError(f"a tile size is at least 1; got tile={tuple(sizes)}")
    return sizes


def array_source(
    array: Any, keys: Sequence[str] | None, tile: Sequence[int] | int | None, name: str | None
) -> tuple[Source, TileSource]:
    """A source over a borrowed array; see `tra.from_array`."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        array = np.asarray(array)
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "biufc" and dtype.names is None:
        raise SchemaError(f"tensors are of booleans or numbers; got an array of {dtype}")
    type_ = tensor_type(array.shape, dtype, keys, tile)
    id_ = source_id("array")
    return Source(type_, id_, "0", name or id_.replace("-", "_")), ArraySource(array, type_)


def tiles_source(
    tiles: Mapping[Any, Any], keys: Sequence[str], axes: Sequence[Axis] | None, domain: Sequence[int] | None, name: str | None
) -> tuple[Source, TileSource]:
    """A source over tiles by key; see `tra.from_tiles`."""
    held = {_as_key(key): np.asarray(tile) for key, tile in tiles.items()}
    type_ = _tiles_type(held, tuple(keys), axes, domain)
    for key, tile in held.items():
        expected = tuple(type_.tile_lengths(np.array([key], dtype=np.int64).reshape(1, len(key)))[0].tolist())
        if tile.shape != expected:
            raise SchemaError(f"the tile at key {key} has shape {tile.shape}, but {type_} makes it {expected}")
    id_ = source_id("tiles")
    return Source(type_, id_, "0", name or id_.replace("-", "_")), TilesSource(held)


def _as_key(key: Any) -> TileKey:
    return tuple(int(k) for k in key) if isinstance(key, (tuple, list)) else (int(key),)


def _tiles_type(
    tiles: Mapping[TileKey, Tile], names: tuple[str, ...], axes: Sequence[Axis] | None, domain: Sequence[int] | None
) -> RelType:
    if not tiles and (axes is None or domain is None):
        raise SchemaError("an empty relation needs axes= and domain=")
    if len(set(names)) < len(names):
        raise SchemaError(f"a key is named twice: {', '.join(names)}")
    wrong = next((key for key in tiles if len(key) != len(names) or min(key, default=0) < 0), None)
    if wrong is not None:
        raise SchemaError(f"key {wrong} does not fit the keys ({', '.join(names)}): one non-negative integer each")
    dtypes, ranks = {t.dtype for t in tiles.values()}, {t.ndim for t in tiles.values()}
    if len(dtypes) > 1 or len(ranks) > 1:
        raise SchemaError(f"tiles of one relation have one dtype and rank; got {sorted(map(str, dtypes))}, ranks {sorted(ranks)}")
    listed = sort_keys(np.array(list(tiles), dtype=np.int64).reshape(len(tiles), len(names)))
    sizes = [int(d) for d in domain] if domain is not None else [int(m) + 1 for m in listed.max(axis=0)]
    outside = next((key for key in tiles if any(k >= d for k, d in zip(key, sizes, strict=True))), None)
    if outside is not None:
        raise SchemaError(f"key {outside} lies outside the domain {tuple(sizes)}")
    if axes is None:
        axes = _guess_axes(tiles, names, sizes)
    dtype = dtypes.pop() if dtypes else np.dtype(np.float64)
    base = RelType(tuple(map(Key, names, sizes)), tuple(axes), dtype, Box(()))
    return with_live(base, KeySet(listed))


def _guess_axes(tiles: Mapping[TileKey, Tile], names: tuple[str, ...], domain: Sequence[int]) -> list[Axis]:
    """Key p cuts axis p when there are as many keys as axes; otherwise all tiles have one shape."""
    rank = next(iter(tiles.values())).ndim
    axes = []
    for place in range(rank):
        size = max(t.shape[place] for t in tiles.values())
        if rank != len(names):
            axes.append(Axis(size, (), size))
            continue
        last = [t.shape[place] for key, t in tiles.items() if key[place] == domain[place] - 1]
        end = max(last) if last else size
        extent = size * (domain[place] - 1) + end
        axes.append(Axis(size, ((names[place], 1),), extent) if size else Axis(0, ((names[place], 1),), 0))
    return axes


__all__ = ["ArraySource", "TileSource", "TilesSource", "array_source", "fresh_name", "tensor_type", "tiles_source"]
