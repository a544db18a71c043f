"""One array out of tiles, as they arrive."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tra.algebra.retiling import free_keys
from tra.algebra.types import RelType, Tile, TileKey
from tra.algebra.volume import n_elements
from tra.errors import SchemaError
from tra.optimizer.exchange import tile_starts


def assemble_array(type_: RelType, tiles: Iterable[tuple[TileKey, Tile]]) -> Tile:
    """The whole tensor: keys that cut no axis lead, then the axes at full extent.

    Raises:
        SchemaError: tiles are missing, which was not known before the run.
    """
    out = np.empty(type_.shape, dtype=type_.dtype)
    free = [type_.names.index(key.name) for key in free_keys(type_)]
    filled = 0
    for key, tile in tiles:
        starts = tile_starts(type_, key)
        window = tuple(slice(s, s + n) for s, n in zip(starts, tile.shape, strict=True))
        out[(*(key[p] for p in free), *window)] = tile
        filled += tile.size
    if filled != out.size:
        raise SchemaError(
            f"compute needs a dense relation: {type_} has {out.size - filled} of {out.size} elements in holes "
            f"({n_elements(type_)} live); fill them with .fill(0)"
        )
    return out
