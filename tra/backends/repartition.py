"""Cutting whole tensors anew: pieces of elements out of old tiles, and new tiles out of pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np

from tra.algebra.nodes import Window
from tra.algebra.retiling import offsets_along
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.read_tiles import keys_within
from tra.backends.tiles import Tiles
from tra.errors import SchemaError
from tra.optimizer.boxes import Ranges, box_of
from tra.optimizer.plan import Repartition
from tra.optimizer.repartition import window_slices

Fragment: TypeAlias = tuple[TileKey, tuple[slice, ...], Tile]


@dataclass(frozen=True)
class Fragments:
    """Pieces of elements on their way: new key, place in the new tile, elements.

    It is no list, because Dask would add the sizes of a list's items to what `__sizeof__` says.
    """

    pieces: tuple[Fragment, ...]

    def __iter__(self) -> Iterator[Fragment]:
        return iter(self.pieces)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return sum(piece.nbytes for _, _, piece in self)

    def __sizeof__(self) -> int:
        return self.nbytes + 256 * len(self.pieces) + 64

    def owned(self) -> Fragments:
        """The same fragments, each in memory of its own."""
        return Fragments(tuple((key, place, np.array(piece)) for key, place, piece in self))


@dataclass(frozen=True)
class _Reach:
    """What an old tile gives to new ones along one axis: the new key, and the elements in both."""

    key: str | None
    number: int
    taken: slice
    put: slice


def fragments(node: Repartition, operand: int, tiles: Tiles, site: int) -> Fragments:
    """What the tiles of one operand give to the new tiles at `site`.

    Example:
        >>> from tra.algebra.nodes import Cut
        >>> from tra.algebra.retiling import full_windows
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.placement import Placement
        >>> from tra.optimizer.plan import Scan
        >>> old, new = (tensor_type((5,), "f8", ("i",), size) for size in (2, 3))
        >>> scan = Scan(old, Placement((), ()), "A", "0", "A")
        >>> node = Repartition(new, scan.placement, (scan,), 0, (full_windows(old),), (Cut(3, "i"),))
        >>> second = Tiles(np.array([[1]]), [np.array([2.0, 3.0])])
        >>> [(key, piece.tolist()) for key, _, piece in fragments(node, 0, second, 0)]
        [((0,), [2.0]), ((1,), [3.0])]
    """
    old, new = node.operands[operand].type, node.type
    spans = dict(zip(new.names, box_of(new, node.placement, site), strict=True))
    start = offsets_along(node.windows, node.along)[operand]
    free = [(column, key.name) for column, key in enumerate(old.keys) if key.name not in old.linked]
    found: list[Fragment] = []
    for key, tile in tiles:
        if not all(spans[name][0] <= key[column] < spans[name][1] for column, name in free):
            continue
        options = []
        for axis, (begin, length) in enumerate(zip(old.tile_starts(key), tile.shape, strict=True)):
            offset = start if axis == node.along else 0
            window = node.windows[operand][axis]
            options.append(_along(new, axis, window, (begin, begin + length), offset, spans))
        kept = {name: key[column] for column, name in free}
        found.extend(_fragment(new, kept, reaches, tile) for reaches in product(*options))
    return Fragments(tuple(found))


def _fragment(new: RelType, free: Mapping[str, int], reaches: Sequence[_Reach], tile: Tile) -> Fragment:
    named = {**free, **{reach.key: reach.number for reach in reaches if reach.key is not None}}
    place = tuple(reach.put for reach in reaches)
    return tuple(named[name] for name in new.names), place, tile[tuple(reach.taken for reach in reaches)]


def _along(
    new: RelType,
    axis: int,
    window: Window,
    old: tuple[int, int],
    offset: int,
    spans: Mapping[str, tuple[int, int]],
) -> list[_Reach]:
    """The new tiles that an old range of elements reaches along one axis, of those in the spans."""
    ax = new.axes[axis]
    name = ax.link[0][0] if ax.link else None
    low, high = spans[name] if name is not None else (0, 1)
    if ax.size and window.count:
        first, last = sorted((place - window.start) // window.step for place in (old[0], old[1] - 1))
        low = max(low, (max(first, 0) + offset) // ax.size)
        high = min(high, (min(last + 1, window.count - 1) + offset) // ax.size + 1)
    found = []
    for number in range(low, high):
        run = (number * ax.size, min((number + 1) * ax.size, ax.extent))
        shared = window_slices(window, run, old, offset)
        if shared is not None:
            found.append(_Reach(name, number, *shared))
    return found


def assemble(node: Repartition, received: Sequence[Fragments], site: int) -> Tiles:
    """The new tiles at a site, filled with the fragments that arrived.

    Example:
        >>> from tra.algebra.nodes import Cut
        >>> from tra.algebra.retiling import full_windows
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.placement import Placement
        >>> from tra.optimizer.plan import Scan
        >>> old, new = (tensor_type((3,), "f8", ("i",), size) for size in (1, 2))
        >>> scan = Scan(old, Placement((), ()), "A", "0", "A")
        >>> node = Repartition(new, scan.placement, (scan,), 0, (full_windows(old),), (Cut(2, "i"),))
        >>> tiles = Tiles(np.array([[0], [1], [2]]), [np.full(1, n) for n in (0.0, 1.0, 2.0)])
        >>> [(key, tile.tolist()) for key, tile in assemble(node, [fragments(node, 0, tiles, 0)], 0)]
        [((0,), [0.0, 1.0]), ((1,), [2.0])]

    Raises:
        SchemaError: elements are missing, which was not known before the run.
    """
    box: Ranges = box_of(node.type, node.placement, site)
    keys = keys_within(node.type, box)
    listed = [tuple(key) for key in keys.tolist()]
    shapes = node.type.tile_lengths(keys).tolist()
    fresh = {
        key: np.empty(tuple(shape), dtype=node.type.dtype) for key, shape in zip(listed, shapes, strict=True)
    }
    missing = sum(tile.size for tile in fresh.values())
    for pieces in received:
        for key, place, piece in pieces:
            fresh[key][place] = piece
            missing -= piece.size
    if missing:
        raise SchemaError(
            f"retile needs dense relations: {missing} elements of {node.type} lie in holes; "
            "fill them with .fill(0)"
        )
    return Tiles(keys, [fresh[key] for key in listed], is_sorted=True)
