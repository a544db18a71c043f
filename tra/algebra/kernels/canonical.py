"""Kernels of plans that do not depend on tiles: products of tiles as they are cut, folds in order of keys.

Their names begin with _: no user writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tra.algebra.formula import takes_out
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
    laws = replace(by.laws, as_cut=True)
    return _named(by, "_blocked", function=Blocked(by.function), laws=laws, batched=False)


@dataclass(frozen=True)
class Blocked:
    """A function of tiles, called with tiles that lie as it needs them to give the same bits.

    Attributes:
        of: the function.
    """

    of: Callable[..., Any]

    def __call__(self, *tiles: Tile, out: Tile | None = None) -> Tile:
        result: Tile = self.of(*map(self.layout(tiles), tiles), **({} if out is None else {"out": out}))
        return result

    @property
    def takes_out(self) -> bool:
        """Claims that results can be written into memory that is there, by ``out=``."""
        return takes_out(self.of)

    def layout(self, tiles: Iterable[Tile]) -> Callable[[Tile], Tile]:
        """What each operand of some calls goes through first.

        What BLAS multiplies as matrices may be a part of a larger array: it brings its operands together
        itself, with the same bits. Of vectors they need not be the same.

        Args:
            tiles: all operands.
        """
        are_matrices = all(tile.ndim == 2 and 1 not in tile.shape for tile in tiles)
        return in_rows if self.of is np.matmul and are_matrices else row_by_row


def in_rows(tile: Tile) -> Tile:
    """A matrix whose rows BLAS takes as they lie: where it does so, else a copy.

    Example:
        >>> of_larger = np.ones((4, 4))[:2, :2]
        >>> in_rows(of_larger) is of_larger, in_rows(of_larger.T).strides
        (True, (16, 8))
    """
    across, along = tile.strides
    is_taken = along == tile.itemsize and across >= tile.shape[1] * along and across % along == 0
    return tile if is_taken and tile.flags.aligned else row_by_row(tile)


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
