"""The graph of a program, for whoever runs it: a `dask.array` whose chunks are the tiles of a result.

The tasks are those that a cluster gets; nothing is pinned, since the scheduler that runs them is not known.
What lies with the workers already stays there, and the graph of a `dask.array` that is read is part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph
from dask.task_spec import DataNode, TaskRef
from dask.task_spec import Task as DaskTask

from tra.algebra.retiling import check_whole, free_keys
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.backend import StoredSource, result_sites
from tra.backends.dask_arrays import dask_array_of, window_task
from tra.backends.dask_graph import Graph, TaskKey
from tra.backends.packed import pack
from tra.backends.read_tiles import keys_within, lying_in
from tra.backends.tiles import Tiles
from tra.backends.worker import one_of
from tra.errors import PlanError, SchemaError
from tra.optimizer.boxes import box_of
from tra.optimizer.plan import Plan
from tra.optimizer.program import Output, Program
from tra.optimizer.stages import sites_of


@dataclass(frozen=True)
class _Held:
    """A given relation at a site, under its key in the graph."""

    key: TaskKey
    index: int | None = None


class LazyGraph(Graph):
    """A program that has not been sent.

    Attributes:
        dependencies: collections of dask that the graph reads.
    """

    def __init__(
        self, program: Program, sources: Mapping[str, TileSource], n_sites: int, threads: int
    ) -> None:
        stages = tuple(map(pack, program.stages))
        nobody: Any = None  # sends it
        super().__init__(nobody, [""] * n_sites, threads, program, sources, stages)
        self.dependencies: list[Any] = []

    def tasks(self) -> dict[TaskKey, Any]:
        """All tasks of the program."""
        self._build()
        return {**self._held, **self._tasks}

    def result_key(self, root: int, site: int) -> TaskKey:
        """The key of a result at a site."""
        output = self.program.results[root][site]
        return self._picks.get(output, self._key(output))

    def result_index(self, root: int, site: int) -> int | None:
        """Which of the outputs under its key a result is, where there are several."""
        output = self.program.results[root][site]
        return None if output in self._picks else self._index(output)

    def _hold_given(self) -> None:
        self._held: dict[TaskKey, Any] = {}
        for site in range(len(self.workers)):
            for scan in (scan for scan in self.program.given if site < sites_of(scan)):
                output, source = Output(None, site, scan.digest), self.sources[scan.id]
                key = ("tra-given", self.token, len(self._held))
                if isinstance(source, StoredSource):
                    self._given[output] = self._stored(key, source.share(site).held)
                    continue
                self._given[output] = _Held(key)
                self._held[key] = self._read_later(key, scan, source, site)

    def _stored(self, key: TaskKey, held: Any) -> _Held:
        """A share of a stored relation: its tiles, or a future of them, which dask finds in the graph."""
        if isinstance(held, Tiles):
            self._held[key] = DataNode(key, held)
            return _Held(key)
        future = getattr(held, "future", held)
        self._held[future.key] = future
        return _Held(future.key, getattr(held, "index", None))

    def _read_later(self, key: TaskKey, scan: Any, source: TileSource, site: int) -> Any:
        """A share that was not stored: a window of a dask.array, or the tiles as they are now."""
        array = dask_array_of(source)
        lying = lying_in(scan.type, box_of(scan.type, scan.placement, site))
        if array is None or lying is None:
            return DataNode(key, self._read(scan, source, site))
        held, cuts, window = lying
        piece = array[window].rechunk(-1)
        self.dependencies.append(piece)
        return DaskTask(
            key, window_task, held, cuts, scan.type.dtype.str, TaskRef(next(flatten(piece.__dask_keys__())))
        )


def chunks_of(type_: RelType) -> tuple[tuple[int, ...], ...]:
    """The chunks of a whole tensor whose tiles are chunks.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> chunks_of(tensor_type((5, 4), "f8", ("i",), 2))
        ((2, 2, 1), (4,))
    """
    free = [(1,) * key.domain for key in free_keys(type_)]
    along = []
    for axis in type_.axes:
        starts = range(0, max(axis.extent, 1), max(axis.size, 1))
        along.append(tuple(min(axis.size, axis.extent - start) for start in starts))
    return (*free, *along)


def tile_task(type_: RelType, key: TileKey, index: int | None, *values: Any) -> Tile:
    """A tile as a chunk of the whole tensor, out of the shares that may have it.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> share = Tiles(np.array([[0], [1]]), [np.zeros(2), np.ones(1)])
        >>> tile_task(tensor_type((3,), "f8", ("i",), 2), (1,), None, share)
        array([1.])

    Raises:
        SchemaError: the tile is missing, which was not known before the run.
    """
    for value in values:
        found = one_of(value, index).within(tuple((k, k + 1) for k in key))
        if len(found):
            tile = np.array(found.arrays[0], order="C")
            return tile.reshape((1,) * len(free_keys(type_)) + tile.shape)
    raise SchemaError(f"to_dask needs a dense relation: {type_} has no tile at key {key}; use .fill(0)")


def dask_array(program: Program, sources: Mapping[str, TileSource], n_sites: int, threads: int) -> Any:
    """The one result of a program as a `dask.array`.

    Raises:
        SchemaError: it is no whole tensor.
        PlanError: dask.array is not there.
    """
    try:
        import dask.array as da
    except ImportError:
        raise PlanError("to_dask needs dask.array: pip install 'dask[array]'") from None
    root = program.roots[0]
    check_whole(root.type, "to_dask")
    graph = LazyGraph(program, sources, n_sites, threads)
    tasks, name = graph.tasks(), f"tra-{graph.token}"
    for key in map(tuple, keys_within(root.type, [(0, n) for n in root.type.domains]).tolist()):
        chunk = (name, *_chunk(root.type, key))
        sites = _sites(root, key)
        refs = [TaskRef(graph.result_key(0, site)) for site in sites]
        tasks[chunk] = DaskTask(chunk, tile_task, root.type, key, graph.result_index(0, sites[0]), *refs)
    layer = HighLevelGraph.from_collections(name, tasks, dependencies=graph.dependencies)
    return da.Array(
        layer, name, chunks_of(root.type), meta=np.empty((0,) * len(root.type.shape), root.type.dtype)
    )


def _sites(root: Plan, key: TileKey) -> list[int]:
    """The sites that may have a tile: one, where places are known."""
    sites = result_sites(root.placement)
    if root.placement.is_scattered:
        return sites
    boxes = ((site, box_of(root.type, root.placement, site)) for site in sites)
    return [site for site, box in boxes if all(a <= k < b for k, (a, b) in zip(key, box, strict=True))][:1]


def _chunk(type_: RelType, key: TileKey) -> tuple[int, ...]:
    """The place of a tile among the chunks."""
    columns = dict(zip(type_.names, key, strict=True))
    free = [columns[k.name] for k in free_keys(type_)]
    return (*free, *(int(axis.offset(columns)) for axis in type_.axes))
