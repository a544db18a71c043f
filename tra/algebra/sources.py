"""Where tiles come from: arrays and dictionaries of tiles that the user already has.

Arrays are borrowed: they are neither copied nor hashed. A source is known by an id and a version; sources on
disk live with the storage code of the backends and have the same two methods.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from tra.algebra.adopted import adopted
from tra.algebra.arguments import given_name, key_names
from tra.algebra.nodes import Source
from tra.algebra.tensor_type import tensor_type
from tra.algebra.tiles_type import tiles_type
from tra.algebra.types import Axis, RelType, Tile, TileKey, is_element
from tra.algebra.whole_tensor import fresh_name
from tra.errors import SchemaError

_ids = itertools.count(1)


@runtime_checkable
class TileSource(Protocol):
    """Data behind a source node.

    Attributes:
        remote: workers can read the tiles themselves (a file by its path); otherwise the client sends them.
    """

    remote: bool

    @property
    def is_open(self) -> bool:
        """Claims that the tile sizes were left out, so that the tensor may be cut otherwise."""
        ...

    def read(self, key: TileKey) -> Tile:
        """The tile at a live key; the caller does not write to it."""
        ...

    def cut(self, type_: RelType) -> TileSource:
        """The same tensor in the tiles of another type, where it is open; else itself."""
        ...


@runtime_checkable
class WindowSource(TileSource, Protocol):
    """Data that lies as a whole tensor, of which any window can be read at once."""

    def read_window(self, window: tuple[slice, ...]) -> Tile:
        """The elements in a window; the caller does not write to them."""
        ...


class ArraySource:
    """A borrowed array, read by slices."""

    remote = False

    def __init__(self, array: Any, type_: RelType, is_open: bool = False) -> None:
        self.array = array
        self.type = type_
        self.is_open = is_open

    def read(self, key: TileKey) -> Tile:
        """The slice of the array that the key stands for.

        Example:
            >>> array = np.arange(5)
            >>> ArraySource(array, tensor_type((5,), "i8", ("i",), 2)).read((2,))
            array([4])
        """
        return self.read_window(self.type.tile_window(key))

    def read_window(self, window: tuple[slice, ...]) -> Tile:
        """The elements in a window of the whole tensor, read-only.

        Example:
            >>> ArraySource(np.arange(5), tensor_type((5,), "i8", ("i",), 2)).read_window((slice(1, 4),))
            array([1, 2, 3])
        """
        piece = np.asarray(self.array[window], dtype=self.type.dtype)
        if min(piece.strides, default=0) < 0:
            piece = piece.copy(order="K")  # NumPy's functions have other bits where an array goes backwards
        if isinstance(self.array, np.ndarray):
            piece = piece.view()
        piece.setflags(write=False)
        return piece

    def cut(self, type_: RelType) -> ArraySource:
        """The same array in other tiles.

        Example:
            >>> array = ArraySource(np.arange(5), tensor_type((5,), "i8", ("i",), 2))
            >>> array.cut(tensor_type((5,), "i8", ("i",), 3)).read((1,))
            array([3, 4])
        """
        return self if type_ == self.type else ArraySource(self.array, type_, self.is_open)


class FixedTiles:
    """A source whose tiles are what they are, whatever a plan would like."""

    is_open = False

    def cut(self, type_: RelType) -> Self:
        """Itself."""
        return self


class TilesSource(FixedTiles):
    """Tiles by key."""

    remote = False

    def __init__(self, tiles: Mapping[TileKey, Tile]) -> None:
        self.tiles = tiles

    def read(self, key: TileKey) -> Tile:
        """The tile at the key."""
        return self.tiles[key]


def source_id(kind: str) -> str:
    """A new id, unique in this process.

    Example:
        >>> source_id("array") == source_id("array")
        False
    """
    return f"{kind}-{next(_ids)}"


def array_source(
    array: Any, keys: Sequence[str] | str | None, tile: Sequence[int] | int | None, name: str | None
) -> tuple[Source, TileSource]:
    """A source over a borrowed array; see `tra.from_array`.

    Example:
        >>> source, data = array_source(np.arange(5), "i", 2, "A")
        >>> source.name, str(source.type), data.read((1,))
        ('A', '[i:3] of 2/5 int64', array([2, 3]))

    Raises:
        SchemaError: keys or tile sizes do not fit, or elements are masked, or no numbers or truth values.
    """
    given_name(name)
    if hasattr(array, "tocoo"):
        from tra.algebra.sparse import is_sparse, sparse_source  # it is made of this

        if is_sparse(array):
            return sparse_source(array, keys, tile, name)
    array = adopted(array)
    dtype = np.dtype(array.dtype)
    check_dtype(dtype)
    type_ = tensor_type(array.shape, dtype.newbyteorder("="), keys, tile)
    id_ = source_id("array")
    data = ArraySource(array, type_, is_open=tile is None)
    return Source(type_, id_, "0", name or id_.replace("-", "_")), data


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Checks that elements are booleans or numbers, or pairs of a value and an index.

    Example:
        >>> check_dtype(np.dtype("f4"))

    Raises:
        SchemaError: they are strings, objects or dates, or records of other fields.
    """
    if not is_element(dtype):
        raise SchemaError(f"tensors are of booleans or numbers; got an array of {dtype}")


def tiles_source(
    tiles: Mapping[Any, Any],
    keys: Sequence[str] | str,
    axes: Sequence[Axis] | None,
    domain: Sequence[int] | None,
    name: str | None,
) -> tuple[Source, TileSource]:
    """A source over tiles by key; see `tra.from_tiles`.

    Example:
        >>> source, data = tiles_source({0: [1.0, 2.0], 2: [3.0]}, "i", None, None, "A")
        >>> str(source.type), data.read((2,))
        ('[i:3] of 2/5 float64', array([3.]))

    Raises:
        SchemaError: keys, shapes or dtypes do not fit together; the message names the key.
    """
    if not isinstance(tiles, Mapping):
        raise SchemaError(
            f"from_tiles takes tiles by key, as in {{(0, 1): array}}; got {type(tiles).__name__}, "
            "and tra.from_array makes a relation of an array"
        )
    given_name(name)
    held = {_as_key(key): _native(np.asarray(tile)) for key, tile in tiles.items()}
    type_ = tiles_type(held, key_names(keys), axes, domain)
    _check_shapes(held, type_)
    id_ = source_id("tiles")
    return Source(type_, id_, "0", name or id_.replace("-", "_")), TilesSource(held)


def _check_shapes(tiles: Mapping[TileKey, Tile], type_: RelType) -> None:
    """Checks that tiles are as long as their type makes them.

    Raises:
        SchemaError: names the key of one that is not.
    """
    for key, tile in tiles.items():
        expected = tuple(type_.tile_lengths(np.array([key], dtype=np.int64).reshape(1, len(key)))[0].tolist())
        if tile.shape != expected:
            raise SchemaError(
                f"the tile at key {key} has shape {tile.shape}, but {type_} makes it {expected}"
            )


def _native(tile: Tile) -> Tile:
    return tile.astype(tile.dtype.newbyteorder("="), copy=False)


def _as_key(key: Any) -> TileKey:
    parts = key if isinstance(key, (tuple, list)) else (key,)
    try:
        return tuple(operator.index(part) for part in parts)
    except TypeError:
        raise SchemaError(f"a key is made of integers; got {key!r}") from None


__all__ = [
    "ArraySource",
    "FixedTiles",
    "TileSource",
    "TilesSource",
    "WindowSource",
    "array_source",
    "check_dtype",
    "fresh_name",
    "key_names",
    "source_id",
    "tensor_type",
    "tiles_source",
]
