"""Calling kernels on many tiles: small tiles of one shape go in one call, large ones each on a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tra.algebra.formula import takes_out
from tra.algebra.kernel import Kernel, result_dtype
from tra.algebra.types import Tile, dtype_name
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
        KernelError: the kernel refuses the types, fails in another way, or, made by a user, gives no tile of
            the shape and dtype that it promises.
    """
    return _called(kernel, tiles, {})


def call_into(target: Tile, kernel: Kernel, *tiles: Tile) -> Tile:
    """One call whose result goes into memory that is there; an operand may lie in the same place.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> place = np.zeros(2)
        >>> call_into(place, kernel("neg"), np.ones(2)) is place, place.tolist()
        (True, [-1.0, -1.0])

    Raises:
        SchemaError: as `call`.
        KernelError: as `call`.
    """
    if takes_out(kernel.function) and target.ndim:
        return _called(kernel, tiles, {"out": target})
    target[...] = call(kernel, *tiles)
    return target


def accumulate(kernel: Kernel, total: Tile, array: Tile) -> Tile:
    """The fold of a running total that is ours with one more tile, in its place where that can be.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> total = np.ones(2)
        >>> accumulate(kernel("add"), total, np.ones(2)) is total, total.tolist()
        (True, [2.0, 2.0])
    """
    alike = total.dtype == array.dtype and total.shape == array.shape
    if isinstance(kernel.function, np.ufunc) and alike and total.ndim:
        result: Tile = kernel.function(total, array, out=total)
        return result
    return call(kernel, total, array)


def _called(kernel: Kernel, tiles: Sequence[Tile], options: Mapping[str, Any]) -> Tile:
    try:
        result = np.asarray(kernel.function(*tiles, **options))
    except (TraError, MemoryError):
        raise
    except (ValueError, IndexError) as error:
        raise SchemaError(f"kernel {kernel} failed on tiles of {_shapes(tiles)}: {error}") from error
    except TypeError as error:
        raise KernelError(f"kernel {kernel} failed on tiles of {_shapes(tiles)}: {error}") from error
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise KernelError(f"kernel {kernel} failed on tiles of {_shapes(tiles)}: {what}") from error
    return _as_promised(kernel, tiles, result) if kernel.user else result


def _as_promised(kernel: Kernel, tiles: Sequence[Tile], result: Tile) -> Tile:
    """The result, if it is what the signature and the dtype found when the query was built say."""
    dtype = result_dtype(kernel, tuple(tile.dtype for tile in tiles))
    shape = _promised_shape(kernel, tuple(tile.shape for tile in tiles))
    if result.dtype == dtype and shape in (None, result.shape):
        return result
    raise KernelError(
        f"kernel {kernel} gives {_shapes([result])} on tiles of {_shapes(tiles)}, "
        f"but promises {_shape(shape, dtype)}"
    )


@lru_cache(maxsize=1024)
def _promised_shape(kernel: Kernel, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | None:
    """The shape that a signature gives for operands; None where it does not say."""
    lengths, loops = dict(kernel.sizes), []
    for dims, shape in zip(kernel.signature.inputs, shapes, strict=True):
        n_loops = len(shape) - len(dims)
        loops.append(shape[:n_loops])
        lengths.update(zip(dims, shape[n_loops:], strict=True))
    output = [int(dim) if dim.isdigit() else lengths.get(dim) for dim in kernel.signature.output]
    known = [length for length in output if length is not None]
    return (*np.broadcast_shapes(*loops), *known) if len(known) == len(output) else None


def _shapes(tiles: Sequence[Tile]) -> str:
    return " and ".join(_shape(tile.shape, tile.dtype) for tile in tiles)


def _shape(shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> str:
    """A shape and a dtype as messages show them; the dtype alone where the shape is not known."""
    sizes = "" if shape is None else f"{'×'.join(map(str, shape)) or 'scalar'} "
    return sizes + dtype_name(dtype)


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
