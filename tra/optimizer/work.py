"""What operators do over all sites, in operations and bytes; how fast a site does it the cost model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_BLAS = "fdFD"  # types of numbers that BLAS multiplies; NumPy multiplies the others in loops of its own


@dataclass(frozen=True)
class Work:
    """Operations, and bytes of memory.

    Attributes:
        flops: floating-point operations.
        bytes_touched: bytes read and written.
        product_edge: of calls that BLAS runs, the edge of the cube of their multiply-adds; 0 for all others.
        is_single: claims that those products are of numbers of half the size.
    """

    flops: float
    bytes_touched: float
    product_edge: float = 0.0
    is_single: bool = False


def product_flops(multiply_adds: float, dtype: np.dtype[Any]) -> float:
    """Operations of so many multiply-adds: of complex numbers each is four of real ones.

    Example:
        >>> product_flops(10, np.dtype("f8")), product_flops(10, np.dtype("c16"))
        (20, 80)
    """
    return (8 if dtype.kind == "c" else 2) * multiply_adds


def product_edge(flops_per_call: float, dtype: np.dtype[Any]) -> float:
    """The edge of the cube of the multiply-adds of one product; 0 where BLAS does not know such numbers.

    Example:
        >>> [round(product_edge(16_000, np.dtype(name)), 1) for name in ("f8", "c16", "i8", "f2")]
        [20.0, 12.6, 0.0, 0.0]
    """
    if dtype.char not in _BLAS:
        return 0.0
    edge: float = (flops_per_call / product_flops(1, dtype)) ** (1 / 3)
    return max(edge, 1.0)


def contraction_work(
    dtype: np.dtype[Any],
    calls: tuple[float, float],
    operand_bytes: float,
    n_elements: tuple[float, float],
    is_product: bool,
) -> Work:
    """The work of a join whose tiles are folded as they come, each after the first of a key into that.

    Args:
        dtype: that of the result.
        calls: how often the kernel is called, and the operations of one call.
        operand_bytes: bytes of both operands.
        n_elements: elements of the join, and of the result; without a fold they are the same.
        is_product: claims that the kernel multiplies two operands and sums.

    Example:
        >>> work = contraction_work(np.dtype("f8"), (4, 16.0), 128, (16, 8), is_product=True)
        >>> work.flops, work.bytes_touched, work.product_edge
        (72.0, 384, 2.0)
    """
    n_calls, flops_per_call = calls
    n_folded = max(n_elements[0] - n_elements[1], 0)
    return Work(
        n_calls * flops_per_call + n_folded,
        operand_bytes + (n_elements[1] + 3 * n_folded) * dtype.itemsize,
        product_edge(flops_per_call, dtype) if is_product else 0.0,
        dtype.char in "fF",
    )
