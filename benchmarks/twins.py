"""The machine's limit for a product: two processes of numpy, one thread each, each with a half of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.shapes import Shape


class Twins:
    """Two processes that compute halves of a product at once, and send nothing but that they are done."""

    def __init__(self, shape: Shape) -> None:
        context = get_context("spawn")
        self.pipes: list[Connection] = []
        self.processes = []
        for half in range(2):
            here, there = context.Pipe()
            process = context.Process(target=_multiply, args=(there, shape, half), daemon=True)
            process.start()
            there.close()
            self.pipes.append(here)
            self.processes.append(process)
        for pipe in self.pipes:
            pipe.recv()

    def run(self) -> None:
        """Both halves, from when both are told until both are done."""
        for pipe in self.pipes:
            pipe.send("run")
        for pipe in self.pipes:
            pipe.recv()

    def close(self) -> None:
        """Ends both."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join()


@contextmanager
def twins(shape: Shape) -> Iterator[Twins]:
    """Both processes, ready, and ended afterwards."""
    opened = Twins(shape)
    try:
        yield opened
    finally:
        opened.close()


def halves(shape: Shape, half: int) -> tuple[np.ndarray, np.ndarray]:
    """What one of them multiplies: half of the rows, or half of the inner dimension where that is longer.

    Example:
        >>> [[part.shape for part in halves(Shape("common", 2, 6, 2), half)] for half in (0, 1)]
        [[(2, 3), (3, 2)], [(2, 3), (3, 2)]]
    """
    left, right = shape.inputs
    if shape.k > shape.n:
        part = slice(shape.k // 2, None) if half else slice(shape.k // 2)
        return left[:, part].copy(), right[part].copy()
    part = slice(shape.n // 2, None) if half else slice(shape.n // 2)
    return left[part].copy(), right


def _multiply(pipe: Connection, shape: Shape, half: int) -> None:
    """What a process does."""
    left, right = halves(shape, half)
    with threadpool_limits(1):
        pipe.send("ready")
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            product = left @ right
            pipe.send("done")
            del product
