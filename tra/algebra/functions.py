"""Every kernel of one operand as a function of whole tensors: ``tra.relu(A)``, ``tra.softmax(A, axis=1)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tra.algebra import arithmetic, reductions, whole_tensor
from tra.algebra.einsum import einsum_expr
from tra.algebra.kernel import Kernel, is_registered, kernel, kernel_names
from tra.algebra.nodes import Expr
from tra.algebra.relation import Relation, as_relation, combine
from tra.errors import KernelError, SchemaError, near_name


def _reduce(how: str, expr: Expr, axis: reductions.Axes = -1) -> Expr:
    return reductions.reduce(expr, how, axis)


def _expand_dims(expr: Expr, axis: int = -1) -> Expr:
    whole = whole_tensor.whole_form(expr)
    rank = len(whole.type.axes) + 1
    if not -rank <= axis < rank:
        raise SchemaError(f"there is no place {axis} for a new axis of {expr.type}")
    return whole_tensor.expand_dims(whole, axis % rank)


def _squeeze(expr: Expr, axis: int = -1) -> Expr:
    whole = whole_tensor.whole_form(expr)
    (place,) = reductions.resolve_axes(whole.type, axis)
    if whole.type.axes[place].extent != 1:
        raise SchemaError(f"cannot squeeze axis {axis} of {expr.type}: its extent is not 1")
    return whole_tensor.squeeze(whole, place)


def _transpose(expr: Expr, axes: Sequence[int] | None = None) -> Expr:
    return whole_tensor.transpose(expr, axes)


_WHOLE: dict[str, Callable[..., Expr]] = {
    "softmax": reductions.softmax,
    "log_softmax": reductions.log_softmax,
    "logsumexp": partial(_reduce, "logsumexp"),
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "diag": partial(einsum_expr, "...ii->...i"),
    **{f"reduce_{how}": partial(_reduce, how) for how in ("sum", "prod", "max", "min", "any", "all")},
}


def _applied(by: Kernel, expr: Expr) -> Expr:
    """A kernel on each tile: right for the whole tensor where its core dimensions are in one piece."""
    rank = len(expr.type.axes)
    for place in range(max(rank - len(by.signature.inputs[0]), 0), rank):
        axis = expr.type.axes[place]
        if axis.size != axis.extent:
            raise SchemaError(
                f"{by} {by.signature} takes whole axes, but axis {place} of {expr.type} is cut; retile it "
                "into one piece, or apply the kernel to each tile with .transform"
            )
        expr = whole_tensor.uncut(expr, place)
    return arithmetic.unary(by, expr)


def maximum(left: Any, right: Any) -> Relation:
    """The larger of two tensors, element by element; NaN wins.

    Example:
        >>> import tra
        >>> tra.maximum(tra.from_array([1.0, 5.0]), 2.0).compute()
        array([2., 5.])
    """
    return combine("max", left, right)


def minimum(left: Any, right: Any) -> Relation:
    """The smaller of two tensors, element by element; NaN wins.

    Example:
        >>> import tra
        >>> tra.minimum(tra.from_array([1.0, 5.0]), 2.0).compute()
        array([1., 2.])
    """
    return combine("min", left, right)


def kernel_function(name: str) -> Callable[..., Relation]:
    """The function of whole tensors for a kernel of one operand.

    Example:
        >>> import tra
        >>> kernel_function("relu")(tra.from_array([-1.0, 2.0])).compute()
        array([0., 2.])

    Raises:
        KernelError: there is no such kernel. The function raises SchemaError where the kernel takes whole
            axes and they are cut.
    """
    if not is_registered(name):
        raise KernelError(f"unknown kernel {name!r}{near_name(name, kernel_names())}")

    def function(operand: Any, **params: Any) -> Relation:
        relation = as_relation(operand)
        if name.lower() in _WHOLE:
            return Relation(_WHOLE[name.lower()](relation.expr, **params), relation.sources)
        return Relation(_applied(kernel(name, **params), relation.expr), relation.sources)

    function.__name__ = name
    function.__doc__ = f"The kernel {name} applied to a whole tensor; see `tra.kernel`."
    return function
