"""What generated sources may hold: numbers of their dtype, random ones from distributions that are known."""

from __future__ import annotations

import operator
from math import inf, nextafter, trunc
from numbers import Real
from typing import Any

import numpy as np

from tra.algebra.makers import Random
from tra.algebra.types import shown_number
from tra.errors import SchemaError

_PARAMETERS = {"uniform": "UNIFORM(low, high)", "normal": "NORMAL(mean, deviation)"}
_FARTHEST = 9  # deviations from the mean: of 53 bits no normal number lies as far


def check_constant(value: Any, dtype: np.dtype[Any]) -> None:
    """Checks that a dtype holds a number, or of floats one near it.

    Example:
        >>> check_constant(0.1, np.dtype("f4"))
        >>> check_constant(300, np.dtype("u1"))
        Traceback (most recent call last):
        tra.errors.SchemaError: 300 is no value of dtype uint8: it goes from 0 to 255

    Raises:
        SchemaError: it is no number, outside of the dtype, or a fraction or complex where there are none.
    """
    is_number = isinstance(value, bool | int | float | complex | np.bool_ | np.number)
    lack = _lack(value, dtype) if is_number else "it is no number"
    if lack is not None:
        raise SchemaError(f"{shown_number(value)} is no value of dtype {dtype}: {lack}")


def _lack(number: Any, dtype: np.dtype[Any]) -> str | None:
    """Why a dtype, or a field of it, does not hold a number; None where it does."""
    if dtype.names is not None:
        return next((lack for name in dtype.names if (lack := _lack(number, dtype[name]))), None)
    if dtype.kind == "c":
        part = np.zeros((), dtype).real.dtype
        return _lack(number.real, part) or _lack(number.imag, part)
    if np.iscomplexobj(number):
        return "it is complex"
    if dtype.kind in "iu" and isinstance(number, float | np.floating) and not number.is_integer():
        return "it is no integer"
    if dtype.kind == "f" and (number != number or abs(number) == inf):
        return None
    return None if _holds(dtype, number) else _reach(dtype)


def check_places(extent: int, dtype: np.dtype[Any]) -> None:
    """Checks that a dtype holds all places along an axis, or of floats numbers near them.

    Example:
        >>> check_places(256, np.dtype("u1"))
        >>> check_places(257, np.dtype("u1"))
        Traceback (most recent call last):
        tra.errors.SchemaError: IOTA counts to 256, which is no value of dtype uint8: it goes from 0 to 255

    Raises:
        SchemaError: the last one is outside of the dtype.
    """
    last = max(extent - 1, 0)
    lack = _lack(last, dtype)
    if lack is not None:
        raise SchemaError(f"IOTA counts to {last}, which is no value of dtype {dtype}: {lack}")


def check_random(maker: Random, dtype: np.dtype[Any]) -> None:
    """Checks that a distribution is one, and that a dtype holds all numbers drawn from it.

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
    elif low < high:
        high = nextafter(high, -inf)  # which is not drawn
    if not all(_is_finite(number, dtype) for number in (low, high, high - low)):
        raise SchemaError(f"{written} draws numbers that are finite in {dtype}; {got} does not")
    if dtype.kind in "iu" and not (_holds(dtype, trunc(low)) and _holds(dtype, trunc(high))):
        raise SchemaError(f"{written} draws numbers that {dtype} holds; {got} does not: {_reach(dtype)}")


def _holds(dtype: np.dtype[Any], number: Any) -> bool:
    """Claims that a real number is within a dtype of truth values or integers, or finite in one of floats."""
    match dtype.kind:
        case "b":
            return number in (0, 1)
        case "i" | "u":
            return bool(np.iinfo(dtype).min <= number <= np.iinfo(dtype).max)
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.asarray(number).astype(dtype)))
    except OverflowError:
        return False


def _reach(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "b":
        return "it is 0 or 1"
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return f"it goes from {limits.min} to {limits.max}"


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
