"""Blocks: the tiles of a box of keys side by side in one array, as the tensor they are cut from has them.

Whatever does not depend on how a tensor is cut (products, element functions, transposes) runs on a block as
it would on one large tile; who wants tiles gets views of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, product
from typing import TypeAlias

import numpy as np

from tra.algebra.live import is_plain
from tra.algebra.types import KeyArray, RelType, Tile

Ranges: TypeAlias = tuple[tuple[int, int], ...]
Cuts: TypeAlias = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The tiles of a box of keys in one array.

    Attributes:
        box: for each key the range ``[low, high)``.
        array: the elements, with the axes of a tile.
        cuts: for each key the axis that it cuts and the length of a full tile there, or None for a key that
            cuts no axis, whose range holds one value.
        is_fresh: the array was made here and is nobody else's, so that it may be written to or given away.

    Example:
        >>> block = Block(((1, 3),), np.arange(3.0), ((0, 2),))
        >>> [tile.tolist() for tile in block.tiles()]
        [[0.0, 1.0], [2.0]]
    """

    box: Ranges
    array: Tile
    cuts: Cuts
    is_fresh: bool = False

    def keys(self) -> KeyArray:
        """The keys of the box in lexicographic order."""
        return keys_of(self.box)

    def tiles(self) -> list[Tile]:
        """The tiles as views, in the order of the keys."""
        along: list[list[slice]] = [[slice(None)]] * len(self.box)
        for place, cut in enumerate(self.cuts):
            if cut is not None:
                size, (low, high) = cut[1], self.box[place]
                along[place] = [slice(n * size, (n + 1) * size) for n in range(high - low)]
        if all(len(slices) == 1 for slices in along):
            return [self.array]
        order = [cut[0] if cut else None for cut in self.cuts]
        found = []
        for slices in product(*along):
            window = [slice(None)] * self.array.ndim
            for axis, taken in zip(order, slices, strict=True):
                if axis is not None:
                    window[axis] = taken
            found.append(self.array[tuple(window)])
        return found

    def within(self, box: Ranges) -> Block | None:
        """The part in another box, as a view; None where there is none."""
        if box == self.box:
            return self
        shared = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(self.box, box, strict=True))
        if any(high <= low for low, high in shared):
            return None
        if shared == self.box:
            return self
        return Block(shared, self.array[self.window(shared)], self.cuts)

    def window(self, box: Ranges) -> tuple[slice, ...]:
        """Where a box within this one lies in the array."""
        window = [slice(None)] * self.array.ndim
        for cut, (low, _), (first, last) in zip(self.cuts, self.box, box, strict=True):
            if cut is not None:
                axis, size = cut
                window[axis] = slice((first - low) * size, (last - low) * size)
        return tuple(window)

    def shared(self) -> Block:
        """The same block, which somebody else may hold too."""
        return replace(self, is_fresh=False) if self.is_fresh else self


def keys_of(box: Ranges) -> KeyArray:
    """The keys of a box in lexicographic order.

    Example:
        >>> keys_of(((0, 1), (4, 6))).tolist()
        [[0, 4], [0, 5]]
    """
    shape = tuple(high - low for low, high in box)
    lows = np.array([low for low, _ in box], dtype=np.int64)
    return np.indices(shape, dtype=np.int64).reshape(len(shape), -1).T + lows if shape else _ONE_KEY


_ONE_KEY = np.zeros((1, 0), dtype=np.int64)


@lru_cache(maxsize=4096)
def cuts_of(type_: RelType) -> Cuts | None:
    """How keys cut the axes of a relation, or None where its tiles cannot lie side by side.

    They can where all keys in the live ranges have a tile, and each axis is cut by one key alone.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> cuts_of(tensor_type((5, 4), "f8", ("i", "j"), 2))
        ((0, 2), (1, 2))
    """
    links = [axis.link for axis in type_.axes]
    names = [name for link in links for name, _ in link]
    simple = all(len(link) < 2 and all(coef == 1 for _, coef in link) for link in links)
    if not simple or len(set(names)) < len(names) or not is_plain(type_):
        return None
    if any(axis.link and not axis.size for axis in type_.axes):
        return None
    cuts = {axis.link[0][0]: (p, axis.size) for p, axis in enumerate(type_.axes) if axis.link}
    return tuple(cuts.get(name) for name in type_.names)


def window_of(type_: RelType, box: Ranges) -> tuple[slice, ...]:
    """The place of a box of keys in the whole tensor, for a relation that has cuts.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> window_of(tensor_type((5, 4), "f8", ("i", "j"), 2), ((1, 3), (0, 1)))
        (slice(2, 5, None), slice(0, 2, None))
    """
    spans = dict(zip(type_.names, box, strict=True))
    window = []
    for axis in type_.axes:
        low, high = spans[axis.link[0][0]] if axis.link else (0, 1)
        stop = min(high * axis.size, axis.extent)
        window.append(slice(min(low * axis.size, stop), stop))
    return tuple(window)


def empty_block(type_: RelType, box: Ranges) -> Block:
    """A block of a relation that has cuts, with nothing written to it yet.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> empty_block(tensor_type((5, 4), "f8", ("i", "j"), 2), ((1, 3), (0, 1))).array.shape
        (3, 2)
    """
    cuts = cuts_of(type_)
    assert cuts is not None
    shape = tuple(window.stop - window.start for window in window_of(type_, box))
    return Block(box, np.empty(shape, type_.dtype), cuts, is_fresh=True)


def spans_one(cuts: Cuts, box: Ranges) -> bool:
    """Claims that keys which cut no axis have one value in a box, and the box is not empty.

    Example:
        >>> spans_one((None,), ((3, 4),)), spans_one((None,), ((3, 5),))
        (True, False)
    """
    return all(
        high - low == 1 if cut is None else high > low for cut, (low, high) in zip(cuts, box, strict=True)
    )


def is_covered(blocks: Sequence[Block], box: Ranges) -> bool:
    """Claims that some blocks within a box hold each of its keys, and each once.

    Example:
        >>> halves = [Block(((n, n + 1),), np.ones(2), ((0, 2),)) for n in range(2)]
        >>> is_covered(halves, ((0, 2),)), is_covered([halves[0]] * 2, ((0, 2),))
        (True, False)
    """
    boxes = [block.box for block in blocks]
    return are_disjoint(boxes) and sum(map(_volume, boxes)) == _volume(box)


def are_disjoint(boxes: Sequence[Ranges]) -> bool:
    """Claims that no key is in two boxes.

    Example:
        >>> are_disjoint([((0, 2),), ((2, 3),)]), are_disjoint([((0, 2),), ((1, 3),)])
        (True, False)
    """
    return not any(_meet(one, other) for one, other in combinations(boxes, 2))


def _meet(one: Ranges, other: Ranges) -> bool:
    return all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(one, other, strict=True))


def _volume(box: Ranges) -> int:
    total = 1
    for low, high in box:
        total *= high - low
    return total
