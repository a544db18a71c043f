"""Systems timed in turns, and the memory that one takes.

Machines are shared and their clocks drift, so that seconds of different minutes say little. Here every
round runs each system once, in the same order; what is reported is a ratio of two times of one round, in the
median:

    times = interleaved({"tra": run_tra, "dask 1000": run_dask}, rounds=5)
    ratio(times, "tra", "dask 1000")                  # below 1 where tra is faster

What has to be as in every other round (a cold cache, a file that is not there) goes into `before`. Results
are checked with `check_close`, outside of any time. `peak_memory` runs a system in a process of its own.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np
import psutil

Times = dict[str, list[float]]
ROUNDS, QUICK_ROUNDS = 5, 3
TOLERANCE = 1e-4  # of the largest value of a result
LOOK_EVERY = 0.002  # seconds between two looks at a process
PAUSE = 0.05  # seconds before a run, in which threads of the one before stop spinning


def rounds_of(quick: bool) -> int:
    """Rounds of a comparison, after the one that warms up."""
    return QUICK_ROUNDS if quick else ROUNDS


def interleaved(
    runs: Mapping[str, Callable[[], Any]], rounds: int, before: Callable[[], Any] | None = None
) -> Times:
    """Seconds of each runner in every round; a round that warms up does not count.

    Args:
        runs: what is timed, by name; what a run returns is let go before the next one begins.
        rounds: how often each runs.
        before: called before each run, outside its time.

    Example:
        >>> order = []
        >>> times = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2)
        >>> "".join(order), [len(seconds) for seconds in times.values()]
        ('ababab', [2, 2])
    """
    times: Times = {who: [] for who in runs}
    for number in range(rounds + 1):
        for who, run in runs.items():
            if before is not None:
                before()
            seconds = timed(run)
            if number:
                times[who].append(seconds)
    return times


def timed(run: Callable[[], Any]) -> float:
    """Seconds of one run; its result is let go after the clock stopped."""
    gc.collect(1)  # what is young: a full collection takes longer than many runs
    time.sleep(PAUSE)
    start = time.perf_counter()
    kept = run()
    seconds = time.perf_counter() - start
    del kept
    return seconds


def ratio(times: Mapping[str, Sequence[float]], mine: str, other: str) -> float:
    """The median over rounds of one's time over the other's in the same round.

    Example:
        >>> ratio({"tra": [1.0, 3.0, 2.0], "numpy": [2.0, 3.0, 8.0]}, "tra", "numpy")
        0.5
    """
    return median(a / b for a, b in zip(times[mine], times[other], strict=True))


def fastest(times: Mapping[str, Sequence[float]], prefix: str = "") -> str:
    """Who has the least median time, of those whose name begins with a prefix.

    Example:
        >>> fastest({"tra": [1.0], "dask 1000": [3.0], "dask 2000": [2.0]}, "dask")
        'dask 2000'
    """
    return min((who for who in times if who.startswith(prefix)), key=lambda who: median(times[who]))


def check_close(who: str, found: Any, expected: np.ndarray, tolerance: float = TOLERANCE) -> None:
    """Makes sure that a result is right: no error above a part of the largest value.

    Example:
        >>> check_close("tra", np.array([1.0, 2.5]), np.array([1.0, 2.0]))
        Traceback (most recent call last):
        ArithmeticError: tra is off by 0.25 of the largest value; at most 0.0001 is rounding

    Raises:
        ArithmeticError: it is not.
    """
    error = float(np.max(np.abs(np.asarray(found) - expected), initial=0.0))
    scale = float(np.max(np.abs(expected), initial=0.0)) or 1.0
    if not error <= tolerance * scale:
        raise ArithmeticError(
            f"{who} is off by {error / scale:.3g} of the largest value; at most {tolerance:g} is rounding"
        )


# -- memory ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Memory of one run in a process of its own, in bytes.

    Attributes:
        before: resident with the inputs loaded.
        peak: resident at most while it ran.
        inputs: the inputs' own size.
        output: the output's own size.
    """

    before: int
    peak: int
    inputs: int
    output: int

    @property
    def beyond(self) -> float:
        """What was taken beyond inputs and output, as a part of these; not below nothing."""
        return max(self.peak - self.before - self.output, 0) / (self.inputs + self.output)


def peak_memory(prepare: Callable[..., tuple[Callable[[], Any], int]], *arguments: Any) -> Memory:
    """Runs something in a fresh process and watches its resident memory from here.

    Args:
        prepare: a function of a module (the process imports it) that loads the inputs, warms up on small
            ones, and returns what to run and the bytes of the inputs. What is run returns the output, an
            array or whatever has `nbytes`.
        arguments: for `prepare`.

    Raises:
        RuntimeError: the process ended before it was done.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_prepare_and_run, args=(there, prepare, arguments))
    child.start()
    there.close()
    try:
        before, inputs = here.recv()
        peak = _watch(psutil.Process(child.pid), here)
        own_peak, output = here.recv()
    except EOFError:
        raise RuntimeError(f"{prepare.__module__}.{prepare.__name__}{arguments} did not end") from None
    finally:
        here.close()
        child.join()
    return Memory(before, max(peak, own_peak), inputs, output)


def _prepare_and_run(pipe: Connection, prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """What the process does: load, say so, run, say so."""
    run, inputs = prepare(*arguments)
    gc.collect()
    here = psutil.Process()
    pipe.send((here.memory_info().rss, inputs))
    output = run()
    pipe.send((here.memory_info().rss, output.nbytes))
    pipe.close()


def _watch(process: psutil.Process, pipe: Connection) -> int:
    """The most resident memory seen until the pipe has something to say."""
    peak = 0
    while not pipe.poll(LOOK_EVERY):
        peak = max(peak, process.memory_info().rss)
    return peak
