"""Calling kernels on many tiles: small tiles of one shape go in one call, large ones each on a thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tra.algebra.kernel import Kernel
from tra.algebra.types import Tile
from tra.backends.threads import parallel
from tra.errors import KernelError, SchemaError, TraError

SMALL = 1 << 15  # bytes of a tile that is worth batching
BATCH = 1 << 21  # bytes of one batch


def call(kernel: Kernel, *tiles: Tile) -> Tile:
    """One call; NumPy's complaint becomes an error that names the kernel and the shapes.

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
    """
    n = len(operands[0])
    results: list[Tile] = [np.empty(0)] * n
    single, batches = _batches(kernel, operands, n)

    def one(row: int) -> None:
        results[row] = call(kernel, *(operand[row] for operand in operands))

    def many(rows: list[int]) -> None:
        stacked = [_stack([operand[r] for r in rows], _n_loops(kernel, p, operands, rows[0])) for p, operand in enumerate(operands)]
        batch = call(kernel, *stacked)
        for place, row in enumerate(rows):
            results[row] = batch[place]

    parallel(_either(one, many), [*single, *batches])
    return results


def _either(one: Callable[[int], None], many: Callable[[list[int]], None]) -> Callable[[int | list[int]], None]:
    def run(item: int | list[int]) -> None:
        if isinstance(item, int):
            one(item)
        else:
            many(item)

    return run


def _n_loops(kernel: Kernel, position: int, operands: Sequence[Sequence[Tile]], row: int) -> int:
    """How many axes of length 1 a stack needs before its loop dimensions, so that batches align."""
    cores = [len(dims) for dims in kernel.signature.inputs]
    loops = [operand[row].ndim - core for operand, core in zip(operands, cores, strict=True)]
    return max(loops) - loops[position]


def _stack(tiles: list[Tile], n_ones: int) -> Tile:
    stacked = np.stack(tiles)
    return stacked.reshape(stacked.shape[:1] + (1,) * n_ones + stacked.shape[1:])


def _batches(kernel: Kernel, operands: Sequence[Sequence[Tile]], n: int) -> tuple[list[int], list[list[int]]]:
    if not kernel.batched or n < 2:
        return list(range(n)), []
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    single: list[int] = []
    for row in range(n):
        tiles = [operand[row] for operand in operands]
        if max(t.nbytes for t in tiles) > SMALL:
            single.append(row)
        else:
            groups.setdefault(tuple(t.shape for t in tiles), []).append(row)
    batches: list[list[int]] = []
    for rows in groups.values():
        size = max(sum(operand[rows[0]].nbytes for operand in operands), 64)
        step = max(BATCH // size, 1)
        batches += [rows[start : start + step] for start in range(0, len(rows), step)]
    single += [rows[0] for rows in batches if len(rows) == 1]
    return sorted(single), [rows for rows in batches if len(rows) > 1]
