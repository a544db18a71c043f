"""Files in object stores and other file systems that fsspec knows, by URL: read in ranges, never mapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tra.algebra.types import Tile
from tra.backends.storage.manifest import MANIFEST, Part
from tra.errors import CatalogError

_STATE = ("ETag", "etag", "md5Hash", "generation", "VersionId", "version_id", "LastModified", "last_modified",
          "mtime", "updated", "created", "size")  # fmt: skip
_GAP = 1 << 20  # bytes that are rather read than skipped


class RemoteFile:
    """A file, or a folder of files, behind a URL."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise CatalogError(f"{url} needs the package fsspec, which comes with Dask") from None
        try:
            self.fs, self.path = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:  # a scheme that needs a package, or that nobody knows
            raise CatalogError(f"cannot open {url}: {str(error).splitlines()[0]}") from error

    def _at(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    def exists(self, name: str = "") -> bool:
        """Claims that it is there."""
        return bool(self.fs.exists(self._at(name)))

    def is_file(self) -> bool:
        """Claims that it is a file, and no folder."""
        return bool(self.fs.isfile(self.path))

    def open(self, name: str = "") -> IO[bytes]:
        """Opens it, or a file in it, for reading."""
        file: IO[bytes] = self.fs.open(self._at(name), "rb")
        return file

    def read(self, name: str = "", start: int | None = None, stop: int | None = None) -> bytes:
        """The bytes of a range, or all."""
        found: bytes = self.fs.cat_file(self._at(name), start=start, end=stop)
        return found

    def ranges(self, starts: Sequence[int], n_bytes: int) -> list[bytes]:
        """Ranges of equal length, several at a time where the file system can.

        Raises:
            ValueError: the file ends before one of them does.
        """
        stops = [start + n_bytes for start in starts]
        found: list[bytes] = self.fs.cat_ranges([self.path] * len(stops), list(starts), stops)
        if any(len(piece) != n_bytes for piece in found):
            raise ValueError("it ends too early")
        return found

    def size(self, name: str = "") -> int:
        """How many bytes it has."""
        return int(self.fs.info(self._at(name))["size"])

    def send(self, path: Path, name: str = "") -> None:
        """Sends a local file, which appears whole."""
        self.fs.put_file(str(path), self._at(name))

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file in one step."""
        self.fs.pipe_file(self._at(name), content)

    def remove(self, names: Iterable[str]) -> None:
        """Removes files in it; those that are gone are no trouble."""
        for name in names:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self._at(name))

    def stamp(self, name: str = "") -> str:
        """What changes when the content does."""
        info = self.fs.info(self._at(name))
        if info.get("type") == "directory":
            raise FileNotFoundError(self._at(name))
        state = [(what, str(info[what])) for what in _STATE if what in info]
        return sha256(repr(state).encode()).hexdigest()[:16]


class RemoteArray:
    """An array that lies plain in a remote file, read by windows.

    Example:
        >>> import fsspec
        >>> with fsspec.open("memory://doc/x.bin", "wb") as file:
        ...     _ = file.write(np.arange(12.0).tobytes())
        >>> array = RemoteArray(RemoteFile("memory://doc/x.bin"), 0, (4, 3), False, np.dtype("f8"))
        >>> array[1:3, 2:]
        array([[5.],
               [8.]])
    """

    def __init__(
        self, file: RemoteFile, begin: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._file, self._begin, self._fortran = file, begin, fortran

    def __getitem__(self, window: tuple[slice, ...] | slice) -> Tile:
        window = window if isinstance(window, tuple) else (window,)
        whole = (*window, *[slice(None)] * (len(self.shape) - len(window)))
        bounds = [along.indices(n)[:2] for along, n in zip(whole, self.shape, strict=True)]
        if self._fortran:
            return self._read(bounds[::-1], self.shape[::-1]).T
        return self._read(bounds, self.shape)

    def _read(self, bounds: list[tuple[int, int]], shape: tuple[int, ...]) -> Tile:
        """A window of an array in row-major order: one range, or one per row where much would be skipped."""
        lengths = [max(high - low, 0) for low, high in bounds]
        if not prod(lengths):
            return np.empty(lengths, self.dtype)
        strides = [prod(shape[p + 1 :]) * self.dtype.itemsize for p in range(len(shape))]
        depth = next(d for d in range(len(shape) + 1) if self._is_dense(lengths[d:], strides[d:]))
        lows = [low for low, _ in bounds]
        first = self._begin + sum(low * stride for low, stride in zip(lows, strides, strict=True))
        steps = product(*map(range, lengths[:depth]))
        starts = [first + sum(n * stride for n, stride in zip(at, strides, strict=False)) for at in steps]
        inner, within = lengths[depth:], strides[depth:]
        n_bytes = self._span(inner, within)
        pieces = [
            np.ndarray(inner, self.dtype, found, 0, within) for found in self._file.ranges(starts, n_bytes)
        ]
        return pieces[0] if not depth else np.stack(pieces).reshape(lengths)

    def _span(self, lengths: list[int], strides: list[int]) -> int:
        """Bytes from the first element of a window to its last."""
        inside = ((n - 1) * stride for n, stride in zip(lengths, strides, strict=True))
        return sum(inside) + self.dtype.itemsize

    def _is_dense(self, lengths: list[int], strides: list[int]) -> bool:
        """Claims that a window is better read in one range, with what lies between its rows."""
        return self._span(lengths, strides) <= 2 * prod(lengths) * self.dtype.itemsize + _GAP


class RemoteFolder:
    """A relation behind a URL, as `relation_reader` asks for it."""

    keeps = False

    def __init__(self, file: RemoteFile) -> None:
        self._file = file

    def manifest(self) -> bytes:
        """The text of the manifest."""
        return self._file.read(MANIFEST)

    def part(self, part: Part) -> _RemotePart:
        """A part, of which ranges are read.

        Raises:
            ValueError: it is gone, or of another size than its manifest says.
        """
        try:
            size = self._file.size(part.file)
        except FileNotFoundError:
            raise ValueError(f"{part.file} is gone: the relation is damaged, or not wholly written") from None
        if size != part.bytes:
            raise ValueError(f"{part.file} is of {size} bytes, the manifest says {part.bytes}")
        return _RemotePart(self._file, part.file)

    def stamp(self, part: Part) -> tuple[int, ...]:
        """Nothing: ranges are copies, and their checksums are compared."""
        return ()


class _RemotePart:
    def __init__(self, file: RemoteFile, name: str) -> None:
        self._file, self._name = file, name

    def __getitem__(self, place: slice) -> NDArray[np.uint8]:
        if place.start == place.stop:
            return np.empty(0, np.uint8)
        found = np.frombuffer(self._file.read(self._name, place.start, place.stop), np.uint8)
        if len(found) != place.stop - place.start:
            raise ValueError(f"{self._name} ends too early")
        return found
