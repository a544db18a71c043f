"""Key expressions of a SELECT, to and from the functions of keys that the algebra reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from tra.algebra import key_function as k
from tra.sql import syntax as s
from tra.sql.problems import MAX_HEIGHT, too_deep

_SYMBOLS = {"+": "+", "-": "-", "*": "*", "/": "//", "%": "%"}
_COMPARISONS = {"=": "==", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPERATORS = {symbol: sign for sign, symbol in _SYMBOLS.items()}
_SIGNS = {symbol: sign for sign, symbol in _COMPARISONS.items()}


def bind_key(key: s.KeyExpr, column: Callable[[s.KeyRef], str]) -> k.KeyExpr:
    """The key expression that is written; `column` says which key a reference means.

    Raises:
        Problem: a key is not known, or the expression nests too deep.

    Example:
        >>> i = s.KeyRef(None, s.Name("i"))
        >>> k.text(bind_key(s.KeyBinary("/", i, s.KeyNegate(s.Integer(2))), lambda ref: ref.key.text))
        'i // -2'
    """
    return _bound(key, column)[0]


_Sized: TypeAlias = tuple[k.KeyExpr, int]  # an expression and its height


def _bound(key: s.KeyExpr, column: Callable[[s.KeyRef], str]) -> _Sized:
    match key:
        case s.Integer(value):
            return k.Const(value), 1
        case s.KeyRef():
            return k.Var(column(key)), 1
        case s.KeyNegate(s.Integer(value)):
            return k.Const(-value), 1
        case s.KeyNegate(operand):
            return _chained("-", [(k.Const(0), 1), _bound(operand, column)], key)
        case s.KeyBinary(operator, left, right):
            return _chained(_SYMBOLS[operator], [_bound(left, column), _bound(right, column)], key)
        case s.KeyCompare(operator, left, right):
            return _chained(_COMPARISONS[operator], [_bound(left, column), _bound(right, column)], key)
        case s.And(operands):
            return _chained("and", [_bound(part, column) for part in operands], key)
        case s.Or(operands):
            return _chained("or", [_bound(part, column) for part in operands], key)
        case s.Not(operand):
            expr, height = _bound(operand, column)
            return k.Not(expr), height + 1
        case _:
            assert_never(key)


def _chained(symbol: str, parts: Sequence[_Sized], key: s.KeyExpr) -> _Sized:
    """An operation on the first two parts, on that and the third, and so on."""
    expr, height = parts[0]
    for other, other_height in parts[1:]:
        expr, height = k.Op(symbol, expr, other), max(height, other_height) + 1
    if height > MAX_HEIGHT:
        raise too_deep(key.span)
    return expr, height


def key_syntax(key: k.KeyExpr, reference: Callable[[str], s.KeyRef]) -> s.KeyExpr:
    """What to write for a key expression; `reference` says how a key is referred to.

    Example:
        >>> from tra.sql.expression_text import key_text
        >>> half = k.Op("//", k.Var("i"), k.Const(-2))
        >>> key_text(key_syntax(half, lambda name: s.KeyRef(None, s.Name(name))))
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
