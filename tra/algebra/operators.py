"""Constructors of expression nodes: they check the operands and compute the type of the result.

A key may be given by name or by position. Nothing is computed here but types; the rules are in `type_rules`,
`join_type` and `concat_type`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from tra.algebra.concat_type import concat_type
from tra.algebra.distributions import check_constant, check_places, check_random
from tra.algebra.join_type import check_domains, join_pairs, join_type, joined_names, truncated
from tra.algebra.kernel import Kernel, kernel
from tra.algebra.key_function import KeyExpr, KeyFunction, Opaque, trace
from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Constant,
    Expr,
    Filter,
    Generated,
    Iota,
    Join,
    Maker,
    Random,
    ReKey,
    Stack,
    Tile,
    Transform,
    name_of,
)
from tra.algebra.type_rules import (
    KeyRef,
    aggregate_type,
    filter_type,
    rekey_type,
    resolve_axis,
    resolve_key,
    stack_type,
    tile_type,
    transform_type,
)
from tra.algebra.types import RelType, check_size
from tra.errors import SchemaError


def aggregate(child: Expr, by: Sequence[KeyRef], agg: str | Kernel) -> Expr:
    """Σ: folds the tiles that agree on `by`; the result has the keys `by` in that order.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> str(aggregate(A.expr, ["j"], "add").type)
        '[j:2] of 2×2/3 float64'

    Raises:
        SchemaError: unknown or repeated key, or a vanishing key says how long ragged tiles are.
        KernelError: the kernel is not associative and commutative, or changes the dtype.
    """
    fold = kernel(agg)
    names = tuple(resolve_key(child.type, key) for key in by)
    parts = [o.type for o in child.operands] if isinstance(child, Stack) and child.key not in names else []
    return Aggregate(aggregate_type(child.type, names, fold, parts), child, names, fold)


def join(left: Expr, right: Expr, on: Any, by: str | Kernel, *, truncate: bool = False) -> Expr:
    """⋈: pairs the tiles whose keys agree on `on`; key = left key ++ right key without the joined ones.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], keys="i", tile=2)
        >>> join(A.expr, A.expr, "i", "mul").type.live
        Box(ranges=((0, 2),))

    Raises:
        SchemaError: unknown key, or joined keys of different domains (unless `truncate`).
        KernelError: the tiles do not fit the kernel.
    """
    combine, lt, rt = kernel(by), left.type, right.type
    pairs = join_pairs(lt, rt, on)
    if truncate:
        lt, rt = truncated(lt, rt, pairs)
    check_domains(lt, rt, pairs, (name_of(left), name_of(right)))
    return Join(join_type(lt, rt, pairs, combine), left, right, pairs, combine, truncate)


def rekey(child: Expr, function: Callable[..., Any] | KeyFunction, keys: Sequence[str]) -> Expr:
    """ReKey: replaces each key; links of axes follow where they are linear in the new keys.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> str(rekey(A.expr, lambda i, j: (j, i), ["j", "i"]).type)
        '[j:2, i:1] of 2×2/3 float64'

    Raises:
        SchemaError: two keys collide (both are named), a key is negative, or ragged tiles lose their key.
    """
    names = tuple(keys)
    traced = function if isinstance(function, (tuple, Opaque)) else trace(function, child.type.names)
    return ReKey(rekey_type(child.type, traced, names), child, names, traced)


def filter_keys(child: Expr, predicate: Callable[..., Any] | KeyExpr | Opaque) -> Expr:
    """σ: keeps the tuples whose key satisfies the predicate; the domain stays.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> filter_keys(A.expr, lambda i, j: j == 1).type.live
        Box(ranges=((0, 1), (1, 2)))

    Raises:
        SchemaError: the predicate cannot be evaluated on the keys.
    """
    expr = _predicate(predicate, child.type) if callable(predicate) else predicate
    return Filter(filter_type(child.type, expr), child, expr)


def _predicate(predicate: Callable[..., Any], type_: RelType) -> KeyExpr | Opaque:
    traced = trace(predicate, type_.names)
    if isinstance(traced, Opaque):
        return traced
    if len(traced) != 1:
        raise SchemaError(f"a filter gives one truth value; this one gives {len(traced)}")
    return traced[0]


def transform(child: Expr, by: str | Kernel, **params: Any) -> Expr:
    """λ: applies a kernel to each tile.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> str(transform(A.expr, "reduce_sum", axis=-2).type)
        '[i:1, j:2] of 2/3 float64'

    Raises:
        KernelError: the kernel takes another number of operands, or the tiles do not fit.
    """
    apply = kernel(by, **params)
    return Transform(transform_type(child.type, apply), child, apply)


def tile(child: Expr, axis: int, size: int, key: str) -> Expr:
    """Tile: cuts each tile along an axis into pieces of `size`; the piece number becomes the last key.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> str(tile(A.expr, 1, 1, "jj").type)
        '[i:1, j:2, jj:2] of 2×1/3 float64'

    Raises:
        SchemaError: the key exists, the size is not positive, or the axis is cut already and `size` does not
            divide its tiles.
    """
    place = resolve_axis(child.type, axis)
    return Tile(tile_type(child.type, place, size, key), child, place, size, key)


def concat(child: Expr, key: KeyRef, axis: int) -> Expr:
    """Concat: glues the tiles along an axis in the order of a key; the key disappears.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> str(concat(A.expr, "j", 1).type)
        '[i:1] of 2×3 float64'

    Raises:
        SchemaError: a tile is missing (its key is named), or the axis is cut by other keys.
    """
    place, name = resolve_axis(child.type, axis), resolve_key(child.type, key)
    return Concat(concat_type(child.type, name, place), child, name, place)


def stack(operands: Sequence[Expr], key: str) -> Expr:
    """Stack: disjoint union of relations with the same keys and axes, under a new first key.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], keys=("i", "j"), tile=2, name="A")
        >>> str(stack([A.expr, A.expr], "n").type)
        '[n:2, i:1, j:2] of 2×2/3 float64'

    Raises:
        SchemaError: the operands differ in keys, axes or dtype.
    """
    return Stack(stack_type([o.type for o in operands], key), tuple(operands), key)


def generated(type_: RelType, maker: Maker) -> Expr:
    """A generated source: every tile follows from its key.

    Example:
        >>> from tra.algebra.makers import Constant
        >>> from tra.algebra.sources import tensor_type
        >>> str(generated(tensor_type((5,), "f4", ("i",), 2), Constant(1)).type)
        '[i:3] of 2/5 float32'

    Raises:
        SchemaError: iota along an axis that is not there, an unknown distribution, numbers that the dtype
            does not hold, or tiles that no memory holds.
    """
    check_size(prod(type_.tile_shape) * type_.dtype.itemsize, "the size of a tile in bytes")
    match maker:
        case Constant(value):
            check_constant(value, type_.dtype)
        case Iota(axis):
            check_places(type_.axes[resolve_axis(type_, axis)].extent, type_.dtype)
        case Random():
            check_random(maker, type_.dtype)
    return Generated(type_, maker)


__all__ = [
    "KeyRef",
    "aggregate",
    "concat",
    "filter_keys",
    "generated",
    "join",
    "join_pairs",
    "joined_names",
    "rekey",
    "resolve_axis",
    "resolve_key",
    "stack",
    "tile",
    "transform",
]
