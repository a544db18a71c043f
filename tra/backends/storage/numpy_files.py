"""Whole tensors in NumPy's files: `.npy`, and members of `.npz` archives, mapped where they lie plain.

NumPy's files hold no checksum of an array that is mapped: a changed bit goes unnoticed, a cut file does not.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.storage.location import Location
from tra.backends.storage.tile_check import native
from tra.backends.storage.writer import TensorWriter
from tra.errors import CatalogError, near_name

ENCRYPTED = 1


def open_npy(location: Location) -> Tile:
    """The array of a `.npy` file, mapped."""
    path = Path(location.path)
    with path.open("rb") as file:
        return _mapped(path, file, path.stat().st_size)


def open_npz(location: Location) -> Tile:
    """An array of an `.npz` archive: mapped where it was stored, read where it was compressed."""
    with zipfile.ZipFile(location.path) as archive:
        name = f"{location.member}.npy"
        if name not in archive.namelist():
            raise _unknown_member(location, archive)
        info = archive.getinfo(name)
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ENCRYPTED:
            return _stored(Path(location.path), info)
        with archive.open(info) as file:
            return _read(file, info.file_size)


def with_member(location: Location) -> Location:
    """The location with the member it means: the only one, where none is named.

    Raises:
        CatalogError: the archive has several members, or none.
    """
    if location.suffix != ".npz" or location.member:
        return location
    names = _members(location)
    if len(names) == 1:
        return replace(location, member=names[0])
    found = (
        f"its members are {', '.join(names)}: write {Path(location.path).name}:{names[0]}"
        if names
        else "it is empty"
    )
    raise CatalogError(f"{location} is an archive, name a member; {found}")


def _members(location: Location) -> list[str]:
    with zipfile.ZipFile(location.path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _unknown_member(location: Location, archive: zipfile.ZipFile) -> ValueError:
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    return ValueError(f"its members are {', '.join(names) or 'none'}{near_name(location.member, names)}")


def _stored(path: Path, info: zipfile.ZipInfo) -> Tile:
    """Maps a member that lies in the archive as it is."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
        if header[:4] != b"PK\x03\x04" or len(header) < 30:
            raise ValueError("the archive is damaged")
        begin = (
            info.header_offset
            + 30
            + int.from_bytes(header[26:28], "little")
            + int.from_bytes(header[28:30], "little")
        )
        file.seek(begin)
        return _mapped(path, file, min(begin + info.file_size, path.stat().st_size))


def _mapped(path: Path, file: IO[bytes], end: int) -> Tile:
    """Maps the array whose header begins where the file stands."""
    shape, fortran, dtype = _header(file)
    begin, size = file.tell(), prod(shape) * dtype.itemsize
    if begin + size > end:
        raise ValueError(f"it ends too early: {shape} {dtype} takes {size} bytes, {end - begin} are there")
    if not size:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", begin, shape, "F" if fortran else "C")


def _read(file: IO[bytes], n_bytes: int) -> Tile:
    """Reads a compressed array; the archive's checksum is compared with all of it."""
    shape, fortran, dtype = _header(file)
    size = prod(shape) * dtype.itemsize
    if file.tell() + size != n_bytes:
        raise ValueError(f"{shape} {dtype} takes {size} bytes, {n_bytes - file.tell()} are there")
    array = np.frombuffer(file.read(size), dtype) if size else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is an npy file of version {version[0]}.{version[1]}, known are 1.0 and 2.0")
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(
        file
    )
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

    _map: Tile | None = None

    def is_own(self) -> bool:
        with suppress(OSError), self.target.open("rb") as file:
            return file.read(6) == npy.MAGIC_PREFIX
        return False

    def begin(self) -> None:
        if prod(self.type.shape):
            self._map = npy.open_memmap(self.temporary, "w+", self.type.dtype, self.type.shape)
            return
        with self.temporary.open("wb") as file:
            np.save(file, np.zeros(self.type.shape, self.type.dtype))

    def put(self, key: TileKey, tile: Tile) -> None:
        if self._map is not None:
            self._map[self.window(key)] = tile

    def finish(self) -> None:
        if isinstance(self._map, np.memmap):
            self._map.flush()
        self._map = None

    def abandon(self) -> None:
        self._map = None


class NpzWriter(NpyWriter):
    """Writes an `.npz` archive of one member, not compressed; without a name it has the file's."""

    def __init__(self, path: str | os.PathLike[str] | Location, type_: RelType) -> None:
        super().__init__(path, type_)
        self._member = f"{self.location.member or self.location.stem}.npy"
        self._archive = self.temporary.with_suffix(".zip")

    def is_own(self) -> bool:
        try:
            with zipfile.ZipFile(self.target) as archive:
                names = archive.namelist()
        except (OSError, zipfile.BadZipFile):
            return False
        if all(name.endswith(".npy") for name in names) and set(names) - {self._member}:
            raise CatalogError(
                f"{self.target} holds {_listed(names)}: an archive is written with one member, "
                "and these would be lost; save under another name"
            )
        return set(names) <= {self._member}

    def finish(self) -> None:
        super().finish()
        with (
            zipfile.ZipFile(self._archive, "w") as archive,
            archive.open(zipfile.ZipInfo(self._member), "w", force_zip64=True) as out,
            self.temporary.open("rb") as file,
        ):
            shutil.copyfileobj(file, out, 1 << 20)
        self._archive.replace(self.temporary)

    def abandon(self) -> None:
        super().abandon()
        self._archive.unlink(missing_ok=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.removesuffix(".npy") for name in names)
