"""Every kernel as a function of whole tensors: ``tra.relu(A)``, ``tra.clip(A, -1, 1)``, ``tra.add(A, B)``."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from tra.algebra import arithmetic, reductions, whole_tensor
from tra.algebra.einsum import einsum_expr
from tra.algebra.entry_point import entry_point
from tra.algebra.habits import near_argument
from tra.algebra.kernel import Kernel, is_registered, kernel
from tra.algebra.kernel_doc import kernel_doc
from tra.algebra.nodes import Expr
from tra.algebra.registry import _REGISTRY, Definition
from tra.algebra.relation import Relation, as_relation, combine, einsum
from tra.algebra.tilewise import are_tiles, on_tiles
from tra.errors import KernelError, SchemaError


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


def _diag(expr: Expr) -> Expr:
    return einsum_expr("...ii->...i", expr)


_WHOLE: dict[str, Callable[..., Expr]] = {
    "softmax": reductions.softmax,
    "log_softmax": reductions.log_softmax,
    "logsumexp": partial(_reduce, "logsumexp"),
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "diag": _diag,
    **{f"reduce_{how}": partial(_reduce, how) for how in ("sum", "prod", "max", "min", "any", "all")},
}
_PRODUCTS: dict[str, Callable[..., Relation]] = {
    "matmul": operator.matmul,
    "outer": partial(einsum, "...i,...j->...ij"),
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


@entry_point
def maximum(left: Any, right: Any) -> Relation:
    """The larger of two tensors, element by element; NaN wins.

    Example:
        >>> import tra
        >>> tra.maximum(tra.from_array([1.0, 5.0]), 2.0).compute()
        array([2., 5.])
    """
    return combine("max", left, right)


@entry_point
def minimum(left: Any, right: Any) -> Relation:
    """The smaller of two tensors, element by element; NaN wins.

    Example:
        >>> import tra
        >>> tra.minimum(tra.from_array([1.0, 5.0]), 2.0).compute()
        array([1., 2.])
    """
    return combine("min", left, right)


def kernel_function(name: str) -> Callable[..., Relation]:
    """The function of whole tensors for a kernel: its operands, then its parameters, by place or by name.

    Example:
        >>> import tra
        >>> kernel_function("clip")(tra.from_array([-3.0, 2.0]), 0, high=1).compute()
        array([0., 1.])
        >>> kernel_function("clip")(tra.from_array([-3.0, 2.0]), 0)
        Traceback (most recent call last):
        tra.errors.KernelError: tra.clip: missing a required argument: 'high'
          hint: call tra.clip(operand, low, high)

    Raises:
        KernelError: there is no such kernel; the function raises it for arguments that the kernel does not
            take, and SchemaError where the kernel takes whole axes and they are cut.
    """
    if not is_registered(name):
        kernel(name)  # it says which there are
    return _made(name, _REGISTRY[name.lower()])


@lru_cache(maxsize=1024)
def _made(name: str, definition: Definition) -> Callable[..., Relation]:
    parameters = _parameters(name, definition)
    operands = _operands(1 if parameters else kernel(name).arity)
    signature = inspect.Signature([*operands, *parameters], return_annotation=Relation)

    def function(*operands_and_params: Any, **params: Any) -> Relation:
        given = _bound(name, signature, operands_and_params, params)
        return _call(name, [given.pop(operand.name) for operand in operands], given)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = kernel_doc(name, signature, len(operands))
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def _parameters(name: str, definition: Definition) -> list[inspect.Parameter]:
    """What the kernel takes besides its operands."""
    whole = _WHOLE.get(name.lower())
    found = [*inspect.signature(whole or definition).parameters.values()]
    return [p.replace(annotation=inspect.Parameter.empty) for p in (found[1:] if whole else found)]


def _operands(n: int) -> list[inspect.Parameter]:
    names = {1: ["operand"], 2: ["left", "right"]}.get(n, [f"operand_{p + 1}" for p in range(n)])
    return [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]


def _bound(
    name: str, signature: inspect.Signature, arguments: Sequence[Any], params: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by name."""
    try:
        return dict(signature.bind(*arguments, **params).arguments)
    except TypeError as error:
        unknown = next((param for param in params if param not in signature.parameters), None)
        near = near_argument(unknown, signature.parameters) if unknown else ""
        problem = f"there is no parameter {unknown!r}{near}" if unknown else str(error)
        hint = f"call tra.{name}{signature.replace(return_annotation=inspect.Signature.empty)}"
        if len(arguments) == 1 and "right" in signature.parameters and hasattr(Relation, name):
            hint += f", or .{name}() to reduce one tensor"
        raise KernelError(f"tra.{name}: {problem}\n  hint: {hint}") from None


def _call(name: str, operands: Sequence[Any], params: dict[str, Any]) -> Relation:
    if are_tiles(operands):  # in a gradient: the kernel itself, on the tiles of one key
        return on_tiles(kernel(name, **params), operands)  # type: ignore[no-any-return]
    if len(operands) == 1:
        relation = as_relation(operands[0])
        if name.lower() in _WHOLE:
            return Relation(_WHOLE[name.lower()](relation.expr, **params), relation.sources)
        return Relation(_applied(kernel(name, **params), relation.expr), relation.sources)
    return _between(kernel(name), operands)


def _between(by: Kernel, operands: Sequence[Any]) -> Relation:
    """A kernel of several operands between whole tensors."""
    if by.name.lower() in _PRODUCTS:
        return _PRODUCTS[by.name.lower()](*map(as_relation, operands))
    if any(by.signature.inputs) or by.signature.output or len(operands) > 2:
        raise KernelError(
            f"{by} {by.signature} has no meaning between whole tensors; it is a kernel to join two relations "
            f"with: A.join(B, on=…, kernel={by.name!r})"
        )
    return combine(by, *operands)


def apply_kernel(by: Kernel, operands: Sequence[Any]) -> Relation:
    """A kernel, its parameters bound, on whole tensors: what it gives when it is called with relations.

    Example:
        >>> import tra
        >>> apply_kernel(kernel("add"), [tra.from_array([1.0, 2.0]), 3.0]).compute()
        array([4., 5.])

    Raises:
        KernelError: it takes another number of operands, or has no meaning between whole tensors.
        SchemaError: it takes whole axes and they are cut.
    """
    if are_tiles(operands):
        return on_tiles(by, operands)  # type: ignore[no-any-return]
    if len(operands) != by.arity:
        raise KernelError(f"{by} {by.signature} takes {by.arity} operands; got {len(operands)}")
    if by.arity > 1:
        return _between(by, operands)
    relation = as_relation(operands[0])
    if by.name.lower() in _WHOLE and not by.literals:
        return Relation(_WHOLE[by.name.lower()](relation.expr, **dict(by.params)), relation.sources)
    return Relation(_applied(by, relation.expr), relation.sources)
