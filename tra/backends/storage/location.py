"""Where a relation at rest lies: an absolute path, its format by suffix, and the member of an archive."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tra.errors import CatalogError, near_name

SUFFIXES = (".tra", ".npy", ".npz", ".parquet", ".zarr")
_WITHOUT_TILES = (".npy", ".npz")


@dataclass(frozen=True, slots=True)
class Location:
    """An absolute path or a URL, the suffix that says its format, and the member of an `.npz`, or none."""

    path: str
    suffix: str
    member: str = ""

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return Path(self.path).stem

    @property
    def is_remote(self) -> bool:
        """Claims that it is a URL, of a file system that fsspec knows."""
        return "://" in self.path

    @property
    def stamped(self) -> Path:
        """The file whose size and time of change stand for the whole relation."""
        path = Path(self.path)
        if self.suffix == ".tra":
            return path / "manifest.json"
        if self.suffix == ".zarr":
            return path / (".zarray" if (path / ".zarray").exists() else "zarr.json")
        return path

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else self.path


def locate(path: str | os.PathLike[str] | Location, base: Path | None = None) -> Location:
    """Reads a path as users write it.

    Args:
        path: a path or a URL with one of the suffixes; an `.npz` path may name a member after a colon.
        base: the folder that relative paths start from; the working directory when left out.

    Example:
        >>> locate("data/digits.npz:X", base=Path("/srv"))
        Location(path='/srv/data/digits.npz', suffix='.npz', member='X')
        >>> locate("s3://bucket/A.tra").is_remote
        True
        >>> locate("A.tar")
        Traceback (most recent call last):
        tra.errors.CatalogError: 'A.tar' has no known format:
        a path ends with .tra, .npy, .npz, .parquet or .zarr; did you mean '.tra'?

    Raises:
        CatalogError: it is no path, or the suffix is not one of the formats.
    """
    if isinstance(path, Location):
        return path
    try:
        text = os.fspath(path)
    except TypeError:
        raise CatalogError(f"a path is a str or a Path; got {path!r}") from None
    if not isinstance(text, str):
        raise CatalogError(f"a path is a str or a Path; got {text!r}")
    text = text.removeprefix("file://")
    head, colon, member = text.partition(".npz:")
    if colon and not member:
        raise CatalogError(f"{text!r} names no member after the colon")
    file = Path(head + ".npz" if colon else text)
    if file.suffix not in SUFFIXES:
        legal = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise CatalogError(
            f"{text!r} has no known format: a path ends with {legal}{near_name(file.suffix, SUFFIXES)}"
        )
    if "://" in text:
        return Location(head + ".npz" if colon else text, file.suffix, member.removesuffix(".npy"))
    full = os.path.abspath((base or Path()) / file)  # noqa: PTH100 - not resolve(): links stay as users wrote them
    return Location(full, file.suffix, member.removesuffix(".npy"))


def leaves_tiles(path: str | os.PathLike[str] | Location) -> bool:
    """Claims that a file shows what tiles it was written in: arrays of NumPy do not.

    Example:
        >>> leaves_tiles("A.tra"), leaves_tiles("A.npy")
        (True, False)

    Raises:
        CatalogError: it is no path, or the suffix is not one of the formats.
    """
    return locate(path).suffix not in _WITHOUT_TILES
