"""Numbers of the index form, computed while text is bound."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel
from tra.sql.problems import Problem, Span
from tra.sql.scope import Number

_MAX_BITS = 4096  # of an integer
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def folded(symbol: str, values: Sequence[Number], span: Span) -> Number:
    """The result of an operator on numbers.

    Example:
        >>> folded("/", [1, 4], Span(0, 0)), folded("-", [2.5], Span(0, 0))
        (0.25, -2.5)

    Raises:
        Problem: it has none, or one that is too large.
    """
    if len(values) == 1:
        return -values[0]
    left, right = values
    if symbol == "^" and _n_bits(left, right) > _MAX_BITS:
        raise Problem(span, f"{left}^{right} is too large")
    try:
        result: Number = _BINARY[symbol](left, right)
    except (ArithmeticError, TypeError) as error:
        raise Problem(span, f"this has no value: {error}") from None
    if type(result) is int and result.bit_length() > _MAX_BITS:
        raise Problem(span, f"this number has more than {_MAX_BITS} bits and is too large")
    if isinstance(result, complex) and not any(isinstance(value, complex) for value in values):
        raise Problem(span, f"{left}^{right} is no real number")
    return result


def _leaves_int64(value: Any) -> bool:
    """Claims that what an integer should be, computed in floats, is no integer of 64 bits."""
    return bool(np.isrealobj(value) and abs(value.item()) >= 2.0**63)


def _n_bits(base: Number, exponent: Number) -> int:
    """About how many bits a power of integers has; 0 for other numbers."""
    if not (isinstance(base, int) and isinstance(exponent, int)):
        return 0
    return base.bit_length() * max(exponent, 0)


def evaluated(by: Kernel, values: Sequence[Number], span: Span) -> Number:
    """The result of a kernel on numbers.

    Raises:
        Problem: the kernel does not take them.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> evaluated(kernel("sqrt"), [9.0], Span(0, 0))
        3.0
    """
    try:
        with np.errstate(all="ignore"):
            result = by(*map(np.asarray, values)).item()
            is_wrapped = type(result) is int and _leaves_int64(by(*(np.asarray(v) * 1.0 for v in values)))
    except Exception as error:
        raise Problem(span, f"{by.name} does not take these numbers: {error}") from error
    if is_wrapped:
        raise Problem(span, f"{by.name} of these numbers does not fit 64 bits", "write one with a point: 3.0")
    if not isinstance(result, Number):
        raise Problem(span, f"{by.name} of numbers gives no number")
    return result
