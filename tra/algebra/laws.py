"""The laws kernels promise to obey; the optimizer asks for nothing else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

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


LAW_NAMES = tuple(f.name for f in fields(Laws))


def read_laws(claims: dict[str, Any]) -> Laws:
    """The laws claimed by keyword; collections become sets.

    Example:
        >>> read_laws({"linear": [0, 1]}).linear
        frozenset({0, 1})

    Raises:
        KernelError: a law is unknown; names a near one.
    """
    unknown = next((name for name in claims if name not in LAW_NAMES), None)
    if unknown is not None:
        raise KernelError(
            f"unknown law {unknown!r}{near_name(unknown, LAW_NAMES)}; the laws are {', '.join(LAW_NAMES)}"
        )
    read = dict(claims)
    for name in ("linear", "distributes_over"):
        if name in read:
            value = read[name]
            read[name] = frozenset([value] if isinstance(value, (int, str)) else value)
    if "coefficients" in read:
        read["coefficients"] = tuple(float(c) for c in read["coefficients"])
    return Laws(**read)
