"""Kernels as text names them: by name in any case, with constants in places of operands, and options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from tra.algebra.habits import synonym, text_habit
from tra.algebra.kernel import Kernel, bind_literal, is_registered, kernel, kernel_names
from tra.algebra.registry import parameter_names
from tra.errors import TraError, near_name
from tra.sql import syntax as s
from tra.sql.lookalikes import plain
from tra.sql.problems import Problem
from tra.sql.scope import at

# What SQL calls aggregations, and the kernels they are; a kernel of the user's with such a name goes first.
AGGREGATIONS = {"sum": "add", "prod": "mul", "any": "logical_or", "all": "logical_and"}

_OF_INDICES = ("mean", "var", "std", "argmin", "argmax")  # what the index form has beside kernels


def find_kernel(
    function: s.Name, options: tuple[s.Option, ...] = (), also: Iterable[str] = AGGREGATIONS
) -> Kernel:
    """The kernel of a name, its parameters from the options.

    Args:
        function: the name.
        options: the named arguments of the call.
        also: functions that are no kernels, and may be meant by a name that is unknown.

    Raises:
        Problem: there is no such kernel, or it does not take these parameters.

    Example:
        >>> print(find_kernel(s.Name("softmax"), (s.Option(s.Name("axis"), s.Literal(-1)),)))
        softmax(axis=-1)
    """
    if not is_registered(function.text):
        raise _unknown(function, {*kernel_names(), *also})
    known = parameter_names(function.text)
    for option in options:
        if option.name.text not in known:
            there = f"it has {', '.join(known)}" if known else "it has none"
            near = near_name(option.name.text, known) or near_name(plain(option.name.text), known)
            message = f"kernel {function.text} has no parameter {option.name.text}{near}"
            raise Problem(option.name.span, message, there)
    with at(function.span):
        return kernel(function.text, **{option.name.text: option.value.value for option in options})


def check_function(function: s.Name, also: Iterable[str] = AGGREGATIONS) -> None:
    """Checks that there is a function of a name: a kernel, or one of `also`.

    Raises:
        Problem: there is none; with a near name, or all names.

    Example:
        >>> check_function(s.Name("avg"), also=("mean",))
        Traceback (most recent call last):
        tra.sql.problems.Problem: no function AVG; did you mean 'MEAN'?
    """
    there = {*kernel_names(), *also}
    if function.text not in there:
        raise _unknown(function, there)


def _unknown(function: s.Name, there: Set[str]) -> Problem:
    name = function.text.upper()
    if function.text in there:
        return Problem(function.span, f"{name} takes one argument, which is no constant")
    meant = synonym(function.text)
    if meant in there:
        return Problem(function.span, f"no function {name}; did you mean {meant.upper()!r}?")
    if meant in _OF_INDICES:
        hint = f"the index form has {meant.upper()}: LET m[i] = {meant.upper()}[j](A[i, j])"
        return Problem(function.span, f"no function {name} of tiles", hint)
    habit = text_habit(function.text)
    if habit is not None:
        return Problem(function.span, f"no function {name}", habit)
    names = [other.upper() for other in sorted(there)]
    near = near_name(name, names)
    return Problem(
        function.span, f"no function {name}{near}", None if near else f"the functions are {', '.join(names)}"
    )


def with_literals(by: Kernel, literals: Mapping[int, s.LiteralValue], call: s.Node) -> Kernel:
    """The kernel with constants in some places of its operands.

    Raises:
        Problem: it takes none there.

    Example:
        >>> with_literals(kernel("sub"), {0: 1.0}, s.Name("sub")).literals
        ((0, 1.0),)
    """
    with at(call.span):
        for position, value in literals.items():
            by = bind_literal(by, position, value)
    return by


def aggregation(call: s.TileCall) -> str | None:
    """The kernel that a call folds tiles with; None where it is an operator on tiles.

    A kernel of two operands that is given one tile is an aggregation.

    Example:
        >>> tile = s.TileRef(None)
        >>> [aggregation(s.TileCall(s.Name(name), (tile,))) for name in ("sum", "max", "relu")]
        ['add', 'max', None]
        >>> aggregation(s.TileCall(s.Name("max"), (tile, s.Literal(0.0))))
    """
    if len(call.arguments) != 1 or isinstance(call.arguments[0], s.Literal):
        return None
    name = call.function.text
    if not is_registered(name):
        return AGGREGATIONS.get(name)
    return name if not call.options and _takes_two(name) else None


def _takes_two(name: str) -> bool:
    try:
        return kernel(name).arity == 2
    except TraError:  # it needs parameters
        return False


def aggregation_name(fold: Kernel) -> s.Name:
    """What to call an aggregation in text.

    Example:
        >>> aggregation_name(kernel("add")).text, aggregation_name(kernel("max")).text
        ('sum', 'max')
    """
    written = next((name for name, of in AGGREGATIONS.items() if of == fold.name), fold.name)
    return s.Name(fold.name if is_registered(written) else written)
