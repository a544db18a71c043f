"""What random numbers may be drawn from: finite parameters, and a seed of 64 bits."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

import numpy as np

from tra.algebra.makers import Random
from tra.algebra.types import shown_number
from tra.errors import SchemaError

_PARAMETERS = {"uniform": "UNIFORM(low, high)", "normal": "NORMAL(mean, deviation)"}
_FARTHEST = 9  # deviations from the mean: of 53 bits no normal number lies as far


def check_random(maker: Random, dtype: np.dtype[Any]) -> None:
    """Checks that a distribution is one, and all numbers drawn from it are finite in a dtype.

    Example:
        >>> check_random(Random("uniform", (-0.1, 0.1), 7), np.dtype("f4"))
        >>> check_random(Random("uniform", (5, 1), 7), np.dtype("f4"))
        Traceback (most recent call last):
        tra.errors.SchemaError: UNIFORM(low, high) has low <= high; got UNIFORM(5, 1)

    Raises:
        SchemaError: an unknown distribution, parameters that are not finite or in the wrong order, or a seed
            that is none.
    """
    if maker.distribution not in _PARAMETERS:
        raise SchemaError(f"unknown distribution {maker.distribution!r}: uniform or normal")
    _check_seed(maker.seed)
    first, second = maker.parameters
    written = _PARAMETERS[maker.distribution]
    got = f"{maker.distribution.upper()}({shown_number(first)}, {shown_number(second)})"
    if not (_is_finite(first, np.dtype("f8")) and _is_finite(second, np.dtype("f8"))):
        raise SchemaError(f"{written} takes finite numbers; got {got}")
    low, high = float(first), float(second)
    if maker.distribution == "normal":
        if high < 0:
            raise SchemaError(f"{written} has a deviation of at least 0; got {got}")
        low, high = low - _FARTHEST * high, low + _FARTHEST * high
    elif low > high:
        raise SchemaError(f"{written} has low <= high; got {got}")
    if not all(_is_finite(number, dtype) for number in (low, high, high - low)):
        raise SchemaError(f"{written} draws numbers that are finite in {dtype}; {got} does not")


def _check_seed(seed: Any) -> None:
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 1 << 64:
        raise SchemaError(f"a seed is an integer from 0 to 2**64 - 1; got {shown_number(seed)}")


def _is_finite(number: Any, dtype: np.dtype[Any]) -> bool:
    """Claims that something is a real number, and finite in a dtype; all are in those of integers."""
    if isinstance(number, bool | np.bool_) or not isinstance(number, Real):
        return False
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.asarray(float(number)).astype(dtype if dtype.kind in "fc" else "f8")))
    except OverflowError:
        return False
