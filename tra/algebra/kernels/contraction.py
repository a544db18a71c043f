"""Contractions of two tiles: matmul, outer, and einsum of any spec."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from string import ascii_letters

import numpy as np

from tra.algebra.kernel import Kernel, Laws, TileFunction, make_kernel, register
from tra.algebra.types import Tile
from tra.errors import KernelError

_BILINEAR = Laws(linear=frozenset([0, 1]), zero_preserving=True, contraction=True)
_LINEAR = Laws(linear=frozenset([0]), zero_preserving=True, contraction=True)


def canonical_spec(spec: str) -> str:
    """The spec with its labels renamed a, b, c… in order of appearance.

    Example:
        >>> canonical_spec("ik,kj->ij")
        'ab,bc->ac'

    Raises:
        KernelError: a label is no letter, or there are more than NumPy takes.
    """
    written = spec.replace(" ", "")
    labels = dict.fromkeys(c for c in written if c not in ",->")
    if len(labels) > len(ascii_letters) or not all(c.isalpha() for c in labels):
        raise KernelError(f"{spec!r} is no einsum: labels are letters, at most {len(ascii_letters)} of them")
    names = dict(zip(labels, ascii_letters, strict=False))
    return "".join(names.get(c, c) for c in written)


def einsum_kernel(spec: str) -> Kernel:
    """The kernel of a one- or two-operand einsum over whole tiles; a known contraction by its own name.

    Example:
        >>> str(einsum_kernel("ij,jk->ik")), str(einsum_kernel("ij,kj->ik"))
        ('matmul', "einsum(spec='ab,cb->ac')")

    Raises:
        KernelError: the spec has no arrow, more than two operands, or an output label that no operand has.
    """
    return _einsum_kernel(canonical_spec(spec))


@lru_cache(maxsize=4096)
def _einsum_kernel(spec: str) -> Kernel:
    known = {"ab,bc->ac": _MATMUL, "a,b->ab": _OUTER}
    if spec in known:
        return known[spec]
    inputs, arrow, output = spec.partition("->")
    operands = inputs.split(",")
    if not arrow or len(operands) > 2 or set(output) - set(inputs) or len(set(output)) < len(output):
        raise KernelError(f"{spec!r} is not an einsum of one or two operands with distinct output labels")
    signature = ",".join(f"({','.join(o)})" for o in operands) + f"->({','.join(output)})"
    labels = set(spec) - set(",->")
    laws = _BILINEAR if len(operands) == 2 else _LINEAR
    return make_kernel(
        "einsum", signature, _einsum_function(operands, output), params={"spec": spec}, laws=laws,
        flops=lambda dims: float(len(operands)) * prod(dims.get(label, 1) for label in labels),
    )  # fmt: skip


def _einsum_function(operands: list[str], output: str) -> TileFunction:
    if len(operands) == 1:
        return lambda x: np.einsum(f"...{operands[0]}->...{output}", x)
    left, right = operands
    if len(set(left)) < len(left) or len(set(right)) < len(right):
        return lambda x, y: np.einsum(f"...{left},...{right}->...{output}", x, y)
    return lambda x, y: contract(left, right, output, x, y)


def contract(left: str, right: str, output: str, x: Tile, y: Tile) -> Tile:
    """Contracts two arrays by one matmul: BLAS does the work whatever the order of the labels.

    Leading axes beyond the labels are loop dimensions and must agree (or be 1).

    Example:
        >>> contract("ab", "cb", "ac", np.ones((2, 3)), np.ones((4, 3))).shape
        (2, 4)
    """
    x, left = _sum_alone(x, left, right + output)
    y, right = _sum_alone(y, right, left + output)
    n_loops = max(x.ndim - len(left), y.ndim - len(right))
    x = x.reshape((1,) * (n_loops + len(left) - x.ndim) + x.shape)
    y = y.reshape((1,) * (n_loops + len(right) - y.ndim) + y.shape)
    both = [c for c in left if c in right]
    batch = [c for c in both if c in output]
    inner = [c for c in both if c not in output]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    size = {c: x.shape[n_loops + p] for p, c in enumerate(left)}
    size.update({c: y.shape[n_loops + p] for p, c in enumerate(right)})
    extents = [prod(size[c] for c in group) for group in (rows, inner, columns)]
    xm = _grouped(x, left, n_loops, [*batch, *rows, *inner], len(batch), (extents[0], extents[1]))
    ym = _grouped(y, right, n_loops, [*batch, *inner, *columns], len(batch), (extents[1], extents[2]))
    product: Tile = np.matmul(xm, ym)
    shape = product.shape[: n_loops + len(batch)] + tuple(size[c] for c in (*rows, *columns))
    labels = [*batch, *rows, *columns]
    axes = (*range(n_loops), *(n_loops + labels.index(c) for c in output))
    return product.reshape(shape).transpose(axes)


def _sum_alone(x: Tile, labels: str, others: str) -> tuple[Tile, str]:
    alone = [c for c in labels if c not in others]
    if not alone:
        return x, labels
    axes = tuple(x.ndim - len(labels) + labels.index(c) for c in alone)
    summed: Tile = np.any(x, axis=axes) if x.dtype == bool else np.sum(x, axis=axes, dtype=x.dtype)
    return summed, "".join(c for c in labels if c not in alone)


def _grouped(
    x: Tile, labels: str, n_loops: int, order: list[str], n_batch: int, matrix: tuple[int, int]
) -> Tile:
    x = x.transpose((*range(n_loops), *(n_loops + labels.index(c) for c in order)))
    return x.reshape(x.shape[: n_loops + n_batch] + matrix)


_MATMUL = make_kernel(
    "matmul", "(m,n),(n,p)->(m,p)", np.matmul, laws=_BILINEAR,
    flops=lambda dims: 2.0 * dims["m"] * dims["n"] * dims["p"],
)  # fmt: skip
_OUTER = make_kernel(
    "outer", "(m),(n)->(m,n)", lambda x, y: x[..., :, np.newaxis] * y[..., np.newaxis, :], laws=_BILINEAR,
    flops=lambda dims: 1.0 * dims["m"] * dims["n"],
)  # fmt: skip
register("matmul", lambda: _MATMUL)
register("outer", lambda: _OUTER)
register("einsum", einsum_kernel)
