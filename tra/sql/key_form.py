"""Key expressions of a SELECT, to and from the functions of keys that the algebra reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import assert_never

from tra.algebra import key_function as k
from tra.sql import syntax as s

_SYMBOLS = {"+": "+", "-": "-", "*": "*", "/": "//", "%": "%"}
_COMPARISONS = {"=": "==", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPERATORS = {symbol: sign for sign, symbol in _SYMBOLS.items()}
_SIGNS = {symbol: sign for sign, symbol in _COMPARISONS.items()}


def bind_key(key: s.KeyExpr, column: Callable[[s.KeyRef], str]) -> k.KeyExpr:
    """The key expression that is written; `column` says which key a reference means.

    Example:
        >>> i = s.KeyRef(None, s.Name("i"))
        >>> k.text(bind_key(s.KeyBinary("/", i, s.KeyNegate(s.Integer(2))), lambda ref: ref.key.text))
        'i // -2'
    """
    match key:
        case s.Integer(value):
            return k.Const(value)
        case s.KeyRef():
            return k.Var(column(key))
        case s.KeyNegate(s.Integer(value)):
            return k.Const(-value)
        case s.KeyNegate(operand):
            return k.Op("-", k.Const(0), bind_key(operand, column))
        case s.KeyBinary(operator, left, right):
            return k.Op(_SYMBOLS[operator], bind_key(left, column), bind_key(right, column))
        case s.KeyCompare(operator, left, right):
            return k.Op(_COMPARISONS[operator], bind_key(left, column), bind_key(right, column))
        case s.And(operands):
            return _chained("and", operands, column)
        case s.Or(operands):
            return _chained("or", operands, column)
        case s.Not(operand):
            return k.Not(bind_key(operand, column))
        case _:
            assert_never(key)


def _chained(
    symbol: str, operands: tuple[s.KeyExpr, ...], column: Callable[[s.KeyRef], str]
) -> k.KeyExpr:
    return reduce(lambda left, right: k.Op(symbol, left, right), [bind_key(p, column) for p in operands])


def key_syntax(key: k.KeyExpr, reference: Callable[[str], s.KeyRef]) -> s.KeyExpr:
    """What to write for a key expression; `reference` says how a key is referred to.

    Example:
        >>> from tra.sql.expression_text import key_text
        >>> key_text(key_syntax(k.Op("//", k.Var("i"), k.Const(-2)), lambda name: s.KeyRef(None, s.Name(name))))
        'i / -2'
    """
    match key:
        case k.Const(value):
            return s.Integer(value) if value >= 0 else s.KeyNegate(s.Integer(-value))
        case k.Var(name):
            return reference(name)
        case k.Not(operand):
            return s.Not(key_syntax(operand, reference))
        case k.Op(symbol, left, right):
            return _operation(symbol, key_syntax(left, reference), key_syntax(right, reference))
        case _:
            assert_never(key)


def _operation(symbol: str, left: s.KeyExpr, right: s.KeyExpr) -> s.KeyExpr:
    """Chains of AND and OR that lean to the left are written as one."""
    if symbol == "and":
        return s.And((*(left.operands if isinstance(left, s.And) else (left,)), right))
    if symbol == "or":
        return s.Or((*(left.operands if isinstance(left, s.Or) else (left,)), right))
    if symbol in _SIGNS:
        return s.KeyCompare(_SIGNS[symbol], left, right)
    return s.KeyBinary(_OPERATORS[symbol], left, right)
