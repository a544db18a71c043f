"""Kernels of exact plans: slices of numbers and what becomes of their sums, and fixed element functions.

Their names begin with _: no user writes them. See `tra.algebra.exact`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tra.algebra.exact import elementary, slicing
from tra.algebra.kernel import Kernel, Laws, make_kernel, register
from tra.algebra.kernels.elementwise import BINARY, UNARY
from tra.algebra.types import Tile

_ELEMENTWISE = Laws(elementwise=True)
_KEEPS_ZEROS = Laws(elementwise=True, zero_preserving=True)
_SLOW = 30.0  # operations charged for a function that NumPy passes compute


def _peak(rank: int, gone: Sequence[int]) -> Kernel:
    """The largest magnitude in each tile along the axes `gone`, which stay with length one."""
    axes = tuple(int(axis) - rank for axis in gone)
    dims = [f"d{place}" for place in range(rank)]
    kept = ["1" if place in gone else dim for place, dim in enumerate(dims)]
    return make_kernel(
        "_peak", f"({','.join(dims)})->({','.join(kept)})", lambda x: slicing.peak(x, axes),
        params={"rank": rank, "gone": tuple(gone)}, laws=Laws(zero_preserving=True), output_dtype=np.float64,
        flops=lambda dims: 2.0 * float(np.prod([float(n) for n in dims.values()])),
    )  # fmt: skip


def _slice(number: int, bits: int, factor: bool) -> Kernel:
    """One slice of numbers whose exponents are given."""
    return make_kernel(
        "_slice", BINARY, lambda x, e: slicing.slice_of(x, e, number, bits, factor),
        params={"number": number, "bits": bits, "factor": factor}, laws=_ELEMENTWISE, output_dtype=np.float64,
        flops=lambda dims: 2.0 + 3.0 * number,
    )  # fmt: skip


def _carry(bits: int) -> Kernel:
    """Sums of a slice and of those after it."""
    return make_kernel(
        "_carry", BINARY, lambda high, low: slicing.carried(high, low, bits), params={"bits": bits},
        laws=_KEEPS_ZEROS, output_dtype=np.float64, flops=lambda dims: 2.0,
    )  # fmt: skip


def _scaled(bits: int, dtype: str) -> Kernel:
    """Sums of slices as numbers again."""
    target: np.dtype[Any] = np.dtype(dtype)
    return make_kernel(
        "_scaled", BINARY, lambda total, e: slicing.scaled(total, e, bits, target),
        params={"bits": bits, "dtype": str(target)}, laws=_ELEMENTWISE, output_dtype=target,
        flops=lambda dims: 4.0,
    )  # fmt: skip


register("_peak", _peak)
register("_slice", _slice)
register("_carry", _carry)
register("_scaled", _scaled)
_EXPONENT = make_kernel(
    "_exponent", UNARY, slicing.exponent, laws=_ELEMENTWISE, output_dtype=np.int32, flops=lambda dims: 1.0
)
register("_exponent", lambda: _EXPONENT)


def _like(function: Callable[..., Tile], ufunc: np.ufunc) -> Callable[..., Tile]:
    """A function of float64, with the dtype that NumPy's has."""

    def fixed(*tiles: Any) -> Tile:
        kinds = [tile.dtype if isinstance(tile, np.ndarray | np.generic) else type(tile) for tile in tiles]
        target = ufunc.resolve_dtypes((*kinds, None))[-1]
        with np.errstate(over="ignore", under="ignore"):
            return function(*tiles).astype(target, copy=False)

    return fixed


def _fixed(name: str, signature: str, function: Callable[..., Tile], laws: Laws) -> None:
    made = make_kernel(name, signature, function, laws=laws, flops=lambda dims: _SLOW)
    register(name, lambda: made)


def _power(x: Any, n: Any) -> Tile:
    if isinstance(n, np.ndarray | np.generic):  # a number to the powers of a tile
        return elementary.powers_of(float(x), np.asarray(n))
    whole = np.sqrt(np.asarray(x, np.float64)) if n == 0.5 else elementary.power(x, int(n))
    return np.asarray(whole)


def _positive_zero(x: Tile) -> Tile:
    """Of two zeros of unlike signs NumPy's maximum takes either: it depends on where they lie."""
    result: Tile = x + x.dtype.type(0)
    return result


def _finite(x: Tile) -> Tile:
    """0 for what is infinite or no number: what a sum of powers is taken about."""
    return np.where(np.isfinite(x), x, x.dtype.type(0))


for _name in ("exp", "log", "log1p", "expm1", "tanh", "cos"):
    _keeps = _name in ("log1p", "expm1", "tanh")
    _function = _like(getattr(elementary, _name), getattr(np, _name))
    _fixed(f"_{_name}", UNARY, _function, _KEEPS_ZEROS if _keeps else _ELEMENTWISE)
_fixed("_sigmoid", UNARY, _like(elementary.sigmoid, np.exp), _ELEMENTWISE)
_fixed("_pow", BINARY, _like(_power, np.power), _ELEMENTWISE)
_fixed("_logaddexp", BINARY, _like(elementary.logaddexp, np.logaddexp), _ELEMENTWISE)
_fixed("_positive_zero", UNARY, _positive_zero, _KEEPS_ZEROS)
_fixed("_finite", UNARY, _finite, _KEEPS_ZEROS)
