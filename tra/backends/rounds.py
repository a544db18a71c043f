"""Queries that are larger than the sites: window by window of the result, and long folds bit by bit.

A window of the result is a query of its own, over windows of what it reads (`optimizer/windowed.py`); it runs
as any other does, and its tiles go to whoever takes them before the next one begins. A fold whose operands do
not fit even so is added up over ranges of the keys it folds, and its result stays on the sites meanwhile.
All this is found by planning alone: nothing has been read when there is no way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

from tra.algebra.live import is_dense
from tra.algebra.live_ranges import is_empty
from tra.algebra.nodes import Aggregate, Expr, Source, postorder
from tra.algebra.operators import join
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType, TileKey
from tra.algebra.volume import n_bytes
from tra.backends.backend import Backend, Measured, Share, StoredSource
from tra.backends.foreseen import foreseen, priced
from tra.backends.plans import Plans
from tra.backends.window_boxes import boxes, fewest, samples
from tra.backends.window_sources import window_sources
from tra.errors import MemoryLimitError
from tra.optimizer.placement import Placement, widest_key
from tra.optimizer.plan import Plan
from tra.optimizer.planner import Planned
from tra.optimizer.roles import ALL, Role, Split
from tra.optimizer.rules.rewriting import with_children
from tra.optimizer.windowed import NotWindowedError, Ranges, whole_box, windowed

Execute: TypeAlias = Callable[[Planned, Mapping[str, TileSource]], StoredSource]
_numbers = count(1)


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
        backend: what runs them.
        relation: the query.
        error: why it does not run as one.
        counts: into how many windows each key of the result is cut.
        placement: how the result lies, for manifests.
        folds: into how many ranges keys are cut that the first window folds.
        planned: the plan of the first window, with what all of them are predicted to cost.
    """

    plans: Plans
    backend: Backend
    relation: Relation
    error: MemoryLimitError
    counts: tuple[int, ...] = field(init=False)
    placement: str = "several"
    folds: dict[str, int] = field(default_factory=dict)
    planned: Planned = field(init=False)
    _too_large: set[str] = field(default_factory=set)
    _measured: list[Measured] | None = None

    def __post_init__(self) -> None:
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
                    return self.error
                self.plans.plan((finest,), finest.sources, {})
            except MemoryLimitError as error:
                found.append(error)
        needed = max(found, key=lambda error: error.would_do, default=self.error)
        return min(needed, self.error, key=lambda error: error.would_do)

    def _fits(self, counts: Sequence[int]) -> bool:
        """Claims that windows do; keeps the plan of the first."""
        windows = [self._window(box) for box in samples(self.type.domains, counts)]
        seen: list[Planned] = []

        def foresee(planned: Planned, _: Mapping[str, TileSource]) -> StoredSource:
            seen.append(planned)
            return foreseen(self.backend, planned)

        for window in reversed(windows):
            self.folds, seen[:] = {}, []
            try:
                if window is None:
                    return False
                self._made(window, foresee)
            except MemoryLimitError:
                return False
        self.planned = priced(seen, len(boxes(self.type.domains, counts)))
        return True

    def _window(self, box: Ranges) -> Relation | None:
        """The query for a window; None where there is none."""
        sources = self.relation.sources
        try:
            found = windowed(self.relation.expr, box, _stored(sources))
        except NotWindowedError:
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
            made = self._made(relation, self._really)
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

    def _made(self, relation: Relation, execute: Execute) -> StoredSource:
        """Runs a query, and before it the folds that do not fit into it.

        Raises:
            MemoryLimitError: it does not fit however folds are cut.
        """
        while True:
            planned = self._planned(relation, {})
            if planned is not None:
                return execute(planned, relation.sources)
            relation = self._streamed(relation, execute)

    def _planned(self, relation: Relation, targets: Mapping[str, Placement]) -> Planned | None:
        """The plan of a query, None where none fits."""
        key, limit = f"{relation.expr.digest} {sorted(targets)}", self.backend.memory_limit
        least = n_bytes(relation.expr.type) // self.backend.n_sites
        if key in self._too_large or (limit is not None and least > limit):
            return None
        try:
            return self.plans.plan((relation,), relation.sources, targets)
        except MemoryLimitError:
            self._too_large.add(key)
            return None

    # -- folds ------------------------------------------------------------------------------------

    def _streamed(self, relation: Relation, execute: Execute) -> Relation:
        """The query with the first fold that can be as a relation on the sites, added up bit by bit.

        Raises:
            MemoryLimitError: no fold can.
        """
        for node in postorder(relation.expr):
            if isinstance(node, Aggregate) and _folds_in_parts(node):
                made = self._folded(relation.sources, node, execute)
                if made is not None:
                    id_ = f"folded-{next(_numbers)}"
                    expr = _replaced(relation.expr, node, Source(node.type, id_, "0", "folded"))
                    return Relation(expr, {**relation.sources, id_: made})
        raise self.error

    def _folded(
        self, sources: Mapping[str, TileSource], node: Aggregate, execute: Execute
    ) -> StoredSource | None:
        """A fold over ranges of the keys that it folds, as few as fit; None where none do."""
        gone = [name for name in node.child.type.names if name not in node.by]
        domains = [node.child.type.domain(name) for name in gone]

        def foresee(planned: Planned, _: Mapping[str, TileSource]) -> StoredSource:
            return foreseen(self.backend, planned)

        def part(box: Ranges) -> Relation | None:
            return self._part(sources, node, dict(zip(gone, box, strict=True)))

        def fits(counts: Sequence[int]) -> bool:
            return self._adds(map(part, boxes(domains, counts)[:2]), node, foresee) is not None

        found = fewest(domains, fits, part)
        if found is None:
            return None
        self.folds |= {name: n for name, n in zip(gone, found, strict=True) if n > 1}
        return self._adds(map(part, boxes(domains, found)), node, execute)

    def _adds(
        self, parts: Iterable[Relation | None], node: Aggregate, execute: Execute
    ) -> StoredSource | None:
        """What is folded of each part, folded; None where some part does not fit beside what there is."""
        total: StoredSource | None = None
        for part in parts:
            if part is None:
                return None
            relation = part if total is None else _sum(total, part, node)
            planned = self._planned(relation, {relation.expr.digest: self._spread(node.type)})
            if planned is None:
                return None
            before, total = total, execute(planned, relation.sources)
            if before is not None:
                before.release()
        return total

    def _part(
        self, sources: Mapping[str, TileSource], node: Aggregate, ranges: Mapping[str, tuple[int, int]]
    ) -> Relation | None:
        """A fold over ranges of the keys it folds; None where it cannot be by itself, or has other tiles."""
        try:
            found = windowed(node, whole_box(node.type), _stored(sources), {node.digest: ranges})
        except NotWindowedError:
            return None
        if not is_dense(found.expr.type):
            return None
        return Relation(found.expr, {**sources, **window_sources(found.leaves, sources)})

    def _spread(self, type_: RelType) -> Placement:
        """Split by the key of largest frontier, so that sums stay where they are."""
        mesh = (self.backend.n_sites,) if self.backend.n_sites > 1 else ()
        name = widest_key(type_)
        role: Role = ALL if name is None else Split(name)
        return Placement(mesh, (role,) * len(mesh))

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


def _stored(sources: Mapping[str, TileSource]) -> frozenset[str]:
    return frozenset(id_ for id_, source in sources.items() if isinstance(source, StoredSource))


def _folds_in_parts(node: Aggregate) -> bool:
    """Claims that what is folded of parts can be folded."""
    return node.kernel.laws.associative and node.kernel.laws.commutative and is_dense(node.type)


def _sum(total: StoredSource, part: Relation, node: Aggregate) -> Relation:
    """What was folded before, and a part of the same keys."""
    before = Source(node.type, "folded", "0", "folded")
    on = tuple((name, name) for name in node.type.names)
    return Relation(join(before, part.expr, on, node.kernel), {**part.sources, "folded": total})


def _replaced(root: Expr, old: Expr, new: Expr) -> Expr:
    """A query with another node of the same type in the place of one."""
    made: dict[str, Expr] = {old.digest: new}
    for node in postorder(root):
        if node.digest not in made:
            made[node.digest] = with_children(node, [made[child.digest] for child in node.children])
    return made[root.digest]
