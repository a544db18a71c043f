"""Results as they come: whole, tile by tile, or into files, of queries that fit and of larger ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.assemble import assemble_array
from tra.backends.backend import Backend, Measured, result_shares, result_sites, result_tiles
from tra.backends.memory import trim
from tra.backends.passes.limit import Limited
from tra.backends.passes.schedule import End
from tra.backends.passes.spill import Spill
from tra.backends.plans import Plans
from tra.backends.rounds import Rounds, Window
from tra.backends.storage import tile_writer
from tra.backends.storage.writer import TileWriter
from tra.backends.tiles import Tiles
from tra.backends.ways_out import rounds
from tra.backends.window_boxes import moved
from tra.backends.written import write_task
from tra.errors import MemoryLimitError
from tra.optimizer.planner import Planned


@dataclass(frozen=True)
class InOne:
    """A query that runs as one plan; see `Rounds` for one that does not."""

    backend: Backend
    planned: Planned
    sources: Mapping[str, TileSource]

    @property
    def type(self) -> RelType:
        """The type of the result, in the tiles that the plan makes."""
        return self.planned.program.roots[0].type

    @property
    def placement(self) -> str:
        """How the result lies, for manifests."""
        return str(self.planned.program.roots[0].placement)

    def windows(self) -> Iterator[Window]:
        """The result as it lies on the sites."""
        root = self.planned.program.roots[0]
        run = self.backend.run(self.planned.program, self.sources, measure=False)
        yield Window(root, run.shares[0], (0,) * len(root.type.keys))

    def measured(self) -> Measured | None:
        """Runs it; what it took."""
        return self.backend.run(self.planned.program, self.sources, measure=True).measured

    def facts(self) -> list[dict[str, Any]]:
        """What an explanation says of the passes that the plan runs in; nothing where there is no limit.

        Raises:
            MemoryLimitError: nothing fits.
        """
        found = self.limited(End.MEMORY)
        return [] if found is None else found.facts()

    def limited(self, end: End, beside: int = 0) -> Limited | None:
        """How it runs within a limit on the process; None where there is none.

        Args:
            end: where the result goes.
            beside: bytes that whoever takes it needs for itself.

        Raises:
            MemoryLimitError: nothing fits.
        """
        return self.backend.limited(self.planned.program, self.sources, end, beside)


def fitted(plans: Plans, backend: Backend, relation: Relation, whole: bool) -> InOne | Rounds:
    """How a query runs: as one plan where one fits, else window by window.

    Args:
        plans: the plans of a session.
        backend: its backend.
        relation: the query.
        whole: only the whole tensor is wanted, in whatever tiles.

    Raises:
        MemoryLimitError: no window fits either.
    """
    try:
        return InOne(backend, plans.plan((relation,), relation.sources, {}, whole), relation.sources)
    except MemoryLimitError as error:
        return rounds(plans, backend, relation, error)


def array_of(found: InOne | Rounds) -> Tile:
    """The whole tensor of a result, whose windows come one after the other."""
    return assemble_array(found.type, _shares(found))


def _shares(found: InOne | Rounds) -> Iterator[Tiles]:
    for window in found.windows():
        for tiles in result_shares(found.backend, window.root, window.shares):
            yield moved(tiles, window.first) if any(window.first) else tiles


def tiles_of(found: InOne | Rounds) -> Iterator[tuple[TileKey, Tile]]:
    """The tiles of a result, one by one; it runs when the first is wanted."""
    if isinstance(found, InOne) and (passes := found.limited(End.FILE)) is not None:
        with Spill() as spill:
            passes.run(found.sources, spill)
            yield from spill.each(passes.roots[0], passes.query.types[passes.roots[0]])
        return
    for window in found.windows():
        found.backend.seal(window.shares)
        for key, tile in result_tiles(found.backend, window.root, window.shares):
            yield tuple(k + low for k, low in zip(key, window.first, strict=True)), tile


def save_result(found: InOne | Rounds, path: Any, append: bool = False) -> None:
    """Writes a result to a file: where it lies if it can be, window by window where memory is limited.

    Args:
        found: the result.
        path: where to.
        append: adds the tiles to the relation that is there.

    Raises:
        CatalogError: the path is of no known format, or cannot be written.
        MemoryLimitError: nothing fits; nothing has been written.
    """
    with tile_writer(path, found.type, append=append, placement=found.placement) as out:
        if isinstance(found, InOne) and (passes := found.limited(End.TAKEN, out.working_bytes)) is not None:
            _save_passes(passes, found.sources, out)
        elif (probe := out.part("probe")) is not None and found.backend.sees(probe.path):
            _save_parts(found, out)
        else:
            out.write_all(tiles_of(found))


def _save_passes(passes: Limited, sources: Mapping[str, TileSource], out: TileWriter) -> None:
    def take(_: str, tiles: Tiles) -> None:
        out.write_all(tiles)
        trim()

    with Spill() as spill:
        passes.run(sources, spill, take)


def _save_parts(found: InOne | Rounds, out: TileWriter) -> None:
    """The sites write what they have; only keys come back."""
    for number, window in enumerate(found.windows()):
        sites = result_sites(window.root.placement)
        parts = [out.part(f"{number}-{site}") for site in sites]
        shares = {site: window.shares[site] for site in sites}
        arguments = [(part, window.first) for part in parts]
        for written in found.backend.at_sites(shares, write_task, arguments):
            out.accept_part(written)
