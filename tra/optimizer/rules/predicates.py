"""Predicates on keys, taken apart and put together again by the rules that move filters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from tra.algebra.key_function import Const, KeyExpr, Not, Op, Opaque, conjuncts, evaluate


def conjunction(parts: Sequence[KeyExpr]) -> KeyExpr:
    """The predicate that holds where all parts do.

    Example:
        >>> from tra.algebra.key_function import Var, text
        >>> text(conjunction([Op("<", Var(name), Const(2)) for name in "ijk"]))
        '((i < 2) and (j < 2)) and (k < 2)'
    """
    return reduce(lambda left, right: Op("and", left, right), parts)


def simplified(expr: KeyExpr) -> KeyExpr:
    """The expression with what has no keys in it computed, and parts that decide nothing left out.

    Example:
        >>> from tra.algebra.key_function import Var, text
        >>> n_is_zero = Op("==", Const(0), Const(0))
        >>> text(simplified(Op("and", n_is_zero, Op("<", Var("i"), Const(2)))))
        'i < 2'
    """
    match expr:
        case Op("and" | "or" as symbol, left, right):
            return _joined(symbol, simplified(left), simplified(right))
        case Op(symbol, left, right):
            return _computed(Op(symbol, simplified(left), simplified(right)))
        case Not(operand):
            return _computed(Not(simplified(operand)))
        case _:
            return expr


def _joined(symbol: str, left: KeyExpr, right: KeyExpr) -> KeyExpr:
    """A conjunction or disjunction, of which a constant side decides or says nothing."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Const):
            decides = bool(one.value) == (symbol == "or")
            return Const(int(symbol == "or")) if decides else other
    return Op(symbol, left, right)


def _computed(expr: Op | Not) -> KeyExpr:
    operands = (expr.operand,) if isinstance(expr, Not) else (expr.left, expr.right)
    if not all(isinstance(operand, Const) for operand in operands) or not is_total(expr):
        return expr
    return Const(int(evaluate(expr, {})))


def is_total(expr: KeyExpr | Opaque) -> bool:
    """Claims that an expression has a value on every key: it is traced, and divides by constants alone.

    Example:
        >>> from tra.algebra.key_function import Var
        >>> is_total(Op("//", Var("i"), Const(2))), is_total(Op("//", Const(2), Var("i")))
        (True, False)
    """
    match expr:
        case Opaque():
            return False
        case Op("//" | "%", left, right):
            return isinstance(right, Const) and bool(right.value) and is_total(left)
        case Op(_, left, right):
            return is_total(left) and is_total(right)
        case Not(operand):
            return is_total(operand)
        case _:
            return True


__all__ = ["conjunction", "conjuncts", "is_total", "simplified"]
