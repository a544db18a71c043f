"""Where parameters, optimizer state and resident data lie between steps: the homes that make steps cheapest.

New parameters end where the old ones lay, so that one plan fits every step. Where that is changes what a step
costs: wide networks move the least with weights in pieces, narrow ones with weights everywhere. A few homes
are tried, each by planning the step, and then the largest relations are moved one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tra.algebra.live import frontier
from tra.algebra.nodes import Expr, Source
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes
from tra.backends.step_query import StepQuery
from tra.errors import MemoryLimitError
from tra.optimizer.context import Context
from tra.optimizer.placement import Placement, widest_key
from tra.optimizer.planner import Planned, plan_query
from tra.optimizer.roles import ALL, Role, Split

Homes: TypeAlias = dict[str, str | None]  # by source id the key that splits it, None for copies everywhere
MAX_PLANS = 24
_WORTH = 5e-3  # of the price before: less is no reason to leave a plainer plan
_SMALL = 0.01  # of all bytes: what is smaller is not moved by itself


@dataclass(frozen=True)
class Settled:
    """Homes, and the plan of a step with them.

    Attributes:
        placed: the placement of each source that stays on the sites, by id.
        planned: the plan.
    """

    placed: Mapping[str, Placement]
    planned: Planned


def settle(query: StepQuery, resident: Sequence[Source], context: Context) -> Settled:
    """Chooses homes for what is carried from step to step, and for data that stays.

    Args:
        query: a step.
        resident: sources that are stored before the first step, wherever that is best.
        context: what is known: the sites, where other stored sources lie, and what the client sends.

    Example:
        >>> import tra
        >>> from tra.backends.step_query import LOSS, open_relation
        >>> w = open_relation(tra.from_array([1.0, 2.0]).expr.type, "parameter", "w")
        >>> query = StepQuery({"w": w.expr}, (), {"w": w * 0.5}, {LOSS: w.sum()})
        >>> [str(placement) for placement in settle(query, [], Context(n_sites=2)).placed.values()]
        ['all on 2']

    Raises:
        MemoryLimitError: no plan of a step fits into the memory limit.
    """
    return _Search(query, resident, context).run()


def plan_step(query: StepQuery, placed: Mapping[str, Placement], context: Context) -> Planned:
    """The plan of a step whose carried sources end where they lie.

    Example:
        >>> import tra
        >>> from tra.backends.step_query import LOSS, open_relation
        >>> w = open_relation(tra.from_array([1.0, 2.0]).expr.type, "parameter", "w")
        >>> query = StepQuery({"w": w.expr}, (), {"w": w * 0.5}, {LOSS: w.sum()})
        >>> planned = plan_step(query, {w.expr.id: placement("i", 2)}, Context(n_sites=2))
        >>> str(planned.program.roots[0].placement)
        'split(i) on 2'
    """
    return plan_query(query.roots, replace(context, placed=placed, targets=_targets(query, placed)))


def _targets(query: StepQuery, placed: Mapping[str, Placement]) -> dict[str, Placement]:
    return {
        relation.expr.digest: placed[query.carried[name].id]
        for name, relation in query.updates.items()
        if query.carried[name].id in placed
    }


@dataclass
class _Search:
    query: StepQuery
    resident: Sequence[Source]
    context: Context
    tried: dict[tuple[tuple[str, str | None], ...], Planned | None] = field(default_factory=dict)
    best: Homes = field(default_factory=dict)
    failed: MemoryLimitError | None = None

    def run(self) -> Settled:
        for homes in self._beginnings():
            self._try(homes)
        if self.context.n_sites > 1:
            for homes in self._moves():
                self._try(homes)
        planned = self.tried.get(tuple(self.best.items()))
        if planned is None:
            assert self.failed is not None
            raise self.failed
        return Settled(self._placed(self.best), planned)

    def _beginnings(self) -> Iterator[Homes]:
        """Data by rows and all else everywhere; all by the widest keys; as a plan would have it."""
        movable = {node.id: node for node in self._movable}
        yield {id_: _row_key(node.type) if self._is_data(id_) else None for id_, node in movable.items()}
        if self.context.n_sites == 1:
            return
        yield self._spread()
        yield from self._as_planned(movable)

    def _spread(self) -> Homes:
        """All by the widest keys, which leaves the least at each site."""
        return {node.id: widest_key(node.type) for node in self._movable}

    @property
    def _movable(self) -> list[Source]:
        return [*self.query.carried.values(), *self.resident]

    def _is_data(self, id_: str) -> bool:
        return any(node.id == id_ for node in self.query.batch)

    def _as_planned(self, movable: Mapping[str, Source]) -> Iterator[Homes]:
        """Where a plan of one step puts its sources, if it may put them anywhere and some plan fits."""
        try:
            chosen = plan_query(self.query.roots, replace(self.context, spread=True)).assignment
        except MemoryLimitError:  # its limit is of a step that ends anywhere, which is no step to repeat
            return
        found: Homes = dict.fromkeys(movable)
        for digest, choice in chosen.chosen.items():
            expr: Expr = chosen.operators[digest].expr
            if isinstance(expr, Source) and expr.id in found:
                keys = [role.key for role in choice.output.roles if isinstance(role, Split)]
                found[expr.id] = keys[0] if keys else None
        yield found

    def _moves(self) -> Iterator[Homes]:
        """The best homes so far, with one parameter and its state, or one relation of data, elsewhere."""
        groups = self._groups()
        sizes = [sum(n_bytes(node.type) for node in group) for group in groups]
        order = sorted(range(len(groups)), key=lambda place: -sizes[place])
        for group in (groups[place] for place in order if sizes[place] > _SMALL * sum(sizes)):
            for key in _options(group[0].type):
                if len(self.tried) < MAX_PLANS:
                    moved = {node.id: key for node in group if key in (None, *node.type.names)}
                    yield {**(self.best or self._spread()), **moved}

    def _groups(self) -> list[list[Source]]:
        """Each parameter with the optimizer state that is named after it, and each relation of data."""
        groups: dict[str, list[Source]] = {}
        for name, node in self.query.carried.items():
            owner = name.rpartition(".")[0]
            groups.setdefault(owner if owner in groups else name, []).append(node)
        return [*groups.values(), *([node] for node in self.resident)]

    def _try(self, homes: Homes) -> None:
        key = tuple(homes.items())
        if key in self.tried:
            return
        try:
            self.tried[key] = found = plan_step(self.query, self._placed(homes), self.context)
        except MemoryLimitError as error:
            self.tried[key], self.failed = None, _least(error, self.failed)
            return
        now = self.tried.get(tuple(self.best.items()))
        if now is None or found.assignment.seconds < (1 - _WORTH) * now.assignment.seconds:
            self.best = homes

    def _placed(self, homes: Homes) -> dict[str, Placement]:
        placed = {id_: placement(key, self.context.n_sites) for id_, key in homes.items()}
        return {**self.context.placed, **placed}


def _least(new: MemoryLimitError, old: MemoryLimitError | None) -> MemoryLimitError:
    """Of two errors that name a limit which would do, the one that names the smaller."""
    return new if old is None or new.would_do < old.would_do else old


def placement(key: str | None, n_sites: int) -> Placement:
    """Split by a key, or copied where there is none.

    Example:
        >>> [str(placement(key, 2)) for key in ("i", None)], str(placement("i", 1))
        (['split(i) on 2', 'all on 2'], 'one site')
    """
    role: Role = ALL if key is None else Split(key)
    return Placement((n_sites,), (role,)) if n_sites > 1 else Placement((), ())


def _options(type_: RelType) -> list[str | None]:
    """The keys worth splitting by, and copies."""
    pairs = zip(type_.names, frontier(type_), strict=True)
    return [None, *(name for name, values in pairs if values > 1)]


def _row_key(type_: RelType) -> str | None:
    """The key that cuts the examples, or the widest where there is none."""
    link = type_.axes[0].link if type_.axes else ()
    return link[0][0] if link and type_.domain(link[0][0]) > 1 else widest_key(type_)
