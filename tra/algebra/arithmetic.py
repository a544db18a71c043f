"""Arithmetic between whole tensors, aligned by position and broadcast as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, bind_literal, kernel, result_dtype
from tra.algebra.labelled import Labelled, elementwise
from tra.algebra.live import is_dense, missing_key, n_live
from tra.algebra.nodes import Constant, Expr
from tra.algebra.operators import aggregate, generated, join, stack, transform
from tra.algebra.types import KeySet, RelType
from tra.algebra.whole_tensor import whole_form
from tra.errors import SchemaError

Scalar = bool | int | float | complex


def as_scalar(value: Any) -> tuple[Scalar, np.dtype[Any] | None] | None:
    """A Python scalar, with the dtype that a NumPy scalar insists on; None for anything else."""
    if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
        return value, None
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value.item(), value.dtype
    return None


def binary(by: str | Kernel, left: Expr | Scalar | np.generic, right: Expr | Scalar | np.generic) -> Expr:
    """``by(left, right)`` element by element; either operand may be a scalar, which is weak as in NumPy.

    Raises:
        SchemaError: the extents do not broadcast, or an operand has holes that the kernel cannot skip.
        KernelError: the kernel does not take these dtypes.
    """
    combine = kernel(by)
    for position, (operand, other) in enumerate([(left, right), (right, left)]):
        scalar = as_scalar(operand)
        if scalar is not None:
            assert not isinstance(other, (bool, int, float, complex, np.generic))
            return _with_scalar(combine, other, scalar, position)
    assert not isinstance(left, (bool, int, float, complex, np.generic))
    assert not isinstance(right, (bool, int, float, complex, np.generic))
    return _pairwise(combine, left, right)


def _with_scalar(combine: Kernel, operand: Expr, scalar: tuple[Scalar, np.dtype[Any] | None], position: int) -> Expr:
    value, dtype = scalar
    if dtype is not None:
        strong = np.result_type(operand.type.dtype, dtype)
        operand = cast(operand, strong)
    return unary(bind_literal(combine, position, value), operand)


def unary(by: Kernel, operand: Expr) -> Expr:
    """Applies a kernel to each tile; holes must stay zero under it.

    Raises:
        SchemaError: the relation has holes that the kernel would not leave zero.
    """
    if not by.laws.zero_preserving and not is_dense(operand.type):
        _refuse_holes(by, operand.type)
    return transform(operand, by)


def cast(operand: Expr, dtype: Any) -> Expr:
    """The same elements in another dtype."""
    target = np.dtype(dtype)
    return operand if operand.type.dtype == target else transform(operand, kernel("cast", dtype=str(target)))


def _pairwise(combine: Kernel, left: Expr, right: Expr) -> Expr:
    lt, rt = left.type, right.type
    aligned = (lt.keys, lt.axes) == (rt.keys, rt.axes)
    if is_dense(lt) and is_dense(rt):
        if aligned:
            return join(left, right, lt.names, combine)
        return positional(combine, left, right)
    if combine.name in ("add", "sub") and aligned:
        return _merged(combine, left, right)
    if not aligned:
        _refuse_holes(combine, lt if not is_dense(lt) else rt)
    if combine.laws.linear == {0, 1} or (combine.laws.linear == {0} and is_dense(rt)):
        return join(left, right, lt.names, combine)
    if combine.laws.zero_preserving and lt.live == rt.live and isinstance(lt.live, KeySet):
        return join(left, right, lt.names, combine)
    _refuse_holes(combine, lt if not is_dense(lt) else rt)
    raise AssertionError


def _merged(combine: Kernel, left: Expr, right: Expr) -> Expr:
    """Addition where absent means zero: both under a new key, and Σ over it."""
    dtype = result_dtype(combine, (left.type.dtype, right.type.dtype))
    left, right = cast(left, dtype), cast(right, dtype)
    right = transform(right, "neg") if combine.name == "sub" else right
    key = "_side"
    return aggregate(stack([left, right], key), left.type.names, "add")


def _refuse_holes(by: Kernel, type_: RelType) -> None:
    missing = missing_key(type_) if not isinstance(type_.live, type(None)) else None
    raise SchemaError(
        f"{by} needs a dense relation: {type_} has no tile at key {missing}, and {by} does not treat absent as zero; "
        "fill the holes with .fill(0)"
    )


def positional(combine: Kernel, left: Expr, right: Expr) -> Expr:
    """Aligns two dense tensors from the last axis and joins them."""
    left, right = whole_form(left), whole_form(right)
    rank = max(len(left.type.axes), len(right.type.axes))
    labels = [str(p) for p in range(rank)]
    operands = [Labelled(e, tuple(labels[rank - len(e.type.axes) :])) for e in (left, right)]
    _check_broadcast(*operands)
    return elementwise(combine, operands[0], operands[1], labels).expr


def _check_broadcast(left: Labelled, right: Labelled) -> None:
    for label in left.labels:
        if label in right.labels:
            pair = {left.extent(label), right.extent(label)}
            if len(pair) == 2 and 1 not in pair:
                raise SchemaError(
                    f"shapes {left.type.shape} and {right.type.shape} do not broadcast\n"
                    f"  left  {left.type}\n  right {right.type}"
                )


def where(condition: Expr, chosen: Expr | Scalar, other: Expr | Scalar) -> Expr:
    """``chosen`` where the condition holds, else ``other``; as `numpy.where`."""
    choose = kernel("where")
    for position, operand in ((2, other), (1, chosen)):
        scalar = as_scalar(operand)
        if scalar is not None:
            choose = bind_literal(choose, position, scalar[0])
    relations = [o for o in (chosen, other) if as_scalar(o) is None]
    if not relations:
        return unary(choose, condition)
    if len(relations) == 1:
        return binary(choose, condition, relations[0])
    pair = binary("pair", chosen, other)
    picked = binary("choose", condition, pair)
    return cast(picked, np.result_type(pair.type.dtype[0], pair.type.dtype[1]))


def fill(expr: Expr, value: Scalar) -> Expr:
    """The dense relation with `value` in the holes.

    Raises:
        SchemaError: the live keys are known only when the plan runs, and `value` is not zero.
    """
    from dataclasses import replace

    from tra.algebra.live import full_box, is_listable, live_keys, required

    type_ = expr.type
    if is_dense(type_):
        return expr
    whole = replace(type_, live=full_box(type_))
    if not (is_listable(type_) and is_listable(whole)):
        if value != 0:
            raise SchemaError(f"fill({value}) needs the holes of {type_} to be known when the query is built; fill(0) works")
        missing: Expr = generated(whole, Constant(0))
    else:
        have = set(map(tuple, live_keys(type_).tolist()))
        holes = [key for key in live_keys(required(type_)).tolist() if tuple(key) not in have]
        absent = np.array(holes, dtype=np.int64).reshape(len(holes), len(type_.keys))
        missing = generated(replace(type_, live=KeySet(absent)), Constant(np.asarray(value, type_.dtype).item()))
        if n_live(type_) == 0:
            return missing
    return aggregate(stack([expr, missing], "_side"), type_.names, "add")
