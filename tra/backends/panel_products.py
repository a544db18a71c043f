"""Sums of products of arrays, cut into panels that threads share.

Each panel of the result is computed by one thread with a BLAS of one thread, which writes where the result
belongs. BLAS may take another way, with other bits, for panels of other shapes: where a result is cut follows
from sizes alone, so that it has the same bits whatever the threads, unless nothing is promised of bits.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from math import sqrt
from typing import TypeAlias

import numpy as np

from tra.algebra.kernel import Kernel
from tra.algebra.types import Tile
from tra.backends.kernel_calls import call, call_into
from tra.backends.threads import FREE, THREADS, parallel

GRAIN = 192  # rows or columns of a panel are a multiple: where BLAS begins a round
WIDE = 1 << 9  # the fewest of them, where panels are cut for the threads
LEAST = 1 << 21  # multiplications that are worth a thread
THIN = 192  # rows or columns of a result that is no work for its size, but for reading the operands
READ = 1 << 20  # elements of the operands of such a product that are worth a panel
TALL = 1 << 10  # rows of a panel: BLAS packs the other operand anew for each
PARTS = 8  # of a long sum, or of the longest axis
LONG = 1 << 13  # terms of a sum that is cut, where a result is small
LEAST_SHARED = 1 << 20  # bytes of a result that is worth sharing
ADDED_BYTES = 1 << 24  # of a panel that is added to what is there

Pair: TypeAlias = tuple[Tile, Tile]


def sum_of_products(terms: Sequence[Pair], out: Tile) -> None:
    """Writes the sum of some matrix products, panel by panel.

    Example:
        >>> out = np.empty((2, 2))
        >>> sum_of_products([(np.eye(2), np.ones((2, 2)))] * 2, out)
        >>> out.tolist()
        [[2.0, 2.0], [2.0, 2.0]]
    """
    if _is_long(*terms[0]):
        short = [part for term in terms for part in _shortened(*term)]
        partials = parallel(lambda term: np.matmul(*term), short)
        out[...] = reduce(np.add, partials)
        return

    def panel(place: tuple[slice, slice]) -> None:
        rows, columns = place
        target = out[place]
        np.matmul(terms[0][0][rows], terms[0][1][:, columns], out=target)
        partial = np.empty_like(target) if len(terms) > 1 else None
        for x, y in terms[1:]:
            np.add(target, np.matmul(x[rows], y[:, columns], out=partial), out=target)

    parallel(panel, _panels(out.shape, terms[0][0].shape[1]))


def add_products(terms: Sequence[Pair], out: Tile) -> None:
    """Adds the sum of some matrix products to what is there, in panels that each thread has memory for.

    Example:
        >>> out = np.ones((2, 2))
        >>> add_products([(np.eye(2), np.ones((2, 2)))] * 2, out)
        >>> out.tolist()
        [[3.0, 3.0], [3.0, 3.0]]
    """
    own = threading.local()
    n_columns = max(ADDED_BYTES // (TALL * out.itemsize) // GRAIN * GRAIN, GRAIN)

    def panel(place: tuple[slice, slice]) -> None:
        target = out[place]
        if getattr(own, "partial", None) is None:
            own.partial = np.empty(TALL * n_columns, out.dtype)
        partial = own.partial[: target.size].reshape(target.shape)
        for x, y in terms:
            np.add(target, np.matmul(x[place[0]], y[:, place[1]], out=partial), out=target)

    rows, columns = (_steps(n, step) for n, step in zip(out.shape, (TALL, n_columns), strict=True))
    parallel(panel, [(row, column) for column in columns for row in rows])


def _steps(length: int, step: int) -> list[slice]:
    """A length in parts of one size, but for the last."""
    return [slice(low, min(low + step, length)) for low in range(0, length, step)]


def _is_long(x: Tile, y: Tile) -> bool:
    """Claims that threads had better share the sum than its result: panels of it would read all of x or y.

    Sizes decide alone, so that the bits are the same whatever the threads; parts of the sum take memory.
    """
    rows, columns = x.shape[0], y.shape[1]
    if x.shape[1] < 2 * LONG or max(rows, columns) >= 2 * TALL:
        return False
    return max(rows, columns) < TALL or bool(2 * PARTS * rows * columns <= x.size + y.size)


def _shortened(x: Tile, y: Tile) -> list[Pair]:
    """A product as a sum of shorter ones, for a result that is too small to be shared by threads.

    Where it is cut depends on sizes alone, so that the sum has the same bits whatever the threads; where
    nothing is promised of bits there is one for each thread, and fewer partial sums to add.
    """
    n_parts = max(min(x.shape[1] // LONG, THREADS.get() if FREE.get() else PARTS), 1)
    edges = [n * x.shape[1] // n_parts for n in range(n_parts + 1)]
    return [(x[:, low:high], y[low:high]) for low, high in pairwise(edges)]


def _panels(shape: tuple[int, int], n_inner: int) -> list[tuple[slice, slice]]:
    """Panels of a result for the threads: rows first, since they lie together in memory.

    Panels that run at the same time are of different rows: pages of new memory are cleared when they are
    first written to, and two threads in one page would both clear it. Every second column of panels begins at
    its other end, so that the thread that had the smaller panel gets the larger one next.
    """
    counts = _for_threads(shape, n_inner) if FREE.get() else _by_size(shape, n_inner)
    rows, columns = (_ranges(n, parts) for n, parts in zip(shape, counts, strict=True))
    return [(row, column) for n, column in enumerate(columns) for row in rows[:: -1 if n % 2 else 1]]


def _for_threads(shape: tuple[int, int], n_inner: int) -> tuple[int, int]:
    """Two panels for each thread; few rows of panels, since BLAS packs the other operand anew for each.

    Example:
        >>> token = THREADS.set(2)
        >>> [_for_threads(shape, 1000) for shape in ((500, 500), (4000, 4000), (10_000, 500))]
        [(1, 1), (2, 2), (4, 1)]
        >>> THREADS.reset(token)
    """
    threads, work = THREADS.get(), shape[0] * shape[1] * n_inner
    if threads < 2 or work < LEAST:
        return 1, 1
    wanted = min(2 * threads, work // LEAST + 1)
    most = max(shape[0] // TALL, min(threads, shape[0] // WIDE), 1)
    n_rows = max(n for n in range(1, wanted + 1) if wanted % n == 0 and n <= most)
    return n_rows, max(min(wanted // n_rows, shape[1] // WIDE), 1)


def _by_size(shape: tuple[int, int], n_inner: int) -> tuple[int, int]:
    """A panel for every 512 rows of a square result, in powers of two, each as square as it comes.

    Example:
        >>> [_by_size(shape, 1000) for shape in ((500, 500), (2500, 2500), (10_000, 10_000), (10**6, 1))]
        [(1, 1), (2, 2), (4, 4), (8, 1)]
    """
    n_rows = n_columns = 1
    wanted = sqrt(shape[0] * shape[1]) / WIDE
    if min(shape) < THIN:
        wanted = max(wanted, min(PARTS, sum(shape) * n_inner / READ))
    wanted = min(wanted, shape[0] * shape[1] * n_inner / LEAST)
    while 2 * n_rows * n_columns <= wanted:
        if shape[0] * n_columns >= shape[1] * n_rows:
            n_rows *= 2
        else:
            n_columns *= 2
    return n_rows, n_columns


def _ranges(length: int, parts: int) -> list[slice]:
    """A length in even parts, whose edges are multiples of the grain where sizes alone say how many."""
    grain = 1 if FREE.get() else GRAIN
    edges = sorted({*(round(n * length / parts / grain) * grain for n in range(parts)), length})
    return [slice(low, high) for low, high in pairwise(edges)] if length else [slice(0, 0)]


def sum_of_calls(kernel: Kernel, terms: Sequence[Pair], out: Tile) -> None:
    """Writes the sum of a kernel's results, cut along its longest axis.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> out = np.empty((2, 2))
        >>> sum_of_calls(kernel("outer"), [(np.ones(2), np.arange(2.0))] * 3, out)
        >>> out.tolist()
        [[0.0, 3.0], [0.0, 3.0]]
    """
    dims = _labels(kernel, [operand.ndim for operand in terms[0]])
    axis = int(np.argmax(out.shape)) if out.ndim else 0
    label = dims[-1][axis] if out.ndim else None
    places = [d.index(label) if label in d else None for d in dims[:-1]]
    most = 2 * THREADS.get() if FREE.get() else PARTS
    parts = most if out.nbytes > LEAST_SHARED and label in (*dims[0], *dims[1]) else 1

    def piece(taken: slice) -> None:
        target = out[(slice(None),) * axis + (taken,)] if out.ndim else out
        for number, term in enumerate(terms):
            cut = [_taken(tile, place, taken) for tile, place in zip(term, places, strict=True)]
            if number:
                np.add(target, call(kernel, *cut), out=target)
            else:
                call_into(target, kernel, *cut)

    parallel(piece, _ranges(out.shape[axis], parts) if parts > 1 else [slice(None)])


def _taken(tile: Tile, axis: int | None, taken: slice) -> Tile:
    """The part of an operand along an axis; all of it where it lacks the axis or has it at length one."""
    if axis is None or tile.shape[axis] == 1:
        return tile
    return tile[(slice(None),) * axis + (taken,)]


def _labels(kernel: Kernel, ranks: Sequence[int]) -> list[list[str | int]]:
    """Labels of the axes of both operands and of the result: loops by number from the right, then names."""
    loops = [rank - len(dims) for rank, dims in zip(ranks, kernel.signature.inputs, strict=True)]
    groups = zip((*loops, max(loops)), (*kernel.signature.inputs, kernel.signature.output), strict=True)
    return [[*range(-n, 0), *dims] for n, dims in groups]
