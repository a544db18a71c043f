"""What is trained, and how: the arguments of a training, checked before anything is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tra.algebra.relation import Relation
from tra.algebra.retiling import check_whole
from tra.backends.step_query import LOSS, STEP, Function, Optimizer
from tra.errors import PlanError, SchemaError


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    Attributes:
        loss: a scalar, of the parameters by name and the relations of a batch.
        parameters: initial values by name.
        using: the optimizer.
        data: relations whose axis 0 are the examples.
        batch: examples per step, None for all.
        epochs: how often all examples are seen.
        seed: of the order of examples.
        metrics: more scalars that each step gives, by name.
    """

    loss: Function
    parameters: Mapping[str, Relation]
    using: Optimizer
    data: tuple[Relation, ...]
    batch: int | None
    epochs: int
    seed: int
    metrics: Mapping[str, Function]

    @property
    def n_rows(self) -> int:
        """How many examples there are; 1 where there is no data."""
        return self.data[0].shape[0] if self.data else 1

    @property
    def steps_per_epoch(self) -> int:
        """How many batches make an epoch."""
        return -(-self.n_rows // self.batch) if self.batch else 1


def checked_recipe(
    loss: Any,
    parameters: Any,
    using: Any,
    data: Any = (),
    batch: int | None = None,
    epochs: int = 1,
    seed: int = 0,
    metrics: Any = None,
) -> Recipe:
    """A recipe whose parts fit together.

    Example:
        >>> checked_recipe(None, {}, None)
        Traceback (most recent call last):
        tra.errors.PlanError: a loss is a function of the parameters and a batch; got None

    Raises:
        PlanError: an argument is none of its kind.
        SchemaError: data has other numbers of examples, or no examples.
    """
    metrics = {} if metrics is None else metrics
    _check_functions(loss, metrics)
    _check_parameters(parameters, metrics)
    if not (hasattr(using, "start") and hasattr(using, "update")):
        raise PlanError(f"using is an optimizer, such as tra.SGD(rate=0.1); got {using!r}")
    _check_number("epochs", epochs, 1)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise PlanError(f"seed is an integer; got {seed!r}")
    relations = _relations(data)
    if batch is not None:
        _check_number("batch", batch, 1)
        if not relations:
            raise PlanError(f"batch={batch} takes examples from data, and none is given")
        batch = batch if batch < relations[0].shape[0] else None  # all of it is one step
    values = {name: Relation._of(value) for name, value in parameters.items()}
    return Recipe(loss, values, using, relations, batch, epochs, seed, dict(metrics))


def _check_functions(loss: Any, metrics: Any) -> None:
    if not callable(loss):
        raise PlanError(f"a loss is a function of the parameters and a batch; got {loss!r}")
    if not isinstance(metrics, Mapping) or not all(callable(metric) for metric in metrics.values()):
        raise PlanError(f"metrics are functions by name; got {metrics!r}")


def _check_parameters(parameters: Any, metrics: Mapping[str, Any]) -> None:
    if not isinstance(parameters, Mapping) or not parameters:
        raise PlanError(f"parameters are relations by name, at least one; got {parameters!r}")
    for name in (*parameters, *metrics):
        if not isinstance(name, str) or name in ("", LOSS, STEP):
            raise PlanError(f"{name!r} cannot be the name of a parameter or a metric")


def _check_number(what: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PlanError(f"{what} is an integer of at least {least}; got {value!r}")


def _relations(data: Any) -> tuple[Relation, ...]:
    """Data as relations with equally many examples."""
    given: Sequence[Any] = (data,) if isinstance(data, Relation) else tuple(data)
    relations = tuple(Relation._of(value) for value in given)
    for relation in relations:
        check_whole(relation.expr.type, "training")
        if not relation.shape or not relation.shape[0]:
            raise SchemaError(f"data has an axis 0 that counts the examples; got {relation!r}")
        if relation.shape[0] != relations[0].shape[0]:
            raise SchemaError(
                f"data has one row for each example: {relations[0]!r} has {relations[0].shape[0]} rows, "
                f"{relation!r} has {relation.shape[0]}"
            )
    return relations
