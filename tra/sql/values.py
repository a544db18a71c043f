"""The values of a relation as SHOW prints them."""

from __future__ import annotations

from math import prod

import numpy as np

from tra.algebra.live import is_dense
from tra.algebra.relation import Relation
from tra.algebra.retiling import check_links
from tra.algebra.types import Tile
from tra.backends.session import Session
from tra.errors import SchemaError

_THRESHOLD = 1000  # elements; of more the middle is left out
_TILE_THRESHOLD = 50  # elements of a tile that is shown beside others
_MOST_TILES = 5


def values_text(session: Session, relation: Relation) -> str:
    """The whole tensor; how many tiles and the first, where holes or keys that say no place leave none.

    Example:
        >>> import numpy as np, tra
        >>> with tra.connect("local", threads=1) as session:
        ...     holed = tra.from_tiles({(1,): np.zeros(2), (2,): np.ones(2)}, keys=("i",))
        ...     print(values_text(session, holed))
        2 of 3 keys have a tile
        (1,): [0. 0.]
        (2,): [1. 1.]
    """
    if _is_tensor(relation):
        return _array_text(session.compute(relation)[0])
    tiles = list(session.tiles(relation).items())
    lines = [_summary(len(tiles), prod(key.domain for key in relation.expr.type.keys))]
    lines += [_tile_text(key, tile) for key, tile in tiles[:_MOST_TILES]]
    if len(tiles) > _MOST_TILES:
        lines.append(f"… and {len(tiles) - _MOST_TILES:,} more tiles")
    return "\n".join(lines)


def _summary(n_tiles: int, n_keys: int) -> str:
    """How many of the keys have a tile, and how many of these are shown."""
    if not n_tiles:
        return f"none of {n_keys:,} keys has a tile"
    shown = f"; the first {_MOST_TILES}" if n_tiles > _MOST_TILES else ""
    if n_tiles == n_keys:
        return f"{n_tiles:,} tiles, whose keys do not say a place{shown}"
    return f"{n_tiles:,} of {n_keys:,} keys have a tile{shown}"


def _is_tensor(relation: Relation) -> bool:
    type_ = relation.expr.type
    try:
        check_links(type_, "SHOW")
    except SchemaError:
        return False
    return is_dense(type_)


def _tile_text(key: tuple[int, ...], tile: Tile) -> str:
    text = _array_text(tile, _TILE_THRESHOLD)
    return f"{key}:\n{text}" if "\n" in text else f"{key}: {text}"


def _array_text(array: Tile, threshold: int = _THRESHOLD) -> str:
    return np.array2string(array, threshold=threshold) if array.ndim else str(array[()])
