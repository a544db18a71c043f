"""The laws kernels promise to obey; the optimizer asks for nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tra.algebra.signature import Signature
from tra.errors import KernelError, near_name


@dataclass(frozen=True, slots=True)
class Laws:
    """What a kernel promises, exactly in exact arithmetic.

    Attributes:
        associative: ``f(f(a, b), c) = f(a, f(b, c))``.
        commutative: ``f(a, b) = f(b, a)``.
        identity: the value e with ``f(e, a) = a``, or None.
        idempotent: ``f(a, a) = a``.
        linear: the argument positions in which the kernel is linear, each with the others fixed.
        distributes_over: names of aggregations that the kernel distributes over in every argument.
        monotone: non-decreasing in each argument.
        zero_preserving: all-zero arguments give zeros.
        elementwise: each element of the result depends on the matching elements only.
        contraction: for tiles of one dtype that the result keeps, the result is the sum of products that
            the signature spells, read as an einsum.
        coefficients: the kernel is that combination of its arguments: (1, -1) for a difference.
        reshapes: the result has the elements of the one argument in their order, in the shape that the
            signature spells.
        as_cut: bits depend on how the tensors are cut, and are to be those of the tiles they are cut into.
        ordered: a fold that rounds, in the order of keys and at one place, by a balanced tree.
    """

    associative: bool = False
    commutative: bool = False
    identity: float | None = None
    idempotent: bool = False
    linear: frozenset[int] = frozenset()
    distributes_over: frozenset[str] = frozenset()
    monotone: bool = False
    zero_preserving: bool = False
    elementwise: bool = False
    contraction: bool = False
    coefficients: tuple[float, ...] = ()
    reshapes: bool = False
    as_cut: bool = False
    ordered: bool = False


_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
_OF_PLANS = ("as_cut", "ordered")  # which plans alone claim
LAW_NAMES = tuple(f.name for f in fields(Laws) if f.name not in _OF_PLANS)
_FLAGS = tuple(f.name for f in fields(Laws) if f.type == "bool")


def read_laws(claims: dict[str, Any], signature: Signature) -> Laws:
    """The laws claimed by keyword, each checked; what a contraction implies is added.

    Example:
        >>> from tra.algebra.signature import parse_signature
        >>> read_laws({"contraction": True}, parse_signature("(n),(n)->()")).linear
        frozenset({0, 1})
        >>> read_laws({"linear": True}, parse_signature("(n),(n)->()"))
        Traceback (most recent call last):
        tra.errors.KernelError: linear= takes places of operands, 0 or 1; got True

    Raises:
        KernelError: a law is unknown, which names a near one; or claimed of what it cannot hold for.
    """
    unknown = next((name for name in claims if name not in LAW_NAMES), None)
    if unknown is not None:
        raise KernelError(
            f"unknown law {unknown!r}{near_name(unknown, LAW_NAMES)}; the laws are {', '.join(LAW_NAMES)}"
        )
    arity = len(signature.inputs)
    read = {name: _read(name, value, arity) for name, value in claims.items()}
    if read.get("contraction"):
        read |= {"linear": frozenset(range(arity)), "zero_preserving": True}
    return Laws(**read)


def _read(name: str, value: Any, arity: int) -> Any:
    """One claim, in the type of its field."""
    if name in _FLAGS:
        if not isinstance(value, (bool, np.bool_)):
            raise KernelError(f"{name}= takes True or False; got {value!r}")
        return bool(value)
    if name == "identity":
        if value is not None and not isinstance(value, _NUMBERS):
            raise KernelError(f"identity= takes a number; got {value!r}")
        return value
    listed = [value] if isinstance(value, (str, *_NUMBERS)) or not isinstance(value, Iterable) else [*value]
    if name == "linear":
        if not all(type(place) is not bool and place in range(arity) for place in listed):
            legal = " or ".join(map(str, range(arity)))
            raise KernelError(f"linear= takes places of operands, {legal}; got {value!r}")
        return frozenset(map(int, listed))
    if name == "coefficients":
        if len(listed) not in (0, arity) or not all(isinstance(c, _NUMBERS) for c in listed):
            raise KernelError(f"coefficients= takes a number for each of {arity} operands; got {value!r}")
        return tuple(map(float, listed))
    if not all(isinstance(fold, str) for fold in listed):
        raise KernelError(f"{name}= takes names of aggregations, such as 'max'; got {value!r}")
    return frozenset(listed)
