"""Schedules of learning rates: functions of how many steps were done, as expressions over a scalar relation.

The step is data and no number, so that one expression, and with it one plan, serves every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, nextafter, pi
from typing import Any, TypeAlias

import numpy as np

from tra.algebra import makers
from tra.algebra.arithmetic import SCALARS
from tra.algebra.entry_point import entry_point
from tra.algebra.functions import maximum, minimum
from tra.algebra.operators import generated
from tra.algebra.relation import Operand, Relation, as_relation
from tra.algebra.types import scalar_type
from tra.errors import SchemaError

Schedule: TypeAlias = Callable[[Relation], Relation]
_FLOAT = np.dtype(np.float64)
ABOVE_ZERO = nextafter(0.0, 1.0)  # the least of the numbers that are positive


@entry_point
@dataclass(frozen=True)
class Constant:
    """The same rate at every step.

    Example:
        >>> Constant(0.1)(as_relation(7.0)).compute()
        array(0.1)

    Raises:
        SchemaError: the rate is negative or no number.
    """

    rate: float

    def __post_init__(self) -> None:
        checked(self, "rate")

    def __call__(self, step: Relation) -> Relation:
        return Relation(generated(scalar_type(_FLOAT), makers.Constant(self.rate)), {})


@entry_point
@dataclass(frozen=True)
class Step:
    """rate · factor^⌊t / every⌋: the rate changes after every so many steps.

    Source: `torch.optim.lr_scheduler.StepLR`.

    Example:
        >>> [Step(0.1, factor=0.5, every=10)(as_relation(float(t))).compute().item() for t in (0, 9, 10)]
        [0.1, 0.1, 0.05]

    Raises:
        SchemaError: a negative rate, a factor that is not positive, or steps that are no positive integer.
    """

    rate: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        checked(self, "rate")
        checked(self, "factor", low=ABOVE_ZERO)
        checked_count(self, "every")

    def __call__(self, step: Relation) -> Relation:
        return self.rate * self.factor ** (step // float(self.every))


@entry_point
@dataclass(frozen=True)
class Exponential:
    """rate · factor^(t / every): the rate changes a little after each step.

    Source: `torch.optim.lr_scheduler.ExponentialLR`, with `every` = 1.

    Example:
        >>> Exponential(0.1, factor=0.25, every=2)(as_relation(1.0)).compute()
        array(0.05)

    Raises:
        SchemaError: a negative rate, a factor that is not positive, or steps that are no positive integer.
    """

    rate: float
    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        checked(self, "rate")
        checked(self, "factor", low=ABOVE_ZERO)
        checked_count(self, "every")

    def __call__(self, step: Relation) -> Relation:
        return self.rate * self.factor ** (step / float(self.every))


@entry_point
@dataclass(frozen=True)
class Cosine:
    """From `rate` to `end` along half a wave of the cosine, in so many steps; `end` from then on.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017; `torch.optim.lr_scheduler.CosineAnnealingLR`.

    Example:
        >>> [Cosine(0.5, steps=4)(as_relation(float(t))).compute().item() for t in (0, 2, 4, 9)]
        [0.5, 0.25, 0.0, 0.0]

    Raises:
        SchemaError: a negative rate, or steps that are no positive integer.
    """

    rate: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        checked(self, "rate")
        checked(self, "end")
        checked_count(self, "steps")

    def __call__(self, step: Relation) -> Relation:
        angle = minimum(step, float(self.steps)) * (pi / self.steps)
        return self.end + (angle.transform("cos") + 1.0) * (0.5 * (self.rate - self.end))


@entry_point
@dataclass(frozen=True)
class Warmup:
    """First a rate that grows by equal amounts for so many steps, then another schedule from its beginning.

    Step t < steps has the rate then(0) · (t + 1) / (steps + 1): the first step is not lost.

    Attributes:
        steps: how many steps have a smaller rate.
        then: a schedule, or a rate that stays.

    Example:
        >>> [Warmup(3, then=0.25)(as_relation(float(t))).compute().item() for t in (0, 1, 2, 3, 4)]
        [0.0625, 0.125, 0.1875, 0.25, 0.25]

    Raises:
        SchemaError: steps that are no positive integer, or no schedule follows.
    """

    steps: int
    then: float | Schedule

    def __post_init__(self) -> None:
        checked_count(self, "steps")
        checked_rate(self, "then")

    def __call__(self, step: Relation) -> Relation:
        grown = minimum((step + 1.0) / (self.steps + 1.0), 1.0)
        return grown * rate_at(self.then, maximum(step - float(self.steps), 0.0))


def rate_at(rate: float | Schedule, step: Operand) -> float | Relation:
    """The rate of a step: a number as it is, a schedule asked.

    Args:
        rate: a number, or a function of the step.
        step: a scalar, how many steps were done before; a relation or a number.

    Example:
        >>> rate_at(0.1, 3), rate_at(Step(0.5, 0.5, 2), 3)
        (0.1, [] of scalars float64)

    Raises:
        SchemaError: the step or what the schedule gives is no scalar.
    """
    if not callable(rate):
        return rate
    found: Any = rate(scalar_relation(step, "the step"))
    return scalar_relation(found, f"what the schedule {rate!r} gives")


def scalar_relation(value: Operand, what: str) -> Relation:
    """A number or a scalar relation as a scalar relation of float64; `what` is one.

    Example:
        >>> scalar_relation(3, "the step").compute()
        array(3.)

    Raises:
        SchemaError: it has axes or keys.
    """
    relation = as_relation(value)
    type_ = relation.expr.type
    if type_.keys or type_.axes:
        raise SchemaError(f"{what} is one number; got {relation}")
    return relation if relation.dtype == _FLOAT else relation.astype(_FLOAT)


def checked(owner: object, name: str, low: float = 0.0, below: float = inf, otherwise: str = "") -> None:
    """Checks a setting in [low, below) and keeps it as a plain float: NumPy's scalars would change dtypes.

    What is legal besides a number is said by `otherwise`.

    Example:
        >>> Constant(np.float32(0.5)).rate
        0.5
        >>> Constant(-1)
        Traceback (most recent call last):
        tra.errors.SchemaError: Constant: rate is a number of at least 0; got rate=-1

    Raises:
        SchemaError: names the value and what is legal.
    """
    value = getattr(owner, name)
    if not _is_real(value) or not isfinite(value) or not low <= value < below:
        least = "a number above 0" if low == ABOVE_ZERO else f"a number of at least {low:g}"
        upper = "" if below == inf else f" and below {below:g}"
        legal = f"{least}{upper}{otherwise}"
        raise SchemaError(f"{type(owner).__name__}: {name} is {legal}; got {name}={value!r}")
    object.__setattr__(owner, name, float(value))  # owners are frozen; this is part of making them


def checked_count(owner: object, name: str) -> None:
    """Checks a setting that counts steps: an integer of at least 1.

    Example:
        >>> Cosine(0.1, steps=0)
        Traceback (most recent call last):
        tra.errors.SchemaError: Cosine: steps is an integer of at least 1; got steps=0

    Raises:
        SchemaError: names the value and what is legal.
    """
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise SchemaError(f"{type(owner).__name__}: {name} is an integer of at least 1; got {name}={value!r}")
    object.__setattr__(owner, name, int(value))


def checked_rate(owner: object, name: str = "rate") -> None:
    """Checks a setting that is a rate: a number of at least 0, or a schedule.

    Example:
        >>> Warmup(5, then="cosine")
        Traceback (most recent call last):
        tra.errors.SchemaError: Warmup: then is a number of at least 0 or a schedule, ...; got then='cosine'

    Raises:
        SchemaError: names the value and what is legal.
    """
    value = getattr(owner, name)
    if _is_real(value) and isfinite(value) and value >= 0:
        object.__setattr__(owner, name, float(value))
    elif not callable(value) or isinstance(value, type):
        raise SchemaError(
            f"{type(owner).__name__}: {name} is a number of at least 0 or a schedule, a function of the step "
            f"such as Cosine(0.1, steps=1000); got {name}={value!r}"
        )


def _is_real(value: object) -> bool:
    return isinstance(value, SCALARS) and not isinstance(value, (bool, np.bool_, complex, np.complexfloating))


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = ["Constant", "Cosine", "Exponential", "Schedule", "Step", "Warmup", "rate_at"]
