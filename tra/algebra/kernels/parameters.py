"""What kernels take as parameters: sizes and dtypes, checked when a kernel is made."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tra.algebra.types import check_size
from tra.errors import KernelError, near_name

_DTYPES = ("bool", "int64", "int32", "uint8", "float64", "float32", "float16", "complex128", "complex64")


def whole_size(size: Any, name: str) -> int:
    """A size as Python's integer; `name` is the kernel's.

    Example:
        >>> whole_size(3, "one_hot")
        3
        >>> whole_size(2.5, "one_hot")
        Traceback (most recent call last):
        tra.errors.KernelError: one_hot takes a size that is a whole number of at least 1; got size=2.5

    Raises:
        KernelError: it is no integer, or less than 1.
        SchemaError: it is too large for a tile.
    """
    try:
        whole = 0 if isinstance(size, bool) else operator.index(size)
    except TypeError:
        whole = 0
    if whole < 1:
        raise KernelError(f"{name} takes a size that is a whole number of at least 1; got size={size!r}")
    check_size(whole, f"a size of {name}")
    return whole


def number_dtype(dtype: Any, name: str, kinds: str = "biufc") -> np.dtype[Any]:
    """A dtype of numbers or truth values; `name` is the kernel's, `kinds` those of NumPy that it takes.

    Example:
        >>> number_dtype("f4", "cast")
        dtype('float32')
        >>> number_dtype("flaot64", "cast")
        Traceback (most recent call last):
        tra.errors.KernelError: cast takes a dtype such as bool, int64, int32, uint8, float64, float32,
        float16, complex128, complex64; got dtype='flaot64'; did you mean 'float64'?

    Raises:
        KernelError: it is none.
    """
    try:
        found = np.dtype(object if dtype is None else dtype)
    except Exception:  # NumPy reads more than names here, and fails in many ways
        found = np.dtype(object)
    if found.kind not in kinds:
        legal = ", ".join(each for each in _DTYPES if np.dtype(each).kind in kinds)
        raise KernelError(
            f"{name} takes a dtype such as {legal}; got dtype={dtype!r}{near_name(str(dtype), _DTYPES)}"
        )
    return found
