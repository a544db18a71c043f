"""Functions that users call: what is wrong with the arguments of a call is said with a near name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

from tra.algebra.habits import near_argument
from tra.errors import ArgumentError

Entry = TypeVar("Entry", bound=Callable[..., Any])


def entry_point(entry: Entry) -> Entry:
    """A function that says how it is called where arguments do not fit; a class whose public methods do so.

    Signatures, annotations and docstrings stay. Nothing is checked before the call: Python does that.

    Example:
        >>> @entry_point
        ... def fit(model, *, rate=0.1, epochs=1):
        ...     return rate
        >>> fit(None, rate=0.5)
        0.5
        >>> fit(None, epoch=2)
        Traceback (most recent call last):
        tra.errors.ArgumentError: fit has no argument 'epoch'; did you mean 'epochs'?
          hint: call fit(model, *, rate=0.1, epochs=1)

    Raises:
        ArgumentError: by the calls: an argument is of no name that is known, is missing, or is one too many.
    """
    if isinstance(entry, type):
        _guard_class(entry)
        return entry
    return _guarded(entry, entry.__name__, 0)  # type: ignore[return-value]


def _guard_class(owner: type) -> None:
    for name, member in list(vars(owner).items()):
        if not isinstance(member, FunctionType):
            continue
        if name == "__init__":
            setattr(owner, name, _guarded(member, owner.__name__, 1))
        elif not name.startswith("_"):
            setattr(owner, name, _guarded(member, name, 1))


def _guarded(function: Callable[..., Any], name: str, n_bound: int) -> Callable[..., Any]:
    """A function whose calls raise an `ArgumentError`; `n_bound` arguments are no business of the user's."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise  # it was raised within the function
            problem = _problem(function, name, n_bound, arguments, named)
        raise ArgumentError(problem)

    return call


def _problem(
    function: Callable[..., Any], name: str, n_bound: int, arguments: Sequence[Any], named: Mapping[str, Any]
) -> str:
    """What is wrong with the arguments of a call, and how the function is called."""
    signature = inspect.signature(function)
    known = list(signature.parameters)[n_bound:]
    unknown = next((given for given in named if given not in known), None)
    if unknown is not None:
        problem = f"{name} has no argument {unknown!r}{near_argument(unknown, known)}"
    else:
        problem = f"{name}: {_binding(signature, arguments, named)}"
    plain = [signature.parameters[p].replace(annotation=inspect.Parameter.empty) for p in known]
    return f"{problem}\n  hint: call {name}{inspect.Signature(plain)}"


def _binding(signature: inspect.Signature, arguments: Sequence[Any], named: Mapping[str, Any]) -> str:
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        return str(error)
    return "the arguments do not fit"
