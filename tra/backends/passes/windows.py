"""Windows of sources, read into buffers so that no more than a window of a file is ever resident."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np

from tra.algebra.sources import ArraySource, TileSource, TilesSource
from tra.algebra.types import RelType, Tile
from tra.backends.backend import StoredSource
from tra.backends.batches import RowsSource
from tra.backends.block import Block, Ranges
from tra.backends.memory import drop_pages, of_files
from tra.backends.passes.buffer import Buffer
from tra.backends.passes.maps import SLAB, let_go, map_of, slabs
from tra.backends.passes.shape import Leaf
from tra.backends.read_tiles import keys_within, lying_in
from tra.backends.storage.failures import reading
from tra.backends.storage.plain_files import PlainArray
from tra.backends.storage.sources import ArrayFile, TableFile
from tra.backends.storage.writer import BATCH_BYTES
from tra.backends.tiles import Tiles

KEPT = 16 << 20  # bytes of decoded batches that stay while a window is read, or the last batch


def leaf_of(source: TileSource, type_: RelType) -> Leaf:
    """What reading a source costs.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0])
        >>> leaf_of(A.sources[A.expr.id], A.expr.type).is_held
        True
    """
    if isinstance(source, StoredSource | TilesSource):
        return Leaf(is_held=True)
    if isinstance(source, TableFile):
        if source.batch_bytes:
            return Leaf(beside=KEPT + source.batch_bytes)
        return Leaf(beside=2 * SLAB + max(BATCH_BYTES, tile_bytes(type_)))  # whose checksum is taken
    if isinstance(source, RowsSource):
        return Leaf(beside=_beside_rows(source.base, type_))
    array = _array(source)
    if array is None:
        return Leaf(beside=SLAB + tile_bytes(type_))
    if type(array) is np.ndarray and map_of(array) is None:
        return Leaf(is_held=True)
    chunks = _chunks(array)
    if chunks is not None:
        return Leaf(grain=chunks, beside=2 * prod(chunks) * type_.dtype.itemsize)
    return Leaf() if _is_plain(array, type_.dtype) else Leaf(beside=SLAB)


def _beside_rows(base: TileSource, type_: RelType) -> int:
    """Bytes that gathering rows takes beside the window that they go to."""
    if _lent_map(base) is not None:
        return SLAB
    if isinstance(base, TableFile):
        return tile_bytes(type_) + leaf_of(base, type_).beside
    is_gathered = isinstance(base, ArraySource) or _is_plain(_array(base), type_.dtype)
    return tile_bytes(type_) + (0 if is_gathered else SLAB)


def _is_plain(array: Any, dtype: np.dtype[Any]) -> bool:
    """Claims that windows are read from the file to where they belong, past its map."""
    return isinstance(array, PlainArray) and array.dtype == dtype


def tile_bytes(type_: RelType) -> int:
    """Bytes of the largest tile.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> tile_bytes(tensor_type((5, 3), "f8", ("i", "j"), 2))
        32
    """
    return type_.dtype.itemsize * prod(min(axis.size, axis.extent) for axis in type_.axes)


def _chunks(array: Any) -> tuple[int, ...] | None:
    """The shape of the chunks that an array is stored in, if they are all of one."""
    chunks = getattr(array, "chunks", None)
    return tuple(chunks) if chunks and all(isinstance(size, int) for size in chunks) else None


def _array(source: TileSource) -> Any:
    """The array behind a source, or None where it has none."""
    if isinstance(source, ArrayFile):
        return source.opened()
    return source.array if isinstance(source, ArraySource) else None


def _lent_map(source: TileSource) -> Tile | None:
    """An array that was lent and is a view of a map."""
    array = _array(source)
    return array if isinstance(source, ArraySource) and map_of(array) is not None else None


def read_window(source: TileSource, type_: RelType, box: Ranges, buffer: Buffer) -> Tiles:
    """The tiles of a source in a box of keys, in memory of the buffer where they lie side by side.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], keys=("i",), tile=1)
        >>> found = read_window(A.sources[A.expr.id], A.expr.type, ((1, 3),), Buffer())
        >>> found.blocks[0].array.tolist()
        [2.0, 3.0]
    """
    source = source.cut(type_)
    lying = lying_in(type_, box)
    if lying is None:
        return _one_by_one(source, type_, box)
    held, cuts, window = lying
    block = Block(held, buffer.array(tuple(w.stop - w.start for w in window), type_.dtype), cuts)
    array = _array(source)
    if array is None:
        _fill_tiles(source, block)
    elif isinstance(source, ArrayFile):
        with reading(source.location):
            _fill(array, window, block.array)
        source.check()
    else:
        _fill(array, window, block.array)
    return Tiles.of([block])


def _one_by_one(source: TileSource, type_: RelType, box: Ranges) -> Tiles:
    """Tiles in memory of their own."""
    keys, pages = keys_within(type_, box), _Pages(source)
    made = [pages.after(np.array(source.read(tuple(key)))) for key in keys.tolist()]
    pages.drop()
    return Tiles(keys, made, is_sorted=True)


def _fill_tiles(source: TileSource, block: Block) -> None:
    pages = _Pages(source)
    lent = _lent_map(source.base) if isinstance(source, RowsSource) else None
    for key, tile in zip(block.keys().tolist(), block.tiles(), strict=True):
        if isinstance(source, RowsSource) and lent is not None:
            _fill_rows(lent, source, key, tile)
        else:
            tile[...] = source.read(tuple(key))
        pages.after(tile)
    pages.drop()


def _fill_rows(lent: Any, source: RowsSource, key: Sequence[int], out: Tile) -> None:
    """Gathers rows of a map, of which each may lie on pages of its own."""
    first, *others = source.type.tile_window(key)
    for number, row in enumerate(source.rows[first].tolist()):
        _fill(lent, [slice(row, row + 1), *others], out[number : number + 1])


class _Pages:
    """Lets go of what reading tiles leaves in memory: pages of the source's file, decoded batches."""

    def __init__(self, source: TileSource) -> None:
        base = source.base if isinstance(source, RowsSource) else source
        self._path = getattr(base, "path", "")
        self._table = base if isinstance(base, TableFile) else None
        self._before = of_files()

    def after(self, tile: Tile) -> Tile:
        """Says that a tile was read; gives it back."""
        if self._table is not None:
            self._table.let_go(KEPT)
        if self._path and of_files() > self._before + SLAB:
            self.drop()
        return tile

    def drop(self) -> None:
        """Lets go of all that was read."""
        if self._table is not None:
            self._table.let_go()
        if self._path:
            drop_pages(self._path)


