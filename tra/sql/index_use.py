"""Which indices the parts of an expression use, and where."""

from __future__ import annotations

from collections.abc import Iterator

from tra.sql import syntax as s
from tra.sql.reduction_form import is_reduction


class IndexUse:
    """The indices used in an expression and in each of its parts.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> value = parse_text("LET x = SUM[k](A[i, k] * B[k, j])")[0].value
        >>> use = IndexUse(value)
        >>> sorted(use.free(value)), sorted(use.all), use.span_of("j")
        (['i', 'j'], ['i', 'j', 'k'], Span(start=30, end=31))
    """

    def __init__(self, expr: s.Expr) -> None:
        self._expr = expr
        self._free: dict[int, frozenset[str]] = {}
        self._fill(expr)
        self.all = frozenset(index.text for index in _written(expr))

    def free(self, part: s.Expr) -> frozenset[str]:
        """The indices of a part, without those that reductions in it name as theirs."""
        return self._free[id(part)]

    def span_of(self, index: str) -> s.Span:
        """Where an index is first used."""
        return next((name.span for name in _written(self._expr) if name.text == index), self._expr.span)

    def _fill(self, expr: s.Expr) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for child in _children(expr):
            found |= self._fill(child)
        match expr:
            case s.Tensor(indices=indices) | s.Gradient(indices=indices) if indices:
                found = frozenset(index.text for index in indices)
            case s.Call(indices=indices) if indices:
                named = frozenset(index.text for index in indices)
                found = found - named if is_reduction(expr) else found | named
        self._free[id(expr)] = found
        return found


def factors(expr: s.Expr) -> list[s.Expr]:
    """The factors of a product, left to right.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> [f.name.text for f in factors(parse_text("LET x = a * (b * c) * d")[0].value)]
        ['a', 'b', 'c', 'd']
    """
    found: list[s.Expr] = []
    waiting = [expr]
    while waiting:
        match waiting.pop():
            case s.Binary("*", left, right):
                waiting += [right, left]
            case factor:
                found.append(factor)
    return found


def _children(expr: s.Expr) -> tuple[s.Expr, ...]:
    match expr:
        case s.Negate(operand):
            return (operand,)
        case s.Binary(_, left, right) | s.Compare(_, left, right):
            return (left, right)
        case s.Call(arguments=arguments):
            return arguments
        case _:
            return ()


def _written(expr: s.Expr) -> Iterator[s.Name]:
    """The indices of tensors as they are written, left to right."""
    waiting = [expr]
    while waiting:
        part = waiting.pop()
        if isinstance(part, s.Tensor | s.Gradient):
            yield from part.indices or ()
        waiting += reversed(_children(part))
