"""Sums of products of tiles by a balanced tree, each written where it belongs in the result.

A thread uses the memory of products that it has added again: memory that is new costs more than adding does.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from tra.algebra.kernel import Kernel
from tra.algebra.types import Tile
from tra.backends.balanced_fold import BalancedFold
from tra.backends.kernel_calls import accumulate, call_into
from tra.backends.panel_products import Pair
from tra.backends.threads import parallel


class _Spare(threading.local):
    """Memory of products that were added, each thread's own."""

    def __init__(self) -> None:
        self.arrays: list[Tile] = []

    def like(self, place: Tile) -> Tile:
        """Memory for a tile, from what there is or new."""
        fitting = [n for n, array in enumerate(self.arrays) if array.shape == place.shape]
        return self.arrays.pop(fitting[-1]) if fitting else np.empty(place.shape, place.dtype)


def ordered_sums(
    kernel: Kernel, fold: Kernel, groups: Sequence[Sequence[Pair]], places: Sequence[Tile]
) -> None:
    """Writes, for each group of pairs, the fold of their products by a balanced tree.

    Args:
        kernel: the product.
        fold: what adds up products.
        groups: pairs of tiles in their order, at least one for each result.
        places: where each result goes, of the shape and dtype of a product.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> place = np.empty((1, 1))
        >>> pairs = [(np.full((1, 1), n), np.ones((1, 1))) for n in (1.0, 2.0, 3.0)]
        >>> ordered_sums(kernel("matmul"), kernel("add"), [pairs], [place])
        >>> place.tolist()
        [[6.0]]
    """
    spare = _Spare()

    def add(total: Tile, product: Tile) -> Tile:
        added = accumulate(fold, total, product)
        if added is total:
            spare.arrays.append(product)
        return added

    def one(number: int) -> None:
        place, tree = places[number], BalancedFold(add)
        for n, pair in enumerate(groups[number]):
            tree.add(call_into(spare.like(place) if n else place, kernel, *pair))
        total = tree.total()
        if total is not place:
            place[...] = total

    parallel(one, range(len(groups)))
