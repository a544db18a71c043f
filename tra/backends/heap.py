"""The heap of a worker process: memory that one step of a stage lets go is there for the next one.

Dask starts workers with a fixed `MALLOC_TRIM_THRESHOLD_`, and glibc no longer adapts its other threshold once
one is fixed: each array of 128 KiB or more is then a mapping of its own, whose pages the kernel clears when
they are first written to, and takes back with the array. Products and element functions make such arrays all
the time. Workers therefore get the thresholds that glibc would have come to by itself.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from functools import lru_cache

KEPT = 1 << 25  # bytes of an array that comes from the heap, and of free memory at its end that stays there
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them


@lru_cache(maxsize=1)
def keep_heap() -> bool:
    """Lets this process keep what it frees, once; true where something was changed."""
    if not is_fixed(os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, KEPT)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))


def is_fixed(environment: Mapping[str, str]) -> bool:
    """Claims that glibc does not adapt its thresholds, and nobody has chosen that of mappings.

    Example:
        >>> dask = {"MALLOC_TRIM_THRESHOLD_": "65536"}
        >>> is_fixed(dask), is_fixed({**dask, "MALLOC_MMAP_THRESHOLD_": "131072"}), is_fixed({})
        (True, False, False)
    """
    return "MALLOC_TRIM_THRESHOLD_" in environment and "MALLOC_MMAP_THRESHOLD_" not in environment
