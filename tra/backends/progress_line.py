"""The line that shows how a training goes: epoch, loss, metrics, examples per second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from tra.backends.backend import Backend
from tra.backends.progress import shown

_SMOOTHING = 0.1  # of the newest step in the rate that is shown


class ProgressLine:
    """A bar over the steps; while it stands, the bars of single runs are not shown.

    Example:
        >>> from tra.backends.local import LocalBackend
        >>> with ProgressLine(LocalBackend(), 1, progress=False) as line:
        ...     line.show(1, 0.5, {"accuracy": 0.9}, n_rows=256)
    """

    def __init__(self, backend: Backend, n_steps: int, progress: bool | None) -> None:
        self.backend: Any = backend
        self._before: bool | None = getattr(backend, "progress", None)
        self._is_shown = shown(self._before if progress is None else progress)
        self._n_steps = n_steps
        self._bar: Any = None
        self._last, self._rate = time.perf_counter(), 0.0

    def __enter__(self) -> Self:
        self.backend.progress = False
        if self._is_shown:
            from tqdm import tqdm  # it takes a while to load

            self._bar = tqdm(total=self._n_steps, delay=1, leave=False, unit="step", desc="train")
        return self

    def __exit__(self, *_: object) -> None:
        self.backend.progress = self._before
        if self._bar is not None:
            self._bar.close()

    def show(self, epoch: int, loss: float, metrics: Mapping[str, float], n_rows: int) -> None:
        """Goes on by one step."""
        if self._bar is None:
            return
        now = time.perf_counter()
        rate = n_rows / max(now - self._last, 1e-9)
        self._rate = rate if not self._rate else (1 - _SMOOTHING) * self._rate + _SMOOTHING * rate
        self._last = now
        self._bar.set_postfix_str(line_text(epoch, loss, metrics, self._rate), refresh=False)
        self._bar.update()


def line_text(epoch: int, loss: float, metrics: Mapping[str, float], samples_per_second: float) -> str:
    """What the line says.

    Example:
        >>> line_text(3, 0.123456, {"accuracy": 0.97}, 12345.6)
        'epoch 3, loss 0.1235, accuracy 0.97, 12,346 samples/s'
    """
    figures = "".join(f", {name} {value:.4g}" for name, value in metrics.items())
    return f"epoch {epoch}, loss {loss:.4g}{figures}, {samples_per_second:,.0f} samples/s"
