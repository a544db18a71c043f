"""Windows of arrays in plain files, read into memory that the caller has, and written from it.

A map would make every page that is touched, and its neighbours, part of the memory of the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tra.algebra.types import Tile

_AT_ONCE = 1 << 30  # bytes of one call


def is_plain(array: Any) -> bool:
    """Claims that an array is a whole map of rows in a file, whose windows can be read from there.

    Example:
        >>> is_plain(np.ones(3))
        False
    """
    return isinstance(array, np.memmap) and array.mode == "r" and array.flags.c_contiguous and _is_root(array)


def _is_root(array: np.memmap[Any, Any]) -> bool:
    return array.filename is not None and not isinstance(array.base, np.ndarray)


def read_plain(array: np.memmap[Any, Any], window: Sequence[slice], out: Tile) -> None:
    """Reads a window of a file's array, in runs as long as the window has them.

    Args:
        array: the map of the file.
        window: a slice for each axis.
        out: where it goes, in rows.

    Raises:
        ValueError: the file is shorter than it was.
    """
    with Path(str(array.filename)).open("rb", buffering=0) as file:
        for begin, part in _runs(array.shape, window, out):
            _read(file.fileno(), part, array.offset + begin)


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


def read_rows(array: np.memmap[Any, Any], rows: Sequence[int], window: Sequence[slice], out: Tile) -> None:
    """Reads some rows of a file's array, within a window of its other axes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.arange(12.0).reshape(4, 3))
        ...     array = np.load(f"{folder}/x.npy", mmap_mode="r")
        ...     out = np.empty((2, 2))
        ...     read_rows(array, [3, 0], [slice(1, 3)], out)
        ...     out.tolist()
        [[10.0, 11.0], [1.0, 2.0]]
    """
    with Path(str(array.filename)).open("rb", buffering=0) as file:
        for number, row in enumerate(rows):
            place = [slice(row, row + 1), *window]
            for begin, part in _runs(array.shape, place, out[number : number + 1]):
                _read(file.fileno(), part, array.offset + begin)


def write_plain(file: int, begin: int, shape: Sequence[int], window: Sequence[slice], tile: Tile) -> None:
    """Writes a window of an array in rows into an open file.

    Args:
        file: the descriptor.
        begin: where the array begins in the file.
        shape: of the array.
        window: a slice for each axis.
        tile: the elements, in rows.
    """
    for place, part in _runs(shape, window, tile):
        done = 0
        while done < len(part):
            done += os.pwrite(file, part[done : done + _AT_ONCE], begin + place + done)
