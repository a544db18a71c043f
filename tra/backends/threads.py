"""Threads inside one task: calls that are independent run side by side, results in order.

BLAS runs with one thread inside each, so that there are never more threads than cores, and equal calls give
equal bits whatever runs beside them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")

THREADS: ContextVar[int] = ContextVar("threads", default=1)
FREE: ContextVar[bool] = ContextVar("free", default=False)  # sums may be cut as suits the threads
MOST = 32  # calls handed to the pool for each thread; more go in runs, since handing one over takes a while
_blas_lock = threading.Lock()


@lru_cache(maxsize=8)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="tra")


@lru_cache(maxsize=1)
def blas() -> ThreadpoolController:
    """The BLAS libraries of this process, looked up once.

    Example:
        >>> blas() is blas()
        True
    """
    return ThreadpoolController()


def parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Applies a function to every item on the threads of the running task.

    Example:
        >>> parallel(abs, [-1, -2])
        [1, 2]
    """
    threads = THREADS.get()
    if threads < 2 or len(items) < 2:
        return [function(item) for item in items]
    if len(items) <= MOST * threads:
        return list(_pool(threads).map(function, items))
    step = -(-len(items) // (MOST * threads))
    runs = [items[start : start + step] for start in range(0, len(items), step)]
    made = _pool(threads).map(lambda run: [function(item) for item in run], runs)
    return [result for results in made for result in results]


class BlasThreads:
    """Sets the number of BLAS threads of the process while a run lasts; nested and concurrent runs share it.

    Example:
        >>> with BlasThreads(1):
        ...     all(library["num_threads"] == 1 for library in blas().info() if library["user_api"] == "blas")
        True
    """

    _depth = 0
    _before: ClassVar[list[tuple[Any, int]]] = []

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        with _blas_lock:
            if BlasThreads._depth == 0:
                BlasThreads._before = [
                    (library, library.num_threads)
                    for library in blas().lib_controllers
                    if library.user_api == "blas"
                ]
                for library, _ in BlasThreads._before:
                    library.set_num_threads(self.threads)
            BlasThreads._depth += 1

    def __exit__(self, *_: object) -> None:
        with _blas_lock:
            BlasThreads._depth -= 1
            if BlasThreads._depth == 0:
                for library, before in BlasThreads._before:
                    library.set_num_threads(before)
