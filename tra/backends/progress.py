"""A progress bar for long work: shown in a terminal after a second, unless it is switched off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def shown(progress: bool | None) -> bool:
    """Claims that progress is to be shown: as asked, or when standard error is a terminal.

    Example:
        >>> shown(True), shown(False)
        (True, False)
    """
    return sys.stderr.isatty() if progress is None else progress


def track(items: Iterable[T], total: int, progress: bool | None) -> Iterator[T]:
    """Iterates with a bar.

    Example:
        >>> list(track([1, 2], 2, progress=False))
        [1, 2]
    """
    if not shown(progress):
        yield from items
        return
    from tqdm import tqdm  # it takes a while to load

    yield from tqdm(items, total=total, delay=1, leave=False, unit="task", desc="tra")
