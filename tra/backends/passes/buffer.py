"""Memory that is used again and again, for one window after the other."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tra.algebra.types import Tile


class Buffer:
    """Memory of the largest array that was asked for.

    What was given out keeps memory that is too small from going when larger one is made, so whoever knows
    how large arrays will be says so; memory that nobody has written to is not resident.

    Args:
        least: bytes that it is of when it is made.

    Example:
        >>> buffer = Buffer()
        >>> one = buffer.array((2, 2), np.dtype("f8"))
        >>> np.may_share_memory(one, buffer.array((3,), np.dtype("f8")))
        True
    """

    def __init__(self, least: int = 0) -> None:
        self._least = least
        self._memory: Any = None

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tile:
        """An array with whatever was there; the one given out before is overwritten with it."""
        size = prod(shape) * dtype.itemsize
        if self._memory is None or self._memory.nbytes < size:
            self._memory = None
            self._memory = np.empty(max(size, self._least), np.uint8)
        made: Tile = self._memory[:size].view(dtype).reshape(shape)
        return made
