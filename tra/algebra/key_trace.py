"""Tracing a function of keys: it is called once with symbols, which record what it does to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NoReturn

import cloudpickle  # type: ignore[import-untyped]
import numpy as np

from tra.algebra.key_expression import COMPARISONS, Const, KeyExpr, KeyFunction, Not, Op, Opaque, Var
from tra.errors import SchemaError


class _NotTraceable(Exception):
    """Raised inside a trace by what symbols cannot do."""


class Symbol:
    """A key component while a function is traced.

    What needs its value (a branch, a look-up by index or hash) ends the trace.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: KeyExpr) -> None:
        self.expr = expr

    def _value_needed(self) -> NoReturn:
        raise _NotTraceable

    __bool__ = __index__ = __int__ = __hash__ = _value_needed

    def __neg__(self) -> Symbol:
        return Symbol(Op("-", Const(0), self.expr))

    def __invert__(self) -> Symbol:
        return Symbol(Not(_truth(self.expr)))

    def __add__(self, other: object) -> Symbol:
        return _operation("+", self, other)

    def __radd__(self, other: object) -> Symbol:
        return _operation("+", other, self)

    def __sub__(self, other: object) -> Symbol:
        return _operation("-", self, other)

    def __rsub__(self, other: object) -> Symbol:
        return _operation("-", other, self)

    def __mul__(self, other: object) -> Symbol:
        return _operation("*", self, other)

    def __rmul__(self, other: object) -> Symbol:
        return _operation("*", other, self)

    def __floordiv__(self, other: object) -> Symbol:
        return _operation("//", self, other)

    def __rfloordiv__(self, other: object) -> Symbol:
        return _operation("//", other, self)

    def __mod__(self, other: object) -> Symbol:
        return _operation("%", self, other)

    def __rmod__(self, other: object) -> Symbol:
        return _operation("%", other, self)

    def __divmod__(self, other: object) -> tuple[Symbol, Symbol]:
        return _operation("//", self, other), _operation("%", self, other)

    def __and__(self, other: object) -> Symbol:
        return _operation("and", self, other)

    def __rand__(self, other: object) -> Symbol:
        return _operation("and", other, self)

    def __or__(self, other: object) -> Symbol:
        return _operation("or", self, other)

    def __ror__(self, other: object) -> Symbol:
        return _operation("or", other, self)

    def __eq__(self, other: object) -> Symbol:  # type: ignore[override]
        return _operation("==", self, other)

    def __ne__(self, other: object) -> Symbol:  # type: ignore[override]
        return _operation("!=", self, other)

    def __lt__(self, other: object) -> Symbol:
        return _operation("<", self, other)

    def __le__(self, other: object) -> Symbol:
        return _operation("<=", self, other)

    def __gt__(self, other: object) -> Symbol:
        return _operation(">", self, other)

    def __ge__(self, other: object) -> Symbol:
        return _operation(">=", self, other)


def _operation(symbol: str, left: object, right: object) -> Symbol:
    sides = [_expr(left), _expr(right)]
    if symbol in ("and", "or"):
        sides = [_truth(side) for side in sides]
    return Symbol(Op(symbol, *sides))


def _truth(expr: KeyExpr) -> KeyExpr:
    """The expression, if it is a truth value: on other integers ``&``, ``|`` and ``~`` mean bits."""
    match expr:
        case Not() | Const(0 | 1):
            return expr
        case Op(symbol) if symbol in COMPARISONS:
            return expr
        case _:
            raise _NotTraceable


def _expr(value: object) -> KeyExpr:
    if isinstance(value, Symbol):
        return value.expr
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return Const(int(value))
    raise _NotTraceable


def trace(function: Callable[..., Any], names: tuple[str, ...]) -> KeyFunction:
    """Traces `function` of the keys called `names`.

    Example:
        >>> trace(lambda i, j: (j, i + 1), ("i", "j"))
        (Var(name='j'), Op(symbol='+', left=Var(name='i'), right=Const(value=1)))
        >>> isinstance(trace(lambda i: [2, 0, 1][i], ("i",)), Opaque)
        True

    Raises:
        SchemaError: the function takes another number of keys, or the same names in another order.
    """
    _check_arity(function, names)
    try:
        result = function(*(Symbol(Var(name)) for name in names))
        outputs = result if isinstance(result, tuple) else (result,)
        return tuple(_expr(output) for output in outputs)
    except Exception:  # whatever symbols cannot do is tried on real keys, and fails there if it must
        return Opaque(function, names, _digest(function))


def _check_arity(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in that does not say
        return
    takes = f"takes ({', '.join(signature.parameters)})"
    try:
        signature.bind(*names)
    except TypeError:
        raise SchemaError(f"the key function {takes}, but the keys are ({', '.join(names)})") from None
    if set(signature.parameters) == set(names) and tuple(signature.parameters) != names:
        order = ", ".join(names)
        raise SchemaError(f"the key function {takes}, but the keys come in the order ({order})")


def _digest(function: Callable[..., Any]) -> str:
    return sha256(cloudpickle.dumps(function)).hexdigest()[:16]
