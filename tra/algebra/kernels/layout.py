"""Kernels that move elements within a tile: transpose, diag, new and dropped axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from tra.algebra.kernel import Kernel, Laws, make_kernel, register
from tra.algebra.types import Tile
from tra.errors import KernelError

_LAWS = Laws(linear=frozenset([0]), zero_preserving=True)
_RESHAPES = Laws(linear=frozenset([0]), zero_preserving=True, reshapes=True)
_PICKS = Laws(linear=frozenset([0]), zero_preserving=True, contraction=True)


def _dims(n: int) -> list[str]:
    return [f"d{p}" for p in range(n)]


def _transpose(axes: Sequence[int] = (1, 0)) -> Kernel:
    """Permutes the trailing axes of a tile, as `numpy.transpose` does."""
    axes = tuple(map(operator.index, axes))
    if sorted(axes) != list(range(len(axes))):
        raise KernelError(f"transpose takes a permutation of 0..n-1; got axes={axes}")
    dims = _dims(len(axes))

    def function(x: Tile) -> Tile:
        n_loops = x.ndim - len(axes)
        return x.transpose((*range(n_loops), *(n_loops + a for a in axes)))

    signature = f"({','.join(dims)})->({','.join(dims[a] for a in axes)})"
    return make_kernel(
        "transpose", signature, function, params={"axes": axes}, laws=_PICKS, flops=lambda dims: 0.0
    )


def _negative(axis: int, name: str, bound: int = 0) -> int:
    if axis >= bound:
        raise KernelError(f"{name} counts axes from the end: axis=-1 is the last; got axis={axis}")
    return int(axis)


def _expand_dims(axis: int = -1) -> Kernel:
    """A new axis of length one; `axis` is its place in the result, counted from the end."""
    axis = _negative(axis, "expand_dims")
    dims = _dims(-axis - 1)
    signature = f"({','.join(dims)})->({','.join(['1', *dims])})"
    return make_kernel(
        "expand_dims", signature, lambda x: np.expand_dims(x, axis), params={"axis": axis}, laws=_RESHAPES,
        flops=lambda dims: 0.0,
    )  # fmt: skip


def _squeeze(axis: int = -1) -> Kernel:
    """Drops an axis of length one, counted from the end."""
    axis = _negative(axis, "squeeze")
    dims = _dims(-axis - 1)
    signature = f"({','.join(['1', *dims])})->({','.join(dims)})"
    return make_kernel(
        "squeeze", signature, lambda x: np.squeeze(x, axis), params={"axis": axis}, laws=_RESHAPES,
        flops=lambda dims: 0.0,
    )  # fmt: skip


def _embed(spec: str) -> Kernel:
    """Puts a tile on a diagonal of zeros: ``embed(spec="a->aa")`` is what `diag` takes back."""
    own, _, repeated = spec.partition("->")

    def function(x: Tile) -> Tile:
        size = dict(zip(own, x.shape[x.ndim - len(own) :], strict=True))
        out = np.zeros(x.shape[: x.ndim - len(own)] + tuple(size[c] for c in repeated), dtype=x.dtype)
        np.einsum(f"...{repeated}->...{own}", out)[...] = x
        return out

    signature = f"({','.join(own)})->({','.join(repeated)})"
    return make_kernel(
        "embed", signature, function, params={"spec": spec}, laws=_LAWS, flops=lambda dims: 0.0
    )


_DIAG = make_kernel(
    "diag", "(n,n)->(n)", lambda x: np.einsum("...aa->...a", x), laws=_PICKS, flops=lambda dims: 0.0
)

register("transpose", _transpose)
register("expand_dims", _expand_dims)
register("squeeze", _squeeze)
register("diag", lambda: _DIAG)
register("embed", _embed)
