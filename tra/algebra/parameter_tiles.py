"""What an update is made of: arithmetic between the tiles of a parameter and of what belongs to it.

The arithmetic of whole tensors asks for holes to be filled and may cut tensors anew; here the tiles of equal
keys meet and nothing else happens, so that types stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import NoReturn

from tra.algebra.arithmetic import cast
from tra.algebra.functions import minimum
from tra.algebra.kernel import bind_literal, kernel
from tra.algebra.live import is_dense, is_empty
from tra.algebra.makers import Constant
from tra.algebra.nodes import Expr
from tra.algebra.operators import aggregate, generated, join, stack
from tra.algebra.relation import Relation
from tra.algebra.retiling import retile
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import axis_order, current_cuts, fresh_name, is_whole_form, whole_form
from tra.errors import SchemaError

Factor = float | Relation
_NORM_EPS = 1e-6  # what torch adds to the norm


def zeros(type_: RelType) -> Relation:
    """A generated relation of zeros, of a given type.

    Example:
        >>> import tra
        >>> zeros(tra.from_array([1.0, 2.0, 3.0], tile=2).expr.type).compute()
        array([0., 0., 0.])
    """
    return Relation(generated(type_, Constant(0.0)), {})


def each(by: str, left: Relation, right: Relation) -> Relation:
    """A kernel between tiles of equal keys; a scalar on the right meets every tile.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({1: [5.0, 6.0]}, keys="i")
        >>> each("sub", A, A).tiles()
        {(1,): array([0., 0.])}
    """
    return left.join(right, on=right.keys, kernel=by)


def with_literal(by: str, operand: Relation, value: float) -> Relation:
    """A kernel with a number on the right, on every tile there is.

    Example:
        >>> import tra
        >>> with_literal("add", tra.from_tiles({1: [5.0, 6.0]}, keys="i"), 2.0).tiles()
        {(1,): array([7., 8.])}
    """
    return operand.transform(bind_literal(kernel(by), 1, value))


def scaled(operand: Relation, factor: Factor) -> Relation:
    """Each tile times a number, or times a scalar relation brought to the dtype of the tiles.

    Example:
        >>> import tra
        >>> scaled(tra.from_array([1.0, 2.0]).astype("f4"), tra.from_array(0.5)).compute()
        array([0.5, 1. ], dtype=float32)
    """
    if isinstance(factor, Relation):
        scalar = Relation(cast(factor.expr, operand.dtype), factor.sources)
        return each("mul", operand, scalar)
    return with_literal("mul", operand, factor)


def clipped(gradients: Mapping[str, Relation], clip: float) -> dict[str, Relation]:
    """All gradients times min(1, clip / (norm + 10⁻⁶)), the norm being that of all of them together.

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013, as in
    `torch.nn.utils.clip_grad_norm_`.

    Example:
        >>> import tra
        >>> both = clipped({"W": tra.from_array([[3.0]]), "b": tra.from_array(4.0)}, 2.5)
        >>> both["W"].compute().round(4), both["b"].compute().round(4)
        (array([[1.5]]), np.float64(2.0))
    """
    squares = [_sum_of_squares(g) for g in gradients.values() if not is_empty(g.expr.type)]
    if not squares:
        return dict(gradients)
    norm = reduce(add, squares).transform("sqrt")
    factor = minimum(clip / (norm + _NORM_EPS), 1.0)
    return {name: scaled(gradient, factor) for name, gradient in gradients.items()}


def _sum_of_squares(gradient: Relation) -> Relation:
    """Σ g² over the tiles there are, as a scalar of float64."""
    total = gradient.transform("square")
    for _ in gradient.expr.type.axes:
        total = total.transform("reduce_sum", axis=-1)
    return total.astype("float64").aggregate(by=())


def matched(given: Relation, parameter: Relation, what: str) -> Relation:
    """What belongs to a parameter (its gradient, for instance), with exactly the type of the parameter.

    Args:
        given: a relation of the shape of the parameter.
        parameter: says keys, tiles, dtype and holes.
        what: what the relation is, for messages.

    Example:
        >>> import tra
        >>> W = tra.from_array([1.0, 2.0, 3.0], keys="i", tile=2)
        >>> matched(tra.from_array([1, 1, 1], keys="k", tile=3), W, "the gradient of W")
        [i:2] of 2/3 float64

    Raises:
        SchemaError: another shape, or tiles that cannot be brought to those of the parameter.
    """
    type_ = parameter.expr.type
    if given.expr.type == type_:
        return given
    if given.shape != parameter.shape or given.dtype.kind == "c":
        _refuse(given, parameter, what, f"is {given.dtype} of shape {given.shape}")
    expr = cast(given.expr, type_.dtype)
    if (expr.type.keys, expr.type.axes) != (type_.keys, type_.axes):
        if not (is_whole_form(type_) and is_dense(expr.type)):
            _refuse(given, parameter, what, "is cut otherwise, and one of them has holes or keys of its own")
        expr = axis_order(retile([whole_form(expr)], current_cuts(type_)))
    return Relation(_with_live_keys(expr, type_), given.sources)


def _refuse(given: Relation, parameter: Relation, what: str, problem: str) -> NoReturn:
    raise SchemaError(
        f"{what} {problem}; the parameter is {parameter.dtype} of shape {parameter.shape}\n"
        f"  parameter  {parameter}\n  got        {given}"
    )


def _with_live_keys(expr: Expr, type_: RelType) -> Expr:
    """The tiles at the live keys of a type: zeros where there is none, and none elsewhere."""
    if expr.type == type_:
        return expr
    nothing = zeros(type_).expr
    both = aggregate(stack([expr, nothing], fresh_name("side", type_.names)), type_.names, "add")
    return join(nothing, both, type_.names, "right")


__all__ = ["Factor", "clipped", "each", "matched", "scaled", "with_literal", "zeros"]
