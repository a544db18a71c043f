"""The plans of a training: one for each shape of a batch, with the same homes for what stays on the sites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tra.algebra.makers import Constant
from tra.algebra.nodes import Source
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import is_whole_form, whole_form
from tra.backends.backend import StoredSource
from tra.backends.batches import batch_type
from tra.backends.homes import Settled, placement, plan_step, settle
from tra.backends.recipe import Recipe
from tra.backends.state import Runner
from tra.backends.step_query import (
    STEP,
    StepQuery,
    is_open,
    open_relation,
    recut,
    step_query,
    step_type,
)
from tra.errors import PlanError
from tra.optimizer.context import Context
from tra.optimizer.planner import Planned
from tra.optimizer.tile_sizes import cut_for_sites


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
        self._batches: dict[int, tuple[Relation, ...]] = {}
        self._made: dict[int, StepPlan] = {}

    def _initial(self) -> dict[str, Relation]:
        parameters = {name: self._cut(relation) for name, relation in self.recipe.parameters.items()}
        state = self.recipe.using.start(parameters)
        return {**parameters, **state, STEP: Relation(generated(step_type(), Constant(0.0)), {})}

    def _cut(self, relation: Relation) -> Relation:
        """A tensor in tiles for the sites, where nobody said how it is cut, nor how what it may meet is."""
        if not is_open(relation):
            return relation
        return recut(relation, cut_for_sites(relation.expr.type, self.n_sites, self._fixed))

    @cached_property
    def _fixed(self) -> list[RelType]:
        """The types of the tensors whose tiles somebody chose."""
        every = (*self.recipe.parameters.values(), *self.recipe.data)
        return [relation.expr.type for relation in every if not is_open(relation)]

    @property
    def n_plans(self) -> int:
        """How many plans were made."""
        return len(self._made)

    @property
    def main_rows(self) -> int:
        """The examples of most steps."""
        return self.recipe.batch or self.recipe.n_rows

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
        types = [batch_type(whole_form(relation.expr).type, n_rows) for relation in self.recipe.data]
        open_ = [is_open(relation) for relation in self.recipe.data]
        fixed = [*self._fixed, *(type_ for type_, free in zip(types, open_, strict=True) if not free)]
        return [
            cut_for_sites(type_, self.n_sites, fixed) if free else type_
            for type_, free in zip(types, open_, strict=True)
        ]

    def query(self, n_rows: int) -> StepQuery:
        """A step over so many examples."""
        recipe = self.recipe
        n_parameters = len(recipe.parameters)
        batch = self._batch(n_rows)
        return step_query(recipe.loss, self._carried, n_parameters, recipe.using, batch, recipe.metrics)

    @cached_property
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
        return [node for node in self._kept(query) if self._stored(node, query) is None]

    def bound(self, query: StepQuery) -> dict[str, TileSource]:
        """What a step reads that is stored already, by source id."""
        return dict(self._bound(query))

    def where_they_are(self, query: StepQuery) -> dict[str, TileSource]:
        """Data and files that each step reads anew, since the memory of the process is limited."""
        if self.runner.backend.resident_limit is None:
            return {}
        found = ((node, self.relation(node, query)) for node in self.resident(query))
        return {
            node.id: relation.sources[relation.expr.id]
            for node, relation in found
            if isinstance(relation.expr, Source)
        }

    def relation(self, node: Source, query: StepQuery) -> Relation:
        """The relation that a source of a step stands for: data, or what the loss reads beside it."""
        if node in query.batch:
            return self.data[query.batch.index(node)]
        return Relation(node, {node.id: query.sources[node.id]})

    def _kept(self, query: StepQuery) -> list[Source]:
        """What a step reads that is the same for every step."""
        return [*(() if self.recipe.batch else query.batch), *query.others]

    def _stored(self, node: Source, query: StepQuery) -> StoredSource | None:
        """The tiles of a source that are stored already, or None."""
        relation = self.relation(node, query)
        source = relation.sources[relation.expr.id] if isinstance(relation.expr, Source) else None
        if not isinstance(source, StoredSource):
            return None
        if source.backend is not self.runner.backend:
            raise PlanError(f"{node.name} was persisted in another session; train there, or save and open it")
        return source

    def _bound(self, query: StepQuery) -> dict[str, StoredSource]:
        found = ((node.id, self._stored(node, query)) for node in self._kept(query))
        return {id_: stored for id_, stored in found if stored is not None}

    def _context(self, query: StepQuery) -> Context:
        """What is known of the sources of a step, but for those that are stored before the first."""
        placed = {id_: source.root.placement for id_, source in self._bound(query).items()}
        uploads: set[str] = set()
        if self.recipe.batch is not None:
            remote = [is_remote(relation) for relation in self.recipe.data]
            uploads = {node.id for node, there in zip(query.batch, remote, strict=True) if not there}
        return self.runner.plans.context(placed, frozenset(uploads), {})


def is_remote(relation: Relation) -> bool:
    """Claims that workers read the rows of batches themselves: of a file that is a plain tensor.

    Example:
        >>> import tra
        >>> is_remote(tra.from_array([1.0]))
        False
    """
    expr = relation.expr
    return isinstance(expr, Source) and is_whole_form(expr.type) and relation.sources[expr.id].remote
