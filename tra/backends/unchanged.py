"""Whether arrays and files are what they were when a relation was made of them.

A lost share is made again from what the first was made from. An array belongs to the user, who may have
written to it meanwhile, and a file may have been replaced: then what would come back is another relation, and
an error is the right answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np

from tra.algebra.sources import ArraySource, TileSource, TilesSource
from tra.algebra.types import Tile
from tra.backends.batches import RowsSource
from tra.backends.window_sources import SourceWindow
from tra.errors import PlanError

Seal: TypeAlias = int | tuple[int, int] | None
_AT_ONCE = 1 << 24  # bytes that are made contiguous at a time


@dataclass(frozen=True)
class Seals:
    """What sources were, by id: None where it cannot be known."""

    by_id: Mapping[str, Seal]

    def check(self, sources: Mapping[str, TileSource]) -> None:
        """Makes sure that sources are what they were.

        Raises:
            PlanError: one is not.
        """
        for id_, seal in self.by_id.items():
            if seal is not None and _seal(sources[id_]) != seal:
                raise PlanError(
                    f"a worker died with tiles that were made from {_called(sources[id_])}, which has "
                    "been changed since: they cannot be made again\n  hint: keep what persisted relations "
                    "are made from as it is, or save them"
                )


def sealed(sources: Mapping[str, TileSource]) -> Seals:
    """What sources are now.

    Example:
        >>> import tra
        >>> array = np.zeros(3)
        >>> sources = tra.from_array(array).sources
        >>> seals = sealed(sources)
        >>> seals.check(sources)
        >>> array[1] = 1.0
        >>> seals.check(sources)
        Traceback (most recent call last):
        tra.errors.PlanError: a worker died with tiles that were made from an array of 3 float64, which has
        been changed since: they cannot be made again...
    """
    return Seals({id_: _seal(source) for id_, source in sources.items()})


def _seal(source: TileSource) -> Seal:
    """A checksum of an array or of tiles, size and time of a file, or None where it cannot be known."""
    match source:
        case SourceWindow(base=TilesSource(tiles=tiles)):
            return _of_tiles(tile for key, tile in tiles.items() if source.holds(key))
        case SourceWindow(base=ArraySource(array=np.ndarray() as array)):  # the window, not all for each
            sizes = (end - low for low, end in zip(source.first, source.end, strict=True))
            return _of_tiles(map(source.read, np.ndindex(*sizes))) if _may_change(array) else None
        case ArraySource(array=np.ndarray() as array):
            return _checksum(array, 0) if _may_change(array) else None
        case TilesSource(tiles=tiles):
            return _of_tiles(tiles.values())
        case RowsSource(base=base):
            return _seal(base)
    with suppress(OSError, ValueError):
        path = str(getattr(source, "path", ""))
        there = Path(path).stat() if path else None
        return (there.st_size, there.st_mtime_ns) if there is not None else None
    return None


def _of_tiles(tiles: Iterable[Tile]) -> int:
    sum_ = 0
    for tile in tiles:
        sum_ = _checksum(tile, sum_)
    return sum_


def _may_change(array: np.ndarray[Any, Any]) -> bool:
    """Claims that somebody could write to an array: through itself, or through what it is a view of."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    return owner is not None  # a map of a file, or memory of another library


def _checksum(array: np.ndarray[Any, Any], start: int) -> int:
    """A checksum of the elements, whatever their strides; what has a stride of 0 is looked at once."""
    seen = array[tuple(slice(0, 1) if not stride else slice(None) for stride in array.strides)]
    rows = seen[None] if not seen.ndim else seen
    if not rows.size:
        return start
    step = max(_AT_ONCE // max(rows[:1].nbytes, 1), 1)
    for first in range(0, len(rows), step):
        start = crc32(np.ascontiguousarray(rows[first : first + step]).reshape(-1).view(np.uint8).data, start)
    return start


def _called(source: TileSource) -> str:
    path, type_ = getattr(source, "path", None), getattr(source, "type", None)
    if path:
        return str(path)
    if type_ is None:
        return "tiles in this process"
    return f"an array of {'×'.join(map(str, type_.shape))} {type_.dtype}"
