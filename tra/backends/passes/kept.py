"""Results that stay in memory while later windows of them, or later passes, run."""

from __future__ import annotations

from tra.algebra.live import ranges
from tra.algebra.types import RelType
from tra.backends.block import Block, cuts_of, empty_block, spans_one
from tra.backends.tiles import Tiles, no_tiles, union


class Kept:
    """A result that stays in memory: one that comes whole as it is, windows side by side.

    Attributes:
        tiles: what was put there.

    Example:
        >>> import numpy as np
        >>> from tra.algebra.sources import tensor_type
        >>> kept = Kept(tensor_type((3,), "f8", ("i",), 2))
        >>> kept.put(Tiles(np.array([[1]]), [np.ones(1)]), is_whole=False)
        >>> kept.put(Tiles.of([Block(((0, 1),), np.zeros(2), ((0, 2),))]), is_whole=False)
        >>> [(key, tile.tolist()) for key, tile in kept.tiles]
        [((0,), [0.0, 0.0]), ((1,), [1.0])]
    """

    def __init__(self, type_: RelType) -> None:
        self.tiles = no_tiles(len(type_.keys))
        self._type = type_
        self._block: Block | None = None

    def put(self, tiles: Tiles, is_whole: bool) -> None:
        """Takes all, or one of the windows, whose memory may be used for something else afterwards."""
        if is_whole:
            self.tiles = tiles
        elif tiles.blocks or len(tiles):
            self._put_window(tiles)

    def _put_window(self, tiles: Tiles) -> None:
        """Puts a window where it belongs, in whatever form it or the others come."""
        if not self._lies_in_one_block():
            self.tiles = union([self.tiles, tiles.copied()], len(self._type.keys))
            return
        assert self._block is not None
        for block in tiles.blocks or ():
            self._block.array[self._block.window(block.box)] = block.array
        for key, tile in () if tiles.blocks else tiles:
            self._block.array[self._block.window(tuple((k, k + 1) for k in key))] = tile

    def _lies_in_one_block(self) -> bool:
        """Claims that windows lie in one block, which is made for the first."""
        box, cuts = ranges(self._type), cuts_of(self._type)
        if self._block is None and cuts is not None and spans_one(cuts, box):
            self._block = empty_block(self._type, box)
            self.tiles = Tiles.of([self._block])
        return self._block is not None
