"""Memory for the tiles of a result."""

from __future__ import annotations

import numpy as np

from tra.algebra.types import KeyArray, RelType, Tile
from tra.backends.block import cuts_of, empty_block, keys_of, spans_one
from tra.backends.tiles import Tiles, bounds


def places_of(type_: RelType, keys: KeyArray) -> tuple[Tiles, list[Tile]]:
    """Tiles of a relation with nothing written to them yet, side by side where no tile is missing.

    Args:
        type_: the relation.
        keys: distinct keys in order, at least one.

    Returns:
        The tiles together, and one by one in the order of the keys.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> type_ = tensor_type((3,), "f8", ("i",), 2)
        >>> made, places = places_of(type_, np.array([[0], [1]]))
        >>> len(made.blocks), [place.shape for place in places]
        (1, [(2,), (1,)])
    """
    cuts, box = cuts_of(type_), bounds(Tiles(keys, [], is_sorted=True))
    if cuts is not None and spans_one(cuts, box) and np.array_equal(keys, keys_of(box)):
        block = empty_block(type_, box)
        return Tiles.of([block]), block.tiles()
    places = [np.empty(tuple(shape), type_.dtype) for shape in type_.tile_lengths(keys).tolist()]
    return Tiles(keys, places, is_sorted=True, is_own=True), places
