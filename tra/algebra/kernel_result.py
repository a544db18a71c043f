"""What a kernel gives on tiny tiles: its dtype, and whether it is a tile of the shape that its law says."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, result_dtype
from tra.algebra.types import dtype_name, is_element
from tra.errors import KernelError

Dtypes = tuple[np.dtype[Any], ...]


def tile_dtype(by: Kernel, dtypes: Dtypes) -> np.dtype[Any]:
    """The dtype of the tiles that a kernel gives.

    Example:
        >>> from tra.algebra.kernel import make_kernel
        >>> tile_dtype(make_kernel("half", "()->()", lambda x: x / 2), (np.dtype("i8"),))
        dtype('float64')
        >>> tile_dtype(make_kernel("forgets", "()->()", lambda x: None), (np.dtype("i8"),))
        Traceback (most recent call last):
        tra.errors.KernelError: kernel forgets gives None on tiles of int64, not an array of numbers
          hint: a function without a return statement gives None

    Raises:
        KernelError: it does not take these dtypes; or, made by a user, gives no array of numbers or one of
            another shape than its signature says.
    """
    dtype = result_dtype(by, dtypes)
    if not is_element(dtype):
        given = _probed(by, dtypes)
        shown = repr(given) if given is None else f"an array of {dtype}"
        hint = "\n  hint: a function without a return statement gives None" if given is None else ""
        names = " and ".join(map(dtype_name, dtypes))
        raise KernelError(f"kernel {by} gives {shown} on tiles of {names}, not an array of numbers{hint}")
    if by.user and by.output_dtype is None:
        _check_shape(by, dtypes)
    return dtype


@lru_cache(maxsize=1024)
def _check_shape(by: Kernel, dtypes: Dtypes) -> None:
    known = {dim for dims in by.signature.inputs for dim in dims}
    if not all(dim in known or dim.isdigit() for dim in by.signature.output):
        return  # sizes that only the result has may hold for some lengths of the operands alone
    expected = tuple(int(dim) if dim.isdigit() else 1 for dim in by.signature.output)
    shape = np.shape(_probed(by, dtypes))
    if shape != expected:
        raise KernelError(
            f"kernel {by} gives shape {shape} on tiles of length 1, "
            f"but its signature {by.signature} makes it {expected}"
        )


def _probed(by: Kernel, dtypes: Dtypes) -> Any:
    tiles = [
        np.ones(tuple(int(dim) if dim.isdigit() else 1 for dim in dims), dtype)
        for dims, dtype in zip(by.signature.inputs, dtypes, strict=True)
    ]
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        result = by.function(*tiles)
    is_none = isinstance(result, np.ndarray) and result.dtype == object and result[()] is None
    return None if is_none else result
