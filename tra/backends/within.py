"""Runs whose results need not lie in memory: saved to files, or handed out tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tra.algebra.sources import TileSource
from tra.algebra.types import Tile, TileKey
from tra.backends.backend import Backend, result_tiles
from tra.backends.local import LocalBackend
from tra.backends.passes.limit import Limited
from tra.backends.passes.schedule import End
from tra.backends.passes.spill import Spill
from tra.backends.storage import tile_writer
from tra.backends.tiles import Tiles
from tra.optimizer.planner import Planned
from tra.optimizer.program import Program


def limited(
    backend: Backend, program: Program, sources: Mapping[str, TileSource], end: End, beside: int = 0
) -> Limited | None:
    """The passes of a program on a backend that has a limit for the whole process; else None.

    Raises:
        MemoryLimitError: nothing fits; names the smallest limit that would do.
    """
    return backend.limited(program, sources, end, beside) if isinstance(backend, LocalBackend) else None


def passes_of(backend: Backend, planned: Planned, sources: Mapping[str, TileSource]) -> list[dict[str, Any]]:
    """What an explanation says of the passes that a plan runs in; nothing where there is no limit.

    Raises:
        MemoryLimitError: nothing fits.
    """
    found = limited(backend, planned.program, sources, End.MEMORY)
    return [] if found is None else found.facts()


def tiles_of(
    backend: Backend, planned: Planned, sources: Mapping[str, TileSource]
) -> Iterator[tuple[TileKey, Tile]]:
    """The tiles of the one result of a plan, one by one; it runs when the first is wanted."""
    found = limited(backend, planned.program, sources, End.FILE)
    if found is None:
        run = backend.run(planned.program, sources, measure=False)
        yield from result_tiles(backend, planned.program.roots[0], run.shares[0])
        return
    assert isinstance(backend, LocalBackend)
    with Spill() as spill:
        with backend.running():
            found.run(sources, spill)
        yield from spill.each(found.roots[0], found.query.types[found.roots[0]])


def save_result(
    backend: Backend, planned: Planned, sources: Mapping[str, TileSource], path: Any, append: bool = False
) -> None:
    """Writes the one result of a plan to a file, window by window where there is a memory limit.

    Args:
        backend: what runs the plan.
        planned: the plan.
        sources: what it reads, by source id.
        path: where to.
        append: adds the tiles to the relation that is there.

    Raises:
        CatalogError: the path is of no known format, or cannot be written.
        MemoryLimitError: nothing fits; nothing has been written.
    """
    root = planned.program.roots[0]
    with tile_writer(path, root.type, append=append, placement=str(root.placement)) as out:
        found = limited(backend, planned.program, sources, End.TAKEN, out.working_bytes)
        if found is None:
            out.write_all(tiles_of(backend, planned, sources))
            return
        assert isinstance(backend, LocalBackend)

        def take(_: str, tiles: Tiles) -> None:
            out.write_all(tiles)

        with backend.running(), Spill() as spill:
            found.run(sources, spill, take)
