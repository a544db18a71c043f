"""Tiles that are lost for good, and what can be begun again when they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tra.errors import PlanError

T = TypeVar("T")
TRIES = 5


class LostError(PlanError):
    """Tiles that nothing can bring back: all copies were at workers that died."""


def again_when_lost(action: Callable[[], T], go_back: Callable[[], None]) -> T:
    """Does something, and goes back and does it again when tiles are lost meanwhile.

    Args:
        action: what is done.
        go_back: makes all tiles again that the action begins with.

    Example:
        >>> found = iter([LostError("both copies"), 3])
        >>> def action():
        ...     value = next(found)
        ...     if isinstance(value, LostError):
        ...         raise value
        ...     return value
        >>> again_when_lost(action, lambda: print("once more"))
        once more
        3

    Raises:
        LostError: tiles were lost too often.
    """
    for _ in range(TRIES - 1):
        try:
            return action()
        except LostError:
            go_back()
    return action()
