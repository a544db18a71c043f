"""Arithmetic between whole tensors, aligned by position and broadcast as in NumPy.

Holes are accepted where an absent tile may stand for zeros: in products, in sums (by Stack and Σ), and under
kernels that keep zero; elsewhere the user is asked to fill them.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from tra.algebra.kernel import Kernel, bind_literal, kernel, result_dtype
from tra.algebra.labelled import Labelled, elementwise
from tra.algebra.live import codes, hole_text, is_dense, is_empty, is_listable, live_keys, required
from tra.algebra.nodes import Constant, Expr, shown
from tra.algebra.operators import aggregate, generated, join, stack, transform
from tra.algebra.remembered import remembered
from tra.algebra.types import KeyArray, KeySet, RelType
from tra.algebra.whole_tensor import fresh_name, is_whole_form, reorder, whole_form
from tra.errors import KernelError, SchemaError

Scalar = bool | int | float | complex | np.generic
SCALARS = (bool, int, float, complex, np.generic)
_BOTH = frozenset([0, 1])


def as_scalar(value: Any) -> Scalar | None:
    """The value if it is a Python or NumPy scalar, else None.

    Example:
        >>> as_scalar(2.0), as_scalar(np.float32(2)), as_scalar([2.0])
        (2.0, np.float32(2.0), None)
    """
    return value if isinstance(value, SCALARS) else None


def binary(by: str | Kernel, left: Expr | Scalar, right: Expr | Scalar) -> Expr:
    """``by(left, right)`` element by element; one operand may be a scalar.

    A Python scalar is weak and a NumPy scalar insists on its dtype, as in NumPy.

    Example:
        >>> import tra
        >>> A = tra.from_array([1, 2, 3], keys="i", tile=2)
        >>> str(binary("div", 1, A.expr).type), str(binary("add", A.expr, np.float32(1)).type)
        ('[i:2] of 2/3 float64', '[i:2] of 2/3 float64')

    Raises:
        SchemaError: the extents do not broadcast, or an operand has holes that the kernel cannot skip.
        KernelError: the kernel does not take these dtypes.
    """
    return _binary(kernel(by), left, right)


_ALIKE = (
    "\n  hint: two relations of one shape in the same tiles are added as they are, and what neither has "
    "stays a hole: make both with the same shape= and tile="
)


@remembered
def _binary(combine: Kernel, left: Expr | Scalar, right: Expr | Scalar) -> Expr:
    if isinstance(left, SCALARS):
        if isinstance(right, SCALARS):
            raise KernelError(f"{combine} of two scalars is no query: at least one operand is a relation")
        return _with_scalar(combine, right, left, 0)
    if isinstance(right, SCALARS):
        return _with_scalar(combine, left, right, 1)
    return _pairwise(combine, left, right)


def _with_scalar(combine: Kernel, operand: Expr, scalar: Scalar, position: int) -> Expr:
    if isinstance(scalar, np.generic):
        if scalar.dtype.kind not in "biufc":
            raise KernelError(f"{combine} takes numbers and truth values; got {scalar!r}")
        operand = cast(operand, np.result_type(operand.type.dtype, scalar.dtype))
        scalar = scalar.item()
    return unary(bind_literal(combine, position, scalar), operand)


@remembered
def unary(by: Kernel, operand: Expr) -> Expr:
    """Applies a kernel to each tile; holes must stay zero under it.

    Example:
        >>> import tra
        >>> str(unary(kernel("exp"), tra.from_array([1, 2, 3], keys="i", tile=2).expr).type)
        '[i:2] of 2/3 float64'

    Raises:
        SchemaError: the relation has holes that the kernel would not leave zero.
    """
    if not by.laws.zero_preserving and not is_dense(operand.type):
        _refuse_holes(by, operand.type)
    return transform(operand, by)


def cast(operand: Expr, dtype: Any) -> Expr:
    """The same elements in another dtype.

    Example:
        >>> import tra
        >>> str(cast(tra.from_array([1, 2, 3], keys="i", tile=2).expr, "f4").type)
        '[i:2] of 2/3 float32'
    """
    try:
        target = np.dtype(dtype)
    except TypeError:
        raise SchemaError(f"cannot cast {operand.type} to {dtype!r}: there is no such dtype") from None
    if target.kind not in "biufc":
        raise SchemaError(f"tensors are of booleans or numbers; cannot cast {operand.type} to {target}")
    return operand if operand.type.dtype == target else transform(operand, "cast", dtype=str(target))


def _pairwise(combine: Kernel, left: Expr, right: Expr) -> Expr:
    lt, rt = left.type, right.type
    aligned = _are_aligned(lt, rt)
    if _may_join(combine, lt, rt):
        if aligned:
            return join(left, right, list(zip(lt.names, rt.names, strict=True)), combine)
        if (is_dense(lt) and is_dense(rt)) or (is_whole_form(lt) and is_whole_form(rt)):
            return _positional(combine, left, right)
    is_sum = combine == kernel("sub") or (combine.laws.associative and combine.laws.identity == 0)
    if aligned and is_sum:
        return _merged(combine, left, right)
    _refuse_holes(combine, rt if is_dense(lt) else lt, ("", _ALIKE)[is_sum])


def _are_aligned(left: RelType, right: RelType) -> bool:
    """Claims that keys and axes are equal but for the names of the keys."""
    if left.domains != right.domains:
        return False
    names = dict(zip(right.names, left.names, strict=True))
    return left.axes == tuple(axis.renamed(names) for axis in right.axes)


def _may_join(combine: Kernel, left: RelType, right: RelType) -> bool:
    """Claims that pairing the tiles there are is right: where one is absent, the result is zero."""
    if is_dense(left) and is_dense(right):
        return True
    if combine.laws.linear == _BOTH:
        return True
    if is_dense(right) and combine.laws.linear == {0}:
        return True
    return combine.laws.zero_preserving and _are_aligned(left, right) and left.live == right.live


def _merged(combine: Kernel, left: Expr, right: Expr) -> Expr:
    """A fold in which absent means its identity, zero: both under a new key, and Σ over it."""
    dtype = result_dtype(combine, (left.type.dtype, right.type.dtype))
    left, right = cast(left, dtype), cast(right, dtype)
    if combine == kernel("sub"):
        combine, right = kernel("add"), transform(right, "neg")
    names = left.type.names
    right = reorder(right, right.type.names, dict(zip(right.type.names, names, strict=True)))
    return aggregate(stack([left, right], fresh_name("side", names)), names, combine)


def _refuse_holes(by: Kernel, type_: RelType, hint: str = "") -> NoReturn:
    raise SchemaError(
        f"{by} needs a dense relation: {hole_text(type_)}, and absent is not the same as zero here; "
        f"fill the holes with .fill(0){hint}"
    )


def _positional(combine: Kernel, left: Expr, right: Expr) -> Expr:
    """Aligns two tensors from the last axis and joins them.

    Raises:
        SchemaError: the extents do not broadcast.
    """
    left, right = whole_form(left), whole_form(right)
    rank = max(len(left.type.axes), len(right.type.axes))
    labels = [str(p) for p in range(rank)]
    one, other = (Labelled(e, tuple(labels[rank - len(e.type.axes) :])) for e in (left, right))
    _check_broadcast(one, other)
    return elementwise(combine, one, other, labels).expr


def _check_broadcast(left: Labelled, right: Labelled) -> None:
    for label in left.labels:
        if label in right.labels:
            pair = {left.extent(label), right.extent(label)}
            if len(pair) == 2 and 1 not in pair:
                raise SchemaError(
                    f"shapes {left.type.shape} and {right.type.shape} do not broadcast\n"
                    f"  left  {shown(left.expr)}\n  right {shown(right.expr)}\n"
                    f"  hint: axes are matched from the last; extents {left.extent(label)} and "
                    f"{right.extent(label)} differ and neither is 1"
                )


def where(condition: Expr, chosen: Expr | Scalar, other: Expr | Scalar) -> Expr:
    """``chosen`` where the condition holds, else ``other``; as `numpy.where`.

    Example:
        >>> import tra
        >>> A = tra.from_array([-1.0, 2.0], keys="i", tile=1)
        >>> str(where(binary("gt", A.expr, 0), A.expr, 0.0).type)
        '[i:2] of 1/2 float64'

    Raises:
        SchemaError: the extents do not broadcast, or an operand has holes.
    """
    dtype = np.result_type(*(v if isinstance(v, SCALARS) else v.type.dtype for v in (chosen, other)))
    if isinstance(chosen, SCALARS):
        choose = bind_literal(kernel("where"), 1, _plain(chosen))
        if isinstance(other, SCALARS):
            return cast(unary(bind_literal(choose, 2, _plain(other)), condition), dtype)
        return binary(choose, condition, cast(other, dtype))
    if isinstance(other, SCALARS):
        return binary(bind_literal(kernel("where"), 2, _plain(other)), condition, cast(chosen, dtype))
    return cast(binary("choose", condition, binary("pair", chosen, other)), dtype)


def _plain(scalar: Scalar) -> Any:
    return scalar.item() if isinstance(scalar, np.generic) else scalar


def fill(expr: Expr, value: Scalar) -> Expr:
    """The dense relation with `value` in the holes.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({1: [5.0, 6.0]}, keys="i").expr
        >>> A.type.live, fill(A, 0).type.live
        (Box(ranges=((1, 2),)), Box(ranges=((0, 2),)))

    Raises:
        SchemaError: the dtype has no such value; or the live keys are known only when the plan runs, and
            `value` is not zero.
    """
    type_ = expr.type
    if not isinstance(value, SCALARS):
        raise SchemaError(f"holes are filled with a number or a truth value; got {value!r}")
    if is_dense(type_):
        return expr
    constant = Constant(_held(value, type_.dtype))
    if is_listable(type_) and is_listable(required(type_)):
        missing = generated(replace(type_, live=KeySet(_holes(type_))), constant)
        if is_empty(type_):
            return generated(required(type_), constant)
    elif value == 0:
        missing = generated(required(type_), constant)
    else:
        raise SchemaError(
            f"fill({value}) needs the holes of {type_} to be known when the query is built; fill(0) works"
        )
    key = fresh_name("side", type_.names)
    return aggregate(stack([expr, missing], key), type_.names, "add")


def _holes(type_: RelType) -> KeyArray:
    wanted = live_keys(required(type_))
    is_hole = np.isin(codes(wanted, type_.domains), codes(live_keys(type_), type_.domains), invert=True)
    holes: KeyArray = wanted[is_hole]
    return holes


def _held(value: Scalar, dtype: np.dtype[Any]) -> Any:
    """The value in a dtype that holds it exactly, or as nearly as floats do."""
    try:
        with np.errstate(invalid="ignore"), warnings.catch_warnings(action="ignore"):
            held = np.asarray(value).astype(dtype)[()]
        fits = dtype.kind in "fc" or bool(held == value)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or (np.iscomplexobj(value) and dtype.kind != "c"):
        raise SchemaError(f"cannot fill a relation of {dtype} with {value}; cast it first")
    return held.item()
