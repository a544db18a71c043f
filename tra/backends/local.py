"""The local backend: threads of one process.

It is one site whose operators run on several threads. With more sites it runs the same plans that a cluster
would, stage by stage and site by site, with pieces handed over instead of sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tra.algebra.sources import TileSource
from tra.backends import memory
from tra.backends.backend import Measured, Run, Share, StoredSource, shares_of
from tra.backends.calibrate import speed_here
from tra.backends.constants import Constants
from tra.backends.passes.limit import Limited, limited
from tra.backends.passes.schedule import End
from tra.backends.passes.spill import Spill
from tra.backends.progress import track
from tra.backends.read_tiles import read_tiles
from tra.backends.run_stage import Piece, run_stage, take
from tra.backends.threads import THREADS, BlasThreads
from tra.backends.tiles import Tiles, union
from tra.optimizer.boxes import Ranges, box_of
from tra.optimizer.cost import CostModel
from tra.optimizer.densities import Met, add_met
from tra.optimizer.plan import Scan
from tra.optimizer.program import Output, Place, Program, Task

_KEPT = 64  # schedules of programs


class LocalBackend:
    """Runs plans in this process.

    Attributes:
        name: "local".
        n_sites: sites of a plan; 1 unless asked otherwise.
        threads: threads of each operator.
        constants: the cost model of one process, measured when it is asked to be.
        memory_limit: bytes of tiles one site of several may hold, or None.
        resident_limit: bytes of the whole process that may be resident during a run, or None; a limit on
            one site is one on the process.
    """

    name = "local"

    def __init__(
        self,
        threads: int | None = None,
        sites: int | None = None,
        memory_limit: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.n_sites = sites or 1
        self.memory_limit = memory_limit if self.n_sites > 1 else None
        self.resident_limit = memory_limit if self.n_sites == 1 else None
        self.progress = progress
        self._limited: dict[
            tuple[int, End, int], tuple[Program, Limited]
        ] = {}  # steps of a training run one again
        fixed = CostModel(flop_rate=2.0e10 * self.threads, latency=1.0e-4, bandwidth=4.0e9)
        self.constants = Constants(fixed, lambda: speed_here(self.threads).fit(fixed), speed_here.cache_clear)

    def run(
        self,
        program: Program,
        sources: Mapping[str, TileSource],
        measure: bool = False,
        together: int = 0,
    ) -> Run:
        """Runs a program: tasks in order of stages, each with all threads."""
        if self.resident_limit is not None:
            return self._run_within(program, sources, measure)
        running = _Running(program, sources, self.threads)
        start = time.perf_counter()
        with BlasThreads(1):
            for number, task in track(enumerate(program.tasks), len(program.tasks), self.progress):
                running.run(number, task)
            held = tuple(tuple(running.whole(output) for output in outputs) for outputs in program.results)
        measured = running.measured(time.perf_counter() - start) if measure else None
        return Run(shares_of(program, held), measured)

    def limited(
        self, program: Program, sources: Mapping[str, TileSource], end: End, beside: int = 0
    ) -> Limited | None:
        """How a program runs within the limit on the process, as it did before if that still fits."""
        if self.resident_limit is None:
            return None
        made = self._limited.get((id(program), end, beside))
        if made is None or made[0] is not program or not made[1].still_fits(self.resident_limit):
            made = program, limited(program, sources, self.resident_limit, end, self.threads, beside)
            self._limited[id(program), end, beside] = made
        while len(self._limited) > _KEPT:
            del self._limited[next(iter(self._limited))]
        return made[1]

    def _run_within(self, program: Program, sources: Mapping[str, TileSource], measure: bool) -> Run:
        """Runs a program in passes; all results stay in memory."""
        found = self.limited(program, sources, End.MEMORY)
        assert found is not None
        if measure:
            memory.forget_peak()
        start = time.perf_counter()
        with Spill() as spill:
            held = found.run(sources, spill)
        seconds, shares = time.perf_counter() - start, shares_of(program, [[held[d]] for d in found.roots])
        return Run(shares, Measured(0, memory.peak(), program.n_tasks, seconds, {}, {}) if measure else None)

    def fetch(self, shares: Sequence[Share]) -> Iterator[Tiles]:
        """The shares as they are."""
        for share in shares:
            yield share.held

    def at_sites(
        self, shares: Mapping[int, Share], function: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """Calls a function with each share and with arguments of its own."""
        return [function(share.held, *more) for share, more in zip(shares.values(), arguments, strict=True)]

    def sees(self, path: Path) -> bool:
        """Never: tiles lie here."""
        return False

    def let_go(self, paths: Collection[str]) -> None:
        """Lets go of pages of files that were read."""
        for path in paths:
            memory.drop_pages(path)

    def hold(self, share: Share) -> Share:
        """A share that has its memory to itself, whatever becomes of the arrays the query was given."""
        return Share(share.held.copied(), share.nbytes)

    def seal(self, shares: Sequence[Share]) -> None:
        """Nothing to do: no share is lost."""

    def release(self, shares: Sequence[Share]) -> None:
        """Nothing to do: memory goes with the last reference."""

    def close(self) -> None:
        """Nothing was started."""


class _Running:
    """The state of one run: outputs by stage and site until their last use."""

    def __init__(self, program: Program, sources: Mapping[str, TileSource], threads: int) -> None:
        self.program, self.sources, self.threads = program, sources, threads
        self.outputs: dict[Place, Tiles] = {}
        self.exchanged: dict[str, int] = {}
        self.sent: set[tuple[Output, int, str]] = set()
        self.met: dict[str, Met] = {}
        self.peak = 0

    def run(self, number: int, task: Task) -> None:
        """Runs one task and drops what no later task takes."""
        local = {digest: cast(Tiles, take({}, output, self.whole(output))) for digest, output in task.local}
        boxes = {node.digest: box for node, box in task.made}
        received: dict[tuple[str, int], list[Piece]] = {}
        for digest, operand, taken in task.received:
            received[digest, operand] = [
                self._piece(task, digest, source, output) for source, output in taken
            ]
        found = run_stage(task.stage, task.site, boxes, local, received, self._scan, self.threads)
        self.peak = max(self.peak, found.peak)
        add_met(self.met, found.met)
        for digest, tiles in zip(task.stage.outputs, found.outputs, strict=True):
            place: Place = (task.stage.number, task.site, digest)
            before = [self.outputs[place]] if task.panel else []
            self.outputs[place] = union([*before, tiles], tiles.arity)
        for expired in self.program.expiring.get(number, ()):
            self.outputs.pop(expired, None)

    def whole(self, output: Output) -> Tiles:
        """An output as it lies; a given source is read when it is first wanted."""
        if output.place not in self.outputs and output.stage is None:
            self.outputs[output.place] = self._read_given(output)
        return self.outputs[output.place]

    def _read_given(self, output: Output) -> Tiles:
        scan = self.program.nodes[output.digest]
        assert isinstance(scan, Scan)
        source = self.sources[scan.id]
        if isinstance(source, StoredSource):
            held: Tiles = source.share(output.site).held
            return held.shared()
        token = THREADS.set(self.threads)
        try:
            return self._scan(scan, box_of(scan.type, scan.placement, output.site))
        finally:
            THREADS.reset(token)

    def _piece(self, task: Task, digest: str, source: int, output: Output) -> Piece:
        piece = take(self.program.nodes, output, self.whole(output))
        if source != task.site and (output, task.site, digest) not in self.sent:
            self.sent.add((output, task.site, digest))  # several panels may take it: a site keeps it for them
            self.exchanged[digest] = self.exchanged.get(digest, 0) + piece.nbytes
        return piece

    def _scan(self, node: Scan, box: Ranges) -> Tiles:
        return read_tiles(node.type, box, self.sources[node.id])

    def measured(self, seconds: float) -> Measured:
        """What the run did."""
        moved = sum(self.exchanged.values())
        return Measured(moved, self.peak, self.program.n_tasks, seconds, dict(self.exchanged), self.met)
