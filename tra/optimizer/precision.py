"""In which types a sum of products is computed: an order may use wider ones than the query, and no narrower.

Factors of one type are multiplied in it, in whatever order. Where types are mixed the order decides which
products are made in which: A·(B·c) of float32 matrices and a float64 vector is all float64, (A·B)·c is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.nodes import Aggregate, Expr, Join, Transform
from tra.optimizer.network import Network

DType: TypeAlias = "np.dtype[Any]"


def is_mixed(network: Network, root: Expr) -> bool:
    """Claims that factors, or the result, are of several types."""
    return len({term.expr.type.dtype for term in network.terms} | {root.type.dtype}) > 1


def narrowed(written: Expr, other: Expr, ends: Collection[str]) -> str:
    """Why another order of factors of several types would not do; empty where it would.

    Args:
        written: the sum of products as it is in the query.
        other: the same in another order.
        ends: digests of the factors.

    Example:
        >>> import numpy as np, tra
        >>> A, B = (tra.from_array(np.ones((4, 4), "f4"), name=name) for name in "AB")
        >>> c, ends = tra.from_array(np.ones(4), name="c"), set()
        >>> ends = {relation.expr.digest for relation in (A, B, c)}
        >>> narrowed((A @ (B @ c)).expr, (A @ B @ c).expr, ends)
        'it multiplies in float32 what the query multiplies in float64'
        >>> narrowed((A @ B @ c).expr, (A @ (B @ c)).expr, ends)
        ''
    """
    before, after = (sorted(_products(expr, ends), key=_rank) for expr in (written, other))
    sums = list(_sums(other, ends))
    if any(dtype.kind not in "fc" for dtype in (*before, *after, *sums)):
        return "it multiplies integers or truth values in another order, and these wrap"
    floor = min(before or _sums(written, ends), key=_rank, default=other.type.dtype)
    worse = [(old, new) for old, new in zip(before, after, strict=False) if _rank(new) < _rank(old)]
    worse += [(floor, dtype) for dtype in sums if _rank(dtype) < _rank(floor)]
    return f"it multiplies in {worse[0][1]} what the query multiplies in {worse[0][0]}" if worse else ""


def _rank(dtype: DType) -> float:
    """The order of types by how finely they round; complex numbers round as their parts do."""
    return -float(np.finfo(dtype).eps) if dtype.kind in "fc" else -2.0


def _above(expr: Expr, ends: Collection[str]) -> Iterator[Expr]:
    """The nodes above the factors, each once."""
    seen, waiting = set(ends), [expr]
    while waiting:
        node = waiting.pop()
        if node.digest not in seen:
            seen.add(node.digest)
            yield node
            waiting += node.children


def _products(expr: Expr, ends: Collection[str]) -> Iterator[DType]:
    return (node.type.dtype for node in _above(expr, ends) if isinstance(node, Join))


def _sums(expr: Expr, ends: Collection[str]) -> Iterator[DType]:
    return (node.type.dtype for node in _above(expr, ends) if _is_sum(node))


def _is_sum(node: Expr) -> bool:
    """Claims that elements are added: not just moved."""
    match node:
        case Aggregate():
            return True
        case Transform(kernel=kernel):
            return not set(kernel.signature.inputs[0]) <= set(kernel.signature.output)
    return False
