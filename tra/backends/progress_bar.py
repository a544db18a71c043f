"""The progress bar of a run on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed import Future
from distributed.diagnostics.progressbar import TextProgressBar
from tqdm import tqdm


class Bar(TextProgressBar):
    """Dask's progress bar, drawn on standard error as the local backend does; blocks until all is done."""

    def __init__(self, futures: Sequence[Future[Any]], scheduler: str) -> None:
        self._bar = tqdm(total=1, delay=1, leave=False, unit="task", desc="tra")
        super().__init__(futures, scheduler)  # type: ignore[no-untyped-call]

    def _draw_bar(self, remaining: int, all: int, **_: Any) -> None:
        self._bar.total = max(all, 1)
        self._bar.n = all - remaining
        self._bar.refresh()

    def _draw_stop(self, **_: Any) -> None:
        self._bar.close()
