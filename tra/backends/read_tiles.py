"""Reading the tiles of a source that lie in a box of keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tra.algebra.live import is_listable, live_keys, ranges
from tra.algebra.sources import TileSource, WindowSource
from tra.algebra.types import KeyArray, RelType, Tile
from tra.backends.block import Block, Cuts, Ranges, cuts_of, spans_one, window_of
from tra.backends.threads import parallel
from tra.backends.tiles import Tiles, in_box
from tra.errors import PlanError


def keys_within(type_: RelType, box: Sequence[tuple[int, int]]) -> KeyArray:
    """The live keys of a relation in a box, in lexicographic order.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> keys_within(tensor_type((6, 4), "f8", ("i", "j"), (2, 2)), ((1, 3), (0, 1))).tolist()
        [[1, 0], [2, 0]]

    Raises:
        PlanError: there are too many keys to list.
    """
    if not is_listable(type_):
        raise PlanError(f"{type_} has too many tiles to list; use larger tiles")
    keys = live_keys(type_)
    return keys[in_box(keys, box)]


def read_tiles(type_: RelType, box: Sequence[tuple[int, int]], source: TileSource) -> Tiles:
    """The tiles of a source in a box of keys, read on the threads of the running task, as read-only views.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], keys=("i",), tile=1)
        >>> [tile.tolist() for _, tile in read_tiles(A.expr.type, ((1, 3),), A.sources[A.expr.id])]
        [[2.0], [3.0]]
    """
    source = source.cut(type_)
    if isinstance(source, WindowSource) and (lying := lying_in(type_, tuple(box))):
        held, cuts, window = lying
        return Tiles.of([Block(held, source.read_window(window), cuts)])
    keys = keys_within(type_, box)

    def read(key: list[int]) -> Tile:
        tile = source.read(tuple(key)).view()
        tile.setflags(write=False)
        return tile

    return Tiles(keys, parallel(read, keys.tolist()), is_sorted=True)


@lru_cache(maxsize=4096)
def lying_in(type_: RelType, box: Ranges) -> tuple[Ranges, Cuts, tuple[slice, ...]] | None:
    """The live tiles in a box, where they lie side by side and there are any: keys, cuts, place.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> lying_in(tensor_type((5,), "f8", ("i",), 2), ((1, 9),))
        (((1, 3),), ((0, 2),), (slice(2, 5, None),))
    """
    cuts = cuts_of(type_)
    if cuts is None:
        return None
    held = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, ranges(type_), strict=True))
    return (held, cuts, window_of(type_, held)) if spans_one(cuts, held) else None
