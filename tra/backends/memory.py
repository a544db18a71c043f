"""The memory of this process: what is resident, what it was at most, and giving back what is not used.

Linux says so in /proc. Elsewhere the most that was ever resident stands for all of them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # parameters of mallopt
LEAST_MAPPED = 1 << 20  # bytes of an array that goes back to the system as soon as it is freed
_MADV_DONTNEED = 4


def resident() -> int:
    """Bytes of this process that are in memory, files that are mapped included.

    Example:
        >>> resident() > 10_000_000
        True
    """
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return _most_ever()


def of_files() -> int:
    """Bytes of mapped files that are in the memory of this process.

    Example:
        >>> of_files() >= 0
        True
    """
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _most_ever() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Begins to measure the most anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most bytes that were resident since `forget_peak`.

    Example:
        >>> forget_peak()
        >>> peak() >= 10_000_000
        True
    """
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return _most_ever()


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL | None:
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None, use_errno=True)
        library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        return library
    return None


@lru_cache(maxsize=1)
def give_back_at_once() -> None:
    """Makes arrays go back to the system when they are freed, for the rest of the process.

    The allocator of glibc keeps blocks of up to 32 MB for later otherwise, between others that are in use.
    """
    library = _libc()
    if library is not None and hasattr(library, "mallopt"):
        library.mallopt(MMAP_THRESHOLD, LEAST_MAPPED)
        library.mallopt(TRIM_THRESHOLD, LEAST_MAPPED)


def trim() -> None:
    """Gives back what was freed, by the allocator of the system and by that of Arrow where it is in use."""
    library = _libc()
    if library is not None and hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    pool = getattr(sys.modules.get("pyarrow"), "default_memory_pool", None)
    if pool is not None:
        pool().release_unused()


def drop_memory(low: int, high: int) -> None:
    """Lets go of the pages of a map between two addresses; they come back when they are read.

    Args:
        low: where a page begins.
        high: where a page ends.
    """
    library = _libc()
    if library is not None:
        library.madvise(low, high - low, _MADV_DONTNEED)


def drop_pages(*paths: str) -> None:
    """Lets go of the pages of files, or of files in folders, that are mapped; they stay in its cache.

    Views of the map stay what they are: a page comes back when it is read. Maps that keep changes to
    themselves are left alone.
    """
    library = _libc()
    if library is None or not paths:
        return
    inside = tuple(f"{path}/" for path in paths)
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            place, rights, _, _, _, *name = line.split(maxsplit=5)
            if name and (name[0] in paths or name[0].startswith(inside)) and rights != "rw-p":
                low, high = (int(end, 16) for end in place.split("-"))
                library.madvise(low, high - low, _MADV_DONTNEED)
