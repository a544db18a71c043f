"""Reductions of whole tensors along axes, as in NumPy: each tile first, then the tiles."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tra.algebra.arithmetic import binary, cast, unary
from tra.algebra.kernel import kernel
from tra.algebra.labelled import Labelled, join_on_labels, reduce_labels
from tra.algebra.live import full_box, hole_text, is_dense
from tra.algebra.nodes import Constant, Expr, Iota
from tra.algebra.operators import generated, transform
from tra.algebra.types import Axis, Box, Key, RelType
from tra.algebra.whole_tensor import axis_key, axis_order, expand_dims, is_whole_form, whole_form
from tra.errors import SchemaError

Axes = int | Sequence[int] | None
FOLDS = {
    "sum": ("reduce_sum", "add"),
    "prod": ("reduce_prod", "mul"),
    "max": ("reduce_max", "max"),
    "min": ("reduce_min", "min"),
    "any": ("reduce_any", "logical_or"),
    "all": ("reduce_all", "logical_and"),
    "logsumexp": ("logsumexp", "logaddexp"),
}


def resolve_axes(type_: RelType, axis: Axes) -> list[int]:
    """The axes of the whole tensor, from the front.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> resolve_axes(tensor_type((2, 3, 4), "f8"), (-1, 0))
        [2, 0]

    Raises:
        SchemaError: an axis is not there, is no integer, or is named twice.
    """
    rank = len(type_.axes)
    if axis is None:
        return list(range(rank))
    try:
        axes = [operator.index(a) for a in (axis if isinstance(axis, Sequence) else [axis])]
    except TypeError:
        raise SchemaError(f"an axis is an integer; got {axis!r}") from None
    for a in axes:
        if not -rank <= a < rank:
            raise SchemaError(f"there is no axis {a}: the tensor of {type_} has {rank} axes, counted from 0")
    places = [a % rank for a in axes]
    if len(set(places)) < len(places):
        raise SchemaError(f"axis named twice: {tuple(axes)}")
    return places


def _positional(expr: Expr) -> Labelled:
    """The tensor with its axes labelled by their place."""
    whole = expr if not is_dense(expr.type) and is_whole_form(expr.type) else whole_form(expr)
    return Labelled(whole, tuple(str(p) for p in range(len(whole.type.axes))))


def reduce(expr: Expr, how: str, axis: Axes = None, keepdims: bool = False) -> Expr:
    """Reduces a whole tensor; `how` is sum, prod, max, min, any, all or logsumexp.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1] * 4] * 6, keys=("i", "k"), tile=2)
        >>> str(reduce(A.expr, "sum", axis=0).type), str(reduce(A.expr, "max", keepdims=True).type)
        ('[k:2] of 2/4 int64', '[] of 1×1 int64')

    Raises:
        SchemaError: an axis is not there; or holes, where absent is not the same as zero; or nothing to take
            the largest or smallest of.
    """
    if how not in ("sum", "any"):
        _check_dense(expr.type, how)
    operand = _positional(expr)
    places = resolve_axes(operand.type, axis)
    if how in ("max", "min", "logsumexp"):
        _check_extents(operand.type, how, places)
    tile_kernel, fold = FOLDS[how]
    cast_to = _reduced_dtype(operand.type.dtype, how)
    labels = [str(p) for p in places]
    result = reduce_labels(replace(operand, expr=cast(operand.expr, cast_to)), labels, tile_kernel, fold)
    return _keep(result.expr, places) if keepdims else result.expr


def _reduced_dtype(dtype: np.dtype[Any], how: str) -> np.dtype[Any]:
    """What NumPy reduces in: sums of booleans and small integers in 64 bits."""
    if how in ("any", "all"):
        return np.dtype(np.bool_)
    if how in ("sum", "prod") and dtype.kind in "biu":
        return np.dtype(np.uint64 if dtype.kind == "u" else np.int64)
    if how == "logsumexp" and dtype.kind in "biu":
        return np.dtype(np.float64)
    return dtype


def _check_dense(type_: RelType, how: str) -> None:
    if not is_dense(type_):
        raise SchemaError(f"{how} needs a dense relation: {hole_text(type_)}; fill the holes with .fill(0)")


def _check_extents(type_: RelType, how: str, places: Sequence[int]) -> None:
    empty = next((p for p in places if not type_.axes[p].extent), None)
    if empty is not None:
        raise SchemaError(f"{how} of nothing: axis {empty} of the tensor of {type_} has extent 0")


def _keep(expr: Expr, places: Sequence[int]) -> Expr:
    for place in sorted(places):
        expr = expand_dims(expr, place)
    return expr


def mean(expr: Expr, axis: Axes = None, keepdims: bool = False) -> Expr:
    """The arithmetic mean; of booleans and integers as float64, of float16 by way of float32, as in NumPy.

    Example:
        >>> import tra
        >>> str(mean(tra.from_array([1, 2, 3], keys="i", tile=2).expr).type)
        '[] of scalars float64'
    """
    type_ = _positional(expr).type
    count = prod(type_.axes[p].extent for p in resolve_axes(type_, axis))
    if expr.type.dtype.kind in "biu":
        expr = cast(expr, np.float64)
    if expr.type.dtype == np.float16:
        return cast(mean(cast(expr, np.float32), axis, keepdims), np.float16)
    return binary("div", reduce(expr, "sum", axis, keepdims), count)


def var(expr: Expr, axis: Axes = None, keepdims: bool = False) -> Expr:
    """The population variance, in two passes: the mean first, then the squared deviations.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1, 3], [5, 5]], keys=("i", "j"), tile=1)
        >>> str(var(A.expr, axis=1).type)  # of [1, 3] it is 1, of [5, 5] it is 0
        '[i:2] of 1/2 float64'
    """
    deviation = binary("sub", expr, mean(expr, axis, keepdims=True))
    if deviation.type.dtype.kind == "c":
        squared = transform(binary("mul", deviation, transform(deviation, "conj")), "real")
    else:
        squared = transform(deviation, "square")
    return mean(squared, axis, keepdims)


def std(expr: Expr, axis: Axes = None, keepdims: bool = False) -> Expr:
    """The population standard deviation: the square root of the variance.

    Example:
        >>> import tra
        >>> std(tra.from_array([1.0, 3.0], tile=1).expr, keepdims=True).type.shape
        (1,)
    """
    return transform(var(expr, axis, keepdims), "sqrt")


def arg(expr: Expr, how: str, axis: int | None, keepdims: bool = False) -> Expr:
    """Argmin or argmax (`how` is "arg_min" or "arg_max"); NaN first, then the lowest index, as in NumPy.

    Without an axis the index counts the whole tensor row by row.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> str(arg(A.expr, "arg_min", axis=1).type)
        '[i:3] of 2/6 int64'

    Raises:
        SchemaError: the axis is not there or has extent 0, or the relation has holes.
    """
    _check_dense(expr.type, how)
    operand = _positional(expr)
    if axis is None:
        labelled = Labelled(
            axis_order(binary("pair", operand.expr, _flat_index(operand.type))), operand.labels
        )
        gone = list(operand.labels)
    else:
        if isinstance(axis, Sequence):
            raise SchemaError(f"{how} takes one axis or none; got {axis!r}")
        gone = [str(resolve_axes(operand.type, axis)[0])]
        labelled = pair_with_index(operand, gone[0])
    _check_extents(operand.type, how, [int(c) for c in gone])
    best = _arg_labels(labelled, gone, how)
    return _keep(best.expr, [int(c) for c in gone]) if keepdims else best.expr


def _arg_labels(paired: Labelled, labels: Sequence[str], how: str) -> Labelled:
    """Folds pairs along labels and takes the index."""
    best = reduce_labels(paired, labels, f"reduce_{how}", how)
    return replace(best, expr=transform(best.expr, "index_of"))


def pair_with_index(operand: Labelled, label: str) -> Labelled:
    """Each element with its place along a label.

    Example:
        >>> import tra
        >>> A = Labelled(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, ("row", "column"))
        >>> str(pair_with_index(A, "column").type)
        '[i:3, k:2] of 2/6×2/4 pair(float64)'
    """
    place = operand.labels.index(label)
    index = iota_like(operand.type, place)
    trailing = (label, *(f"1:{c}" for c in operand.labels[place + 1 :]))
    result = join_on_labels(operand, Labelled(index, trailing), kernel("pair"), operand.labels)
    return Labelled(axis_order(result.expr), operand.labels)


def iota_like(type_: RelType, place: int) -> Expr:
    """The places along one axis of a tensor, cut as it is, with axes of length 1 after it.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> str(iota_like(tensor_type((5, 4), "f8", ("i", "j"), 2), 0).type)
        '[i:3] of 2/5×1 int64'
    """
    axis, key = type_.axes[place], axis_key(type_, place)
    ones = tuple(Axis(1, (), 1) for _ in type_.axes[place + 1 :])
    keys = (Key(key, type_.domain(key)),) if key else ()
    result = RelType(keys, (axis, *ones), np.dtype(np.int64), Box(()))
    return generated(replace(result, live=full_box(result)), Iota(0))


def _flat_index(type_: RelType) -> Expr:
    """The row-major place of each element of the whole tensor."""
    total: Expr | None = None
    stride = 1
    for place in reversed(range(len(type_.axes))):
        line = iota_like(type_, place)
        scaled = line if stride == 1 else binary("mul", line, stride)
        total = scaled if total is None else binary("add", scaled, total)
        stride *= max(type_.axes[place].extent, 1)
    if total is None:
        scalar = RelType((), (), np.dtype(np.int64), Box(()))
        return generated(scalar, Constant(0))
    return total


def softmax(expr: Expr, axis: int = -1) -> Expr:
    """The shares exp(x) / Σ exp(x) along an axis; one kernel where the axis is in one tile.

    Example:
        >>> import tra
        >>> str(softmax(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr).type)
        '[i:3, k:2] of 2/6×2/4 float64'

    Raises:
        SchemaError: the axis is not there or has extent 0, or the relation has holes.
    """
    operand = _positional(expr)
    place = resolve_axes(operand.type, axis)[0]
    return _softmax_label(operand, str(place)).expr


def _softmax_label(operand: Labelled, label: str) -> Labelled:
    """Softmax along a label."""
    place = operand.labels.index(label)
    _check_extents(operand.type, "softmax", [place])
    if operand.type.axes[place].size == operand.type.axes[place].extent:
        axis = place - len(operand.labels)
        return replace(operand, expr=unary(kernel("softmax", axis=axis), operand.expr))
    top = reduce(operand.expr, "max", place, keepdims=True)
    shifted = transform(binary("sub", operand.expr, top), "exp")
    return replace(operand, expr=binary("div", shifted, reduce(shifted, "sum", place, keepdims=True)))


def log_softmax(expr: Expr, axis: int = -1) -> Expr:
    """The logarithm of softmax along an axis: x − logsumexp(x).

    Example:
        >>> import tra
        >>> str(log_softmax(tra.from_array([[1, 2, 3]], keys=("i", "k"), tile=2).expr).type)
        '[i:1, k:2] of 1×2/3 float64'

    Raises:
        SchemaError: the axis is not there or has extent 0, or the relation has holes.
    """
    operand = _positional(expr)
    place = resolve_axes(operand.type, axis)[0]
    _check_extents(operand.type, "log_softmax", [place])
    if operand.type.axes[place].size == operand.type.axes[place].extent:
        return unary(kernel("log_softmax", axis=place - len(operand.labels)), operand.expr)
    return binary("sub", operand.expr, reduce(operand.expr, "logsumexp", place, keepdims=True))
