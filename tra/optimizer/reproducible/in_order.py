"""What is no sum over whole tensors, written so that its bits are those of the query.

Folds that round go in the order of keys, by a balanced tree and at one place; products and sums of tiles are
made tile by tile, on operands that lie row by row; of two zeros of unlike signs extremes take the positive
one, since NumPy takes either. What NumPy multiplies up in one tile it multiplies in an order of its own,
which depends on how the tile lies and on how the tensor is cut: that is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.nodes import Aggregate, Expr, Join, Transform, postorder
from tra.algebra.operators import aggregate, transform
from tra.errors import PlanError
from tra.optimizer.rules.rewriting import with_children

OF_ZEROS = frozenset(("max", "min", "relu", "clip", "reduce_max", "reduce_min"))
_ROUNDS = "fc"
_REFUSED = frozenset(("reduce_prod",))


def in_order(roots: Sequence[Expr]) -> tuple[Expr, ...]:
    """The query with folds that round in the order of keys, and products and sums tile by tile.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> folded, = in_order([A.aggregate(kernel="mul").expr])
        >>> str(folded.kernel)
        "_in_order(of='mul')"

    Raises:
        PlanError: a kernel's bits depend on how tensors are cut.
    """
    made: dict[str, Expr] = {}
    for node in postorder(*roots):
        made[node.digest] = _ordered(with_children(node, [made[child.digest] for child in node.children]))
    return tuple(made[root.digest] for root in roots)


def _ordered(node: Expr) -> Expr:
    is_user = getattr(getattr(node, "kernel", None), "user", True)
    if is_user or node.type.dtype.kind not in _ROUNDS:
        return node
    assert isinstance(node, Aggregate | Join | Transform)
    by = node.kernel
    if by.name in _REFUSED:
        raise PlanError(
            f"reproducible='tiling' has no {by.name} of {node.type.dtype}: its bits depend on how tensors "
            "are cut\n  hint: a product of positive numbers is exp(log(x).sum())"
        )
    if by.name in OF_ZEROS:
        return transform(node, "_positive_zero") if node.type.dtype.kind == "f" else node
    if isinstance(node, Aggregate):
        rounds = by.laws.associative and not by.laws.idempotent
        return folded_in_order(node.child, node.by, by) if rounds else node
    return replace(node, kernel=as_cut(by)) if _adds(by) else node


def _adds(by: Kernel) -> bool:
    """Claims that a kernel multiplies or adds up tiles, and may be called for several at once."""
    (*inputs, output) = (*by.signature.inputs, by.signature.output)
    moves = len(inputs) == 1 and set(inputs[0]) == set(output)
    return by.laws.contraction and not (by.laws.elementwise or by.laws.as_cut or moves)


def folded_in_order(expr: Expr, by: Sequence[str], fold: Kernel) -> Expr:
    """Σ by a balanced tree over the order of keys, at one place.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> folded_in_order(A.expr, (), kernel("add")).type == A.aggregate(kernel="add").expr.type
        True
    """
    return aggregate(expr, by, kernel("_in_order", of=fold.name, **dict(fold.params)))


def as_cut(by: Kernel) -> Kernel:
    """A product that is computed for each pair of tiles by itself, a sum for each tile.

    Example:
        >>> str(as_cut(kernel("matmul")))
        "_blocked(of='matmul')"
    """
    return kernel("_blocked", of=by.name, **dict(by.params))
