"""Waiting until files are on the disk, and not only in the memory of the system."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Behind:
    """Brings a file to the disk while more is written to it, by a thread of its own.

    Args:
        file: a descriptor; it may be closed before the thread is done.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     behind = Behind(file.fileno())
        ...     behind.start()
        ...     behind.wait()
        ...     behind.close()
    """

    def __init__(self, file: int) -> None:
        self._file = os.dup(file)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tra-sync")
        self._running: Future[None] | None = None

    def start(self) -> None:
        """Begins with what was written so far, unless that is still going on for what was written before."""
        if self._running is None or self._running.done():
            self.wait()
            self._running = self._pool.submit(os.fsync, self._file)

    def wait(self) -> None:
        """Waits for what was begun.

        Raises:
            OSError: it failed, which the system says only once.
        """
        if self._running is not None:
            self._running.result()

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown()
        os.close(self._file)


def sync_folder(folder: Path) -> None:
    """Waits until a folder is on the disk with all files and folders in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "x").touch()
        ...     sync_folder(Path(folder))
    """
    for inner, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(inner, name))
        sync(Path(inner))
