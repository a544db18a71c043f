"""Functions of elements made of NumPy's: with constants, one after the other, into memory that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tra.algebra.types import Tile


@dataclass(frozen=True, slots=True)
class Step:
    """A function of NumPy that takes ``out=``, and its arguments: constants, and ``...`` for each operand."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self, operands: tuple[Tile, ...], out: Tile | None) -> Any:
        given = iter(operands)
        return self.function(*(next(given) if a is ... else a for a in self.arguments), out=out)

    def bound(self, slot: int, value: Any) -> Step:
        """The step with a constant in place of an operand."""
        places = [place for place, argument in enumerate(self.arguments) if argument is ...]
        place = places[slot]
        return Step(self.function, (*self.arguments[:place], value, *self.arguments[place + 1 :]))


@dataclass(frozen=True, slots=True)
class Formula:
    """Functions of NumPy in turn: the first of the operands, each other of what the one before gives.

    Attributes:
        steps: the functions.
        ignored: what NumPy is not to complain of, as `numpy.errstate` takes it.

    Example:
        >>> less_one, place = formula((np.negative, ...), (np.add, 1.0, ...), (np.negative, ...)), np.zeros(2)
        >>> less_one(np.full(2, 3.0), out=place) is place, place.tolist()
        (True, [2.0, 2.0])
    """

    steps: tuple[Step, ...]
    ignored: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *tiles: Tile, out: Tile | None = None) -> Any:
        with np.errstate(**self.ignored):
            *inner, last = self.steps
            for step in inner:
                tiles = (step(tiles, None),)
            return last(tiles, out)


def formula(*steps: tuple[Any, ...], **ignored: str) -> Formula:
    """A formula of steps, each a function with its arguments, ``...`` for what it is applied to.

    Example:
        >>> float(formula((np.exp, ...), (np.log, ...))(2.0))
        2.0
    """
    return Formula(tuple(Step(function, tuple(arguments)) for function, *arguments in steps), ignored)


def with_constant(function: Callable[..., Any], arity: int, slot: int, value: Any) -> Callable[..., Any]:
    """A function of tiles with a constant in place of one of its operands; a formula where it may be one.

    Example:
        >>> halved = with_constant(np.true_divide, 2, 1, 2.0)
        >>> takes_out(halved), halved(np.ones(2)).tolist()
        (True, [0.5, 0.5])
        >>> takes_out(with_constant(lambda x, y: x / y, 2, 1, 2.0))
        False
    """
    if isinstance(function, np.ufunc):
        function = formula((function, *[...] * arity))
    if isinstance(function, Formula):
        first, *rest = function.steps
        return Formula((first.bound(slot, value), *rest), function.ignored)

    def bound(*tiles: Tile) -> Any:
        return function(*tiles[:slot], value, *tiles[slot:])

    return bound


def takes_out(function: Callable[..., Any]) -> bool:
    """Claims that a function of tiles can write its result into memory that is there, by ``out=``.

    An operand may lie in the same memory.

    Example:
        >>> takes_out(np.exp), takes_out(formula((np.maximum, ..., 0))), takes_out(np.where)
        (True, True, False)
    """
    return isinstance(function, np.ufunc | Formula) or getattr(function, "takes_out", False)


def is_one_pass(function: Callable[..., Any]) -> bool:
    """Claims that a function that takes ``out=`` looks at each element once, and makes nothing on the way.

    Example:
        >>> is_one_pass(np.exp), is_one_pass(formula((np.negative, ...), (np.exp, ...)))
        (True, False)
    """
    return isinstance(function, np.ufunc) or (isinstance(function, Formula) and len(function.steps) == 1)
