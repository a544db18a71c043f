"""The local backend: threads of one process.

It is one site whose operators run on several threads. With more sites it runs the same plans that a cluster
would, stage by stage and site by site, with pieces handed over instead of sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tra.algebra.sources import TileSource
from tra.backends.backend import Measured, Run, Share, StoredSource
from tra.backends.progress import track
from tra.backends.run_stage import cut_output, keys_within, run_stage, take_own
from tra.backends.threads import BlasThreads, parallel
from tra.backends.tiles import Tiles
from tra.optimizer.cost import CostModel
from tra.optimizer.placement import Ranges
from tra.optimizer.plan import Plan, Scan, plan_order
from tra.optimizer.stages import Output, Program, Task


class LocalBackend:
    """Runs plans in this process.

    Attributes:
        name: "local".
        n_sites: sites of a plan; 1 unless asked otherwise.
        threads: threads of each operator.
    """

    name = "local"

    def __init__(
        self, threads: int | None = None, sites: int | None = None, memory_limit: int | None = None, progress: bool | None = None
    ) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.n_sites = sites or 1
        self.memory_limit = memory_limit
        self.progress = progress
        self.model = CostModel(flop_rate=2.0e10 * self.threads, latency=1.0e-4, bandwidth=4.0e9)

    def run(self, program: Program, sources: Mapping[str, TileSource], measure: bool = False) -> Run:
        """Runs a program: tasks in order of stages, each with all threads."""
        running = _Running(program, sources, self.threads)
        start = time.perf_counter()
        with BlasThreads(1):
            for number, task in track(enumerate(program.tasks), len(program.tasks), self.progress):
                running.run(number, task)
        shares = tuple(running.shares(root) for root in program.roots)
        measured = running.measured(time.perf_counter() - start) if measure else None
        return Run(shares, measured)

    def fetch(self, share: Share) -> Iterator[Tiles]:
        """The share as it is."""
        yield share.held

    def release(self, shares: list[Share]) -> None:
        """Nothing to do: memory goes with the last reference."""

    def close(self) -> None:
        """Nothing was started."""


class _Running:
    """The state of one run: outputs by stage and site until their last use."""

    def __init__(self, program: Program, sources: Mapping[str, TileSource], threads: int) -> None:
        self.program, self.sources, self.threads = program, sources, threads
        self.nodes: dict[str, Plan] = {node.digest: node for node in plan_order(*program.roots)}
        self.outputs: dict[tuple[int, int, str], Tiles] = {}
        self.last_use = self._last_uses()
        self.exchanged: dict[str, int] = {}
        self.peak = 0

    def _last_uses(self) -> dict[tuple[int, int, str], int]:
        last: dict[tuple[int, int, str], int] = {}
        for number, task in enumerate(self.program.tasks):
            for output in _taken(task):
                last[output.stage, output.site, output.digest] = number
        for root in self.program.roots:
            stage = self.program.home(root).number
            for site in range(self.program.n_sites):
                last[stage, site, root.digest] = len(self.program.tasks)
        return last

    def run(self, number: int, task: Task) -> None:
        """Runs one task and drops what no later task takes."""
        made = {digest: self._whole(output) for digest, output in task.local}
        received: dict[tuple[str, int], list[Any]] = {}
        for digest, operand, taken in task.received:
            received[digest, operand] = [self._piece(task, digest, source, output) for source, output in taken]
        outputs = run_stage(task.stage, task.site, made, received, self._scan(task.site), self.threads)
        self.peak = max(self.peak, sum(tiles.nbytes for tiles in made.values()))
        for digest, tiles in zip(task.stage.outputs, outputs, strict=True):
            self.outputs[task.stage.number, task.site, digest] = tiles
        self._forget(number)

    def _forget(self, number: int) -> None:
        for output in [output for output, last in self.last_use.items() if last <= number]:
            self.outputs.pop(output, None)
            del self.last_use[output]

    def _whole(self, output: Output) -> Tiles:
        return self.outputs[output.stage, output.site, output.digest]

    def _piece(self, task: Task, digest: str, source: int, output: Output) -> Any:
        node, operand, target = self._spec(output)
        tiles = self._whole(output)
        if source == task.site:
            return take_own(node, operand, target, output.box, tiles)
        piece = cut_output(node, operand, target, output.box, tiles) if self.program.needs_cut(output) else tiles
        self.exchanged[digest] = self.exchanged.get(digest, 0) + piece.nbytes
        return piece

    def _spec(self, output: Output) -> tuple[Plan | None, int, int]:
        if output.repartition is None:
            return None, 0, output.site
        digest, operand, target = output.repartition
        return self.nodes[digest], operand, target

    def _scan(self, site: int) -> Any:
        def scan(node: Scan, box: Ranges) -> Tiles:
            source = self.sources[node.id]
            if isinstance(source, StoredSource):
                held: Tiles = source.share(site).held
                return held
            return read_tiles(node, box, source)

        return scan

    def shares(self, root: Plan) -> tuple[Share, ...]:
        stage = self.program.home(root).number
        return tuple(Share(self.outputs[stage, site, root.digest]) for site in range(self.program.n_sites))

    def measured(self, seconds: float) -> Measured:
        return Measured(sum(self.exchanged.values()), self.peak, self.program.n_tasks, seconds, dict(self.exchanged))


def _taken(task: Task) -> list[Output]:
    pieces = [output for _, _, taken in task.received for _, output in taken]
    return [output for _, output in task.local] + pieces


def read_tiles(node: Scan, box: Ranges, source: TileSource) -> Tiles:
    """The tiles of a source in a box of keys."""
    keys = keys_within(node.type, box)
    return Tiles(keys, parallel(lambda key: source.read(tuple(key)), keys.tolist()), is_sorted=True)
