"""Chunks of a zarr array that somebody else has made: written whole, and only where the array still is.

The store of zarr makes the folder when it is gone. A writer that is late, since its work was given to another
one meanwhile, would leave the array there that its client has removed, or already put elsewhere.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr
from zarr.storage import LocalStore

from tra.backends.storage.durable import sync


class ChunkStore(LocalStore):
    """The folder of an array, which is never made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._is_open = True  # to open it would be to make it
        self._written: set[str] = set()

    async def set(self, key: str, value: Any) -> None:
        """Writes a chunk."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Any) -> None:
        """Writes a chunk; of zarr versions that write without an event loop.

        Raises:
            FileNotFoundError: the folder is gone.
        """
        content: Any = np.ascontiguousarray(value.as_numpy_array())
        write_inside(self.root, key, memoryview(content).cast("B"))
        self._written.add(key)

    def sync(self) -> None:
        """Waits until all chunks that were written are on the disk.

        Raises:
            FileNotFoundError: the folder is gone.
        """
        for key in self._written:
            sync(self.root / key)
        inside = {folder for key in self._written for folder in Path(key).parents}
        for folder in sorted(inside, key=lambda folder: -len(folder.parts)):
            sync(self.root / folder)
        self._written.clear()


def array_of(store: ChunkStore) -> Any:
    """The array in a folder, to be written chunk by chunk.

    Raises:
        FileNotFoundError: there is none.
    """
    with zarr.config.set({"array.write_empty_chunks": True}):  # zeros left out would lose the sign of −0.0
        return zarr.open_array(store, mode="r+")


def write_inside(root: Path, name: str, content: memoryview) -> None:
    """Writes a file in a folder, and the folders between; a reader sees all of it or nothing.

    Everything is done within the folder that is there at first, under whatever name it may be later.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_inside(Path(folder), "c/0/1", memoryview(b"abc"))
        ...     Path(folder, "c", "0", "1").read_bytes()
        b'abc'
        >>> write_inside(Path(folder), "c/0/1", memoryview(b"abc"))
        Traceback (most recent call last):
        FileNotFoundError: ...

    Raises:
        FileNotFoundError: the folder is gone.
    """
    *folders, last = name.split("/")
    inside = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            outside, inside = inside, _folder_in(inside, folder)
            os.close(outside)
        beside = f".{last}.{uuid4().hex}"
        _write(inside, beside, content)
        os.replace(beside, last, src_dir_fd=inside, dst_dir_fd=inside)
    finally:
        os.close(inside)


def _folder_in(folder: int, name: str) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _write(folder: int, name: str, content: memoryview) -> None:
    """Writes a file; one that cannot be written whole does not stay."""
    number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        with os.fdopen(number, "wb", buffering=0) as file:
            done = 0
            while done < len(content):
                done += file.write(content[done:]) or 0
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise
