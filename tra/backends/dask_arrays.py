"""Sources that are `dask.array` collections: their chunks go to the sites, and never through the client."""

from __future__ import annotations

from typing import Any

import numpy as np

from tra.algebra.sources import ArraySource, TileSource
from tra.algebra.types import Tile
from tra.backends.block import Block, Cuts, Ranges
from tra.backends.tiles import Tiles


def dask_array_of(source: TileSource) -> Any:
    """The `dask.array` that a source reads; None where it reads something else.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0])
        >>> dask_array_of(A.sources[A.expr.id]) is None
        True
    """
    array = source.array if isinstance(source, ArraySource) else None
    return array if hasattr(array, "__dask_graph__") and hasattr(array, "chunks") else None


def window_task(box: Ranges, cuts: Cuts, dtype: str, elements: Tile) -> Tiles:
    """The tiles in a box of keys, from the elements they are cut from.

    Example:
        >>> window_task(((1, 3),), ((0, 2),), "f8", np.arange(3)).keys.tolist()
        [[1], [2]]
    """
    return Tiles.of([Block(box, np.asarray(elements, dtype), cuts)])