def _fill(array: Any, window: Sequence[slice], out: Tile) -> None:
    """Copies a window of an array: from the file, chunk by chunk, or slab by slab."""
    if _is_plain(array, out.dtype):
        array.read(window, out)
        return
    array = array.map if isinstance(array, PlainArray) else array
    whole = map_of(array)
    for part in _parts(array, window, out):
        place = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, window, strict=True))
        found = np.asarray(array[(*part, ...)] if whole is not None else array[part])
        out[place] = found
        if whole is not None:
            let_go(whole, found)


def _parts(array: Any, window: Sequence[slice], out: Tile) -> Iterable[tuple[slice, ...]]:
    """A window of an array in parts that are read one after the other."""
    chunks = _chunks(array)
    if chunks is not None:
        return _chunkwise(window, chunks)
    return _rowwise(window, out) if map_of(array) is None else slabs(array, window)


def _chunkwise(window: Sequence[slice], chunks: Sequence[int]) -> list[tuple[slice, ...]]:
    """A window cut where chunks meet."""
    along = []
    for w, step in zip(window, chunks, strict=True):
        edges = sorted({w.start, w.stop, *range(-(-w.start // step) * step, w.stop, step)})
        along.append([slice(low, high) for low, high in pairwise(edges)])
    return list(product(*along))


def _rowwise(window: Sequence[slice], out: Tile) -> list[tuple[slice, ...]]:
    if not window or not out.size:
        return [tuple(window)]
    first, *rest = window
    step = max(SLAB * out.shape[0] // max(out.nbytes, 1), 1)
    return [(slice(low, min(low + step, first.stop)), *rest) for low in range(first.start, first.stop, step)]
