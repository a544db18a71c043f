"""Calling kernels on many tiles: small tiles of one shape go in one call, large ones each on a thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tra.algebra.kernel import Kernel
from tra.algebra.types import Tile
from tra.backends.threads import parallel
from tra.errors import KernelError, SchemaError, TraError

SMALL = 1 << 15  # bytes of a tile that is worth batching
BATCH = 1 << 21  # bytes of one batch


def call(kernel: Kernel, *tiles: Tile) -> Tile:
    """One call; NumPy's complaint becomes an error that names the kernel and the shapes.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> call(kernel("matmul"), np.ones((1, 2)), np.ones((3, 1)))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tra.errors.SchemaError: kernel matmul failed on tiles of 1×2 float64 and 3×1 float64: ...

    Raises:
        SchemaError: the kernel refuses the values or shapes (a maximum of nothing, for instance).
        KernelError: the kernel refuses the types.
    """
    try:
        return np.asarray(kernel.function(*tiles))
    except TraError:
        raise
    except (ValueError, IndexError) as error:
        raise SchemaError(f"kernel {kernel} failed on tiles of {_shapes(tiles)}: {error}") from error
    except TypeError as error:
        raise KernelError(f"kernel {kernel} failed on tiles of {_shapes(tiles)}: {error}") from error


def _shapes(tiles: Sequence[Tile]) -> str:
    return " and ".join(f"{'×'.join(map(str, t.shape)) or 'scalar'} {t.dtype}" for t in tiles)


def map_tiles(kernel: Kernel, operands: Sequence[Sequence[Tile]]) -> list[Tile]:
    """Applies a kernel to matching tiles of its operands.

    Args:
        kernel: the kernel.
        operands: for each operand the tiles, all of one length.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> left, right = [np.ones(2), np.ones(1)], [np.ones(2), np.zeros(1)]
        >>> [tile.tolist() for tile in map_tiles(kernel("add"), [left, right])]
        [[2.0, 2.0], [1.0]]
    """
    results: list[Tile] = [np.empty(0)] * len(operands[0])

    def run(rows: list[int]) -> None:
        tiles = [[operand[row] for row in rows] for operand in operands]
        if len(rows) == 1:
            results[rows[0]] = call(kernel, *(first for first, *_ in tiles))
            return
        batch = call(kernel, *_stacked(kernel, tiles))
        for place, row in enumerate(rows):
            results[row] = batch[place, ...]

    parallel(run, _batches(kernel, operands))
    return results


def _stacked(kernel: Kernel, tiles: Sequence[Sequence[Tile]]) -> list[Tile]:
    """Each operand's tiles as one array; axes of length 1 before their loop dimensions make batches align."""
    cores = [len(dims) for dims in kernel.signature.inputs]
    loops = [operand[0].ndim - core for operand, core in zip(tiles, cores, strict=True)]
    stacks = [np.stack(operand) for operand in tiles]
    return [
        stack.reshape(stack.shape[:1] + (1,) * (max(loops) - own) + stack.shape[1:])
        for stack, own in zip(stacks, loops, strict=True)
    ]


def _batches(kernel: Kernel, operands: Sequence[Sequence[Tile]]) -> list[list[int]]:
    """Rows that go into one call: large tiles alone, small ones of one shape together."""
    n = len(operands[0])
    if not kernel.batched or n < 2:
        return [[row] for row in range(n)]
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    batches: list[list[int]] = []
    for row in range(n):
        tiles = [operand[row] for operand in operands]
        if max(tile.nbytes for tile in tiles) > SMALL:
            batches.append([row])
        else:
            groups.setdefault(tuple(tile.shape for tile in tiles), []).append(row)
    for rows in groups.values():
        size = max(sum(operand[rows[0]].nbytes for operand in operands), 64)
        step = max(BATCH // size, 1)
        batches += [rows[start : start + step] for start in range(0, len(rows), step)]
    return batches
