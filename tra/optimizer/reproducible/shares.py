"""Softmax, its logarithm and the logarithm of sums of powers, written as maxima, powers and sums.

Within one tile each is one kernel, and over several tiles it is not. Written out they are the same formula
either way, and their sums are sums like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tra.algebra.kernels.elementwise import ADD, MAX
from tra.algebra.nodes import Aggregate, Expr, Transform, postorder
from tra.algebra.operators import aggregate, join, transform
from tra.optimizer.rules.rewriting import with_children


def with_shares_written_out(roots: Sequence[Expr]) -> tuple[Expr, ...]:
    """The query without softmax, log_softmax and logsumexp.

    Example:
        >>> import tra
        >>> from tra.algebra.nodes import postorder
        >>> A = tra.from_array([[1.0, 2.0]], name="A")
        >>> written, = with_shares_written_out([tra.softmax(A).expr])
        >>> [str(getattr(node, "kernel", "")).partition("(")[0] for node in postorder(written)][1:]
        ['reduce_max', 'expand_dims', 'sub', 'exp', 'reduce_sum', 'expand_dims', 'div']
    """
    made: dict[str, Expr] = {}
    for node in postorder(*roots):
        written = _written_out(node, made)
        if written is None:
            written = with_children(node, [made[child.digest] for child in node.children])
        made[node.digest] = written
    return tuple(made[root.digest] for root in roots)


def _written_out(node: Expr, made: dict[str, Expr]) -> Expr | None:
    match node:
        case Transform(child=child, kernel=kernel) if kernel.name in ("softmax", "log_softmax"):
            axis, x = dict(kernel.params)["axis"], made[child.digest]
            if kernel.name == "softmax":
                grown = transform(_about(x, transform(x, "reduce_max", axis=axis), [axis]), "exp")
                return _paired(grown, transform(grown, "reduce_sum", axis=axis), [axis], "div")
            return _paired(x, _logarithm(x, [axis], x.type.names), [axis], "sub")
        case Aggregate(child=child, by=by, kernel=fold) if fold.name == "logaddexp":
            base, axes = _chain(child)
            return _logarithm(made[base.digest], axes, by) if axes else None
        case Transform(kernel=kernel) if kernel.name == "logsumexp":
            base, axes = _chain(node)
            return _logarithm(made[base.digest], axes, base.type.names)
    return None


def _chain(node: Expr) -> tuple[Expr, list[int]]:
    """What logsumexp is taken of, and along which axes, the first one taken first."""
    axes: list[int] = []
    while isinstance(node, Transform) and node.kernel.name == "logsumexp":
        axes.insert(0, dict(node.kernel.params)["axis"])
        node = node.child
    return node, axes


def _logarithm(x: Expr, axes: Sequence[int], by: Sequence[str]) -> Expr:
    """Log Σ exp(x) over some axes of tiles, and over the keys that are not in `by`."""
    x = x if x.type.dtype.kind == "f" else transform(x, "cast", dtype="float64")
    top = x
    for axis in axes:
        top = transform(top, "reduce_max", axis=axis)
    top = transform(top if len(by) == len(x.type.names) else aggregate(top, by, MAX), "_finite")
    total = transform(_about(x, top, axes), "exp")
    for axis in axes:
        total = transform(total, "reduce_sum", axis=axis)
    total = total if len(by) == len(x.type.names) else aggregate(total, by, ADD)
    return join(transform(total, "log"), top, list(by), "add")


def _about(x: Expr, top: Expr, axes: Sequence[int]) -> Expr:
    return _paired(x, top, axes, "sub")


def _paired(x: Expr, reduced: Expr, axes: Sequence[int], by: str) -> Expr:
    """A kernel on tiles and what some axes of theirs were reduced to."""
    for axis in reversed(axes):
        reduced = transform(reduced, "expand_dims", axis=axis)
    return join(x, reduced, list(reduced.type.names), by)
