"""Tiles on their way to a file, held against the type of their relation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tra.algebra.live import is_listable, is_plain, live_keys, n_live, required, sort_keys
from tra.algebra.types import AtMost, Box, KeyArray, KeySet, RelType, Tile, TileKey, is_element
from tra.errors import SchemaError


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in this machine's byte order.

    Example:
        >>> native(np.dtype(">f4"))
        dtype('float32')

    Raises:
        ValueError: elements are no numbers (objects, strings, dates, records).
    """
    if not is_element(dtype):
        raise ValueError(f"tensors are of booleans or numbers, its elements are {dtype}")
    return dtype.newbyteorder("=")


def shape_at(type_: RelType, key: TileKey) -> tuple[int, ...]:
    """The shape of the tile at a key.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> shape_at(tensor_type((5, 4), "f8", tile=(2, 4)), (2, 0))
        (1, 4)
    """
    columns = dict(zip(type_.names, key, strict=True))
    lengths = (axis.extent - axis.size * int(axis.offset(columns)) for axis in type_.axes)
    return tuple(min(max(n, 0), axis.size) for n, axis in zip(lengths, type_.axes, strict=True))


def holds_exactly(type_: RelType, keys: KeyArray) -> bool:
    """Claims that the live keys of the type are these (sorted); trusted where they cannot be listed.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> two_tiles = tensor_type((3,), "f8", tile=2)
        >>> holds_exactly(two_tiles, np.array([[0], [1]])), holds_exactly(two_tiles, np.array([[1]]))
        (True, False)
    """
    if is_listable(type_):
        return np.array_equal(live_keys(type_), keys)
    return not is_plain(type_) or len(keys) == n_live(type_)


def with_keys(type_: RelType, keys: KeyArray) -> RelType:
    """The type of a relation of exactly these (sorted) keys: dense when they are all that is required.

    Example:
        >>> from tra.algebra.live import is_dense
        >>> from tra.algebra.sources import tensor_type
        >>> two_tiles = tensor_type((3,), "f8", tile=2)
        >>> [is_dense(with_keys(two_tiles, np.array(keys))) for keys in ([[0], [1]], [[1]])]
        [True, False]
    """
    whole = required(type_)
    if (is_listable(whole) or is_plain(whole)) and holds_exactly(whole, keys):
        return whole
    return replace(type_, live=KeySet(keys))


class TileCheck:
    """Checks tiles one by one, and in the end that none is missing.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> check = TileCheck(tensor_type((3,), "f8", tile=2))
        >>> check.accept((0,), np.zeros(2))
        ((0,), array([0., 0.]))
        >>> check.accept((1,), np.zeros(2))
        Traceback (most recent call last):
        tra.errors.SchemaError: the tile at key (1,) is (2,) float64;
        [i:2] of 2/3 float64 makes it (1,) float64
    """

    def __init__(self, type_: RelType) -> None:
        try:
            self.type = replace(type_, dtype=native(type_.dtype))
        except ValueError as error:
            raise SchemaError(f"cannot store {type_}: {error}") from error
        self._seen: set[TileKey] = set()

    def accept(self, key: TileKey, tile: Tile) -> tuple[TileKey, Tile]:
        """The key as plain numbers, the tile in the dtype it is stored in.

        Raises:
            SchemaError: the tile does not fit the type, or came before.
        """
        key = tuple(map(int, key))
        if len(key) != len(self.type.keys) or not all(
            0 <= k < d for k, d in zip(key, self.type.domains, strict=True)
        ):
            raise SchemaError(f"key {key} does not fit {self.type}")
        if key in self._seen:
            raise SchemaError(f"there are two tiles at key {key}")
        tile, shape = np.asarray(tile), shape_at(self.type, key)
        if tile.shape != shape or tile.dtype.newbyteorder("=") != self.type.dtype:
            raise SchemaError(
                f"the tile at key {key} is {tile.shape} {tile.dtype}; "
                f"{self.type} makes it {shape} {self.type.dtype}"
            )
        self._seen.add(key)
        return key, np.asarray(tile, dtype=self.type.dtype)

    def accept_keys(self, keys: KeyArray) -> None:
        """Notes tiles that were checked elsewhere.

        Raises:
            SchemaError: one came before.
        """
        found = set(map(tuple, keys.tolist()))
        if self._seen & found:
            raise SchemaError(f"there are two tiles at key {min(self._seen & found)}")
        self._seen |= found

    @property
    def keys(self) -> KeyArray:
        """The keys that came, in lexicographic order."""
        return sort_keys(
            np.array(list(self._seen), dtype=np.int64).reshape(len(self._seen), len(self.type.keys))
        )

    def finish(self) -> None:
        """Checks that the tiles that came are those of the type.

        Raises:
            SchemaError: one is missing, or a hole has a tile; the message names the key.
        """
        if isinstance(self.type.live, AtMost):
            return
        keys = self.keys
        if holds_exactly(self.type, keys):
            return
        if not is_listable(self.type):
            raise SchemaError(f"{len(keys)} tiles came of the {n_live(self.type)} of {self.type}")
        expected = set(map(tuple, live_keys(self.type).tolist()))
        missing, extra = expected - self._seen, self._seen - expected
        if missing:
            raise SchemaError(
                f"{len(missing)} of the {len(expected)} tiles of {self.type} did not come: key {min(missing)}"
            )
        raise SchemaError(f"{self.type} has no tile at key {min(extra)}, but one came")


def is_listed(type_: RelType) -> bool:
    """Claims that the live keys have to be read from the file: no range says them.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> dense = tensor_type((3,), "f8", tile=1)
        >>> is_listed(dense), is_listed(with_keys(dense, np.array([[0], [2]])))
        (False, True)
    """
    return not isinstance(type_.live, Box)
