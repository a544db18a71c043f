"""Functions along indices in the index form: reductions, and SOFTMAX, which keeps its index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tra.algebra import reductions
from tra.algebra.arithmetic import binary
from tra.algebra.einsum import contract
from tra.algebra.labelled import Labelled
from tra.algebra.nodes import Expr
from tra.sql import syntax as s
from tra.sql.element_form import Value
from tra.sql.number_form import folded
from tra.sql.problems import Problem
from tra.sql.scope import at


def _folding(how: str) -> Callable[[Expr, Sequence[int]], Expr]:
    return lambda expr, places: reductions.reduce(expr, how, places)


_REDUCTIONS: dict[str, Callable[[Expr, Sequence[int]], Expr]] = {
    **{how: _folding(how) for how in ("sum", "prod", "max", "min", "any", "all", "logsumexp")},
    "mean": reductions.mean,
    "var": reductions.var,
    "std": reductions.std,
    "argmin": lambda expr, places: reductions.arg(expr, "arg_min", places[0]),
    "argmax": lambda expr, places: reductions.arg(expr, "arg_max", places[0]),
}
FUNCTIONS = (*_REDUCTIONS, "softmax", "log_softmax")
KEEPING: dict[str, Callable[[Expr, int], Expr]] = {
    "softmax": reductions.softmax,
    "log_softmax": reductions.log_softmax,
}


def is_reduction(call: s.Call) -> bool:
    """Claims that a call reduces indices of its argument; ``MAX(a, b)`` does not.

    Example:
        >>> a = s.Tensor(s.Name("a"))
        >>> [is_reduction(s.Call(s.Name("max"), None, arguments)) for arguments in ((a,), (a, a))]
        [True, False]
    """
    name = call.function.text
    if name in ("max", "min") and len(call.arguments) > 1:
        return call.indices is not None
    return name in _REDUCTIONS


def reduced(call: s.Call, values: Sequence[Value], left: Sequence[str], outside: frozenset[str]) -> Labelled:
    """A reduction of its argument, or of the product of the factors that a sum has.

    Raises:
        Problem: there is nothing to reduce, or it is not there.

    Example:
        >>> import tra
        >>> from tra.algebra.labelled import labelled
        >>> x = labelled(tra.from_array([[1.0, 2.0]]).expr, ["i", "j"])
        >>> call = s.Call(s.Name("max"), None, (s.Tensor(s.Name("x")),))
        >>> reduced(call, [x], left=["i"], outside=frozenset()).labels
        ('i',)
    """
    _check_shape(call)
    tensors = [value for value in values if isinstance(value, Labelled)]
    labels = list(dict.fromkeys(label for tensor in tensors for label in tensor.labels))
    bound = _bound(call, labels, left, outside)
    rest = tuple(label for label in labels if label not in bound)
    if set(rest) <= set(left):
        rest = tuple(label for label in left if label in rest)
    with at(call.span):
        if len(tensors) == 1:
            result = _reduced_one(call, tensors[0], bound)
        else:
            result = Labelled(contract(tensors, rest), rest)
        return _scaled(call, result, values)


def _reduced_one(call: s.Call, operand: Labelled, bound: Sequence[str]) -> Labelled:
    places = [place for place, label in enumerate(operand.labels) if label in bound]
    rest = tuple(label for label in operand.labels if label not in bound)
    return Labelled(_REDUCTIONS[call.function.text](operand.expr, places), rest)


def _scaled(call: s.Call, result: Labelled, values: Sequence[Value]) -> Labelled:
    """The numbers of a product go before its sum."""
    numbers = [value for value in values if not isinstance(value, Labelled)]
    if not numbers:
        return result
    factor = numbers[0]
    for number in numbers[1:]:
        factor = folded("*", [factor, number], call.span)
    return Labelled(binary("mul", result.expr, factor), result.labels)


def _bound(call: s.Call, labels: list[str], left: Sequence[str], outside: frozenset[str]) -> list[str]:
    """The indices a reduction binds: those it names, else those of its argument that nothing else uses."""
    name = call.function.text.upper()
    if call.indices is not None:
        _check_named(call, labels)
        bound = list(dict.fromkeys(index.text for index in call.indices))
    else:
        bound = [label for label in labels if label not in left and label not in outside]
    if not bound:
        raise _nothing_to_reduce(call, labels, left)
    if name in ("ARGMIN", "ARGMAX") and len(bound) > 1:
        raise Problem(
            call.span,
            f"{name} gives the place along one index, and here are {', '.join(bound)}",
            f"name the one: {name}[{bound[0]}](...)",
        )
    return bound


def _nothing_to_reduce(call: s.Call, labels: list[str], left: Sequence[str]) -> Problem:
    """The problem that the indices of an argument are all used outside of it."""
    name = call.function.text.upper()
    if not labels:
        return Problem(call.span, f"{name} has nothing to reduce: its argument has no indices")
    there = [label for label in labels if label in left]
    others = [label for label in labels if label not in left]
    reasons = []
    if there:
        reasons.append(f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} on the left")
    if others:
        reasons.append(f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} used outside of it too")
    named = ", ".join(others) or labels[-1]
    return Problem(
        call.span,
        f"{name} has nothing to reduce: {' and '.join(reasons)}",
        f"name what it reduces: {name}[{named}](...)",
    )


def _check_named(call: s.Call, labels: Sequence[str]) -> None:
    for index in call.indices or ():
        if index.text not in labels:
            there = f"it has {', '.join(labels)}" if labels else "it has none"
            name = call.function.text.upper()
            raise Problem(index.span, f"the argument of {name} has no index {index.text}", there)


def _check_shape(call: s.Call) -> None:
    name = call.function.text.upper()
    if len(call.arguments) != 1:
        raise Problem(call.span, f"{name} takes 1 argument, {len(call.arguments)} given")
    if call.options:
        raise Problem(call.options[0].span, f"{name} takes no options")


def along_index(call: s.Call, values: Sequence[Any]) -> Labelled:
    """SOFTMAX and LOG_SOFTMAX along the one index they name.

    Raises:
        Problem: it names none, or one that the argument does not have.

    Example:
        >>> import tra
        >>> from tra.algebra.labelled import labelled
        >>> x = labelled(tra.from_array([[1.0, 2.0]]).expr, ["i", "j"])
        >>> call = s.Call(s.Name("softmax"), (s.Name("j"),), (s.Tensor(s.Name("x")),))
        >>> along_index(call, [x]).labels
        ('i', 'j')
    """
    _check_shape(call)
    name = call.function.text.upper()
    operand = values[0]
    if call.indices is None or len(call.indices) != 1 or not isinstance(operand, Labelled):
        raise Problem(
            call.span, f"{name} runs along one index of its argument", f"such as {name}[c](Z[n, c])"
        )
    _check_named(call, operand.labels)
    place = operand.labels.index(call.indices[0].text)
    with at(call.span):
        return Labelled(KEEPING[call.function.text](operand.expr, place), operand.labels)
