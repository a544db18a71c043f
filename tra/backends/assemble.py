"""One array out of tiles, as they arrive."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tra.algebra.retiling import free_keys
from tra.algebra.types import RelType, Tile
from tra.backends.block import Block, window_of
from tra.backends.tiles import Tiles
from tra.errors import SchemaError


def assemble_array(type_: RelType, shares: Iterable[Tiles]) -> Tile:
    """The whole tensor: keys that cut no axis lead, then the axes at full extent.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> tiles = Tiles(np.array([[0], [1]]), [np.array([1.0, 2.0]), np.array([3.0])])
        >>> assemble_array(tensor_type((3,), "f8", ("i",), 2), [tiles])
        array([1., 2., 3.])

    Raises:
        SchemaError: tiles are missing, which was not known before the run.
    """
    free = [type_.names.index(key.name) for key in free_keys(type_)]
    out: Tile | None = None
    filled = 0
    for tiles in shares:
        for block in tiles.blocks or ():
            if _is_whole(block, type_):
                return block.array
            out = np.empty(type_.shape, type_.dtype) if out is None else out
            filled += _put(out, block.array, [block.box[p][0] for p in free], window_of(type_, block.box))
        for key, tile in tiles if tiles.blocks is None else ():
            out = np.empty(type_.shape, type_.dtype) if out is None else out
            starts = zip(type_.tile_starts(key), tile.shape, strict=True)
            filled += _put(out, tile, [key[p] for p in free], tuple(slice(s, s + n) for s, n in starts))
    out = np.empty(type_.shape, type_.dtype) if out is None else out
    if filled != out.size:
        raise SchemaError(
            f"compute needs a dense relation: {out.size - filled} of {out.size} elements of {type_} lie in "
            "holes; fill them with .fill(0)"
        )
    return out


def _is_whole(block: Block, type_: RelType) -> bool:
    """Claims that a block is the whole tensor, and nobody else's."""
    plain = block.array.shape == type_.shape and block.array.dtype == type_.dtype
    return block.is_fresh and plain and block.array.flags.c_contiguous


def _put(out: Tile, elements: Tile, free: list[int], window: tuple[slice, ...]) -> int:
    place: tuple[int | slice, ...] = (*free, *window)
    out[place] = elements
    return elements.size


def distinct(arrays: Iterable[Tile]) -> tuple[Tile, ...]:
    """The arrays, one that comes again as a copy: each result is the caller's to write to.

    Example:
        >>> one = np.ones(2)
        >>> [array is one for array in distinct([one, one])]
        [True, False]
    """
    found: list[Tile] = []
    for array in arrays:
        found.append(array.copy() if any(array is other for other in found) else array)
    return tuple(found)
