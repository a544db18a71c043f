"""Reading the native format: a directory of Arrow files and a manifest, mapped into memory.

The manifest (`manifest`) says where in its part each batch of keys and tiles lies. Tiles are views of the
map; Arrow is not needed to read them, and what a damaged Arrow header says cannot matter.

Checksums are compared per batch (8 MB, or one tile where tiles are larger) when a tile of it is first read,
so that every byte is looked at once, just before it is used; or of everything when the relation is opened;
or never (`CHECKS`).
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tra.algebra.live import frontier
from tra.algebra.types import KeyArray, Tile
from tra.backends.storage.location import Location
from tra.backends.storage.manifest import KEY_BYTES, MANIFEST, Batch, Part, from_text
from tra.backends.storage.regular_files import open_regular
from tra.backends.storage.table_reader import TableReader

Bytes = NDArray[np.uint8]
CHECKS = ("read", "open", "never")


class PartBytes(Protocol):
    """The bytes of a part, of which any range can be had."""

    def __getitem__(self, place: slice) -> Bytes: ...


class Folder(Protocol):
    """Where the files of a relation lie."""

    keeps: bool  # whether ranges are views, which cost no memory

    def manifest(self) -> bytes: ...

    def part(self, part: Part) -> PartBytes: ...

    def stamp(self, part: Part) -> tuple[int, ...]: ...


class LocalFolder:
    """A folder of this machine, whose parts are mapped. No link in it is followed."""

    keeps = True

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def manifest(self) -> bytes:
        """The text of the manifest."""
        with os.fdopen(open_regular(self._path / MANIFEST), "rb") as file:
            return file.read()

    def part(self, part: Part) -> PartBytes:
        """A part, mapped.

        Raises:
            ValueError: it is gone, no plain file, or of another size than its manifest says.
        """
        try:
            number = open_regular(self._path / part.file)
        except FileNotFoundError:
            raise ValueError(f"{part.file} is gone: the relation is damaged, or not wholly written") from None
        with os.fdopen(number, "rb") as file:
            size = os.fstat(number).st_size
            if size != part.bytes:
                raise ValueError(f"{part.file} is of {size} bytes, the manifest says {part.bytes}")
            return np.memmap(file, np.uint8, "r").view(np.ndarray) if size else np.empty(0, np.uint8)

    def stamp(self, part: Part) -> tuple[int, ...]:
        """What changes with the file of a part; empty where there is none."""
        with suppress(OSError):
            stat = os.lstat(f"{self._path}/{part.file}")
            return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        return ()


class _OpenPart:
    """A part, opened when it is first used, and again when its file is another one or has changed."""

    def __init__(self, folder: Folder, part: Part) -> None:
        self.part = part
        self._folder = folder
        self._lock = Lock()
        self._opened: tuple[tuple[int, ...], PartBytes] | None = None

    def stamp(self) -> tuple[int, ...]:
        """What changes with the file."""
        return self._folder.stamp(self.part)

    def __getitem__(self, place: slice) -> Bytes:
        stamp = self.stamp()
        with self._lock:
            if self._opened is None or self._opened[0] != stamp:
                self._opened = stamp, self._folder.part(self.part)
            return self._opened[1][place]


class RelationReader(TableReader):
    """An open `.tra` directory.

    Args:
        folder: where its files are.
        check: when checksums are compared, one of `CHECKS`.

    Raises:
        ValueError: its manifest is damaged or lies, or with ``check="open"`` a part is damaged.
    """

    def __init__(self, folder: Folder, check: str = "read") -> None:
        text = folder.manifest()
        self.manifest = from_text(text)
        parts = [_OpenPart(folder, part) for part in self.manifest.parts]
        self._slots: list[tuple[_OpenPart, Batch]] = [(p, batch) for p in parts for batch in p.part.batches]
        self._check = check
        if folder.keeps:
            self.kept_bytes = float("inf")
        else:
            self.batch_bytes = 2 * max((self._n_bytes(*slot) for slot in self._slots), default=0)
        super().__init__(self.manifest.type, [batch.rows for _, batch in self._slots])
        self.digest = f"{zlib.crc32(text):08x}"
        if frontier(self.type) != self.manifest.frontier:
            raise ValueError(
                f"its frontier is {frontier(self.type)}, the manifest says {self.manifest.frontier}"
            )
        if check == "open":
            self.check_all()

    def check_all(self) -> None:
        """Compares every checksum.

        Raises:
            ValueError: one differs; names the part.
        """
        for batch in range(len(self._slots)):
            self._batch(batch)

    @property
    def keys(self) -> KeyArray:
        """All keys, in lexicographic order."""
        return self._sorted

    def batch_keys(self, batch: int) -> KeyArray:
        part, where = self._slots[batch]
        columns = [part[at : at + where.rows * KEY_BYTES].view(np.int64) for at in where.keys]
        keys = np.stack(columns, axis=1) if columns else np.zeros((where.rows, 0), np.int64)
        self._compare(keys, where.keys_crc32, part, "keys")
        return keys

    def batch_elements(self, batch: int, sizes: KeyArray) -> Tile:
        part, where = self._slots[batch]
        stored = part[where.tiles : where.tiles + self._n_bytes(part, where)]
        self._compare(stored, where.tiles_crc32, part, "tiles")
        return stored.view(self._type.dtype)

    def _n_bytes(self, part: _OpenPart, where: Batch) -> int:
        return where.rows * prod(part.part.shape) * self.manifest.type.dtype.itemsize

    def stamp(self, batch: int) -> tuple[int, ...]:
        return self._slots[batch][0].stamp()

    def check_batch(self, batch: int, lengths: KeyArray) -> None:
        part, _ = self._slots[batch]
        if np.any(lengths != np.array(part.part.shape, np.int64)):
            raise ValueError(f"{part.part.file} has keys of tiles of other shapes than {part.part.shape}")

    def _compare(self, content: NDArray[Any], crc32: int, part: _OpenPart, what: str) -> None:
        if self._check != "never" and zlib.crc32(content.data) != crc32:
            raise ValueError(f"{part.part.file} is damaged (the checksum of its {what} differs)")


def open_relation(location: Location, check: str = "read") -> RelationReader:
    """The reader of a `.tra` directory.

    Example:
        >>> import tempfile, tra
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tra.from_array([1.0, 2.0, 3.0], tile=2).save(f"{folder}/x.tra")
        ...     open_relation(Location(f"{folder}/x.tra", ".tra")).read((1,))
        array([3.])
    """
    return RelationReader(folder_of(location), check)


def folder_of(location: Location) -> Folder:
    """Where the files of a relation lie."""
    if location.is_remote:
        from tra.backends.storage.remote import RemoteFile, RemoteFolder

        return RemoteFolder(RemoteFile(location.path))
    return LocalFolder(location.path)
