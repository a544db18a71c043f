"""What a training step costs beside its arithmetic, and whether memory grows from step to step."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import numpy as np
import psutil

import tra
from benchmarks.bars import Bar, record
from benchmarks.page import Settings, paragraph, table
from benchmarks.report import alone
from tra.algebra.losses import softmax_cross_entropy
from tra.algebra.optimizers import Adam

STEPS, QUICK_STEPS, LOOK_EVERY = 2000, 200, 10
ROWS, INPUTS, HIDDEN, CLASSES, BATCH = 256, 64, 48, 10, 128
GROWTH = 1.05  # that the last quarter may have over the second
HEAD = (
    f"Adam on a network of {INPUTS}→{HIDDEN}→{CLASSES}, so small that a step is all overhead. Memory is that "
    "of all processes together, resident, as a mean over the second and the last quarter of the steps; tasks "
    "are those that the scheduler remembers after a step, at most, in the same quarters."
)


@dataclass(frozen=True)
class Flat:
    """A training that was watched.

    Attributes:
        where: the backend.
        batch: examples per step.
        milliseconds: of a step, in the middle.
        megabytes: resident, in the second and in the last quarter.
        tasks: remembered by the scheduler, in the second and in the last quarter; 0 without one.
        plans: how many were made.
    """

    where: str
    batch: int
    milliseconds: float
    megabytes: tuple[float, float]
    tasks: tuple[int, int]
    plans: int

    @property
    def grown(self) -> float:
        """The memory of the last quarter over that of the second."""
        return self.megabytes[1] / self.megabytes[0]


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    steps = QUICK_STEPS if settings.quick else STEPS
    rows = [
        watched(where, batch, steps, settings.scheduler)
        for where in ("local", "dask")
        for batch in (ROWS, BATCH)
    ]
    cells = [
        (
            row.where, row.batch, f"{row.milliseconds:.1f} ms", row.plans,
            " → ".join(f"{size:.0f} MB" for size in row.megabytes), f"{row.grown:.3f}×",
            " → ".join(map(str, row.tasks)) if row.where == "dask" else "",
        )
        for row in rows
    ]  # fmt: skip
    head = ["backend", "batch", "step", "plans", "memory", "growth", "tasks remembered"]
    grown = max(row.grown for row in rows)
    bar = Bar(f"memory over {steps} steps, last quarter / second", grown, GROWTH)
    record(settings, "training", [bar])
    return [*paragraph(HEAD), *table(head, cells), bar.line, ""]


def watched(where: str, batch: int, steps: int, scheduler: str | None = None) -> Flat:
    """Trains for some steps and watches memory, and the scheduler where there is one."""
    given: dict[str, Any] = {}
    if where == "dask":
        given = {"scheduler": scheduler, "sites": 2, "cost_model": "fixed"}
    with tra.connect(where, threads=1, progress=False, **given) as session:
        look = _Look(session)
        found = session.train(
            _loss, _parameters(), Adam(rate=0.01), data=_data(), epochs=steps * batch // ROWS,
            batch=None if batch == ROWS else batch, stop=look,
        )  # fmt: skip
    seconds = median(batch / record.samples_per_second for record in found.history)
    return Flat(where, batch, seconds * 1e3, look.quarters(0, mean), look.quarters(1, max), found.n_plans)


class _Look:
    """Looks at memory and tasks every few steps; never stops the training."""

    def __init__(self, session: Any) -> None:
        self.client = getattr(session.backend, "client", None)
        pids = [] if self.client is None else list(self.client.run(os.getpid).values())
        self.processes = [psutil.Process(pid) for pid in (os.getpid(), *pids)]
        self.seen: list[tuple[float, int]] = []

    def __call__(self, record: Any) -> bool:
        if record.step % LOOK_EVERY == 0:
            size = sum(process.memory_info().rss for process in self.processes)
            tasks = 0 if self.client is None else self.client.run_on_scheduler(_n_tasks)
            self.seen.append((size / 1e6, tasks))
        return False

    def quarters(self, figure: int, summary: Callable[[list[float]], float]) -> tuple[Any, Any]:
        """A figure in the second quarter, and in the last."""
        n = len(self.seen) // 4
        second, last = self.seen[n : 2 * n], self.seen[-n:]
        return summary([row[figure] for row in second]), summary([row[figure] for row in last])


def _n_tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


def _loss(p: Any, x: Any, y: Any) -> Any:
    return softmax_cross_entropy(tra.relu(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"], y)


def _data() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(ROWS, INPUTS)).astype("f4"), rng.integers(0, CLASSES, ROWS)]


def _parameters() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    first, second = (INPUTS, HIDDEN), (HIDDEN, CLASSES)
    return {
        "W1": 0.1 * rng.normal(size=first).astype("f4"),
        "b1": np.zeros(HIDDEN, "f4"),
        "W2": 0.1 * rng.normal(size=second).astype("f4"),
        "b2": np.zeros(CLASSES, "f4"),
    }


if __name__ == "__main__":
    alone(__file__)
