"""A result that would be saved over what it is read from: its tiles are read while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tra.algebra.sources import TileSource
from tra.backends.storage.location import Location, locate
from tra.errors import CatalogError


def overlap(one: Path, other: Path) -> bool:
    """Claims that two places are one file, or that one is within the other.

    Example:
        >>> overlap(Path("/a.tra"), Path("/a.tra/part.tra")), overlap(Path("/a.npy"), Path("/b.npy"))
        (True, False)
    """
    if one.is_relative_to(other) or other.is_relative_to(one):
        return True
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet
        return False


def target(path: str | os.PathLike[str] | Location, sources: Iterable[TileSource]) -> Location:
    """Where a result is written to.

    Args:
        path: as users write it.
        sources: what the result is made of.

    Example:
        >>> import tra
        >>> target("A.npy", tra.from_array([1.0]).sources.values()).suffix
        '.npy'

    Raises:
        CatalogError: it is no path of a known format, or a source is read from the same place.
    """
    place = locate(path)
    for source in sources:
        read = getattr(source, "path", "")
        if read and overlap(Path(os.path.realpath(read)), Path(os.path.realpath(place.path))):
            raise CatalogError(
                f"the result is read from {read}, and would be written over it\n"
                "  hint: its tiles are read while others are written; save under another name and rename it, "
                "or keep what is read in memory: tra.from_array(A.compute())"
            )
    return place
