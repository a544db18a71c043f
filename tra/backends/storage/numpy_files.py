"""Whole tensors in NumPy's files: `.npy`, and members of `.npz` archives, mapped where they lie plain.

NumPy's files hold no checksum of an array that is mapped: a changed bit goes unnoticed, a cut file does not.
"""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.storage.durable import Behind
from tra.backends.storage.failures import writing
from tra.backends.storage.location import Location
from tra.backends.storage.part_writers import PartWriter, PlainPart
from tra.backends.storage.plain_files import PlainArray, write_plain
from tra.backends.storage.regular_files import open_regular
from tra.backends.storage.remote import RemoteArray, RemoteFile
from tra.backends.storage.tile_check import native
from tra.backends.storage.writer import TensorWriter
from tra.errors import CatalogError, near_name

ENCRYPTED = 1
_SHOWN = 20  # names that a message lists
HEADER = 30  # bytes of an entry's own header, before its name
PADDING = 0xD935  # the kind of extra field that zipalign pads with


def open_npy(location: Location) -> Any:
    """The array of a `.npy` file, mapped.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.arange(3))
        ...     open_npy(Location(f"{folder}/x.npy", ".npy"))[1:]
        memmap([1, 2])
    """
    if location.is_remote:
        remote = RemoteFile(location.path)
        with remote.open() as file:
            return _remote(remote, file, remote.size())
    with Path(location.path).open("rb") as file:
        return _mapped(file, os.fstat(file.fileno()).st_size)


def open_npz(location: Location) -> Any:
    """An array of an `.npz` archive: mapped where it was stored, read where it was compressed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/a.npz", x=np.arange(3), y=np.ones(2))
        ...     open_npz(Location(f"{folder}/a.npz", ".npz", member="y"))[:1]
        memmap([1.])
    """
    with _archive(location) as archive:
        names = _members(archive)
        if location.member not in names:
            near = near_name(location.member, names)
            raise ValueError(f"the archive's members are {_listed(names) or 'none'}{near}")
        info = archive.getinfo(f"{location.member}.npy")
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ENCRYPTED:
            return _stored(location, info, archive)
        with archive.open(info) as file:
            return _read(file, info.file_size)


def with_member(location: Location) -> Location:
    """The location with the member it means: the only one, where none is named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/a.npz", x=np.arange(3))
        ...     with_member(Location(f"{folder}/a.npz", ".npz")).member
        'x'

    Raises:
        CatalogError: the archive has several members, or none.
    """
    if location.suffix != ".npz" or location.member:
        return location
    with _archive(location) as archive:
        names = _members(archive)
    if len(names) == 1:
        return replace(location, member=names[0])
    if not names:
        raise CatalogError(f"{location} is an archive without arrays")
    if {"format", "shape", "data"} <= set(names):
        raise CatalogError(
            f"{location} is a sparse matrix of SciPy, of {_listed(names)}\n"
            f"  hint: write tra.from_array(scipy.sparse.load_npz({location.path!r}))"
        )
    example = f"{Path(location.path).name}:{names[0]}"
    raise CatalogError(f"{location} is an archive of {_listed(names)}; name a member, as in {example}")


