"""Windows of arrays in plain files, read into memory that the caller has, and written from it.

A map would make every page that is touched, and its neighbours, part of the memory of the process.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import IO, Any

import numpy as np

from tra.algebra.types import Tile
from tra.backends.threads import parallel

_AT_ONCE = 1 << 30  # bytes of one call
_SHARE = 16 << 20  # bytes of a window that one thread reads


class PlainArray:
    """An array in rows in a file: a map of it, and the file that was mapped, kept open.

    What has the file's name later may be another file, and the map of one that was replaced stays what it is:
    windows are read past the map from the same file.

    Args:
        file: the file, open for reading.
        dtype: of the elements.
        begin: where they begin, in bytes.
        shape: of the array.

    Attributes:
        map: the map, read-only.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     _ = file.write(np.arange(12.0).tobytes())
        ...     file.flush()
        ...     array = PlainArray(file, np.dtype("f8"), 0, (4, 3))
        >>> out = np.empty((2, 2))
        >>> array.read([slice(1, 3), slice(0, 2)], out)
        >>> out.tolist(), array[3].tolist()
        ([[3.0, 4.0], [6.0, 7.0]], [9.0, 10.0, 11.0])
    """

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any], begin: int, shape: tuple[int, ...]) -> None:
        self.map: Tile = np.memmap(file, dtype, "r", begin, shape)
        self.shape, self.dtype = shape, dtype
        self._begin, self._file = begin, os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def __getitem__(self, place: Any) -> Tile:
        """Elements as a view of the map."""
        found: Tile = self.map[place]
        return found

    def lies_together(self, window: Sequence[slice]) -> bool:
        """Claims that a window is one run of the file; of others hardly any page of a map is all theirs.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryFile() as file:
            ...     _ = file.write(bytes(96))
            ...     file.flush()
            ...     array = PlainArray(file, np.dtype("f8"), 0, (4, 3))
            >>> rows, column = [slice(1, 3), slice(0, 3)], [slice(0, 4), slice(0, 1)]
            >>> array.lies_together(rows), array.lies_together(column)
            (True, False)
        """
        lengths = [w.stop - w.start for w in window]
        first = next((place for place, n in enumerate(lengths) if n != 1), len(lengths))
        return lengths[first + 1 :] == list(self.shape[first + 1 :])

    def read(self, window: Sequence[slice], out: Tile) -> None:
        """Reads a window of the array, in runs as long as the window has them, on the threads of the task.

        Args:
            window: a slice for each axis.
            out: where it goes, in rows, of the same dtype.

        Raises:
            ValueError: the file is shorter than it was.
        """
        parallel(lambda share: self._read(*share), _shares(window, out))

    def _read(self, window: Sequence[slice], out: Tile) -> None:
        for place, part in _runs(self.shape, window, out):
            _read(self._file, part, self._begin + place)

    def read_rows(self, rows: Sequence[int], window: Sequence[slice], out: Tile) -> None:
        """Reads some rows of the array, within a window of its other axes.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryFile() as file:
            ...     _ = file.write(np.arange(12.0).tobytes())
            ...     file.flush()
            ...     array, out = PlainArray(file, np.dtype("f8"), 0, (4, 3)), np.empty((2, 2))
            >>> array.read_rows([3, 0], [slice(1, 3)], out)
            >>> out.tolist()
            [[10.0, 11.0], [1.0, 2.0]]

        Raises:
            ValueError: the file is shorter than it was.
        """
        for number, row in enumerate(rows):
            self.read([slice(row, row + 1), *window], out[number : number + 1])


def _shares(window: Sequence[slice], out: Tile) -> list[tuple[Sequence[slice], Tile]]:
    """A window, and where it goes, cut along the first axis."""
    if out.nbytes < 2 * _SHARE:
        return [(window, out)]
    first, *rest = window
    step = -(-len(out) * _SHARE // out.nbytes)
    lows = range(0, len(out), step)
    starts = [slice(first.start + low, min(first.start + low + step, first.stop)) for low in lows]
    return [([start, *rest], out[low : low + step]) for start, low in zip(starts, lows, strict=True)]


def _runs(shape: Sequence[int], window: Sequence[slice], part: Tile) -> Iterator[tuple[int, memoryview]]:
    """Where runs of a window lie among the elements of an array, in bytes, and what memory they are of."""
    if not part.size:
        return
    axis = len(window) - 1  # the run goes over this axis and those after it, which are taken whole
    while axis > 0 and window[axis] == slice(0, shape[axis], None):
        axis -= 1
    strides = [prod(shape[place + 1 :]) * part.itemsize for place in range(len(shape))]
    along = [range(w.start, w.stop) for w in window[: max(axis, 0)]]
    flat, rows = part.reshape(prod(map(len, along)), -1).view(np.uint8), product(*along)
    first = window[axis].start * strides[axis] if window else 0
    for number, row in enumerate(rows):
        place = sum(at * stride for at, stride in zip(row, strides, strict=False))
        yield place + first, memoryview(flat[number])


def _read(file: int, part: memoryview, place: int) -> None:
    done = 0
    while done < len(part):
        found = os.preadv(file, [part[done : done + _AT_ONCE]], place + done)
        if not found:
            raise ValueError("it ends too early")
        done += found


def _has_rows(tile: Tile) -> bool:
    """Claims that rows lie without gaps; what has one element a row may lie in any way."""
    return not tile.ndim or (tile.shape[-1] > 1 and tile.strides[-1] == tile.itemsize)


def write_plain(file: int, begin: int, shape: Sequence[int], window: Sequence[slice], tile: Tile) -> None:
    """Writes a window of an array in rows into an open file.

    Args:
        file: the descriptor.
        begin: where the array begins in the file.
        shape: of the array.
        window: a slice for each axis.
        tile: the elements; copied where their rows are scattered.
    """
    tile = tile if _has_rows(tile) else np.ascontiguousarray(tile)
    for place, part in _runs(shape, window, tile):
        done = 0
        while done < len(part):
            done += os.pwrite(file, part[done : done + _AT_ONCE], begin + place + done)
