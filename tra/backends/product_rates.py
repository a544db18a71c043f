"""How long products of tiles take one thread, roughly: to choose between ways of doing the same.

The constants are those of current cores; only their ratios matter. What plans are priced with is measured
(`calibrate`).
"""

from __future__ import annotations

from math import prod

import numpy as np

from tra.optimizer.plan import LocalContract

CALL = 3e-6  # seconds of a call from Python
_BYTES_PER_SECOND = 5e9  # that are copied
_SINGLE, _DOUBLE, _OTHER = 1e11, 5e10, 1e9  # operations per second, by the size of numbers
_HALF_EDGE = 12.0  # of a product that runs at half that rate
_BLAS = {"f": (2, _SINGLE), "d": (2, _DOUBLE), "F": (8, _SINGLE), "D": (8, _DOUBLE)}


def product_seconds(node: LocalContract, n_tiles: float = 1.0) -> float:
    """Seconds of one product of full tiles, or of one as large as so many together.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> product_seconds(node, 1000) < 1000 * product_seconds(node)
        True
    """
    one, other = node.kernel.signature.inputs
    sizes = dict(zip((*one, *other), (*node.left.type.tile_shape, *node.right.type.tile_shape), strict=True))
    multiply_adds = max(prod(sizes.values()), 1) * n_tiles
    flops, rate = _BLAS.get(np.dtype(node.type.dtype).char, (2, _OTHER))
    half = _HALF_EDGE if rate > _OTHER else 0.0
    edge: float = multiply_adds ** (1 / 3)
    return flops * multiply_adds / rate * (1 + half / edge)


def copy_seconds(n_bytes: float) -> float:
    """Seconds to copy so many bytes.

    Example:
        >>> copy_seconds(5e9)
        1.0
    """
    return n_bytes / _BYTES_PER_SECOND
