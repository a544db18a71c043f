"""Expressions over key components: what traced key functions are made of, and how they are read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tra.errors import SchemaError

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip
_END = 1 << 63
COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">=", "and", "or"])


@dataclass(frozen=True, slots=True)
class Var:
    """The component of the key called `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Const:
    """An integer, or a truth value."""

    value: int


@dataclass(frozen=True, slots=True)
class Op:
    """A binary operation of `OPERATORS` on two key expressions."""

    symbol: str
    left: KeyExpr
    right: KeyExpr


@dataclass(frozen=True, slots=True)
class Not:
    """Logical negation."""

    operand: KeyExpr


KeyExpr: TypeAlias = Var | Const | Op | Not


@dataclass(frozen=True)
class Opaque:
    """A function of key components that could not be traced; called once per key.

    Attributes:
        function: takes the components in order.
        names: what they are called.
        digest: what makes two functions the same.
        domains: domains of the result that are larger than its keys show, for a ReKey; part of the digest.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    digest: str
    domains: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and (self.names, self.digest) == (other.names, other.digest)

    def __hash__(self) -> int:
        return hash((self.names, self.digest))


KeyFunction: TypeAlias = tuple[KeyExpr, ...] | Opaque


def evaluate(expr: KeyExpr, columns: Mapping[str, Any]) -> Any:
    """The value of a key expression on key columns (arrays or integers) given by name.

    Example:
        >>> evaluate(Op("//", Var("i"), Const(2)), {"i": np.array([0, 3, 5])})
        array([0, 1, 2])
    """
    match expr:
        case Var(name):
            return columns[name]
        case Const(value):
            return value
        case Op(symbol, left, right):
            sides = [evaluate(side, columns) for side in (left, right)]
            return OPERATORS[symbol](*(sides if symbol in COMPARISONS else map(_number, sides)))
        case Not(operand):
            return np.logical_not(evaluate(operand, columns))


def _number(value: Any) -> Any:
    """Truth values as 0 and 1, as Python counts them; NumPy would join them by "or"."""
    array = np.asarray(value)
    return array.astype(np.int64) if array.dtype == np.bool_ else value


def substitute(expr: KeyExpr, bindings: Mapping[str, KeyExpr]) -> KeyExpr:
    """The expression with variables replaced.

    Example:
        >>> text(substitute(Op("+", Var("i"), Const(1)), {"i": Op("*", Var("a"), Const(2))}))
        '(a * 2) + 1'
    """
    match expr:
        case Var(name):
            return bindings.get(name, expr)
        case Const():
            return expr
        case Op(symbol, left, right):
            return Op(symbol, substitute(left, bindings), substitute(right, bindings))
        case Not(operand):
            return Not(substitute(operand, bindings))


def variables(expr: KeyExpr) -> frozenset[str]:
    """The names of the keys an expression reads.

    Example:
        >>> sorted(variables(Op("<", Var("i"), Var("j"))))
        ['i', 'j']
    """
    match expr:
        case Var(name):
            return frozenset([name])
        case Const():
            return frozenset()
        case Op(_, left, right):
            return variables(left) | variables(right)
        case Not(operand):
            return variables(operand)


def conjuncts(expr: KeyExpr) -> Iterator[KeyExpr]:
    """The parts of a conjunction, left to right.

    Example:
        >>> both = Op("and", Op("<", Var("i"), Const(3)), Op("==", Var("j"), Const(0)))
        >>> [text(part) for part in conjuncts(both)]
        ['i < 3', 'j == 0']
    """
    match expr:
        case Op("and", left, right):
            yield from conjuncts(left)
            yield from conjuncts(right)
        case _:
            yield expr


_FLIPPED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def interval(expr: KeyExpr, domain: int) -> tuple[str, int, int] | None:
    """Reads ``key <comparison> constant`` as ``(name, low, high)``, or None.

    Example:
        >>> interval(Op(">=", Var("i"), Const(2)), 5)
        ('i', 2, 5)
    """
    match expr:
        case Op(symbol, Const() as const, Var() as var) if symbol in _FLIPPED:
            return interval(Op(_FLIPPED[symbol], var, const), domain)
        case Op(symbol, Var(name), Const(value)) if symbol in _FLIPPED:
            low, high = {"==": (value, value + 1), "<": (0, value), "<=": (0, value + 1),
                         ">": (value + 1, domain), ">=": (value, domain)}[symbol]  # fmt: skip
            return name, max(low, 0), max(min(high, domain), 0)
        case _:
            return None


def plain_shift(expr: KeyExpr) -> tuple[str, int] | None:
    """Reads ``key + constant`` as ``(name, constant)``, or None.

    Example:
        >>> plain_shift(Op("-", Var("i"), Const(2))), plain_shift(Var("i")), plain_shift(Const(1))
        (('i', -2), ('i', 0), None)
    """
    match expr:
        case Var(name):
            return name, 0
        case Op("+", Var(name), Const(value)) | Op("+", Const(value), Var(name)):
            return name, value
        case Op("-", Var(name), Const(value)):
            return name, -value
        case _:
            return None


def bounds_of(expr: KeyExpr, bounds: Mapping[str, tuple[int, int]]) -> tuple[int, int] | None:
    """The least and the largest value of an expression when keys lie in ``[low, high)``; None if unknown.

    Example:
        >>> bounds_of(Op("+", Op("*", Var("i"), Const(4)), Var("j")), {"i": (0, 3), "j": (0, 4)})
        (0, 11)
    """
    match expr:
        case Var(name):
            low, high = bounds[name]
            return low, high - 1
        case Const(value):
            return value, value
        case Not():
            return 0, 1
        case Op(symbol, left, right):
            first, second = bounds_of(left, bounds), bounds_of(right, bounds)
            return None if first is None or second is None else _bounds_of_op(symbol, first, second)


def _bounds_of_op(symbol: str, left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int] | None:
    if symbol in COMPARISONS:
        return 0, 1
    if symbol == "%":
        if right[0] < 1:
            return None
        return left if left[0] >= 0 and left[1] < right[0] else (0, right[1] - 1)
    if symbol == "//" and right[0] < 1:
        return None
    corners = [OPERATORS[symbol](a, b) for a in left for b in right]
    return min(corners), max(corners)


def check_fits(expr: KeyExpr, bounds: Mapping[str, tuple[int, int]]) -> None:
    """Checks that NumPy computes an expression without leaving the integers of 64 bits, where it is silent.

    Example:
        >>> check_fits(Op("*", Var("i"), Var("i")), {"i": (0, 1 << 32)})
        Traceback (most recent call last):
        tra.errors.SchemaError: i * i does not fit the integers of 64 bits for keys within i:0..4294967295

    Raises:
        SchemaError: a part of it may not fit.
    """
    for part in _computed(expr):
        found = bounds_of(part, bounds)
        if found is not None and not (found[0] >= -_END and found[1] < _END):
            within = ", ".join(f"{name}:{low}..{high - 1}" for name, (low, high) in bounds.items())
            raise SchemaError(f"{text(part)} does not fit the integers of 64 bits for keys within {within}")


def _computed(expr: KeyExpr) -> Iterator[KeyExpr]:
    """The parts that are numbers of 64 bits: results of arithmetic, and what it takes; not what is compared.

    A constant may be compared with keys whatever its size.
    """
    waiting: list[tuple[KeyExpr, bool]] = [(expr, True)]
    while waiting:
        part, is_number = waiting.pop()
        if is_number:
            yield part
        match part:
            case Op(symbol, left, right):
                is_number = symbol not in COMPARISONS
                waiting += [(side, is_number or not isinstance(side, Const)) for side in (left, right)]
            case Not(operand):
                waiting.append((operand, True))
            case _:
                pass


def text(expr: KeyExpr | Opaque) -> str:
    """The expression as Python would write it.

    Example:
        >>> text(Op("==", Op("%", Op("+", Var("i"), Var("j")), Const(2)), Const(0)))
        '((i + j) % 2) == 0'
    """
    match expr:
        case Opaque(digest=digest):
            return f"<function {digest[:6]}>"
        case Var(name):
            return name
        case Const(value):
            return str(value)
        case Op(symbol, left, right):
            return f"{_operand_text(left)} {symbol} {_operand_text(right)}"
        case Not(operand):
            return f"not {_operand_text(operand)}"


def _operand_text(expr: KeyExpr) -> str:
    return f"({text(expr)})" if isinstance(expr, (Op, Not)) else text(expr)
