"""NumPy's functions of elements on relations: which kernel each is, and what is said where there is none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

import numpy as np

from tra.algebra.kernel import kernel, kernel_names
from tra.errors import KernelError

# What NumPy calls Python's operators; their other names are those of kernels.
OPERATORS = {
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
    "matmul": "matmul",
    "power": "pow",
}


def ufunc_kernel(ufunc: np.ufunc) -> str | None:
    """The name of the kernel that a NumPy function of elements is, or None.

    Example:
        >>> ufunc_kernel(np.multiply), ufunc_kernel(np.exp), ufunc_kernel(np.arctan)
        ('mul', 'exp', None)
    """
    return _kernels().get(ufunc)


@lru_cache(maxsize=1)
def _kernels() -> dict[Any, str]:
    found: dict[Any, str] = {np.power: "pow", np.invert: "logical_not"}
    for name in kernel_names():
        try:
            made = kernel(name)
        except KernelError:  # it needs parameters
            continue
        if not made.user and isinstance(made.function, np.ufunc):
            found.setdefault(made.function, name)
    return found


def refuse(ufunc: np.ufunc, method: str, settings: dict[str, Any]) -> NoReturn:
    """Says why NumPy's function does not take relations, and what does.

    Example:
        >>> refuse(np.add, "reduce", {})
        Traceback (most recent call last):
        tra.errors.KernelError: numpy.add.reduce does not take relations
          hint: A.compute() is an array; reductions are methods, such as A.sum(axis=0)

    Raises:
        KernelError: always.
    """
    name, ours = f"numpy.{ufunc.__name__}", ufunc_kernel(ufunc)
    if method != "__call__":
        raise KernelError(
            f"{name}.{method} does not take relations\n"
            "  hint: A.compute() is an array; reductions are methods, such as A.sum(axis=0)"
        )
    if settings.get("out") is not None:
        raise KernelError(
            f"{name} cannot write a relation into an array: a relation is lazy\n"
            "  hint: write x = x + A instead of x += A, or compute first: x += A.compute()"
        )
    if ours is not None:
        raise KernelError(
            f"{name} of a relation takes no settings; got {', '.join(f'{s}=' for s in settings)}\n"
            f"  hint: tra.{ours} is the same function of relations; .astype(...) casts what it gives"
        )
    raise KernelError(
        f"{name} is no kernel\n"
        f'  hint: @tra.kernel("()->()") makes one of a function, {name}(A.compute()) takes the array'
    )
