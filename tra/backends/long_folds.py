"""Queries that run as one plan but for folds that do not fit, which are added up over ranges of their keys.

What a fold comes to stays on the sites meanwhile, and the query reads it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tra.algebra.live import is_dense
from tra.algebra.nodes import Aggregate, Expr, Source, postorder
from tra.algebra.operators import join
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes
from tra.backends.backend import Backend, StoredSource
from tra.backends.foreseen import foreseen
from tra.backends.plans import Plans
from tra.backends.window_boxes import boxes, fewest
from tra.backends.window_sources import stored, window_sources
from tra.errors import MemoryLimitError
from tra.optimizer.placement import Placement, widest_key
from tra.optimizer.planner import Planned
from tra.optimizer.roles import ALL, Role, Split
from tra.optimizer.rules.rewriting import with_children
from tra.optimizer.window_type import NotWindowedError, Ranges, whole_box
from tra.optimizer.windowed import windowed

Execute: TypeAlias = Callable[[Planned, Mapping[str, TileSource]], StoredSource]


@dataclass
class LongFolds:
    """Runs queries, and before each of them the folds that do not fit into it.

    Attributes:
        plans: the plans of the session.
        backend: what runs them.
        error: what is raised where a query does not fit however its folds are cut.
        found: into how many ranges the keys of a fold are cut, by its digest; None where none fit.
        cut: the same of the folds of one query, by the names of keys.
    """

    plans: Plans
    backend: Backend
    error: MemoryLimitError
    found: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    _too_large: set[str] = field(default_factory=set)

    def run(self, relation: Relation, execute: Execute) -> StoredSource:
        """The result of a query on the sites.

        Args:
            relation: the query.
            execute: runs a plan over sources, or foresees what it would leave.

        Raises:
            MemoryLimitError: it does not fit however folds are cut.
        """
        self.cut = {}
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

    def _streamed(self, relation: Relation, execute: Execute) -> Relation:
        """The query with the first fold that can be as a relation on the sites, added up bit by bit."""
        for node in postorder(relation.expr):
            if isinstance(node, Aggregate) and _folds_in_parts(node):
                made = self._folded(relation.sources, node, execute)
                if made is not None:
                    id_ = f"folded {node.digest}"
                    expr = _replaced(relation.expr, node, Source(node.type, id_, "0", "folded"))
                    return Relation(expr, {**relation.sources, id_: made})
        raise self.error

    def _folded(
        self, sources: Mapping[str, TileSource], node: Aggregate, execute: Execute
    ) -> StoredSource | None:
        """A fold over ranges of the keys that it folds, as few as fit; None where none do."""
        gone = [name for name in node.child.type.names if name not in node.by]
        domains = [node.child.type.domain(name) for name in gone]

        def part(box: Ranges) -> Relation | None:
            return _part(sources, node, dict(zip(gone, box, strict=True)))

        if node.digest not in self.found:
            self.found[node.digest] = self._counts(node, domains, part)
        found = self.found[node.digest]
        if found is None:
            return None
        self.cut |= {name: n for name, n in zip(gone, found, strict=True) if n > 1}
        return self._adds(map(part, boxes(domains, found)), node, execute)

    def _counts(
        self, node: Aggregate, domains: Sequence[int], part: Callable[[Ranges], Relation | None]
    ) -> tuple[int, ...] | None:
        """Into how many ranges the keys are cut: as few as fit."""

        def foresee(planned: Planned, _: Mapping[str, TileSource]) -> StoredSource:
            return foreseen(self.backend, planned)

        def fits(counts: Sequence[int]) -> bool:
            every = boxes(domains, counts)
            return all(
                self._adds(map(part, some), node, foresee) is not None for some in (every[:2], every) if some
            )

        return fewest(domains, fits, part)

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

    def _spread(self, type_: RelType) -> Placement:
        """Split by the key of largest frontier, so that sums stay where they are."""
        mesh = (self.backend.n_sites,) if self.backend.n_sites > 1 else ()
        name = widest_key(type_)
        role: Role = ALL if name is None else Split(name)
        return Placement(mesh, (role,) * len(mesh))


def _part(
    sources: Mapping[str, TileSource], node: Aggregate, ranges: Mapping[str, tuple[int, int]]
) -> Relation | None:
    """A fold over ranges of the keys it folds; None where it cannot be by itself, or has other tiles."""
    try:
        found = windowed(node, whole_box(node.type), stored(sources), {node.digest: ranges})
    except NotWindowedError:
        return None
    if not is_dense(found.expr.type):
        return None
    return Relation(found.expr, {**sources, **window_sources(found.leaves, sources)})


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
