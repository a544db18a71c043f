"""Measuring what one site computes in a second: products, other kernels, memory; and rounding it.

Each figure comes from the operators that plans run, on their threads. It is a mean over a window of some
milliseconds, so that sites that share cores are measured while all of them are busy, and the better of two
windows counts. Figures are rounded coarsely: noise should not change plans.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import floor, log10

import numpy as np

from tra.algebra.kernel import kernel
from tra.algebra.sources import tensor_type
from tra.algebra.types import RelType
from tra.backends.kernel_calls import call
from tra.backends.local_operators import contract_local
from tra.backends.threads import THREADS, BlasThreads, parallel
from tra.backends.tiles import Tiles
from tra.optimizer.cost import CostModel

LARGE, SMALL = 512, 64  # edges of tiles of products
_WINDOW = 0.008  # seconds, of which each figure takes two
_CACHED = 1 << 13  # elements of a tile that stays in a core's cache
_COPIED = 1 << 22  # elements of a tile in memory that the process has not touched yet
_SERIES = (1.0, 1.5, 2.2, 3.3, 4.7, 6.8, 10.0)


@dataclass(frozen=True)
class Speed:
    """What one site does in a second.

    Attributes:
        large: operations in products of large float64 tiles.
        small: those in products of small ones.
        single: those in products of large float32 tiles.
        elements: operations in other kernels, of which a transcendental function counts several.
        memory: bytes read and written.
    """

    large: float
    small: float
    single: float
    elements: float
    memory: float

    def fit(self, model: CostModel) -> CostModel:
        """The model with these speeds; that of products is R·e/(e + h) for tiles of edge e.

        Example:
            >>> speed = Speed(large=9e10, small=5e10, single=18e10, elements=1e10, memory=8e9)
            >>> fitted = speed.fit(CostModel())
            >>> fitted.flop_rate, fitted.half_edge, fitted.single_speedup
            (100000000000.0, 68.0, 2.2)
        """
        slope = max(1 / self.small - 1 / self.large, 0.0) / (1 / SMALL - 1 / LARGE)  # h/R
        slope = min(slope, LARGE / (2 * self.large))  # at most twice the rate of large tiles
        rate = 1 / (1 / self.large - slope / LARGE)
        return replace(
            model,
            flop_rate=rounded(rate),
            half_edge=rounded(slope * rate) if slope * rate > 1 else 0.0,
            single_speedup=min(max(rounded(self.single / self.large), 1.0), 2.2),
            element_rate=rounded(self.elements),
            memory_bandwidth=rounded(self.memory),
        )


def rounded(figure: float) -> float:
    """The nearest of six numbers in each power of ten.

    Example:
        >>> rounded(4.4e9), rounded(0.0096), rounded(0.0)
        (4700000000.0, 0.01, 0.0)
    """
    if figure <= 0:
        return 0.0
    exponent = floor(log10(figure))
    scaled = figure / 10.0**exponent
    nearest = min(_SERIES, key=lambda number: abs(log10(number / scaled)))
    return float(f"{nearest}e{exponent}")


def measure_speed(threads: int) -> Speed:
    """Measures this site, with the threads of one task.

    Example:
        >>> speed = measure_speed(1)
        >>> speed.large > 0 and speed.memory > 0
        True
    """
    token = THREADS.set(threads)
    try:
        with BlasThreads(1):
            return Speed(
                large=_product(LARGE, (threads, 1, 1), np.dtype("f8")),
                small=_product(SMALL, (2 * threads, 8, 1), np.dtype("f8")),
                single=_product(LARGE, (threads, 1, 1), np.dtype("f4")),
                elements=8 * _CACHED * threads / _seconds(_applied(threads, 8)) * 8,
                memory=2 * 8 * _COPIED * threads / _seconds(_copied(threads)),
            )
    finally:
        THREADS.reset(token)


@lru_cache(maxsize=8)
def speed_here(threads: int) -> Speed:
    """The speed of this process, measured once.

    Example:
        >>> speed_here(1) is speed_here(1)
        True
    """
    return measure_speed(threads)


def _seconds(work: Callable[[], object]) -> float:
    """The mean time of a piece of work in the better of two windows, after one run that does not count."""
    work()
    return min(_mean(work), _mean(work))


def _mean(work: Callable[[], object]) -> float:
    start = now = time.perf_counter()
    n = 0
    while now - start < _WINDOW:
        work()
        n, now = n + 1, time.perf_counter()
    return (now - start) / n


def _grid(rows: int, columns: int, edge: int, dtype: np.dtype[np.generic]) -> Tiles:
    """A matrix of equal tiles."""
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return Tiles(np.array(places, dtype=np.int64), [np.ones((edge, edge), dtype) for _ in places])


def _product(edge: int, grid: tuple[int, int, int], dtype: np.dtype[np.generic]) -> float:
    """Operations per second of a product of matrices of m×k and k×n tiles."""
    m, k, n = grid
    left, right = _grid(m, k, edge, dtype), _grid(k, n, edge, dtype)
    lt, rt = _type(m, k, edge, "ij"), _type(k, n, edge, "jk")
    made, matmul, add = _type(m, n, edge, "ik"), kernel("matmul"), kernel("add")

    def work() -> Tiles:
        return contract_local(
            left, right, lt, rt, ["i", "j", "k"], [("j", "j")], matmul, ("i", "k"), add, made
        )

    return 2.0 * m * k * n * edge**3 / _seconds(work)


def _type(rows: int, columns: int, edge: int, keys: str) -> RelType:
    return tensor_type((rows * edge, columns * edge), "f8", tuple(keys), (edge, edge))


def _applied(threads: int, times: int) -> Callable[[], object]:
    """An exponential of a tile for each thread, some times."""
    exp, tiles = kernel("exp"), [np.full(_CACHED, 0.5) for _ in range(threads)]

    def one(tile: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        for _ in range(times):
            call(exp, tile)

    return lambda: parallel(one, tiles)


def _copied(threads: int) -> Callable[[], object]:
    """A copy of a large tile for each thread, in fresh memory, as results are."""
    tiles = [np.ones(_COPIED) for _ in range(threads)]
    return lambda: parallel(np.array, tiles)
