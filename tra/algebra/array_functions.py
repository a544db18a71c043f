"""NumPy's functions of whole arrays on relations: which query each is, and what is said where there is none.

The table holds what means the same here; parameters have NumPy's names, and those left out are refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.arguments import given_integer, given_list
from tra.algebra.functions import kernel_function, maximum, minimum
from tra.algebra.relation import Relation, as_relation, concatenate, einsum, where
from tra.errors import KernelError

Function: TypeAlias = Callable[..., Any]


def apply(function: Function, operands: Sequence[Any], settings: Mapping[str, Any]) -> Any:
    """A function of NumPy on operands of which one is a relation: a query, or what is known without data.

    Example:
        >>> A = as_relation(np.ones((2, 3)))
        >>> apply(np.sum, [A], {"axis": 0}).shape, apply(np.ndim, [A], {})
        ((3,), 2)
        >>> apply(np.cumsum, [A], {})
        Traceback (most recent call last):
        tra.errors.KernelError: numpy.cumsum does not take relations
          hint: call .compute() first: numpy.cumsum(A.compute())

    Raises:
        KernelError: it has no counterpart here, or the counterpart lacks a parameter.
    """
    name = f"{function.__module__}.{function.__name__}"
    hint = f"\n  hint: call .compute() first: {name}(A.compute())"
    ours = _TABLE.get(function)
    if ours is None:
        raise KernelError(f"{name} does not take relations{hint}")
    signature = inspect.signature(ours)
    given = {
        key: value
        for key, value in settings.items()
        if _is_set(value) or (value is None and key in signature.parameters)
    }
    try:
        bound = signature.bind(*operands, **given)
    except TypeError as error:
        legal = ", ".join(map(str, signature.parameters))
        raise KernelError(f"{name} of a relation takes {legal}: {error}{hint}") from None
    return ours(*bound.args, **bound.kwargs)


def _is_set(value: Any) -> bool:
    return value is not None and value is not np._NoValue


def _reduction(name: str) -> Function:
    """The method of a relation as a function."""

    def reduced(a: Any, axis: Any = None, *, keepdims: Any = False) -> Relation:
        result: Relation = getattr(as_relation(a), name)(axis, bool(keepdims))
        return result

    return reduced


def _transpose(a: Any, axes: Any = None) -> Relation:
    return as_relation(a).transpose() if axes is None else as_relation(a).transpose(axes)


def _concatenate(arrays: Any, axis: Any = 0) -> Relation:
    return concatenate(arrays, axis)


def _stack(arrays: Any, axis: Any = 0) -> Relation:
    return concatenate([_expand_dims(array, axis) for array in given_list(arrays)], axis)


def _expand_dims(a: Any, axis: Any) -> Relation:
    relation = as_relation(a)
    places = [given_integer(place, "an axis") for place in given_list(axis)]
    rank = relation.ndim + len(places)
    for place in sorted(place + rank if -rank <= place < 0 else place for place in places):
        relation = kernel_function("expand_dims")(relation, place)
    return relation


def _squeeze(a: Any, axis: Any = None) -> Relation:
    relation = as_relation(a)
    if axis is None:
        axis = [place for place, extent in enumerate(relation.shape) if extent == 1]
    places = [given_integer(place, "an axis") for place in given_list(axis)]
    rank = relation.ndim
    for place in sorted((p + rank if -rank <= p < 0 else p for p in places), reverse=True):
        relation = kernel_function("squeeze")(relation, place)
    return relation


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Relation:
    relation = as_relation(a)
    low, high = (a_min if _is_set(a_min) else min), (a_max if _is_set(a_max) else max)
    relation = maximum(relation, low) if _is_set(low) else relation
    return minimum(relation, high) if _is_set(high) else relation


def _dot(a: Any, b: Any) -> Relation:
    left, right = as_relation(a), as_relation(b)
    if not left.ndim or not right.ndim:
        return left * right
    _check_rank("dot", max(left.ndim, right.ndim), 1, 2)
    return left @ right


def _outer(a: Any, b: Any) -> Relation:
    left, right = as_relation(a), as_relation(b)
    for side in (left, right):
        _check_rank("outer", side.ndim, 1, 1)
    return einsum("i,j->ij", left, right)


def _diagonal(a: Any) -> Relation:
    relation = as_relation(a)
    _check_rank("diagonal", relation.ndim, 2, 2)
    return kernel_function("diag")(relation)


def _check_rank(name: str, rank: int, low: int, high: int) -> None:
    if not low <= rank <= high:
        legal = f"{low}" if low == high else f"{low} or {high}"
        raise KernelError(
            f"numpy.{name} of a relation takes tensors of {legal} axes; got one of {rank}\n"
            "  hint: tra.einsum says which axes are meant"
        )


def _size(a: Any, axis: Any = None) -> int:
    shape = as_relation(a).shape
    return prod(shape) if axis is None else shape[axis]


def _result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    return np.result_type(*(x.dtype if isinstance(x, Relation) else x for x in arrays_and_dtypes))


def _einsum(subscripts: Any, *operands: Any, optimize: Any = None) -> Relation:
    return einsum(subscripts, *operands)  # the engine chooses the order in any case


def _where(condition: Any, x: Any, y: Any) -> Relation:
    return where(condition, x, y)


_REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "mean", "var", "std", "argmin", "argmax")
_TABLE: dict[Any, Function] = {
    **{getattr(np, name): _reduction(name) for name in _REDUCTIONS},
    np.amax: _reduction("max"),
    np.amin: _reduction("min"),
    np.transpose: _transpose,
    np.expand_dims: _expand_dims,
    np.squeeze: _squeeze,
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.where: _where,
    np.clip: _clip,
    np.einsum: _einsum,
    np.dot: _dot,
    np.outer: _outer,
    np.diagonal: _diagonal,
    np.diag: lambda v: _diagonal(v),
    np.trace: lambda a: _diagonal(a).sum(),
    np.real: lambda val: kernel_function("real")(val),
    np.imag: lambda val: kernel_function("imag")(val),
    np.shape: lambda a: as_relation(a).shape,
    np.ndim: lambda a: as_relation(a).ndim,
    np.size: _size,
    np.result_type: _result_type,
    getattr(np, "astype", "from NumPy 2.1"): lambda x, dtype: as_relation(x).astype(dtype),
    np.iscomplexobj: lambda x: as_relation(x).dtype.kind == "c",
    np.isrealobj: lambda x: as_relation(x).dtype.kind != "c",
}
