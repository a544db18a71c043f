"""What kernels take as parameters: sizes and dtypes, checked when a kernel is made."""

from __future__ import annotations

import operator
from typing import Any

from tra.algebra.types import check_size
from tra.errors import KernelError


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
