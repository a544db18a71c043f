"""What each operator makes of its operand's type: Σ, ReKey, σ, λ, Tile, Stack (⋈ and Concat stand apart).

Each rule says three things: the keys, the axes with their links, and the live keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from tra.algebra import live_rules
from tra.algebra.arguments import given_integer, key_names
from tra.algebra.image import image
from tra.algebra.kernel import Kernel
from tra.algebra.kernel_result import tile_dtype
from tra.algebra.key_function import KeyExpr, KeyFunction, Opaque, variables
from tra.algebra.links import eliminate, rekeyed
from tra.algebra.live import is_dense
from tra.algebra.signature import bind_axes
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, Live, RelType, as_link
from tra.errors import KernelError, SchemaError, near_name

KeyRef = str | int


def resolve_key(type_: RelType, key: KeyRef, what: str = "relation") -> str:
    """The name of a key given by name or position.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("row", "column"), 2)
        >>> resolve_key(A, 1), resolve_key(A, -2)
        ('column', 'row')
        >>> resolve_key(A, "colum")
        Traceback (most recent call last):
        tra.errors.SchemaError: unknown key 'colum': the keys of ... are row, column; did you mean 'column'?

    Raises:
        SchemaError: there is no such key; names the keys there are, and a near name.
    """
    if isinstance(key, str):
        if key not in type_.names:
            names = ", ".join(type_.names) or "none"
            near = near_name(key, type_.names)
            raise SchemaError(f"unknown key {key!r}: the keys of {what} {type_} are {names}{near}")
        return key
    place: Any = key
    if not isinstance(place, SupportsIndex):
        names = ", ".join(type_.names) or "none"
        raise SchemaError(
            f"a key is a name or a place; got {key!r}, and the keys of {what} {type_} are {names}"
        )
    if not -len(type_.keys) <= key < len(type_.keys):
        raise SchemaError(f"there is no key {key}: {what} {type_} has {len(type_.keys)} keys, counted from 0")
    return type_.names[key]


def resolve_axis(type_: RelType, axis: int) -> int:
    """The axis as a number from the front.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> resolve_axis(tensor_type((5, 4), "f8"), -1)
        1

    Raises:
        SchemaError: there is no such axis.
    """
    axis = given_integer(axis, "an axis")
    if not -len(type_.axes) <= axis < len(type_.axes):
        raise SchemaError(
            f"there is no axis {axis}: {type_} has tiles of {len(type_.axes)} axes, counted from 0"
        )
    return axis % len(type_.axes)


def _check_new_key(type_: RelType, key: str) -> None:
    """Checks that a key name is free.

    Raises:
        SchemaError: a key of this name exists.
    """
    (key,) = key_names(key)
    if key in type_.names:
        raise SchemaError(f"the key {key!r} exists already in {type_}")


def distinct(names: Sequence[str], operator: str) -> None:
    """Checks that no key is named twice.

    Example:
        >>> distinct(["i", "j", "i"], "rekey")
        Traceback (most recent call last):
        tra.errors.SchemaError: rekey names a key twice: i, j, i

    Raises:
        SchemaError: names the keys.
    """
    if len(set(names)) < len(names):
        raise SchemaError(f"{operator} names a key twice: {', '.join(names)}")


def aggregate_type(
    type_: RelType, names: Sequence[str], fold: Kernel, parts: Sequence[RelType] = ()
) -> RelType:
    """Σ: the keys `names` in that order; rule E for the others; live keys projected.

    Args:
        type_: the operand.
        names: the keys that stay.
        fold: the aggregation.
        parts: where the operand is a Stack and its key goes, the operands of that.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> str(aggregate_type(tensor_type((4, 5), "f8", ("i", "j"), 2), ["j"], kernel("add")))
        '[j:3] of 2×2/5 float64'

    Raises:
        SchemaError: a key is named twice, or a vanishing key says how long ragged tiles are.
        KernelError: the kernel is not associative and commutative, or changes the dtype.
    """
    distinct(names, "aggregate")
    may_fold = fold.laws.ordered or (fold.laws.associative and fold.laws.commutative)
    if fold.arity != 2 or not may_fold:
        raise KernelError(
            f"cannot aggregate with {fold}: an aggregation is associative and commutative, like add or max"
        )
    dtype = tile_dtype(fold, (type_.dtype, type_.dtype))
    if dtype != type_.dtype:
        raise KernelError(
            f"cannot aggregate {type_} with {fold}: it turns {type_.dtype} into {dtype}; cast first"
        )
    gone = set(type_.names) - set(names)
    axes = tuple(eliminate(axis, place, gone, type_) for place, axis in enumerate(type_.axes))
    rest = next((live_rules.without_keys(p, names) for p in parts if is_dense(p)), None)
    if rest is None and parts:
        live = live_rules.union(parts, names)
    else:
        rest = rest or live_rules.without_keys(type_, names)
        live = live_rules.kept(rest, set(axes) >= {axis for axis in rest.axes if axis.link})
    keys = tuple(type_.keys[type_.names.index(name)] for name in names)
    return live_rules.with_live(RelType(keys, axes, dtype, Box(())), live)


def rekey_type(type_: RelType, function: KeyFunction, names: tuple[str, ...]) -> RelType:
    """ReKey: image of the keys; links follow where they are linear in the new keys.

    Example:
        >>> from tra.algebra.key_function import Var
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i", "j"), 2)
        >>> str(rekey_type(A, (Var("j"), Var("i")), ("b", "a")))
        '[b:2, a:3] of 2/5×2/4 float64'

    Raises:
        SchemaError: two keys collide (both are named), a key is negative, or ragged tiles lose their key.
    """
    distinct(names, "rekey")
    if not isinstance(function, Opaque):
        if len(function) != len(names):
            raise SchemaError(
                f"the key function gives {len(function)} components for {len(names)} keys "
                f"({', '.join(names)})"
            )
        for expr in function:
            _check_variables(type_, expr)
    keys, live = image(type_, function, names)
    return live_rules.with_live(RelType(keys, rekeyed(type_, function, keys), type_.dtype, Box(())), live)


def _check_variables(type_: RelType, expr: KeyExpr) -> None:
    """Checks that an expression reads only keys that there are.

    Raises:
        SchemaError: an unknown key.
    """
    for name in sorted(variables(expr)):
        resolve_key(type_, name)


def filter_type(type_: RelType, predicate: KeyExpr | Opaque) -> RelType:
    """σ: the same keys, domains and axes; fewer live keys.

    Example:
        >>> from tra.algebra.key_function import Const, Op, Var
        >>> from tra.algebra.sources import tensor_type
        >>> filter_type(tensor_type((5,), "f8", ("i",), 2), Op("<", Var("i"), Const(2))).live
        Box(ranges=((0, 2),))

    Raises:
        SchemaError: the predicate reads an unknown key, or fails on a key.
    """
    if not isinstance(predicate, Opaque):
        _check_variables(type_, predicate)
    return live_rules.with_live(type_, live_rules.filtered(type_, predicate))


def transform_type(type_: RelType, apply: Kernel) -> RelType:
    """λ: the same keys; axes and dtype as the kernel's shape law says.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> str(transform_type(tensor_type((5, 4), "f8", ("i", "j"), 2), kernel("transpose")))
        '[i:3, j:2] of 2/4×2/5 float64'

    Raises:
        KernelError: the kernel takes another number of operands, or the tiles do not fit.
    """
    if apply.arity != 1:
        raise KernelError(
            f"cannot transform with {apply}: it takes {apply.arity} operands; join two relations with it"
        )
    axes = bind_axes(apply.signature, (type_,), type_, dict(apply.sizes), str(apply))
    dtype = tile_dtype(apply, (type_.dtype,))
    live = live_rules.kept(type_, set(axes) >= {axis for axis in type_.axes if axis.link})
    return live_rules.with_live(RelType(type_.keys, axes, dtype, Box(())), live)


def tile_type(type_: RelType, place: int, size: int, key: str) -> RelType:
    """Tile: a new last key counts the pieces; those of length 0 do not exist.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> str(tile_type(tensor_type((5,), "f8", ("i",), 4), 0, 2, "ii"))
        '[i:2, ii:2] of 2/5 float64'

    Raises:
        SchemaError: the key exists, the size is not positive, or the axis is cut already and `size` does not
            divide its tiles.
    """
    _check_new_key(type_, key)
    if size < 1:
        raise SchemaError(f"a tile size is at least 1; got {size}")
    old = type_.axes[place]
    if old.link and (not old.size or old.size % size):
        raise SchemaError(
            f"cannot tile axis {place} of {type_} by {size}: it is cut into tiles of {old.size} already, "
            f"which {size} does not divide; .retile(...) (Retile) cuts the whole tensor anew"
        )
    n = max(-(-old.size // size), 1)
    if old.link:
        new = Axis(size, as_link({**{k: c * n for k, c in old.link}, key: 1}), old.extent)
    else:
        new = Axis(min(size, old.size), as_link({key: 1}), old.size)
    axes = tuple(new if p == place else a for p, a in enumerate(type_.axes))
    cut = RelType((*type_.keys, Key(key, n)), axes, type_.dtype, Box(()))
    return live_rules.with_live(cut, _pieces(type_.live, cut, place, n))


def _pieces(live: Live, cut: RelType, place: int, n: int) -> Live:
    if isinstance(live, AtMost):
        return AtMost((*live.ranges, (0, n)), live.count * n)
    if isinstance(live, Box):
        return Box((*live.ranges, (0, n)))
    number = np.tile(np.arange(n), len(live.keys))[:, np.newaxis]
    grown = np.concatenate([np.repeat(live.keys, n, axis=0), number], axis=1)
    lengths = cut.tile_lengths(grown)[:, place]
    return KeySet(grown[(lengths > 0) | (cut.axes[place].size == 0)])


def stack_type(types: Sequence[RelType], key: str) -> RelType:
    """Stack: a new first key numbers the operands.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5,), "f8", ("i",), 2)
        >>> str(stack_type([A, A, A], "n"))
        '[n:3, i:3] of 2/5 float64'

    Raises:
        SchemaError: there is no operand, they differ in keys, axes or dtype, or the key exists.
    """
    if not types:
        raise SchemaError("stack needs at least one relation")
    first = types[0]
    for other in types[1:]:
        if (other.keys, other.axes, other.dtype) != (first.keys, first.axes, first.dtype):
            raise SchemaError(f"cannot stack relations of different types\n  first {first}\n  other {other}")
    _check_new_key(first, key)
    result = RelType((Key(key, len(types)), *first.keys), first.axes, first.dtype, Box(()))
    return live_rules.with_live(result, live_rules.stacked(types))
