"""Queries that are larger than the sites: window by window of the result, and long folds bit by bit.

A window of the result is a query of its own, over windows of what it reads (`optimizer/windowed.py`); it runs
as any other does, and its tiles go to whoever takes them before the next one begins. A fold whose operands do
not fit even so is added up over ranges of the keys it folds, and its result stays on the sites meanwhile.
All this is found by planning alone: nothing has been read when there is no way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tra.algebra.live_ranges import is_empty
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType, TileKey
from tra.backends.backend import Backend, Measured, Share, StoredSource
from tra.backends.foreseen import foreseen, priced
from tra.backends.long_folds import LongFolds
from tra.backends.plans import Plans
from tra.backends.window_boxes import boxes, fewest, samples
from tra.backends.window_sources import stored, window_sources
from tra.errors import MemoryLimitError
from tra.optimizer.plan import Plan
from tra.optimizer.planner import Planned
from tra.optimizer.window_type import NotWindowedError, Ranges
from tra.optimizer.windowed import windowed


@dataclass(frozen=True)
class Window:
    """A window of a result as it lies on the sites.

    Attributes:
        root: its plan.
        shares: what each site has of it.
        first: the key of the result that is the window's first.
    """

    root: Plan
    shares: Sequence[Share]
    first: TileKey


@dataclass
class Rounds:
    """How a query runs that does not fit as one.

    Attributes:
        plans: the plans of the session.
        relation: the query, as its level of reproducibility has it written: where sums are cut is decided
            before windows are.
        backend: what runs them.
        error: why it does not run as one.
        counts: into how many windows each key of the result is cut.
        placement: how the result lies, for manifests.
        folds: into how many ranges keys are cut that the first window folds.
        planned: the plan of the first window, with what all of them are predicted to cost.
    """

    plans: Plans
    relation: Relation
    backend: Backend
    error: MemoryLimitError
    counts: tuple[int, ...] = field(init=False)
    placement: str = "several"
    folds: dict[str, int] = field(default_factory=dict)
    planned: Planned = field(init=False)
    _long: LongFolds = field(init=False)
    _reason: str = ""
    _measured: list[Measured] | None = None

    def __post_init__(self) -> None:
        self._long = LongFolds(self.plans, self.backend, self.error)
        self.counts = self._fitting()

    @property
    def type(self) -> RelType:
        """The type of the result."""
        return self.relation.expr.type

    # -- windows ----------------------------------------------------------------------------------

    def _fitting(self) -> tuple[int, ...]:
        """The fewest windows that fit.

        Raises:
            MemoryLimitError: none fit.
        """
        domains = self.type.domains
        found = fewest(domains, self._fits, self._window)
        if found is None:
            raise self._least()
        return found

    def _least(self) -> MemoryLimitError:
        """The error that names what the smallest windows would do with, where that is less."""
        found = []
        for finest in map(self._window, samples(self.type.domains, self.type.domains)):
            try:
                if finest is None:
                    return self._whole()
                self.plans.plan((finest,), finest.sources, {})
            except MemoryLimitError as error:
                found.append(error)
        needed = max(found, key=lambda error: error.would_do, default=self.error)
        return min(needed, self.error, key=lambda error: error.would_do)

    def _whole(self) -> MemoryLimitError:
        """The error of a query that has to run as one, and why."""
        return MemoryLimitError(
            f"{self.error}\n  hint: window by window would need less, but {self._reason}", self.error.would_do
        )

    def _fits(self, counts: Sequence[int]) -> bool:
        """Claims that all windows do, so that none fails when others have run; keeps the plan of the first.

        Those come first that tell soonest; windows of one size have one plan.
        """
        first, *others = boxes(self.type.domains, counts)
        seen = None
        for box in dict.fromkeys([*samples(self.type.domains, counts)[1:], *others, first]):
            window = self._window(box)
            if window is not None and is_empty(window.expr.type) and box != first:
                continue
            seen = None if window is None else self._foreseen(window)
            if seen is None:
                return False
        assert seen is not None
        self.folds, self.planned = dict(self._long.cut), priced(seen, len(others) + 1)
        return True

    def _foreseen(self, window: Relation) -> list[Planned] | None:
        """The plans of a window, and of its long folds; None where it does not fit."""
        seen: list[Planned] = []

        def foresee(planned: Planned, _: Mapping[str, TileSource]) -> StoredSource:
            seen.append(planned)
            return foreseen(self.backend, planned)

        try:
            self._long.run(window, foresee)
        except MemoryLimitError:
            return None
        return seen

    def _window(self, box: Ranges) -> Relation | None:
        """The query for a window; None where there is none."""
        sources = self.relation.sources
        try:
            found = windowed(self.relation.expr, box, stored(sources))
        except NotWindowedError as error:
            self._reason = str(error)
            return None
        return Relation(found.expr, {**sources, **window_sources(found.leaves, sources)})

    # -- running ----------------------------------------------------------------------------------

    def windows(self) -> Iterator[Window]:
        """The windows one after the other, as they lie on the sites."""
        for box in boxes(self.type.domains, self.counts):
            relation = self._window(box)
            assert relation is not None
            if is_empty(relation.expr.type):
                continue
            made = self._long.run(relation, self._really)
            assert made.shares is not None
            yield Window(made.root, made.shares, tuple(low for low, _ in box))
            made.release()

    def _really(self, planned: Planned, sources: Mapping[str, TileSource]) -> StoredSource:
        run = self.backend.run(planned.program, sources, measure=self._measured is not None)
        (shares,) = run.shares
        if self._measured is not None and run.measured is not None:
            self._measured.append(run.measured)
        self.backend.let_go({path for source in sources.values() if (path := getattr(source, "path", ""))})
        return StoredSource(self.backend, planned.program.roots[0], [self.backend.hold(s) for s in shares])

    def facts(self) -> list[dict[str, Any]]:
        """Into how many windows the keys of the result are cut, for explanations."""
        outer = [(name, n, False) for name, n in zip(self.type.names, self.counts, strict=True) if n > 1]
        inner = [(name, n, True) for name, n in self.folds.items()]
        return [{"key": name, "windows": n, "folds": folds} for name, n, folds in (*outer, *inner)]

    def measured(self) -> Measured:
        """Runs all windows; what they took together, and the most that one held."""
        self._measured = []
        for _ in self.windows():
            pass
        found, self._measured = self._measured, None
        return Measured(
            bytes_moved=sum(one.bytes_moved for one in found),
            peak_bytes_per_site=max((one.peak_bytes_per_site for one in found), default=0),
            tasks=sum(one.tasks for one in found),
            seconds=sum(one.seconds for one in found),
            exchanges={},
            met={},
        )
