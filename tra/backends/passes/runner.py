"""Runs the passes of a schedule: windows in, steps, folds, results to where they go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import Any, TypeAlias

from tra.algebra.types import RelType
from tra.backends.block import Ranges
from tra.backends.memory import trim
from tra.backends.passes.buffer import Buffer
from tra.backends.passes.folds import InTurn, Total, fold_of, is_own
from tra.backends.passes.group import Load, Phase, window
from tra.backends.passes.results import Read, Results
from tra.backends.passes.schedule import Pass, Schedule
from tra.backends.passes.shape import Loop, is_ahead
from tra.backends.repartition import assemble, fragments
from tra.backends.run_stage import run_step
from tra.backends.steps import Step
from tra.backends.tiles import Tiles, no_tiles
from tra.optimizer.plan import Repartition, is_exchange

At: TypeAlias = Mapping[int, tuple[int, int]]


def run_passes(schedule: Schedule, results: Results) -> dict[str, Tiles]:
    """Runs all passes; the results that stay in memory, by digest."""
    for number, one in enumerate(schedule.passes):
        results.begin(one)
        _PassRun(one, results).run()
        results.end(number, one)
        trim()
    return results.in_memory()


class _Windows:
    """The windows of one relation, one after the other; the next one may be read while one is in use."""

    def __init__(
        self, load: Load, type_: RelType, read: Read, ahead: ThreadPoolExecutor | None, largest: int
    ) -> None:
        self.load, self.type, self._read, self._ahead = load, type_, read, ahead
        self._buffers = [Buffer(largest), Buffer(largest)]
        self._box: Ranges | None = None
        self._coming: tuple[Ranges, Future[Tiles]] | None = None
        self.tiles = no_tiles(len(type_.keys))

    def get(self, at: At, following: At | None) -> Tiles:
        """The window of this turn; the one of the next turn is asked for."""
        box = window(self.type, self.load.labels, at)
        if box != self._box:
            self.tiles = self._now(box)
            self._box = box
        wanted = None if following is None else window(self.type, self.load.labels, following)
        if self._ahead is not None and wanted is not None and wanted != box and self._coming is None:
            future = self._ahead.submit(self._read, self.load.digest, wanted, self._buffers[1])
            self._coming = wanted, future
        return self.tiles

    def _now(self, box: Ranges) -> Tiles:
        if self._coming is not None:
            expected, future = self._coming
            self._coming = None
            found = future.result()
            self._buffers.reverse()
            if expected == box:
                return found
        return self._read(self.load.digest, box, self._buffers[0])


class _PassRun:
    """One pass in the course of running."""

    def __init__(self, one: Pass, results: Results) -> None:
        self.group, self.shape, self.results = one.group, one.shape, results
        phases = one.group.phases(one.shape.inner.label if one.shape.inner else None)
        assert phases is not None
        self.phases = phases
        self.last = one.group.last_uses(phases)
        self.live: dict[str, Tiles] = {}
        self.folds: dict[int, Total | InTurn] = {}
        self.windows: dict[Load, _Windows] = {}
        self.following: At | None = None

    def run(self) -> None:
        """Runs all turns of all loops."""
        largest = {loop.label: loop.largest for loop in self.shape.loops}
        with ExitStack() as stack:
            if self.shape.ahead:
                pool = ThreadPoolExecutor(1, thread_name_prefix="tra-read")
                stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            for step in self.group.steps:
                for place in range(len(step.inputs)):
                    load = self._load(self.group.made[step.node.digest], place)
                    if load is not None and load not in self.windows:
                        ahead = pool if is_ahead(load, self.shape) else None
                        type_, n_bytes = self.group.types[load.digest], self.group.n_bytes(load, largest)
                        self.windows[load] = _Windows(load, type_, self.results.read, ahead, n_bytes)
            turns = _with_next(_turns(self.shape.outer, self.shape.inner))
            for at, is_first, is_last, following in turns:
                self.following = following
                self._turn(at, is_first, is_last)

    def _turn(self, at: At, is_first: bool, is_last: bool) -> None:
        if is_first:
            self._steps(at, Phase.BEFORE)
        self._steps(at, Phase.WITHIN)
        if is_last:
            for number in sorted(self.folds):
                self._made(number, self.folds.pop(number).made(), at)
            self._steps(at, Phase.AFTER)
            self.live.clear()

    def _steps(self, at: At, phase: Phase) -> None:
        for number, step in enumerate(self.group.steps):
            if self.phases[number] is Phase.FOLD and phase is Phase.WITHIN:
                inputs, total = self._inputs(number, at), self.folds.setdefault(number, fold_of(step, _run))
                total.add(inputs, self._held(step, inputs))
            elif self.phases[number] is phase:
                inputs = self._inputs(number, at)
                self._made(number, _run(step, inputs, self._held(step, inputs)), at)
            else:
                continue
            self._free(number, phase)

    def _load(self, number: int, place: int) -> Load | None:
        return self.group.load(number, place, self.shape.labels)

    def _inputs(self, number: int, at: At) -> list[Tiles]:
        found = []
        for place, digest in enumerate(self.group.steps[number].inputs):
            load = self._load(number, place)
            found.append(self.live[digest] if load is None else self.windows[load].get(at, self.following))
        return found

    def _held(self, step: Step, inputs: list[Tiles]) -> dict[str, Tiles]:
        """All that a step must not write to, whose memory results may be views of."""
        found = {self.group.steps[n].node.digest: fold.tiles for n, fold in self.folds.items()}
        folds = {digest: tiles for digest, tiles in found.items() if tiles is not None}
        taken = dict(zip(step.inputs, inputs, strict=True))
        return {**self.results.in_memory(), **folds, **self.live, **taken}

    def _made(self, number: int, tiles: Tiles, at: At) -> None:
        """A result: for the steps that take it, and for whoever wants it afterwards."""
        digest = self.group.steps[number].node.digest
        last = self.last.get(digest, -1)
        if digest in self.group.outputs:
            is_whole = not any(label in at for label in self.group.labels(number))
            if last >= 0 or (is_whole and not is_own(tiles)):
                tiles = _apart(tiles) if is_whole else tiles.shared()
            self.results.put(digest, tiles, is_whole)
        if last >= 0:
            lasting = self.phases[last] is not self.phases[number]
            self.live[digest] = tiles.shared() if lasting else tiles

    def _free(self, number: int, phase: Phase) -> None:
        """Lets go of what no later step of this turn, and no later turn, takes."""
        for digest in self.group.steps[number].inputs:
            maker = self.group.made.get(digest)
            if maker is None or self.last[digest] != number or digest not in self.live:
                continue
            if phase is not Phase.WITHIN or self.phases[maker] in (Phase.WITHIN, Phase.FOLD):
                del self.live[digest]


def _apart(tiles: Tiles) -> Tiles:
    """Tiles that may be kept: not those in a buffer."""
    return tiles.shared() if is_own(tiles) else tiles.copied()


def _run(step: Step, inputs: list[Tiles], held: Mapping[str, Tiles]) -> Tiles:
    """A step's result; an exchange on one site cuts what is there anew."""
    node = step.node
    if isinstance(node, Repartition):
        return assemble(node, [fragments(node, o, tiles, 0) for o, tiles in enumerate(inputs)], 0)
    return inputs[0] if is_exchange(node) else run_step(step, inputs, held, {}, _no_scan)


def _no_scan(*_: Any) -> Tiles:
    raise AssertionError("sources are read by windows")


def _turns(
    outer: tuple[Loop, ...], inner: Loop | None
) -> Iterator[tuple[dict[int, tuple[int, int]], bool, bool]]:
    """The windows of each turn, and whether it is the first or the last of the inner loop."""
    n_inner = inner.count if inner else 1
    for places in product(*(range(loop.count) for loop in outer)):
        at = {loop.label: loop.window(place) for loop, place in zip(outer, places, strict=True)}
        for turn in range(n_inner):
            within = {inner.label: inner.window(turn)} if inner else {}
            yield {**at, **within}, turn == 0, turn == n_inner - 1


def _with_next(
    turns: Iterator[tuple[dict[int, tuple[int, int]], bool, bool]],
) -> Iterator[tuple[At, bool, bool, At | None]]:
    """Each turn with the windows of the one after it."""
    before = next(turns, None)
    while before is not None:
        after = next(turns, None)
        yield (*before, None if after is None else after[0])
        before = after
