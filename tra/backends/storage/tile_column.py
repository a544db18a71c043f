"""Tiles as an Arrow column that keeps every bit, and that other tools can read where Arrow has a type for it.

=========================================  ==========================================================
tiles                                      column
=========================================  ==========================================================
numbers, one shape                         fixed_shape_tensor
numbers, rank 0                            plain numbers
numbers, several shapes                    large_list of numbers in row-major order
booleans                                   as numbers, in uint8
complex                                    as numbers, real and imaginary part along a last axis
structured, long double, no elements       large_binary of the tile's bytes
=========================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tra.algebra.types import KeyArray, Tile

MAX_LIST = (1 << 31) - 1


@dataclass(frozen=True)
class TileColumn:
    """How tiles of one dtype, and of one shape (None: of several), stand in a column.

    Example:
        >>> column = TileColumn(np.dtype("c8"), (2,))
        >>> stored = column.encode([np.array([1 + 2j, 3], "c8")])
        >>> stored.type.shape, stored.type.value_type
        ([2, 2], DataType(float))
        >>> column.decode(stored, np.array([2]))
        array([1.+2.j, 3.+0.j], dtype=complex64)
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...] | None

    @property
    def numbers(self) -> np.dtype[np.generic] | None:
        """The dtype that stands for the elements in Arrow, or None when they are kept as bytes."""
        if self.shape is not None and not 0 < prod(self._stored) <= MAX_LIST:
            return None
        if self.dtype.kind == "c":
            return np.dtype(f"f{self.dtype.itemsize // 2}") if self.dtype.itemsize <= 16 else None
        if self.dtype.kind == "b":
            return np.dtype(np.uint8)
        return self.dtype if self.dtype.kind in "iuf" and self.dtype.itemsize <= 8 else None

    @property
    def _unit(self) -> np.dtype[np.generic]:
        """What a flattened tile is an array of: numbers or bytes."""
        return np.dtype(np.uint8) if self.numbers is None else self.numbers

    @property
    def _stored(self) -> tuple[int, ...]:
        return (*(self.shape or ()), *((2,) if self.dtype.kind == "c" else ()))

    @property
    def type(self) -> Any:
        """The Arrow type."""
        if self.numbers is None:
            return pa.large_binary()
        numbers = pa.from_numpy_dtype(self.numbers)
        if self.shape is None:
            return pa.large_list(numbers)
        return pa.fixed_shape_tensor(numbers, self._stored) if self._stored else numbers

    def encode(self, tiles: Sequence[Tile]) -> Any:
        """The tiles (C order) as an Arrow array."""
        flats = [np.reshape(tile, -1).view(self._unit) for tile in tiles]
        flat = flats[0] if len(flats) == 1 else np.concatenate([np.empty(0, self._unit), *flats])
        offsets = pa.array([0, *accumulate(map(len, flats))], pa.int64())
        if self.numbers is None:
            return pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), len(flats), [None, offsets.buffers()[1], pa.py_buffer(flat)]
            )
        values = pa.array(flat)
        if self.shape is None:
            return pa.LargeListArray.from_arrays(offsets, values)
        if not self._stored:
            return values
        return pa.ExtensionArray.from_storage(
            self.type, pa.FixedSizeListArray.from_arrays(values, type=self.type.storage_type)
        )

    def decode(self, array: Any, sizes: KeyArray) -> Tile:
        """All elements of a column one after the other: a read-only view where Arrow allows.

        Args:
            array: the column.
            sizes: how many elements each row must have.

        Raises:
            ValueError: the column is not as `encode` makes it.
        """
        if not self._fits(array.type) or array.null_count or len(array) != len(sizes):
            raise ValueError(f"its tiles are a column of {array.type}, expected {self.type}")
        width = self.dtype.itemsize // self._unit.itemsize
        flat, offsets = self._flat(array)
        ends = np.concatenate([[0], np.cumsum(sizes * width)])
        if len(flat) != ends[-1] or (offsets is not None and not np.array_equal(offsets, ends)):
            raise ValueError("its tiles are of other sizes than its keys say")
        return flat.view(self.dtype)

    def _fits(self, found: Any) -> bool:
        if self.numbers is not None and self.shape is None:
            return bool(pa.types.is_large_list(found) and found.value_type == self.type.value_type)
        return bool(found == self.type)

    def _flat(self, array: Any) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
        if self.numbers is None:
            return _binary(array)
        if self.shape is None:
            offsets = array.offsets.to_numpy()
            return array.flatten().to_numpy(zero_copy_only=True), offsets - offsets[0]
        values = array.storage.flatten() if self._stored else array
        return values.to_numpy(zero_copy_only=True), None


def _binary(array: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The bytes of all rows and where each row begins, without a copy."""
    _, where, data = array.buffers()
    offsets = (
        np.frombuffer(where, np.int64)[array.offset : array.offset + len(array) + 1]
        if len(array)
        else np.zeros(1, np.int64)
    )
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    return content[offsets[0] : offsets[-1]], offsets - offsets[0]
