"""Arrays that are views of mapped files: read slab by slab, so that few of their pages are ever resident.

The map decides what is read, whatever file has its name by now.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tra.algebra.types import Tile
from tra.backends.memory import drop_memory

SLAB = 8 << 20  # bytes of a map that are touched before its pages are let go
AROUND = 64 << 10  # bytes around a page that the system maps together with it


def map_of(array: Any) -> Tile | None:
    """The map of a file that an array is a view of, if its pages may be let go of at any time.

    Those of a map that keeps changes to itself may not.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     array = np.memmap(file, "f8", "w+", shape=(4, 3))
        >>> map_of(array.T) is array, map_of(array + 1)
        (True, None)
    """
    found: Any = array
    while isinstance(found, np.ndarray) and isinstance(found.base, np.ndarray):
        found = found.base
    is_map = isinstance(found, np.memmap) and isinstance(found.base, mmap.mmap)
    return found if is_map and found.mode != "c" else None


def slabs(array: Tile, window: Sequence[slice]) -> Iterator[tuple[slice, ...]]:
    """Parts of a window of an array, each within `SLAB` bytes of its memory.

    Example:
        >>> array = np.empty((2, 1 << 22), np.float32)  # rows of 16 MiB
        >>> parts = list(slabs(array, (slice(0, 2), slice(0, 1 << 22))))
        >>> len(parts), parts[1]
        (4, (slice(0, 1, None), slice(2097152, 4194304, None)))
    """
    steps, span = [1] * array.ndim, array.itemsize
    for axis in sorted(range(array.ndim), key=lambda axis: abs(array.strides[axis])):
        length, stride = window[axis].stop - window[axis].start, abs(array.strides[axis])
        if stride:
            length = min(length, 1 + (SLAB - span) // stride)
        steps[axis] = max(length, 1)
        span += stride * (steps[axis] - 1)
    along = [
        [slice(low, min(low + step, w.stop)) for low in range(w.start, w.stop, step)]
        for w, step in zip(window, steps, strict=True)
    ]
    yield from product(*along)


def let_go(whole: Tile, part: Tile) -> None:
    """Lets go of the pages of a map that a view of it was read from."""
    if not part.size:
        return
    (low, high), (first, last) = byte_bounds(part), byte_bounds(whole)
    page = mmap.PAGESIZE
    begin = max(low - low % AROUND, first - first % page)
    end = min(high + -high % AROUND, last + -last % page)
    drop_memory(begin, end)
