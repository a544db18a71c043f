"""Kernels of plans that do not depend on tiles: products of tiles as they are cut, folds in order of keys.

Their names begin with _: no user writes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, kernel, register
from tra.algebra.types import Tile


def _named(of: Kernel, name: str, **changes: Any) -> Kernel:
    params = tuple(sorted({"of": of.name, **dict(of.params)}.items()))
    return replace(of, name=name, params=params, **changes)


def _blocked(of: str, **params: Any) -> Kernel:
    """A kernel that is called for each tile by itself, on operands that lie row by row.

    BLAS takes another way, with other bits, for matrices of other shapes or in another order in memory.
    """
    by = kernel(of, **params)

    def function(*tiles: Tile) -> Tile:
        result: Tile = by.function(*map(row_by_row, tiles))
        return result

    laws = replace(by.laws, as_cut=True)
    return _named(by, "_blocked", function=function, laws=laws, batched=False)


def row_by_row(tile: Tile) -> Tile:
    """A tile as it lies when it is made anew; of axes of length one NumPy says that they lie in any way.

    Example:
        >>> row_by_row(np.ones((2, 3)).T).strides
        (16, 8)
    """
    return tile if tile.flags.c_contiguous and 1 not in tile.shape else np.array(tile, order="C")


def _in_order(of: str, **params: Any) -> Kernel:
    """A fold that is not associative to the last bit: in the order of keys, at one place."""
    by = kernel(of, **params)
    laws = replace(by.laws, associative=False, commutative=False, distributes_over=frozenset(), ordered=True)
    return _named(by, "_in_order", laws=laws)


register("_blocked", _blocked)
register("_in_order", _in_order)
