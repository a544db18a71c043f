"""One array out of tiles, as they arrive."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tra.algebra.retiling import free_keys
from tra.algebra.types import RelType, Tile, TileKey
from tra.errors import SchemaError


def assemble_array(type_: RelType, tiles: Iterable[tuple[TileKey, Tile]]) -> Tile:
    """The whole tensor: keys that cut no axis lead, then the axes at full extent.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> tiles = {(0,): np.array([1.0, 2.0]), (1,): np.array([3.0])}
        >>> assemble_array(tensor_type((3,), "f8", ("i",), 2), tiles.items())
        array([1., 2., 3.])

    Raises:
        SchemaError: tiles are missing, which was not known before the run.
    """
    out: Tile = np.empty(type_.shape, dtype=type_.dtype)
    free = [type_.names.index(key.name) for key in free_keys(type_)]
    filled = 0
    for key, tile in tiles:
        window = [slice(s, s + n) for s, n in zip(type_.tile_starts(key), tile.shape, strict=True)]
        place: tuple[int | slice, ...] = (*(key[p] for p in free), *window)
        out[place] = tile
        filled += tile.size
    if filled != out.size:
        raise SchemaError(
            f"compute needs a dense relation: {out.size - filled} of {out.size} elements of {type_} lie in "
            "holes; fill them with .fill(0)"
        )
    return out
