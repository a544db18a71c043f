"""Which workers are much slower than the others.

Each worker notes how long its last stages took and how much they held, and its heartbeats carry that to the
scheduler. The same stage does the same kind of work at every site, so one is held to the others by it: a
worker is slow if, stage after stage, it took much longer than they did, also for each byte. A site that has
more to do than others takes longer, but not for each byte; one that has next to nothing takes long for each
byte, but is done first. So neither makes a worker slow.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from threading import Lock
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

METRIC = "tra-stages"  # of the heartbeats of a worker
SLOWER = 3.0  # times the median of the others; two sites at one worker take twice as long
STAGES = 3  # that have to agree
SECONDS = 1.0  # that they took together: below it nobody waits long for anyone
RETRY_SECONDS = 60.0  # until a slow worker is tried again, and twice as long each time
_KEPT = 24
_LEAST = 1e-3  # seconds of a stage that is compared

Noted: TypeAlias = tuple[int, str, int, float, int]
"""A stage at a site: the place in the order of all of a worker, run, number, seconds, bytes."""


class Noticed:
    """What a worker did last.

    Example:
        >>> noticed = Noticed()
        >>> noticed.add("run", 0, 1, 0.25, 80)
        >>> noticed.add("run", 0, 1, 0.25, 80)  # another panel
        >>> noticed.last()
        [(2, 'run', 0, 0.5, 160)]
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[tuple[str, int, int], tuple[int, float, int]] = OrderedDict()
        self._n = 0

    def add(self, run: str, stage: int, site: int, seconds: float, nbytes: int) -> None:
        """Notes a stage at a site, or a panel of it."""
        with self._lock:
            self._n += 1
            _, before, held = self._found.pop((run, stage, site), (0, 0.0, 0))
            self._found[run, stage, site] = self._n, before + seconds, held + nbytes
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)

    def last(self) -> list[Noted]:
        """The last stages."""
        with self._lock:
            return [(n, run, stage, s, b) for (run, stage, _), (n, s, b) in self._found.items()]


_noticed: WeakKeyDictionary[Any, Noticed] = WeakKeyDictionary()  # by worker: one process may be several


def notice(run: str, stage: int, site: int, seconds: float, nbytes: int) -> None:
    """Notes a stage for the worker whose task this is, which says it with its heartbeats.

    Example:
        >>> notice("run", 0, 1, 0.25, 80)  # nothing, where there is no worker
    """
    from distributed import get_worker  # it takes longer to load than all of tra

    try:
        here: Any = get_worker()
    except ValueError:
        return
    if here not in _noticed:
        found = _noticed.setdefault(here, Noticed())
        here.metrics[METRIC] = lambda _: found.last()
    _noticed[here].add(run, stage, site, seconds, int(nbytes))


class Paces:
    """The workers that are slow, over time."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # when a slow worker is tried again
        self._pause: dict[str, float] = {}
        self._seen: dict[str, int] = {}  # what of a worker is from before that

    def slow(self, there: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """The workers that are slow now.

        Args:
            there: what the scheduler says of each worker.

        Example:
            >>> def said(seconds):
            ...     return {"metrics": {METRIC: [(n, "run", n, seconds, 1 << 20) for n in range(4)]}}
            >>> paces = Paces()
            >>> paces.slow({"a": said(0.1), "b": said(0.1), "c": said(0.5)})
            {'c'}
        """
        now = time.monotonic()
        noted = {worker: info.get("metrics", {}).get(METRIC, ()) for worker, info in there.items()}
        for worker in [worker for worker, until in self._until.items() if now > until]:
            del self._until[worker]
            self._seen[worker] = max((n for n, *_ in noted.get(worker, ())), default=0)
        fresh = {
            worker: [entry for entry in entries if entry[0] > self._seen.get(worker, 0)]
            for worker, entries in noted.items()
        }
        for worker in slower(fresh) - self._until.keys():
            self._pause[worker] = 2 * self._pause.get(worker, RETRY_SECONDS / 2)
            self._until[worker] = now + self._pause[worker]
        return set(self._until) & set(there)


def slower(noted: Mapping[str, Sequence[Noted]]) -> set[str]:
    """The workers that took much longer than the others for the same stages.

    Example:
        >>> def stages(seconds, nbytes):
        ...     return [(n, "run", n, seconds, nbytes) for n in range(1, 5)]
        >>> slower({"a": stages(0.1, 80), "b": stages(0.1, 80), "c": stages(0.4, 80)})
        {'c'}
        >>> slower({"a": stages(0.1, 80), "b": stages(0.1, 80), "c": stages(0.4, 320)})
        set()
    """
    by_stage: dict[tuple[str, int], dict[str, tuple[float, float]]] = defaultdict(dict)
    for worker, entries in noted.items():
        stages: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
        for _, run, stage, seconds, nbytes in entries:
            stages[run, stage].append((seconds, nbytes))
        for where, found in stages.items():
            by_stage[where][worker] = _site(found)
    ratios: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sites in by_stage.values():
        for worker, (seconds, per_byte) in sites.items():
            others = [figures for other, figures in sites.items() if other != worker]
            if others:
                usual, usual_per_byte = (median(column) for column in zip(*others, strict=True))
                ratio = min(seconds / max(usual, _LEAST), per_byte / max(usual_per_byte, 1e-15))
                ratios[worker].append((ratio, seconds))
    return {worker for worker, found in ratios.items() if _is_slow(found)}


def _site(found: Iterable[tuple[float, int]]) -> tuple[float, float]:
    """The mean seconds of a worker's sites in a stage, and those for a byte."""
    seconds, nbytes = zip(*found, strict=True)
    return sum(seconds) / len(seconds), sum(seconds) / max(sum(nbytes), 1)


def _is_slow(found: Sequence[tuple[float, float]]) -> bool:
    enough = len(found) >= STAGES and sum(seconds for _, seconds in found) >= SECONDS
    return enough and median(ratio for ratio, _ in found) >= SLOWER
