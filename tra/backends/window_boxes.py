"""Windows of keys: where they lie, how many are needed, and tiles moved to where they belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from tra.algebra.nodes import Source, postorder
from tra.algebra.relation import Relation
from tra.algebra.types import TileKey
from tra.algebra.volume import n_bytes
from tra.backends.block import Block
from tra.backends.tiles import Tiles
from tra.optimizer.window_type import Ranges


def boxes(domains: Sequence[int], counts: Sequence[int]) -> list[Ranges]:
    """Windows of equal length, but for the last along each key.

    Example:
        >>> boxes((5, 2), (2, 1))
        [((0, 3), (0, 2)), ((3, 5), (0, 2))]
    """
    along = []
    for domain, n in zip(domains, counts, strict=True):
        step = max(-(-domain // n), 1)
        along.append([(low, min(low + step, domain)) for low in range(0, domain, step)])
    return list(product(*along))


def samples(domains: Sequence[int], counts: Sequence[int]) -> list[Ranges]:
    """The first window, and one at other places along each key: where it meets itself the first needs less.

    Example:
        >>> samples((4, 4), (2, 2))
        [((0, 2), (0, 2)), ((0, 2), (2, 4))]
        >>> samples((5, 5, 5, 5), (4, 4, 4, 4))[1]
        ((0, 2), (2, 4), (4, 5), (4, 5))
    """
    first = boxes(domains, counts)[0]
    steps = [high for _, high in first]
    last = [-(-domain // step) - 1 if step else 0 for domain, step in zip(domains, steps, strict=True)]
    places = [min(number, n) * step for number, (n, step) in enumerate(zip(last, steps, strict=True))]
    ends = zip(places, steps, domains, strict=True)
    return list(dict.fromkeys([first, tuple((at, min(at + step, domain)) for at, step, domain in ends)]))


def fewest(
    domains: Sequence[int],
    fits: Callable[[Sequence[int]], bool],
    first: Callable[[Ranges], Relation | None],
) -> tuple[int, ...] | None:
    """Into how many windows keys are cut so that the first fits; more are made where that reads the least.

    Args:
        domains: of the keys.
        fits: claims that the first window does, for a number of windows of each key.
        first: the query for the first window; None where it cannot be cut like that.
    """
    counts = (1,) * len(domains)
    while not fits(counts):
        read: dict[tuple[int, ...], int] = {}
        for place, (n, domain) in enumerate(zip(counts, domains, strict=True)):
            finer = (*counts[:place], min(2 * n, domain), *counts[place + 1 :])
            box, *others = boxes(domains, finer)
            relation = first(box) if n < domain else None
            if relation is not None:
                leaves = (node for node in postorder(relation.expr) if isinstance(node, Source))
                read[finer] = (len(others) + 1) * sum(n_bytes(leaf.type) for leaf in leaves)
        if not read:
            return None
        counts = min(read, key=lambda finer: (read[finer], max(finer)))
    return counts


def moved(tiles: Tiles, first: TileKey) -> Tiles:
    """Tiles whose keys counted from zero, at keys that count from another.

    Example:
        >>> moved(Tiles(np.array([[0], [1]]), [np.zeros(1), np.ones(1)]), (4,)).keys.tolist()
        [[4], [5]]
    """
    if tiles.blocks is None:
        return Tiles(tiles.keys + np.array(first, dtype=np.int64), tiles.arrays, is_sorted=True)
    return Tiles.of([_moved(block, first) for block in tiles.blocks])


def _moved(block: Block, first: TileKey) -> Block:
    box = tuple((low + by, high + by) for (low, high), by in zip(block.box, first, strict=True))
    return Block(box, block.array, block.cuts)
