"""The values of a relation as SHOW prints them."""

from __future__ import annotations

import numpy as np

from tra.algebra.live import is_dense
from tra.algebra.relation import Relation
from tra.algebra.retiling import check_links
from tra.algebra.types import Tile
from tra.backends.session import Session
from tra.errors import SchemaError

_THRESHOLD = 1000  # elements; of more the middle is left out
_MOST_TILES = 20


def values_text(session: Session, relation: Relation) -> str:
    """The whole tensor; tile by tile where there is none, because of holes or keys that say no place.

    Example:
        >>> import numpy as np, tra
        >>> with tra.connect("local", threads=1) as session:
        ...     holed = tra.from_tiles({(1,): np.zeros(2), (2,): np.ones(2)}, keys=("i",))
        ...     print(values_text(session, holed))
        (1,): [0. 0.]
        (2,): [1. 1.]
    """
    if _is_tensor(relation):
        return _array_text(session.compute(relation)[0])
    tiles = list(session.tiles(relation).items())
    lines = [_tile_text(key, tile) for key, tile in tiles[:_MOST_TILES]]
    if len(tiles) > _MOST_TILES:
        lines.append(f"… and {len(tiles) - _MOST_TILES} more tiles")
    return "\n".join(lines) or "no tiles"


def _is_tensor(relation: Relation) -> bool:
    type_ = relation.expr.type
    try:
        check_links(type_, "SHOW")
    except SchemaError:
        return False
    return is_dense(type_)


def _tile_text(key: tuple[int, ...], tile: Tile) -> str:
    text = _array_text(tile)
    return f"{key}:\n{text}" if "\n" in text else f"{key}: {text}"


def _array_text(array: Tile) -> str:
    return np.array2string(array, threshold=_THRESHOLD) if array.ndim else str(array[()])
