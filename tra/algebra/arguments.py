"""What users pass to operators, checked before it is used: kernels, functions of keys, places, sizes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, is_registered
from tra.algebra.ufuncs import ufunc_kernel
from tra.errors import KernelError, SchemaError


def given_kernel(value: object, what: str) -> str | Kernel:
    """A kernel or the name of one; `what` takes it.

    Example:
        >>> given_kernel("mul", "join")
        'mul'
        >>> given_kernel(np.multiply, "join")
        Traceback (most recent call last):
        tra.errors.KernelError: join takes a kernel or ..., got numpy.multiply; did you mean 'mul'?

    Raises:
        KernelError: it is something else, such as a plain function; says what makes a kernel of it.
    """
    if isinstance(value, (str, Kernel)):
        return value
    problem = f"{what} takes a kernel or the name of one, got"
    if isinstance(value, np.ufunc):
        ours = ufunc_kernel(value)
        near = f"; did you mean {ours!r}?" if ours else ""
        raise KernelError(f"{problem} numpy.{value.__name__}{near}")
    if callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        near = (
            f"; did you mean {name!r}?" if is_registered(name) else '; @tra.kernel("()->()") makes one of it'
        )
        raise KernelError(f"{problem} the function {name}{near}")
    raise KernelError(f"{problem} {value!r}")


def given_function(value: object, what: str, keys: Sequence[str]) -> Any:
    """A function of the keys; `what` takes it.

    Example:
        >>> given_function("i == 0", "filter", ("i", "j"))
        Traceback (most recent call last):
        tra.errors.SchemaError: filter takes a function of the keys, as in lambda i, j: …; got 'i == 0'

    Raises:
        SchemaError: it cannot be called.
    """
    if not callable(value):
        raise SchemaError(
            f"{what} takes a function of the keys, as in lambda {', '.join(keys)}: …; got {value!r}"
        )
    return value


def given_list(value: Any) -> list[Any]:
    """Several things as a list, one thing as a list of it; texts and what cannot be listed are one thing.

    Example:
        >>> given_list("ij"), given_list(("i", 1)), given_list(None)
        (['ij'], ['i', 1], [None])
    """
    if isinstance(value, (str, bytes)):
        return [value]
    try:
        return list(value)
    except TypeError:
        return [value]


def given_integer(value: Any, what: str) -> int:
    """An integer, in any of its types; `what` is one.

    Example:
        >>> given_integer(np.int8(3), "an axis")
        3
        >>> given_integer(1.5, "an axis")
        Traceback (most recent call last):
        tra.errors.SchemaError: an axis is an integer; got 1.5

    Raises:
        SchemaError: it is something else.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise SchemaError(f"{what} is an integer; got {value!r}") from None


def key_names(keys: object) -> tuple[str, ...]:
    """Key names as a tuple; one name may stand alone.

    Example:
        >>> key_names("row"), key_names(["i", "j"])
        (('row',), ('i', 'j'))

    Raises:
        SchemaError: a name is not a string, or empty.
    """
    names = tuple(given_list(keys))
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise SchemaError(f"key names are strings; got {wrong[0]!r}")
    if "" in names:
        raise SchemaError(f"key names are not empty; got {names}")
    return names


def given_name(name: object) -> None:
    """Checks the name of a relation, which may be left out.

    Example:
        >>> given_name("A"), given_name(None)
        (None, None)
        >>> given_name(3)
        Traceback (most recent call last):
        tra.errors.SchemaError: the name of a relation is a string; got name=3

    Raises:
        SchemaError: it is no string.
    """
    if name is not None and not isinstance(name, str):
        raise SchemaError(f"the name of a relation is a string; got name={name!r}")
