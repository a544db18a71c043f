"""A program within a memory limit: what its process may hold beside what it has, and how it runs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tra.algebra.sources import TileSource
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes, n_bytes_at_most
from tra.backends import memory
from tra.backends.block import Ranges
from tra.backends.passes.buffer import Buffer
from tra.backends.passes.results import Results
from tra.backends.passes.runner import run_passes
from tra.backends.passes.schedule import End, Query, Schedule
from tra.backends.passes.shape import Leaf
from tra.backends.passes.spill import Spill
from tra.backends.passes.windows import leaf_of, read_window, tile_bytes
from tra.backends.read_tiles import read_tiles
from tra.backends.run_stage import generated
from tra.backends.steps import Step, steps_of
from tra.backends.storage.open_files import let_go
from tra.backends.threads import THREADS, BlasThreads
from tra.backends.tiles import Tiles
from tra.errors import MemoryLimitError
from tra.optimizer.figures import readable
from tra.optimizer.plan import LocalMap, Make, Plan, Scan, is_exchange, plan_order
from tra.optimizer.program import Program
from tra.optimizer.stages import Stage

BESIDE = 10 << 20  # bytes for everything that is no tile: small arrays, lists of keys, a batch of a writer
ROUNDED = 1 << 20
DRIFT = 4 << 20  # bytes by which the process may have grown when a session with the limit named begins
DIGITS = 4  # of what passes may hold, in binary


@dataclass(frozen=True)
class Limited:
    """A program that keeps to a limit, ready to run.

    Attributes:
        schedule: its passes.
        query: what was scheduled.
        roots: the digests of the results, in order.
        nodes: the plan, by digest.
        baseline: bytes of the process before the run, with what is no tile.
        beside: how many of them are for whoever takes the results.
    """

    schedule: Schedule
    query: Query
    roots: tuple[str, ...]
    nodes: Mapping[str, Plan]
    baseline: int
    beside: int = 0

    @property
    def peak(self) -> int:
        """The most bytes of the process that are resident during the run."""
        return self.baseline + self.schedule.held

    def still_fits(self, limit: int) -> bool:
        """Claims that the passes would keep to a limit now."""
        return _baseline(self.query) + self.beside + self.schedule.held <= limit

    def facts(self) -> list[dict[str, Any]]:
        """What `Explanation.to_dict` says of each pass."""
        return [
            {
                "results": [str(one.group.types[digest]) for digest in sorted(one.group.outputs)],
                "loops": [
                    {"key": one.group.name(loop.label), "windows": loop.count} for loop in one.shape.loops
                ],
                "folds": one.folds,
                "reads_ahead": one.shape.ahead,
                "resident_bytes": self.baseline + one.held,
                "bytes_read": one.read,
                "bytes_spilled": sum(n_bytes(one.group.types[digest]) for digest in one.spilled),
            }
            for one in self.schedule.passes
        ]

    def run(
        self,
        sources: Mapping[str, TileSource],
        spill: Spill,
        take: Callable[[str, Tiles], None] | None = None,
    ) -> dict[str, Tiles]:
        """Runs all passes; the results that stay in memory, by digest."""

        def read(digest: str, box: Ranges, buffer: Buffer) -> Tiles:
            node = self.nodes[digest]
            if isinstance(node, Make):
                return generated(node, box).shared()
            assert isinstance(node, Scan)
            source = sources[node.id]
            if self.query.sources[digest].is_held:
                return _held(source, node.type, box)
            return read_window(source, node.type, box, buffer)

        results = Results(self.schedule, self.query.types, read, take or _nobody, spill)
        token = THREADS.set(self.query.threads)
        try:
            with BlasThreads(1):
                return run_passes(self.schedule, results)
        finally:
            THREADS.reset(token)


def _held(source: TileSource, type_: RelType, box: Ranges) -> Tiles:
    held: Any = getattr(source, "share", None)
    return read_tiles(type_, box, source) if held is None else held(0).held.within(box).shared()


def _nobody(digest: str, tiles: Tiles) -> None:
    raise AssertionError("there is nobody to take a result")


def limited(
    program: Program, sources: Mapping[str, TileSource], limit: int, end: End, threads: int, beside: int = 0
) -> Limited:
    """The passes of a program within a limit.

    Args:
        program: a program for one site.
        sources: what it reads, by source id.
        limit: the most bytes that may be resident.
        end: where its results go.
        threads: threads of the run.
        beside: bytes that whoever takes results needs for itself.

    Raises:
        MemoryLimitError: none would keep to it; names the smallest limit that would do.
    """
    gc.collect()
    memory.give_back_at_once()
    let_go()
    memory.trim()
    query, roots, nodes = _query(program, sources, end, threads)
    baseline = _baseline(query) + beside
    in_steps = not any(stage.is_free for stage in program.stages)
    schedule = query.schedule(_budget(limit - baseline, in_steps))
    if schedule is None:
        raise _too_large(query, limit, baseline, beside, in_steps)
    return Limited(schedule, query, roots, nodes, baseline, beside)


def _budget(left: int, in_steps: bool) -> int:
    """What passes may hold of what is left: all, or in steps where bits are to be those of the plan.

    Sums are cut where windows end. What a process holds differs a little from run to run, and what its passes
    may hold must not: it is a number of four binary digits and zeros.

    Example:
        >>> [_budget(left, in_steps=True) for left in (1_230_000, 1_210_000, 1_200_000)]
        [1179648, 1179648, 1179648]
    """
    if left <= 0 or not in_steps:
        return left
    zeros = max(left.bit_length() - DIGITS, 0)
    return left >> zeros << zeros


def _least_left(held: int, in_steps: bool) -> int:
    """The least that has to be left for passes to hold so much.

    Example:
        >>> _least_left(1_179_000, in_steps=True), _budget(1_179_648, in_steps=True)
        (1179648, 1179648)
    """
    if not in_steps:
        return held
    zeros = max(held.bit_length() - DIGITS, 0)
    return -(-held >> zeros) << zeros


def _baseline(query: Query) -> int:
    """What the process holds now, and what any run takes beside tiles."""
    largest = max((tile_bytes(query.types[digest]) for digest in query.ends), default=0)
    found = memory.resident() + BESIDE + 2 * largest
    return -(-found // ROUNDED) * ROUNDED


def _too_large(query: Query, limit: int, baseline: int, beside: int, in_steps: bool) -> MemoryLimitError:
    """The error that names the smallest limit that would do, and that a result may be saved instead."""
    least = query.least()
    needed = baseline + DRIFT + _least_left(least, in_steps)
    hint = ""
    if End.MEMORY in query.ends.values():
        taken = replace(query, ends=dict.fromkeys(query.ends, End.TAKEN))
        saved = baseline + DRIFT + _least_left(taken.least(), in_steps)
        results = sum(n_bytes_at_most(query.types[digest]) for digest in query.ends)
        if saved < needed:
            hint = (
                f"\n  hint: {readable('bytes', results)} of that are the result; saved to a file, as by "
                f"session.save, it would do with memory_limit={saved}"
            )
    writing = f" and {readable('bytes', beside)} are for writing the result" if beside else ""
    return MemoryLimitError(
        f"no passes over tiles fit: the smallest hold {readable('bytes', baseline + least)}, of which "
        f"{readable('bytes', memory.resident())} are the process as it is{writing}; the limit is "
        f"{readable('bytes', limit)}; memory_limit={needed} would do{hint}",
        would_do=needed,
    )


def _query(
    program: Program, sources: Mapping[str, TileSource], end: End, threads: int
) -> tuple[Query, tuple[str, ...], dict[str, Plan]]:
    """The steps of a program, and what its sources cost."""
    roots = tuple(_copied(root) for root in program.roots)
    order = tuple(plan_order(*roots))
    sent = {child.digest for node in order if is_exchange(node) for child in node.children}
    kept = dict.fromkeys([*(root.digest for root in roots), *sent])
    found = steps_of(Stage(0, order, (), tuple(kept)))
    steps = tuple(_taking(step) for step in found if not isinstance(step.node, Scan | Make))
    leaves: dict[str, Leaf] = {}
    for node in order:
        if isinstance(node, Scan):
            leaves[node.digest] = leaf_of(sources[node.id], node.type)
        elif isinstance(node, Make):
            leaves[node.digest] = Leaf(is_read=False)
    types = {node.digest: node.type for node in order}
    ends = {root.digest: end for root in roots}
    nodes = {node.digest: node for node in order}
    return Query(steps, types, leaves, ends, threads), tuple(root.digest for root in roots), nodes


def _copied(root: Plan) -> Plan:
    """A result that is a source is made by a step as any other is."""
    return LocalMap(root.type, root.placement, root, None, ()) if isinstance(root, Scan | Make) else root


def _taking(step: Step) -> Step:
    """A step with the operands of an exchange, which on one site are what it takes."""
    if not is_exchange(step.node):
        return step
    return replace(step, inputs=tuple(child.digest for child in step.node.children))