def _listed(names: list[str]) -> str:
    """Names for a message: what is printable, and of many the first."""
    shown = [name if name.isprintable() else ascii(name) for name in names[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(names) > _SHOWN else "")


def _members(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


@contextmanager
def _archive(location: Location) -> Iterator[zipfile.ZipFile]:
    if not location.is_remote:
        number = open_regular(Path(location.path), follow=True)
        with os.fdopen(number, "rb") as local, zipfile.ZipFile(local) as archive:
            yield archive
        return
    with RemoteFile(location.path).open() as file, zipfile.ZipFile(file) as archive:
        yield archive


def _stored(location: Location, info: zipfile.ZipInfo, archive: zipfile.ZipFile) -> Any:
    """A member that lies in the archive as it is: mapped, or read by windows."""
    file = archive.fp
    assert file is not None  # the archive is open
    end = _begin(file, info) + info.file_size
    if location.is_remote:
        remote = RemoteFile(location.path)
        return _remote(remote, file, min(end, remote.size()))
    return _mapped(file, min(end, os.fstat(file.fileno()).st_size))


def _begin(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Goes to where a member's content begins."""
    file.seek(info.header_offset)
    header = file.read(HEADER)
    if header[:4] != b"PK\x03\x04" or len(header) < HEADER:
        raise ValueError("the archive is damaged")
    sizes = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    begin = info.header_offset + HEADER + sum(sizes)
    file.seek(begin)
    return begin


def _remote(remote: RemoteFile, file: IO[bytes], end: int) -> RemoteArray:
    """The array whose header begins where a remote file stands and whose data ends at `end`."""
    shape, fortran, dtype = _header(file)
    _check_size(shape, dtype, end - file.tell())
    return RemoteArray(remote, file.tell(), shape, fortran, dtype)


def _mapped(file: IO[bytes], end: int) -> Tile | PlainArray:
    """Maps the array whose header begins where the file stands and whose data ends at `end`."""
    shape, fortran, dtype = _header(file)
    begin = file.tell()
    if not prod(shape):
        return np.zeros(shape, dtype)
    _check_size(shape, dtype, end - begin)
    if fortran and len(shape) > 1:
        return np.memmap(file, dtype, "r", begin, shape, "F")
    return PlainArray(file, dtype, begin, shape)


def _read(file: IO[bytes], n_bytes: int) -> Tile:
    """Reads a compressed array; the archive's checksum is compared with all of it."""
    shape, fortran, dtype = _header(file)
    _check_size(shape, dtype, n_bytes - file.tell())
    array = np.frombuffer(file.read(), dtype) if prod(shape) else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any], found: int) -> None:
    size = prod(shape) * dtype.itemsize
    if found != size:
        raise ValueError(f"it is cut or damaged: {shape} of {dtype} take {size} bytes, {found} are there")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype; objects are refused, nothing is ever unpickled."""
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
    except Exception as error:  # NumPy's parser of headers also lets errors of the tokenizer through
        raise ValueError("it is no NumPy array, or its header is damaged") from error
    native(dtype)
    return shape, fortran, dtype


class NpyWriter(TensorWriter):
    """Writes a `.npy` file, tile by tile.

    Example:
        >>> import tempfile
        >>> from tra.algebra.sources import tensor_type
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "x.npy"
        >>> with NpyWriter(path, tensor_type((3,), "f8", tile=2)) as out:
        ...     out.write_all([((1,), np.ones(1)), ((0,), np.zeros(2))])
        >>> np.load(path)
        array([0., 0., 1.])
        >>> folder.cleanup()
    """

    is_shared = True
    _file: IO[bytes] | None = None  # a map would keep the pages of the file in the memory of the process
    _begin = 0  # of the elements in the file
    _behind: Behind | None = None

    def is_own(self) -> bool:
        with suppress(OSError), self.place.open() as file:
            return file.read(6) == npy.MAGIC_PREFIX
        return False

    def begin(self) -> None:
        if prod(self.type.shape):
            made = npy.open_memmap(self.place.temporary, "w+", self.type.dtype, self.type.shape)
            self._begin = made.offset
            del made
            _take_space(self.place.temporary)
            self._file = self.place.temporary.open("r+b", buffering=0)
            self._behind = Behind(self._file.fileno())
            return
        with self.place.temporary.open("wb") as file:
            np.save(file, np.zeros(self.type.shape, self.type.dtype))

    def put(self, key: TileKey, tile: Tile) -> None:
        if self._file is not None:
            window = [slice(k, k + 1) if isinstance(k, int) else k for k in self.window(key)]
            write_plain(self._file.fileno(), self._begin, self.type.shape, window, tile)

    def write_all(self, tiles: Iterable[tuple[TileKey, Tile]]) -> None:
        super().write_all(tiles)
        if self._behind is not None:
            with writing(self.location):
                self._behind.start()

    def part(self, name: str) -> PartWriter | None:
        return PlainPart(self.location, self.place.temporary, self._begin, self.type)

    def finish(self) -> None:
        if self._behind is not None:
            self._behind.wait()
        self.abandon()

    def abandon(self) -> None:
        file, behind = self._file, self._behind
        self._file = self._behind = None
        if file is not None:
            file.close()
        if behind is not None:
            behind.close()


def _take_space(path: Path) -> None:
    """Reserves the disk space of a file: a full disk is an error now, and no fault when pages are written."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class NpzWriter(NpyWriter):
    """Writes an `.npz` archive of one member, not compressed; without a name it has the file's."""

    def __init__(self, path: str | os.PathLike[str] | Location, type_: RelType) -> None:
        super().__init__(path, type_)
        self._member = f"{self.location.member or self.location.stem}.npy"
        if self._member.startswith("/") or ".." in self._member.split("/"):
            raise CatalogError(f"a member {self._member!r} leads out of an archive that is unpacked")
        self._archive = self.place.temporary.with_suffix(".zip")

    def is_own(self) -> bool:
        try:
            with self.place.open() as file, zipfile.ZipFile(file) as archive:
                others = set(archive.namelist()) - {self._member}
        except (OSError, zipfile.BadZipFile):
            return False
        if others and all(name.endswith(".npy") for name in others):
            lost = ", ".join(sorted(name.removesuffix(".npy") for name in others))
            raise CatalogError(
                f"{self.location.path} also holds {lost}, which would be lost: "
                "an archive is written with one member; save under another name"
            )
        return not others

    def finish(self) -> None:
        super().finish()
        with (
            zipfile.ZipFile(self._archive, "w") as archive,
            archive.open(_aligned(self._member), "w", force_zip64=True) as out,
            self.place.temporary.open("rb") as file,
        ):
            shutil.copyfileobj(file, out, 1 << 20)
        self._archive.replace(self.place.temporary)

    def abandon(self) -> None:
        super().abandon()
        self._archive.unlink(missing_ok=True)


def _aligned(name: str) -> zipfile.ZipInfo:
    """The first entry of an archive, padded so that its array can be mapped as it lies."""
    info = zipfile.ZipInfo(name)
    zip64 = 20
    begin = HEADER + len(name.encode()) + zip64 + 4
    info.extra = struct.pack("<HH", PADDING, -begin % 64) + bytes(-begin % 64)
    return info
