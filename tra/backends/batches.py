"""Minibatches: rows of the data in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tra.algebra.generate import philox
from tra.algebra.live import required
from tra.algebra.nodes import Source
from tra.algebra.relation import Relation
from tra.algebra.sources import ArraySource, FixedTiles, TileSource
from tra.algebra.types import Box, Key, RelType, Tile, TileKey
from tra.algebra.whole_tensor import axis_key, is_whole_form, whole_form
from tra.backends.backend import StoredSource
from tra.backends.state import Runner
from tra.backends.storage.sources import ArrayFile
from tra.errors import SchemaError

Rows: TypeAlias = NDArray[np.int64]


def row_order(n_rows: int, seed: int, epoch: int) -> Rows:
    """The rows in the order of an epoch.

    Each row draws a number by itself, from a generator whose counter is the row and the epoch and whose key
    is the seed; the order is that of the numbers. No stream is shared, so that the order is a function of
    these three.

    Example:
        >>> row_order(6, seed=7, epoch=0).tolist(), row_order(6, seed=7, epoch=1).tolist()
        ([2, 4, 5, 3, 1, 0], [3, 5, 0, 1, 2, 4])
    """
    counters = np.arange(n_rows, dtype=np.uint64) | np.uint64(epoch) << np.uint64(32)
    return np.argsort(philox(counters, seed)[0], kind="stable").astype(np.int64)


def batch_rows(n_rows: int, size: int, seed: int, epoch: int) -> Iterator[Rows]:
    """The rows of each batch of an epoch; the last batch has what is left.

    Example:
        >>> [rows.tolist() for rows in batch_rows(5, 2, seed=7, epoch=0)]
        [[2, 4], [3, 1], [0]]
    """
    order = row_order(n_rows, seed, epoch)
    for start in range(0, n_rows, size):
        yield order[start : start + size]


def batch_type(type_: RelType, n_rows: int) -> RelType:
    """The type of some rows of a tensor: its tiles, but for axis 0, which is cut as far as it goes.

    Example:
        >>> from tra.algebra.tensor_type import tensor_type
        >>> str(batch_type(tensor_type((5000, 3), "f4", ("n", "d")), 256))
        '[n:1, d:1] of 256×3 float32'
    """
    first = replace(type_.axes[0], size=min(type_.axes[0].size, n_rows) or 1, extent=n_rows)
    if not first.link:
        first = replace(first, size=n_rows)
    name = axis_key(type_, 0)
    keys = tuple(Key(key.name, first.n_tiles) if key.name == name else key for key in type_.keys)
    return required(RelType(keys, (first, *type_.axes[1:]), type_.dtype, Box(())))


class Examples:
    """Data whose axis 0 are the examples, from which batches are taken.

    Attributes:
        name: what plans call it.
        type: the type of the whole.
        source: its tiles.

    Example:
        >>> import tra
        >>> X = tra.from_array(np.arange(6.0).reshape(3, 2), name="X")
        >>> examples = Examples("X", X.expr.type, X.sources[X.expr.id])
        >>> examples.rows(np.array([2, 0]), batch_type(examples.type, 2)).read((0, 0))
        array([[4., 5.],
               [0., 1.]])
    """

    def __init__(self, name: str, type_: RelType, source: TileSource) -> None:
        self.name, self.type, self.source = name, type_, source

    @property
    def is_open(self) -> bool:
        """Claims that the tile sizes were left out."""
        return self.source.is_open

    def rows(self, rows: Rows, type_: RelType) -> RowsSource:
        """Some rows, as the tiles of a batch."""
        return RowsSource(self.source, self.type, rows, type_)


def examples_of(runner: Runner, relation: Relation, name: str) -> Examples:
    """What batches are taken from: arrays and files as they are, other relations computed first.

    Example:
        >>> from weakref import WeakSet
        >>> import tra
        >>> from tra.backends.local import LocalBackend
        >>> from tra.backends.plans import Plans
        >>> backend = LocalBackend(threads=1)
        >>> runner = Runner(backend, Plans(backend), WeakSet())
        >>> examples = examples_of(runner, tra.from_array([1.0, 2.0]) * 3, "data")
        >>> examples.rows(np.array([1]), batch_type(examples.type, 1)).read((0,))
        array([6.])

    Raises:
        SchemaError: the relation is no tensor with an axis 0.
    """
    expr = relation.expr
    if not expr.type.shape:
        raise SchemaError(f"data has an axis 0 that counts the examples; got the scalar {expr.type}")
    if isinstance(expr, Source) and is_whole_form(expr.type):
        source = relation.sources[expr.id]
        if not isinstance(source, StoredSource):
            return Examples(expr.name, expr.type, source)
    type_ = whole_form(expr).type
    return Examples(name, type_, ArraySource(runner.array(relation), type_, is_open=False))


class RowsSource(FixedTiles):
    """Rows of another source, in tiles of their own."""

    def __init__(self, base: TileSource, base_type: RelType, rows: Rows, type_: RelType) -> None:
        self.base, self.base_type, self.rows, self.type = base, base_type, rows, type_
        self.remote = base.remote

    @property
    def path(self) -> str:
        """Where the base lies, if it is a file."""
        return str(getattr(self.base, "path", ""))

    def read(self, key: TileKey) -> Tile:
        """The tile at a key: its rows, gathered."""
        first, *others = self.type.tile_window(key)
        return gather(self.base, self.base_type, self.rows[first], others)


def gather(base: TileSource, type_: RelType, rows: Rows, windows: Sequence[slice]) -> Tile:
    """Rows of a tensor, within windows of its other axes.

    Example:
        >>> import tra
        >>> A = tra.from_array(np.arange(12.0).reshape(4, 3), tile=2)
        >>> gather(A.sources[A.expr.id], A.expr.type, np.array([3, 0]), [slice(1, 3)])
        array([[10., 11.],
               [ 1.,  2.]])
    """
    array: Any = getattr(base, "array", None)
    if isinstance(array, np.ndarray):
        place: tuple[Any, ...] = (rows, *windows)
        return np.asarray(array[place], dtype=type_.dtype)
    shape = (len(rows), *(window.stop - window.start for window in windows))
    out: Tile = np.empty(shape, dtype=type_.dtype)
    if isinstance(base, ArrayFile) and base.reads_rows(rows.tolist(), windows, out):
        return out
    for key in _tiles_met(type_, rows, windows):
        _copy(base.read(key), type_.tile_window(key), rows, windows, out)
    return out


def _tiles_met(type_: RelType, rows: Rows, windows: Sequence[slice]) -> Iterator[TileKey]:
    """The keys of the tiles that hold some of the rows and of the windows."""
    first, *others = type_.axes
    met: list[Sequence[int]] = [np.unique(rows // first.size).tolist()] if first.link else []
    for axis, window in zip(others, windows, strict=True):
        if axis.link:
            met.append(range(window.start // axis.size, -(-window.stop // axis.size)))
    return product(*met)


def _copy(tile: Tile, place: Sequence[slice], rows: Rows, windows: Sequence[slice], out: Tile) -> None:
    """Copies what a tile has of the rows and windows to where it belongs."""
    here = np.flatnonzero((rows >= place[0].start) & (rows < place[0].stop))
    taken: list[Any] = [rows[here] - place[0].start]
    put: list[Any] = [here]
    for window, axis in zip(windows, place[1:], strict=True):
        low, high = max(window.start, axis.start), min(window.stop, axis.stop)
        taken.append(slice(low - axis.start, high - axis.start))
        put.append(slice(low - window.start, high - window.start))
    out[tuple(put)] = tile[tuple(taken)]
