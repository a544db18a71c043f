"""Kernels with a constant in place of an operand: ``mul(·, 2.0)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tra.algebra.formula import with_constant
from tra.algebra.laws import Laws
from tra.algebra.signature import Signature
from tra.errors import KernelError

if TYPE_CHECKING:
    from tra.algebra.kernel import Kernel


def bind_literal(kernel_: Kernel, position: int, value: Any) -> Kernel:
    """The kernel with a constant in place of one operand, as in ``mul(tile, 2.0)``.

    NumPy's casting holds: a Python scalar is weak. The result is linear where ``f`` is linear in the one
    operand left and zero stays zero.

    Example:
        >>> from tra.algebra.registry import kernel
        >>> str(bind_literal(kernel("mul"), 1, 2.0))
        'mul(·, 2.0)'

    Raises:
        KernelError: the operand has core dimensions, or there is no such operand.
    """
    taken = dict(kernel_.literals)
    n = kernel_.arity + len(taken)
    left = [p for p in range(n) if p not in taken]
    if position not in left or len(left) == 1 or kernel_.signature.inputs[left.index(position)]:
        raise KernelError(f"{kernel_} takes no constant as argument {position + 1}")
    slot = left.index(position)
    function = with_constant(kernel_.function, kernel_.arity, slot, value)
    rest = tuple(dims for p, dims in enumerate(kernel_.signature.inputs) if p != slot)
    return replace(
        kernel_,
        literals=tuple(sorted({**taken, position: value}.items())),
        signature=Signature(rest, kernel_.signature.output),
        function=function,
        laws=_literal_laws(kernel_, slot, function),
    )


def _literal_laws(kernel_: Kernel, slot: int, function: Callable[..., Any]) -> Laws:
    """The laws left: linear where the kernel was, if zero stays zero (as it does not under ``x · ∞``)."""
    preserving = kernel_.laws.elementwise and _keeps_zero(function, kernel_.arity - 1)
    linear = frozenset(p - (p > slot) for p in kernel_.laws.linear if p != slot)
    return Laws(
        linear=linear if preserving else frozenset(),
        monotone=kernel_.laws.monotone,
        zero_preserving=preserving,
        elementwise=kernel_.laws.elementwise,
    )


def _keeps_zero(function: Callable[..., Any], arity: int) -> bool:
    try:
        with np.errstate(all="ignore"):
            return bool(np.all(function(*[np.zeros(1)] * arity) == 0))
    except Exception:  # the function does not take floats: nothing is known
        return False
