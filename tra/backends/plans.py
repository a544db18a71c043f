"""The plans of a session: made when they are first needed, kept by what they depend on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tra.algebra.nodes import Expr, Source, postorder
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.backends.backend import Backend, StoredSource
from tra.backends.hints import checked_hint, hints_for
from tra.backends.open_tiles import cuttable_sources, open_sources, plan_shown
from tra.backends.window_sources import with_windows
from tra.errors import PlanError, SchemaError
from tra.optimizer.context import Context
from tra.optimizer.hint import Hint
from tra.optimizer.placement import Placement
from tra.optimizer.planner import Planned, plan_query
from tra.optimizer.reproducible.level import Level
from tra.optimizer.reproducible.written import rules_off, written_for
from tra.optimizer.rules.registry import Fired
from tra.optimizer.windowed import slices_below

_CACHED_PLANS = 256
_TILES_HELD = 100  # of the largest tiles, within a limit on the process
_LEAST_TILE = 1 << 18  # bytes that a tile may have, however small the limit is


class Plans:
    """Plans for one backend, with the hints in force.

    Attributes:
        without: names of rules that are switched off.
        tolerance: rounding that rules may add.
        level: how little the bits of results may depend on how they are computed.
        is_written: queries come as the level has them written.
        hints: what the user asks of operators, by the digest of the operator.
    """

    def __init__(
        self, backend: Backend, without: Sequence[str] = (), tolerance: float = 0.0, level: Level = "run"
    ) -> None:
        self.backend = backend
        self.without, self.tolerance, self.level = tuple(without), tolerance, level
        self.is_written = False
        self.hints: dict[str, Hint] = {}
        self._plans: OrderedDict[Any, Planned] = OrderedDict()

    def hint(
        self,
        expr: Expr,
        sources: Mapping[str, TileSource],
        strategy: str | None,
        split: Sequence[str | None] | None,
    ) -> None:
        """Asks for a strategy; without one takes that back.

        Raises:
            PlanError: there is no such strategy, or no such key; names those there are.
        """
        if strategy is None and split is None:
            self.hints.pop(Hint(expr).operator.digest, None)
            return
        found = checked_hint(expr, strategy, split, self.backend.n_sites, sources)
        self.hints[found.operator.digest] = found

    @contextmanager
    def hinted(self, hints: Iterable[Hint]) -> Iterator[None]:
        """Hints beside those in force, until the end of the ``with``."""
        before = self.hints
        self.hints = {**before, **{hint.operator.digest: hint for hint in hints}}
        try:
            yield
        finally:
            self.hints = before

    def reading(self, relation: Relation) -> Relation:
        """The query as it is planned: what it takes slices of is read in windows, unless there are hints."""
        return relation if self.hints else with_windows(Relation(self._sliced(relation)[0], relation.sources))

    def fired_while_reading(self, relation: Relation) -> tuple[Fired, ...]:
        """The rules that moved slices before the query was planned."""
        return () if self.hints else self._sliced(relation)[1]

    def _sliced(self, relation: Relation) -> tuple[Expr, tuple[Fired, ...]]:
        return slices_below(relation.expr, (*self.without, *rules_off(self.level)))

    def written(self, relation: Relation) -> tuple[Plans, Relation]:
        """A query as the level has it written, of which parts may be taken, and plans for such queries.

        Raises:
            PlanError: the level knows no way to compute some operator.
        """
        cuttable = cuttable_sources(relation.sources)
        context = Context(level=self.level, tolerance=self.tolerance, cuttable=cuttable)
        (expr,) = written_for((relation.expr,), context)
        plans = Plans(self.backend, self.without, self.tolerance, self.level)
        plans.is_written = self.is_written or expr != relation.expr
        return plans, Relation(expr, relation.sources)

    def plan(
        self,
        relations: Sequence[Relation],
        sources: Mapping[str, TileSource],
        targets: Mapping[str, Placement],
        whole: bool = False,
    ) -> Planned:
        """The plan of some results together.

        Args:
            relations: the results.
            sources: what they read, by source id.
            targets: placements that results must end in, by digest.
            whole: only the whole tensors are wanted, in whatever tiles; else those that the results show.

        Raises:
            PlanError: a relation was persisted in another session, or in one that is closed; or no plan is
                as hinted.
            MemoryLimitError: no plan fits into the memory limit.
        """
        if not relations:
            raise PlanError("nothing to run: give at least one relation")
        roots = tuple(relation.expr for relation in relations)
        placed, uploads = self._bindings(roots, sources)
        encoded = frozenset(id_ for id_, source in sources.items() if getattr(source, "is_encoded", False))
        hints = hints_for(roots, self.hints.values(), self.backend.n_sites)
        where = tuple(tuple(sorted(known.items(), key=str)) for known in (targets, placed))
        wishes = tuple((hint.operator.digest, hint.strategy, hint.split) for hint in hints)
        open_ = frozenset[str]() if self.is_written else open_sources(sources)
        cuttable = cuttable_sources(sources)
        make = plan_query if whole or not open_ else plan_shown
        cluster = (self.backend.constants.model, self.backend.memory_limit)
        key = (
            *(tuple(root.digest for root in roots), where, uploads, encoded, wishes),
            *(open_, cuttable, make, cluster),
        )
        if key not in self._plans:
            context = replace(self.context(placed, uploads, targets, hints), encoded=encoded)
            context = replace(context, open=open_, cuttable=cuttable, tile_bytes=self._tile_bytes(whole))
            self._plans[key] = make(roots, context)
        self._plans.move_to_end(key)
        while len(self._plans) > _CACHED_PLANS:
            self._plans.popitem(last=False)
        return self._plans[key]

    def _tile_bytes(self, whole: bool) -> int | None:
        """The most bytes of a tile, where the process has a limit and tiles are not shown."""
        limit = self.backend.resident_limit
        return max(limit // _TILES_HELD, _LEAST_TILE) if limit and whole else None

    def context(
        self,
        placed: Mapping[str, Placement],
        uploads: frozenset[str],
        targets: Mapping[str, Placement],
        hints: tuple[Hint, ...] = (),
    ) -> Context:
        """What the search is told, as `tra.optimizer.context.Context` has it."""
        return Context(
            n_sites=self.backend.n_sites,
            model=self.backend.constants.model,
            placed=placed,
            uploads=uploads,
            targets=targets,
            memory_limit=self.backend.memory_limit,
            without=self.without,
            tolerance=self.tolerance,
            hints=hints,
            level=self.level,
            is_written=self.is_written,
        )

    def _bindings(
        self, roots: tuple[Expr, ...], sources: Mapping[str, TileSource]
    ) -> tuple[dict[str, Placement], frozenset[str]]:
        """Where stored sources lie, and which ones the client has to send."""
        placed: dict[str, Placement] = {}
        uploads: set[str] = set()
        for node in postorder(*roots):
            if not isinstance(node, Source):
                continue
            source = sources[node.id]
            if isinstance(source, StoredSource):
                source.share(0)
                if source.backend is not self.backend:
                    raise PlanError(
                        f"{node.name} was persisted in another session; use it there, or save and open it"
                    )
                placed[node.id] = source.root.placement
            elif not source.remote:
                uploads.add(node.id)
        return placed, frozenset(uploads)


def checked(relations: Sequence[Any], analyze: Any = False) -> Sequence[Relation]:
    """The relations that a session is asked for.

    Example:
        >>> checked([3])
        Traceback (most recent call last):
        tra.errors.SchemaError: a session runs relations; got 3
          hint: tra.from_array makes a relation of an array; several relations are given one by one

    Raises:
        SchemaError: one of them is something else.
    """
    others = [given for given in relations if not isinstance(given, Relation)]
    if others:
        raise SchemaError(
            f"a session runs relations; got {others[0]!r}\n  hint: tra.from_array makes a relation of an "
            "array; several relations are given one by one"
        )
    if isinstance(analyze, Relation):
        raise SchemaError("explain takes one relation, and analyze=True or False")
    return relations
