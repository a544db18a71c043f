"""Kernels that reduce or normalise along one axis of a tile; `axis` counts from the end."""

from __future__ import annotations

from math import prod

import numpy as np

from tra.algebra.kernel import Kernel, Laws, TileFunction, make_kernel, register
from tra.algebra.types import Tile
from tra.errors import KernelError


def _signature(axis: int, name: str, *, keeps: bool) -> str:
    if axis >= 0:
        raise KernelError(f"{name} counts axes from the end: axis=-1 is the last; got axis={axis}")
    dims = ["n", *(f"d{p}" for p in range(-axis - 1))]
    return f"({','.join(dims)})->({','.join(dims if keeps else dims[1:])})"


def _along(name: str, function: TileFunction, laws: Laws, flops: float, *, keeps: bool = False) -> None:
    def definition(axis: int = -1) -> Kernel:
        return make_kernel(
            name, _signature(axis, name, keeps=keeps), lambda x: function(x, axis),
            params={"axis": int(axis)}, laws=laws, flops=lambda dims: flops * float(prod(dims.values())),
        )  # fmt: skip

    register(name, definition)


def softmax(x: Tile, axis: int) -> Tile:
    """The shares exp(x) / Σ exp(x) along an axis; safe for large x.

    Example:
        >>> softmax(np.array([0.0, 1000.0]), -1)
        array([0., 1.])
    """
    shifted = np.exp(x - np.max(x, axis=axis, keepdims=True))
    result: Tile = shifted / np.sum(shifted, axis=axis, keepdims=True)
    return result


def logsumexp(x: Tile, axis: int) -> Tile:
    """The logarithm of Σ exp(x) along an axis, safe for large x; −inf where all are −inf.

    Example:
        >>> float(logsumexp(np.array([1000.0, -np.inf]), -1))
        1000.0
    """
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype if x.dtype.kind in "fc" else np.float64)
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(x - top), axis=axis))
    result: Tile = total + np.squeeze(top, axis)
    return result


_along(
    "reduce_sum",
    lambda x, axis: np.sum(x, axis=axis),
    Laws(linear=frozenset([0]), zero_preserving=True, contraction=True),
    1.0,
)
_along("reduce_prod", lambda x, axis: np.prod(x, axis=axis), Laws(), 1.0)
_along("reduce_max", lambda x, axis: np.max(x, axis=axis), Laws(monotone=True, zero_preserving=True), 1.0)
_along("reduce_min", lambda x, axis: np.min(x, axis=axis), Laws(monotone=True, zero_preserving=True), 1.0)
_along("reduce_any", lambda x, axis: np.any(x, axis=axis), Laws(zero_preserving=True), 1.0)
_along("reduce_all", lambda x, axis: np.all(x, axis=axis), Laws(), 1.0)
_along("softmax", softmax, Laws(), 10.0, keeps=True)
_along("log_softmax", lambda x, axis: x - np.expand_dims(logsumexp(x, axis), axis), Laws(), 10.0, keeps=True)
_along("logsumexp", logsumexp, Laws(), 10.0)
