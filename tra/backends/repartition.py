"""Cutting whole tensors anew: pieces of elements out of old tiles, and new tiles out of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

import numpy as np

from tra.algebra.live import live_keys
from tra.algebra.retiling import offsets_along
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.tiles import Tiles
from tra.optimizer.exchange import tile_starts, window_slices
from tra.optimizer.placement import Ranges, box_of
from tra.optimizer.plan import Repartition

Fragment: TypeAlias = tuple[TileKey, tuple[slice, ...], Tile]


class Fragments(list[Fragment]):
    """Pieces of elements on their way: new key, place in the new tile, elements."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return sum(piece.nbytes for _, _, piece in self)

    def __sizeof__(self) -> int:
        return self.nbytes + 256 * len(self) + 64


def new_keys(node: Repartition, site: int) -> list[TileKey]:
    """The keys of the new tiles at a site."""
    box = box_of(node.type, node.placement, site)
    keys = live_keys(node.type)
    inside = np.ones(len(keys), dtype=bool)
    for column, (low, high) in enumerate(box):
        inside &= (keys[:, column] >= low) & (keys[:, column] < high)
    return [tuple(key) for key in keys[inside].tolist()]


def fragments(node: Repartition, operand: int, tiles: Tiles, site: int) -> Fragments:
    """What the tiles of one operand at one site give to the new tiles at `site`."""
    old = node.operands[operand].type
    start = offsets_along(node.windows, node.along)[operand]
    box = box_of(node.type, node.placement, site)
    found = Fragments()
    for key, tile in tiles:
        found.extend(_of_tile(node, old, node.windows[operand], start, box, key, tile))
    return found


def _of_tile(node: Repartition, old: RelType, windows: Sequence, start: int, box: Ranges, key: TileKey, tile: Tile) -> list[Fragment]:  # type: ignore[type-arg]
    """The fragments of one old tile: for each axis the new tiles it reaches, then all combinations."""
    new = node.type
    starts = tile_starts(old, key)
    spans = dict(zip(new.names, box, strict=True))
    free = {name: k for name, k in zip(old.names, key, strict=True) if name not in old.linked}
    if any(not spans[name][0] <= k < spans[name][1] for name, k in free.items()):
        return []
    options: list[list[tuple[str | None, int, slice, slice]]] = []
    for axis, (window, begin, length) in enumerate(zip(windows, starts, tile.shape, strict=True)):
        offset = start if axis == node.along else 0
        options.append(_along_axis(new, axis, window, (begin, begin + length), offset, spans))
    result = []
    for combination in product(*options):
        named = {**free, **{name: number for name, number, _, _ in combination if name is not None}}
        taken = tile[tuple(source for _, _, source, _ in combination)]
        result.append((tuple(named[name] for name in new.names), tuple(target for *_, target in combination), taken))
    return result


def _along_axis(new: RelType, axis: int, window, old: tuple[int, int], offset: int, spans) -> list[tuple[str | None, int, slice, slice]]:  # type: ignore[no-untyped-def]
    ax = new.axes[axis]
    name = ax.link[0][0] if ax.link else None
    low, high = spans[name] if name is not None else (0, 1)
    size = ax.size
    if name is not None and window.count and size:
        first, last = _reach(window, old, offset)
        low, high = max(low, first // size), min(high, last // size + 1)
    found = []
    for number in range(low, high):
        shared = window_slices(window, (number * size, min((number + 1) * size, ax.extent)), old, offset)
        if shared is not None:
            found.append((name, number, *shared))
    return found


def _reach(window, old: tuple[int, int], offset: int) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """The first and last new element that an old range may hold."""
    ends = sorted(((old[0] - window.start) // window.step, (old[1] - 1 - window.start) // window.step))
    return max(ends[0], 0) + offset, max(min(ends[1] + 1, window.count - 1), 0) + offset


def assemble(node: Repartition, received: Sequence[Sequence[Fragments]], site: int) -> Tiles:
    """The new tiles at a site, filled with the fragments of all operands."""
    keys = new_keys(node, site)
    array = np.array(keys, dtype=np.int64).reshape(len(keys), len(node.type.keys))
    lengths = node.type.tile_lengths(array).tolist()
    fresh = {key: np.empty(tuple(shape), dtype=node.type.dtype) for key, shape in zip(keys, lengths, strict=True)}
    for operand in received:
        for found in operand:
            for key, place, piece in found:
                fresh[key][place] = piece
    return Tiles(array, [fresh[key] for key in keys], is_sorted=True)
