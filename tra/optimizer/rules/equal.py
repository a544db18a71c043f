"""What rules on expressions ask: whether a new node has the type of the old one, and which laws hold."""

from __future__ import annotations

from collections.abc import Callable

from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.nodes import Expr, Node
from tra.algebra.types import AtMost, RelType
from tra.errors import TraError


def same_type(node: Expr, make: Callable[[], Expr]) -> Expr | None:
    """What `make` makes, if the algebra allows it and its type is that of the node.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0]], tile=(1, 1), name="A")
        >>> same_type(A.expr, lambda: A.expr) == A.expr, same_type(A.expr, lambda: A.aggregate().expr)
        (True, None)
    """
    try:
        made = make()
    except TraError:
        return None
    return made if made.type == node.type else None


def is_known(*nodes: Node) -> bool:
    """Claims that the live keys of all these are known before the query runs.

    Example:
        >>> import tra
        >>> is_known(tra.from_array([1.0]).expr)
        True
    """
    return not any(isinstance(node.type.live, AtMost) for node in nodes)


def commutes(kernel: Kernel, position: int, fold: Kernel, operand: RelType, result: RelType) -> bool:
    """Claims that folding the operand at a position, then applying the kernel, is folding its results.

    The laws are those of exact arithmetic. Tiles of truth values add up by "or", integers wrap: a sum does
    so alike on both sides while the dtype stays, the order of two numbers may change.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> floats, integers = (tensor_type((4,), dtype) for dtype in ("f8", "i8"))
        >>> [commutes(kernel("mul"), 0, kernel(fold), floats, floats) for fold in ("add", "max")]
        [True, False]
        >>> [commutes(kernel("add"), 0, kernel("max"), t, t) for t in (floats, integers)]
        [True, False]
    """
    if operand.dtype != result.dtype:
        return False
    kind = operand.dtype.kind
    if fold == ADD and (position in kernel.laws.linear or "add" in kernel.laws.distributes_over):
        return kind in "fciu"
    if fold.name not in kernel.laws.distributes_over:
        return False
    return kind in "fb" or (kind in "iu" and kernel.laws.idempotent)
