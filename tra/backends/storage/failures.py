"""What goes wrong with files, said in one line that names the file and the key.

Code below these boundaries raises plain `ValueError` for content it does not accept; libraries raise what
they like. Both leave as `CatalogError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tra.algebra.types import TileKey
from tra.backends.storage.location import SUFFIXES, Location
from tra.errors import CatalogError, TraError, near_name


@contextmanager
def reading(location: Location, key: TileKey | None = None) -> Iterator[None]:
    """Turns every failure inside into a CatalogError that says what could not be read.

    Example:
        >>> with reading(Location("/srv/A.npy", ".npy"), (0, 1)):
        ...     raise ValueError("it ends too early")
        Traceback (most recent call last):
        tra.errors.CatalogError: cannot read the tile at key (0, 1) of /srv/A.npy: it ends too early
    """
    tile = "" if key is None else f"the tile at key {key} of "
    with _failing(f"cannot read {tile}{location}", location, _absent):
        yield


@contextmanager
def writing(location: Location, key: TileKey | None = None) -> Iterator[None]:
    """Turns every failure inside into a CatalogError that says what could not be written.

    Example:
        >>> with writing(Location("/srv/A.npy", ".npy")):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        tra.errors.CatalogError: cannot write /srv/A.npy: no space left on device
    """
    tile = "" if key is None else f"the tile at key {key} to "
    with _failing(f"cannot write {tile}{location}", location, _unmade):
        yield


@contextmanager
def _failing(what: str, location: Location, absent: Callable[[Path], str]) -> Iterator[None]:
    """Turns failures into errors; `absent` says of a path why nothing is there."""
    try:
        yield
    except (TraError, MemoryError):
        raise
    except Exception as error:  # zip, JSON, Arrow and zarr each have errors of their own
        raise CatalogError(f"{what}: {_reason(error, location, absent)}") from error


def _reason(error: Exception, location: Location, absent: Callable[[Path], str]) -> str:
    if isinstance(error, FileNotFoundError) and location.is_remote:
        return "there is no such file, or it is not wholly written"
    if isinstance(error, FileNotFoundError):
        return absent(Path(location.path))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _absent(path: Path) -> str:
    if path.is_dir():
        return "the folder is no relation, or not wholly written"
    if not path.parent.is_dir():
        return _no_folder(path)
    others = [other.name for other in path.parent.iterdir() if other.suffix in SUFFIXES]
    return f"there is no such file{near_name(path.name, others)}"


def _unmade(path: Path) -> str:
    folder = Path(os.path.realpath(path)).parent  # a link is written through
    return f"no file can be made in {folder}" if folder.is_dir() else _no_folder(path)


def _no_folder(path: Path) -> str:
    return f"there is no folder {path.parent}"
