"""Where workers' seconds go in one run: computing, taking in what others send, and neither."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client

SHOWN = ("compute", "transfer")


@dataclass(frozen=True)
class Profile:
    """One run on workers of one thread, in seconds.

    Attributes:
        wall: from the call until the result lay on the workers.
        compute: in tasks, the mean over workers.
        transfer: with messages under way to a worker, the mean over workers; it may compute meanwhile.
    """

    wall: float
    compute: float
    transfer: float

    @property
    def idle(self) -> float:
        """The part of the workers' time in which they computed nothing.

        Example:
            >>> Profile(wall=4.0, compute=3.0, transfer=0.5).idle
            0.25
        """
        return max(1.0 - self.compute / self.wall, 0.0)


def profile(client: Client, run: Callable[[], Any]) -> Profile:
    """Runs something, and asks Dask's task stream how long its tasks and transfers took."""
    client.get_task_stream()  # from now on tasks are noted
    since, start = time.time(), time.perf_counter()
    kept = run()
    wall = time.perf_counter() - start
    tasks = client.get_task_stream(start=since)
    n_workers = len(client.scheduler_info(n_workers=-1)["workers"])
    del kept
    return Profile(wall, *(_covered(tasks, action) / n_workers for action in SHOWN))


def _covered(tasks: Iterable[Mapping[str, Any]], action: str) -> float:
    """Seconds in which workers did something, added up; what overlaps at one worker counts once."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for task in tasks:
        for step in task["startstops"]:
            if step["action"] == action:
                spans.setdefault(task["worker"], []).append((step["start"], step["stop"]))
    return sum(length(found) for found in spans.values())


def length(spans: Iterable[tuple[float, float]]) -> float:
    """How much of the line intervals cover.

    Example:
        >>> length([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
        4.0
    """
    total, reached = 0.0, float("-inf")
    for low, high in sorted(spans):
        total += max(high - max(low, reached), 0.0)
        reached = max(reached, high)
    return total
