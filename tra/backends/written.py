"""Writing tiles where they lie."""

from __future__ import annotations

from collections.abc import Iterable

from tra.algebra.types import Tile, TileKey
from tra.backends.storage.part_writers import PartWriter, Written


def write_task(tiles: Iterable[tuple[TileKey, Tile]], part: PartWriter, first: TileKey) -> Written:
    """Writes a share of a window.

    Args:
        tiles: the share; keys count from zero.
        part: what writes it.
        first: the first key of the window.
    """
    return part.write_all((tuple(k + low for k, low in zip(key, first, strict=True)), t) for key, t in tiles)
