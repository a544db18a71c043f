"""What a session does with parameters: it keeps them by name, and trains them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tra.algebra.entry_point import entry_point
from tra.algebra.relation import Relation
from tra.backends.recipe import checked_recipe
from tra.backends.record import Record, Training, checked_wishes
from tra.backends.state import Runner, State
from tra.backends.training import explain_training, train_with
from tra.optimizer.explain import Explanation


@entry_point
class Trainer:
    """The part of a session that knows of state and training.

    Attributes:
        state: the relations that `assign` gave a name.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.state = State(runner)

    def _check_open(self) -> None:
        raise NotImplementedError

    def assign(self, **relations: Any) -> None:
        """Gives names values that live on the backend; new values take the place of old ones.

        All are computed before any is replaced. A name keeps its source as long as the type stays the same:
        queries over `state` are planned once, and read the newest value.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1) as session:
            ...     session.assign(W=tra.from_array([1.0, 2.0]))
            ...     session.assign(W=session.state["W"] + 1)
            ...     session.state["W"].compute()
            array([2., 3.])
        """
        self._check_open()
        self.state.assign(relations)

    def train(
        self,
        loss: Callable[..., Relation],
        parameters: Mapping[str, Any],
        using: Any,
        *,
        data: Any = (),
        batch: int | None = None,
        epochs: int = 1,
        seed: int = 0,
        metrics: Mapping[str, Callable[..., Relation]] | None = None,
        stop: Callable[[Record], bool] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int = 1,
        progress: bool | None = None,
    ) -> Training:
        """Minimises a loss; each step is one query, planned once for each shape of a batch.

        Args:
            loss: a function of the parameters by name and the relations of a batch that gives one number;
                it is called to write the query, and not at every step.
            parameters: initial values by name.
            using: the optimizer, such as ``tra.Adam(rate=0.01)``.
            data: relations whose axis 0 are the examples.
            batch: examples per step; all of them when left out. Each epoch takes them in an order of its own,
                which depends on the seed alone.
            epochs: how often all examples are seen.
            seed: of the order of examples.
            metrics: functions like the loss, by name, that are computed with it.
            stop: ends the training after a step of which it is true; it is given the `Record`.
            checkpoint: a folder. A training that finds a checkpoint of its own there goes on from it.
            every: epochs from one checkpoint to the next.
            progress: shows a line with epoch, loss and metrics; by default as the session does.

        Example:
            >>> import tra
            >>> x = tra.from_array([1.0, 2.0, 3.0], name="x")
            >>> with tra.connect("local", threads=1) as session:
            ...     trained = session.train(
            ...         lambda p, x: tra.losses.squared_error(x * p["w"], x * 2.0),
            ...         {"w": 0.0}, tra.SGD(rate=0.1), data=[x], epochs=50)
            ...     round(float(trained.parameters["w"].compute()), 6)
            2.0

        Returns:
            The trained parameters, which live as long as the session, and a record of each step of this run.

        Raises:
            NotFiniteError: a loss is infinite or no number; names the step and the operator.
            CatalogError: the checkpoint is of another training, or has more epochs done than are asked for.
            PlanError: an argument is none of its kind.
            SchemaError: the loss is no number, or data does not fit together.
        """
        self._check_open()
        recipe = checked_recipe(loss, parameters, using, data, batch, epochs, seed, metrics)
        return train_with(self._runner, recipe, checked_wishes(stop, checkpoint, every, progress))

    def explain_train(
        self,
        loss: Callable[..., Relation],
        parameters: Mapping[str, Any],
        using: Any,
        *,
        data: Any = (),
        batch: int | None = None,
    ) -> Explanation:
        """The plan of one step of a training, and where its parameters live; nothing is run.

        Args:
            loss: as in `train`.
            parameters: as in `train`.
            using: as in `train`.
            data: as in `train`.
            batch: as in `train`.

        Example:
            >>> import tra
            >>> x = tra.from_array([1.0, 2.0, 3.0], name="x")
            >>> with tra.connect("local", threads=1) as session:
            ...     plan = session.explain_train(
            ...         lambda p, x: tra.losses.squared_error(x * p["w"], x * 2.0),
            ...         {"w": 0.0}, tra.SGD(rate=0.1), data=[x])
            >>> plan.to_dict()["sites"]
            1
        """
        self._check_open()
        return explain_training(self._runner, checked_recipe(loss, parameters, using, data, batch))
