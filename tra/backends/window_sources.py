"""Windows of what queries read, as sources of their own; keys count from the first of the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tra.algebra.generate import generate_tile
from tra.algebra.nodes import Generated
from tra.algebra.relation import Relation
from tra.algebra.sources import ArraySource, FixedTiles, TileSource, WindowSource
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.backend import StoredSource
from tra.backends.dask_arrays import dask_array_of
from tra.optimizer.windowed import Leaf, sliced


@dataclass
class SourceWindow(FixedTiles):
    """The tiles of a source from a key on.

    Attributes:
        base: the source.
        type: its type.
        first: the key in it that is the window's first.
        end: for each key one past the window's last.
        remote: workers can read the tiles themselves.
    """

    base: TileSource
    type: RelType
    first: TileKey
    end: TileKey
    remote: bool

    @property
    def path(self) -> str:
        """Where the file of the source lies; empty where there is none."""
        return str(getattr(self.base, "path", ""))

    def holds(self, key: TileKey) -> bool:
        """Claims that a tile of the source lies in the window."""
        return all(low <= k < high for low, k, high in zip(self.first, key, self.end, strict=True))

    @property
    def is_encoded(self) -> bool:
        """Claims that whoever reads a tile has to decode it."""
        return bool(getattr(self.base, "is_encoded", False))

    def read(self, key: TileKey) -> Tile:
        """The tile at a key of the window."""
        return self.base.read(tuple(k + low for k, low in zip(key, self.first, strict=True)))


@dataclass
class ArrayWindow(SourceWindow):
    """A window of a source that lies as a whole tensor."""

    def read_window(self, window: tuple[slice, ...]) -> Tile:
        """The elements in a window of the window."""
        assert isinstance(self.base, WindowSource)
        first = dict(zip(self.type.names, self.first, strict=True))
        starts = (axis.size * int(axis.offset(first)) for axis in self.type.axes)
        moved = (slice(w.start + s, w.stop + s) for w, s in zip(window, starts, strict=True))
        return self.base.read_window(tuple(moved))


@dataclass
class GeneratedTiles(FixedTiles):
    """Tiles of a generated relation, which whoever reads them makes."""

    node: Generated
    remote: bool = True

    def read(self, key: TileKey) -> Tile:
        """The tile at a key."""
        return generate_tile(self.node.type, self.node.maker, key)


def window_sources(leaves: Mapping[str, Leaf], sources: Mapping[str, TileSource]) -> dict[str, TileSource]:
    """What a query for a window reads, by source id.

    Args:
        leaves: the windows, by source id.
        sources: what they are windows of.

    Example:
        >>> import tra
        >>> from tra.optimizer.windowed import windowed
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=1)
        >>> found = windowed((A + 1).expr, ((1, 3),))
        >>> [source.read((0,)).tolist() for source in window_sources(found.leaves, A.sources).values()]
        [[2.0]]
    """
    return {id_: _window(leaf, sources) for id_, leaf in leaves.items()}


def with_windows(relation: Relation) -> Relation:
    """A query that reads windows of what it takes slices of.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=1)
        >>> [source.read((0,)).tolist() for source in with_windows(A[2:]).sources.values()][-1:]
        [[3.0]]
    """
    found = sliced(relation.expr, stored(relation.sources))
    if found is None:
        return relation
    return Relation(found.expr, {**relation.sources, **window_sources(found.leaves, relation.sources)})


def stored(sources: Mapping[str, TileSource]) -> frozenset[str]:
    """The ids of those that lie on the sites."""
    return frozenset(id_ for id_, source in sources.items() if isinstance(source, StoredSource))


def _window(leaf: Leaf, sources: Mapping[str, TileSource]) -> TileSource:
    node = leaf.base
    base = GeneratedTiles(node) if isinstance(node, Generated) else sources[node.id].cut(node.type)
    if isinstance(base, ArraySource) and _slices_read_nothing(base) and not _free(node.type):
        return ArraySource(base.array[_elements(leaf)], leaf.type)
    kind = ArrayWindow if isinstance(base, WindowSource) and not _free(node.type) else SourceWindow
    end = tuple(low + n for low, n in zip(leaf.first, leaf.type.domains, strict=True))
    return kind(base, node.type, leaf.first, end, base.remote)


def _slices_read_nothing(source: ArraySource) -> bool:
    """Claims that a slice of the array is a view or a promise; those of other libraries read their files."""
    return isinstance(source.array, np.ndarray) or dask_array_of(source) is not None


def _elements(leaf: Leaf) -> tuple[slice, ...]:
    """The window among the elements of the whole tensor."""
    first = dict(zip(leaf.base.type.names, leaf.first, strict=True))
    starts = [axis.size * int(axis.offset(first)) for axis in leaf.base.type.axes]
    return tuple(slice(s, s + axis.extent) for s, axis in zip(starts, leaf.type.axes, strict=True))


def _free(type_: RelType) -> bool:
    return any(name not in type_.linked for name in type_.names)
