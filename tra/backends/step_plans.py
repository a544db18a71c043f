"""The plans of a training: one for each shape of a batch, with the same homes for what stays on the sites."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from tra.algebra.makers import Constant
from tra.algebra.nodes import Expr, Source
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import whole_form
from tra.backends.backend import StoredSource
from tra.backends.batches import batch_type
from tra.backends.homes import Settled, placement, plan_step, settle
from tra.backends.recipe import Recipe
from tra.backends.state import Runner
from tra.backends.step_query import (
    STEP,
    StepQuery,
    cut_for_sites,
    is_open,
    open_relation,
    recut,
    step_query,
    step_type,
)
from tra.optimizer.context import Context
from tra.optimizer.placement import Placement
from tra.optimizer.planner import Planned


@dataclass(frozen=True)
class StepPlan:
    """A step over batches of one shape.

    Attributes:
        query: what it reads and makes.
        planned: how that is run.
    """

    query: StepQuery
    planned: Planned


class StepPlans:
    """The steps of a training; nothing is run here, and no data is read.

    Attributes:
        recipe: what is trained.
        initial: the first values of what is carried from step to step, cut for the sites.
        data: the data, cut for the sites; in one piece per site where it stays there.
    """

    def __init__(self, runner: Runner, recipe: Recipe, n_sites: int | None = None) -> None:
        self.runner, self.recipe = runner, recipe
        self.n_sites = n_sites or runner.backend.n_sites
        self.initial = self._initial()
        self._carried = {
            name: open_relation(relation.expr.type, "carried", name)
            for name, relation in self.initial.items()
        }
        self.data = tuple(self._cut(relation) for relation in recipe.data)
        self._made: dict[int, StepPlan] = {}

    def _initial(self) -> dict[str, Relation]:
        parameters = {name: self._cut(relation) for name, relation in self.recipe.parameters.items()}
        state = self.recipe.using.start(parameters)
        return {**parameters, **state, STEP: Relation(generated(step_type(), Constant(0.0)), {})}

    def _cut(self, relation: Relation) -> Relation:
        """A tensor in tiles for the sites, where nobody said how it is cut."""
        if not is_open(relation):
            return relation
        return recut(relation, cut_for_sites(relation.expr.type, self.n_sites))

    @property
    def n_plans(self) -> int:
        """How many plans were made."""
        return len(self._made)

    @property
    def main_rows(self) -> int:
        """The examples of most steps."""
        return self.recipe.batch or self.recipe.n_rows

    @cached_property
    def _batches(self) -> dict[int, tuple[Relation, ...]]:
        return {}

    def _batch(self, n_rows: int) -> tuple[Relation, ...]:
        """Open relations for batches of so many examples."""
        if n_rows not in self._batches:
            types = self._types(n_rows)
            names = [getattr(r.expr, "name", "") or f"data{place}" for place, r in enumerate(self.data)]
            made = (open_relation(type_, "batch", name) for type_, name in zip(types, names, strict=True))
            self._batches[n_rows] = tuple(made)
        return self._batches[n_rows]

    def _types(self, n_rows: int) -> list[RelType]:
        if self.recipe.batch is None:
            return [relation.expr.type for relation in self.data]
        found = []
        for relation in self.recipe.data:
            type_ = batch_type(whole_form(relation.expr).type, n_rows)
            found.append(cut_for_sites(type_, self.n_sites) if is_open(relation) else type_)
        return found

    def query(self, n_rows: int) -> StepQuery:
        """A step over so many examples."""
        recipe = self.recipe
        n_parameters = len(recipe.parameters)
        batch = self._batch(n_rows)
        return step_query(recipe.loss, self._carried, n_parameters, recipe.using, batch, recipe.metrics)

    def digest(self) -> str:
        """A name for what the training does, whatever the number of sites."""
        return StepPlans(self.runner, self.recipe, n_sites=1).query(self.main_rows).digest

    @cached_property
    def settled(self) -> Settled:
        """The homes, chosen for the steps of most examples."""
        query = self.query(self.main_rows)
        settled = settle(query, self.resident(query), self._context(query))
        self._made[self.main_rows] = StepPlan(query, settled.planned)
        return settled

    def plan(self, n_rows: int) -> StepPlan:
        """The plan of a step over so many examples."""
        placed = self.settled.placed
        if n_rows not in self._made:
            query = self.query(n_rows)
            new = {node.id: placement(None, self.n_sites) for node in self.resident(query)}
            context = self._context(query)
            planned = plan_step(query, {**new, **context.placed, **placed}, context)
            self._made[n_rows] = StepPlan(query, planned)
        return self._made[n_rows]

    def resident(self, query: StepQuery) -> list[Source]:
        """What is stored before the first step: data that all steps read, and all else that a loss reads."""
        given = [] if self.recipe.batch else [n for n in query.batch if not self._is_stored(n)]
        return [*given, *(n for n in query.others if not isinstance(query.sources[n.id], StoredSource))]

    def relation(self, node: Source, query: StepQuery) -> Relation:
        """The relation that a source of a step stands for: data, or what the loss reads beside it."""
        if node in query.batch:
            return self.data[query.batch.index(node)]
        return Relation(node, {node.id: query.sources[node.id]})

    def _is_stored(self, node: Source) -> bool:
        return self._stored_data(node) is not None

    def _stored_data(self, node: Source) -> StoredSource | None:
        """Data that is stored on this backend already."""
        for batch in self._batches.values():
            if node in batch_nodes(batch):
                relation = self.data[batch_nodes(batch).index(node)]
                return stored_source(relation)
        return None

    def bound(self, query: StepQuery) -> dict[str, TileSource]:
        """What a step reads that is stored already, by source id."""
        found: dict[str, TileSource] = {
            id_: source for id_, source in query.sources.items() if isinstance(source, StoredSource)
        }
        if self.recipe.batch is None:
            for node in query.batch:
                if (stored := self._stored_data(node)) is not None:
                    found[node.id] = stored
        return found

    def _context(self, query: StepQuery) -> Context:
        """What is known of the sources of a step, but for those that are stored before the first."""
        placed: dict[str, Placement] = {
            id_: source.root.placement
            for id_, source in self.bound(query).items()
            if isinstance(source, StoredSource)
        }
        uploads: set[str] = set()
        if self.recipe.batch is not None:
            remote = [is_remote(relation) for relation in self.recipe.data]
            uploads = {node.id for node, there in zip(query.batch, remote, strict=True) if not there}
        base = self.runner.plans.context({}, frozenset(), {})
        return replace(base, placed=placed, uploads=frozenset(uploads))


def batch_nodes(batch: tuple[Relation, ...]) -> list[Expr]:
    """The nodes of the relations of a batch.

    Example:
        >>> batch_nodes(())
        []
    """
    return [relation.expr for relation in batch]


def stored_source(relation: Relation) -> StoredSource | None:
    """The stored tiles behind a relation, or None where it is something else.

    Example:
        >>> import tra
        >>> stored_source(tra.from_array([1.0]))
    """
    if isinstance(relation.expr, Source):
        source = relation.sources[relation.expr.id]
        return source if isinstance(source, StoredSource) else None
    return None


def is_remote(relation: Relation) -> bool:
    """Claims that workers read the tiles themselves.

    Example:
        >>> import tra
        >>> is_remote(tra.from_array([1.0]))
        False
    """
    return isinstance(relation.expr, Source) and relation.sources[relation.expr.id].remote
