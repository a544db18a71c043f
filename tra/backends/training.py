"""Training: a step is one query, planned once and run again and again over what it made before."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tra.algebra.counted import counted
from tra.algebra.nodes import Source
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource, source_id
from tra.backends.backend import Run, result_sites, result_tiles
from tra.backends.batches import Examples, batch_rows, examples_of
from tra.backends.checkpoint import Checkpoint, found_checkpoint, only_training, write_checkpoint
from tra.backends.homes import placement
from tra.backends.lost import again_when_lost
from tra.backends.not_finite import first_not_finite
from tra.backends.progress_line import ProgressLine
from tra.backends.recipe import Recipe
from tra.backends.record import Record, Training, Wishes
from tra.backends.rehome import rehome
from tra.backends.same_training import description
from tra.backends.state import REHOMED_EVERY, Runner, StateSource, lies_alike
from tra.backends.step_plans import StepPlan, StepPlans
from tra.backends.step_query import LOSS
from tra.errors import CatalogError, NotFiniteError, PlanError, SchemaError
from tra.optimizer.explain import Explanation, explain_plan

_ADVICE = "\n  hint: a lower rate, or clip= in the optimizer, keeps updates small"


def train_with(runner: Runner, recipe: Recipe, wishes: Wishes) -> Training:
    """Runs a training to its end; see `Session.train`.

    Example:
        >>> from weakref import WeakSet
        >>> import tra
        >>> from tra.backends.local import LocalBackend
        >>> from tra.backends.plans import Plans
        >>> from tra.backends.recipe import checked_recipe
        >>> backend = LocalBackend(threads=1)
        >>> runner = Runner(backend, Plans(backend), WeakSet())
        >>> recipe = checked_recipe(lambda p: p["w"] * p["w"], {"w": 1.0}, tra.SGD(rate=0.25), epochs=3)
        >>> train_with(runner, recipe, Wishes()).losses
        [1.0, 0.25, 0.0625]
    """
    with only_training(wishes.checkpoint):
        return _Loop(runner, recipe, wishes).run()


def explain_training(runner: Runner, recipe: Recipe) -> Explanation:
    """The plan of the steps of a training, without running any or reading data.

    Example:
        >>> from weakref import WeakSet
        >>> import tra
        >>> from tra.backends.local import LocalBackend
        >>> from tra.backends.plans import Plans
        >>> from tra.backends.recipe import checked_recipe
        >>> backend = LocalBackend(threads=1)
        >>> runner = Runner(backend, Plans(backend), WeakSet())
        >>> recipe = checked_recipe(lambda p: p["w"] * p["w"], {"w": 1.0}, tra.SGD(rate=0.25))
        >>> explain_training(runner, recipe).to_dict()["sites"]
        1
    """
    planned = StepPlans(runner, recipe).settled.planned
    return explain_plan(planned, runner.backend.name, runner.backend.constants.origin)


class _Loop:
    """The state of a training: what is carried, and what stays on the sites."""

    def __init__(self, runner: Runner, recipe: Recipe, wishes: Wishes) -> None:
        self.runner, self.recipe, self.wishes = runner, recipe, wishes
        self.plans = StepPlans(runner, recipe)
        self.history: list[Record] = []
        self.carried: dict[str, StateSource] = {}
        self.resident: dict[str, StateSource] = {}
        self.examples: list[Examples] = []
        self.bound: dict[int, dict[str, TileSource]] = {}  # by plan: the values change within their sources
        self.epoch, self.step = 0, 0
        self.last_step = -1  # the step that is the last one by the user's wish, once it is known
        self.checked = -1  # the step after which all that is carried was last seen to be finite
        self.last: Any = None  # while tasks of a group are held the next ones join it, and make no new record

    def run(self) -> Training:
        try:
            self._begin()
            with ProgressLine(self.runner.backend, self._steps_left, self.wishes.progress) as line:
                return again_when_lost(lambda: self._train(line), self._go_back)
        finally:
            self._release()

    def _train(self, line: ProgressLine) -> Training:
        self._epochs(line)
        return Training(self._results(), tuple(self.history), self.plans.n_plans)

    def _go_back(self) -> None:
        """Begins at the last checkpoint, or anew; records stay of the steps that are done a second time."""
        self._release()
        self.bound.clear()
        self.epoch, self.step, self.checked = 0, 0, -1
        self._begin()

    def _release(self) -> None:
        for stored in (*self.carried.values(), *self.resident.values()):
            stored.release()
        self.carried.clear()
        self.resident.clear()

    @property
    def _steps_left(self) -> int:
        return max(self.recipe.epochs - self.epoch, 0) * self.recipe.steps_per_epoch

    # -- before the first step --------------------------------------------------------------------

    def _begin(self) -> None:
        values = dict(self.plans.initial)
        there = self._checkpoint()
        placed = self.plans.settled.placed
        if there is not None:
            self.epoch, self.step = there.epoch, there.step
            values = there.load({name: relation.expr.type for name, relation in values.items()})
        for name, node in self._main.query.carried.items():
            self.carried[name] = self.runner.stored(values[name], placed[node.id], name)
        if self.recipe.batch is not None:
            named = enumerate(self.recipe.data)
            self.examples = [examples_of(self.runner, data, f"data{place}") for place, data in named]

    @property
    def _main(self) -> StepPlan:
        return self.plans.plan(self.plans.main_rows)

    def _checkpoint(self) -> Checkpoint | None:
        folder = self.wishes.checkpoint
        there = None if folder is None else found_checkpoint(folder, self._about())
        if there is not None and there.epoch > self.recipe.epochs:
            done = counted(there.epoch, "epoch")
            raise CatalogError(
                f"{there.path} has {done} done, and {self.recipe.epochs} are asked for\n"
                f"  hint: ask for at least {done}, or give another folder"
            )
        return there

    def _bindings(self, plan: StepPlan) -> dict[str, TileSource]:
        """What steps of a plan read, but for the batch; what is not stored yet is stored now."""
        query = plan.query
        if id(plan) in self.bound:
            return self.bound[id(plan)]
        placed, there = self.plans.settled.placed, self.plans.where_they_are(query)
        for node in self.plans.resident(query):
            if node.id not in self.resident and node.id not in there:
                home = placed.get(node.id) or placement(None, self.plans.n_sites)
                self.resident[node.id] = self.runner.stored(self.plans.relation(node, query), home, node.name)
        carried = {node.id: self.carried[name] for name, node in query.carried.items()}
        self.bound[id(plan)] = {**self.plans.bound(query), **there, **self.resident, **carried}
        return self.bound[id(plan)]

    # -- steps ------------------------------------------------------------------------------------

    def _epochs(self, line: ProgressLine) -> None:
        while self.epoch < self.recipe.epochs and self.step != self.last_step:
            self.epoch += 1
            for place, (n_rows, batch) in enumerate(self._epoch_batches(), start=1):
                record = self._step(n_rows, batch)
                if not self.history or record.step > self.history[-1].step:  # else it was done before
                    self._tell(record, line, n_rows)
                stopped = record.step == self.last_step
                if place == self.recipe.steps_per_epoch and self._is_due(stopped):
                    self._save()
                if stopped:
                    return

    def _tell(self, record: Record, line: ProgressLine, n_rows: int) -> None:
        """Keeps and shows the record of a step, and asks whether it is to be the last one."""
        self.history.append(record)
        line.show(record.epoch, record.loss, record.metrics, n_rows)
        if self.wishes.stop is not None and bool(self.wishes.stop(record)):
            self.last_step = record.step

    def _is_due(self, stopped: bool) -> bool:
        """Claims that a checkpoint is to be written after this epoch."""
        return stopped or self.epoch % self.wishes.every == 0 or self.epoch == self.recipe.epochs

    def _epoch_batches(self) -> Iterator[tuple[int, list[TileSource]]]:
        """The batches of an epoch: how many examples, and their tiles unless these stay on the sites."""
        recipe = self.recipe
        if recipe.batch is None:
            yield recipe.n_rows, []
            return
        for rows in batch_rows(recipe.n_rows, recipe.batch, recipe.seed, self.epoch - 1):
            nodes = self.plans.plan(len(rows)).query.batch
            yield (
                len(rows),
                [e.rows(rows, node.type) for e, node in zip(self.examples, nodes, strict=True)],
            )

    def _step(self, n_rows: int, batch: Sequence[TileSource]) -> Record:
        start = time.perf_counter()
        plan = self.plans.plan(n_rows)
        given = zip(plan.query.batch, batch, strict=False)
        sources = {**self._bindings(plan), **{node.id: source for node, source in given}}
        run = self.runner.backend.run(
            plan.planned.program, sources, measure=False, together=len(plan.query.updates)
        )
        figures = self._figures(plan, run)
        loss = figures.pop(LOSS)
        self.step += 1
        if not math.isfinite(loss):
            raise self._not_finite(loss, plan, sources)
        self._take(plan, run)
        seconds = max(time.perf_counter() - start, 1e-9)
        return Record(self.epoch, self.step, loss, figures, n_rows / seconds)

    def _figures(self, plan: StepPlan, run: Run) -> dict[str, float]:
        """Loss and metrics, fetched together."""
        first = len(plan.query.updates)
        self.last = run.shares[first:]
        roots = plan.planned.program.roots[first:]
        shares = [
            share[result_sites(root.placement)[0]]
            for root, share in zip(roots, run.shares[first:], strict=True)
        ]
        found = {}
        for name, tiles in zip(plan.query.figures, self.runner.backend.fetch(shares), strict=True):
            if not len(tiles.arrays):
                raise SchemaError(f"{name} has no tile in step {self.step + 1}, and so no value")
            found[name] = float(tiles.arrays[0])
        return found

    def _take(self, plan: StepPlan, run: Run) -> None:
        """Puts new values in the place of the old ones."""
        backend = self.runner.backend
        for name, root, shares in zip(
            plan.query.updates, plan.planned.program.roots, run.shares, strict=False
        ):
            there = self.carried[name].root
            if not lies_alike(root.type, root.placement, there.placement):
                raise PlanError(
                    f"a step leaves {name} at {root.placement}, the next one reads it at {there.placement}"
                )
            self.carried[name].replace([backend.hold(share) for share in shares])
        if self.step % REHOMED_EVERY == 0:
            self._rehome()

    def _rehome(self) -> None:
        """Lets what is carried lie by itself, with nothing that made it."""
        held = list(self.carried.values())
        made = rehome(self.runner.backend, [stored.shares or () for stored in held])
        for stored, shares in zip(held, made, strict=True):
            stored.replace(shares)

    def _not_finite(self, loss: float, plan: StepPlan, sources: Mapping[str, TileSource]) -> NotFiniteError:
        self._rehome()
        found = first_not_finite(self.runner, plan.query, sources)
        what = f"the loss of step {self.step}, in epoch {self.epoch}, is {loss}"
        if found is None:
            return NotFiniteError(what + _ADVICE)
        if found.fault is not None:
            return NotFiniteError(f"{what}: {found.fault}")
        first = f"the first result of it that is not finite is {found.operator}"
        return NotFiniteError(f"{what}; {first}{_ADVICE}")

    def _check_finite(self) -> None:
        """Checks what the last update made, which no loss has seen yet."""
        if self.checked == self.step:
            return
        self._rehome()
        found = self.runner.first_not_finite(self.carried[name] for name in self._main.query.updates)
        if found is not None:
            loss = f", whose loss was {self.history[-1].loss}," if self.history else ""
            raise NotFiniteError(
                f"{found} has values that are not finite after the update of step {self.step}{loss} in epoch "
                f"{self.epoch}{_ADVICE}"
            )
        self.checked = self.step

    # -- after ------------------------------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        """What a training is, so that another does not go on from its checkpoints."""
        return description(self.recipe, self.plans.digest, self.recipe.content(self._main.query))

    def _save(self) -> None:
        if self.wishes.checkpoint is None:
            return
        backend = self.runner.backend
        self._check_finite()
        self._rehome()

        def tiles(stored: StateSource) -> Any:
            return lambda: result_tiles(backend, stored.root, stored.shares or ())

        values = {name: (s.root.type, tiles(s)) for name, s in self.carried.items()}
        about = {**self._about(), "epoch": self.epoch, "step": self.step}
        write_checkpoint(self.wishes.checkpoint, about, values)

    def _results(self) -> dict[str, Relation]:
        """The parameters as relations of their own, which the training releases no more."""
        self._check_finite()
        self._rehome()
        found = {}
        for name in self.recipe.parameters:
            stored = self.carried.pop(name)
            node = Source(stored.root.type, source_id("stored"), "0", name)
            found[name] = Relation(node, {node.id: stored})
        return found
