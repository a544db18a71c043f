"""Loop dimensions for functions that do not know them: one call per position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tra.algebra.signature import Signature
from tra.algebra.types import Tile


def looped(function: Callable[..., Any], signature: Signature) -> Callable[..., Any]:
    """The function over the loop dimensions of its operands, for one that takes the core dimensions alone.

    Example:
        >>> from tra.algebra.signature import parse_signature
        >>> trace = looped(lambda x: sum(x[p, p] for p in range(len(x))), parse_signature("(n,n)->()"))
        >>> trace(np.stack([np.eye(2), np.eye(2) * 3])).tolist()
        [2.0, 6.0]
    """
    cores = [len(dims) for dims in signature.inputs]

    def over_loops(*tiles: Tile) -> Tile:
        loops = [tile.shape[: tile.ndim - core] for tile, core in zip(tiles, cores, strict=True)]
        shape = np.broadcast_shapes(*loops)
        if not shape:
            return np.asarray(function(*tiles))
        operands = [
            np.broadcast_to(tile, shape + tile.shape[tile.ndim - core :])
            for tile, core in zip(tiles, cores, strict=True)
        ]
        if 0 in shape:
            sample = np.asarray(function(*(np.ones(x.shape[len(shape) :], x.dtype) for x in operands)))
            return np.zeros(shape + sample.shape, sample.dtype)
        results = [np.asarray(function(*(x[place] for x in operands))) for place in np.ndindex(shape)]
        return np.stack(results).reshape(shape + results[0].shape)

    return over_loops
