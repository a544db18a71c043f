"""Adjoints: how much the loss changes with each element of a relation.

An adjoint is kept as small as it comes. It may lack keys of its relation, or have an axis of length one where
the relation has more: then it is the same along them; a single number is the same everywhere. Where it has no
tile it is zero. So the adjoint of a sum costs nothing, and a product of matrices is differentiated into two.
What needs every tile asks for it: `lift`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from tra.algebra.kernel import kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.key_function import Opaque
from tra.algebra.labels import LETTERS
from tra.algebra.live import is_dense, is_uniform
from tra.algebra.nodes import Constant, Expr
from tra.algebra.operators import aggregate, generated, rekey, stack, transform
from tra.algebra.tilewise import Value, is_number, natural_join
from tra.algebra.type_rules import aggregate_type
from tra.algebra.types import AtMost, Axis, RelType, TileKey
from tra.algebra.whole_tensor import fresh_name, reorder


def lift(value: Value, type_: RelType) -> Expr:
    """The adjoint with the keys and axes of its relation, and no tile where the relation has none.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 3] * 2, tile=2).expr
        >>> row = tra.from_array([1.0] * 3, "j", tile=2).expr
        >>> lift(row, A.type).type == A.type, lift(2.0, A.type).type == A.type
        (True, True)
    """
    if is_number(value):
        dtype = np.result_type(type_.dtype, value)
        with np.errstate(over="ignore"):
            held = dtype.type(value)  # what no float16 holds is infinite, as a product of some would be
        return generated(replace(type_, dtype=dtype), Constant(value if np.isfinite(held) else held))
    value = _without_ones(value, type_)
    if _is_lifted(value.type, type_):
        return reorder(value, type_.names)
    return natural_join(_keys_of(type_), value, "right")


def _keys_of(type_: RelType) -> Expr:
    """The keys of a relation, with tiles that nobody reads."""
    return generated(replace(type_, dtype=np.dtype(np.float64)), Constant(0.0))


def _is_lifted(found: RelType, wanted: RelType) -> bool:
    if set(found.keys) != set(wanted.keys) or found.axes != wanted.axes:
        return False
    same = found.keys == wanted.keys and found.live == wanted.live and not isinstance(found.live, AtMost)
    return same or is_dense(wanted)


def expand(value: Value, type_: RelType) -> Value:
    """The adjoint with its axes at full length, and the keys that cut them.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({(n, i): [1.0, 2.0] for n in (0, 1) for i in (0, 1)}, ("n", "i"), axes=None)
        >>> str(expand(1.0, A.expr.type).type)
        '[] of 2 float64'
    """
    if not is_number(value) and value.type.axes == type_.axes:
        return value
    has = () if is_number(value) else value.type.names
    names = [name for name in type_.names if name in has or name in type_.linked]
    return lift(value, aggregate_type(type_, names, kernel("add")))


def lost_its_keys(value: Value, type_: RelType, operands: Sequence[RelType]) -> bool:
    """Claims that the adjoint meets ragged tiles, but lacks the keys that say how long each of them is.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([1.0] * n, "i", tile=2).expr.type for n in (3, 2))
        >>> z = tra.from_array([1.0] * 2, ()).expr
        >>> lost_its_keys(z, B, [A, B]), lost_its_keys(1.0, B, [A, B])
        (True, False)
    """
    if is_number(value):
        return False
    pairs = zip(reversed(value.type.axes), reversed(type_.axes), strict=False)
    differs = any(mine != axis and mine.size != 1 for mine, axis in pairs)
    return differs and any(not is_uniform(axis, t) for t in operands for axis in t.axes if axis.link)


def fill(value: Expr, type_: RelType) -> Expr:
    """A lifted adjoint with zeros at live keys of its relation where it has no tile.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({0: [1.0], 2: [3.0]}, "i").expr
        >>> from tra.algebra.operators import filter_keys
        >>> first = filter_keys(A, lambda i: i == 0)
        >>> fill(first, A.type).type.live == A.type.live
        True
    """
    known = not isinstance(type_.live, AtMost)
    if known and (value.type.live == type_.live or (is_dense(value.type) and is_dense(type_))):
        return value
    zeros = generated(replace(type_, dtype=value.type.dtype), Constant(0))
    key = fresh_name("side", type_.names)
    return aggregate(stack([zeros, value], key), type_.names, "add")


def in_domain(value: Expr, type_: RelType) -> Expr:
    """The same tiles under the same keys, which may go as far as in a type.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([1.0] * n, "i", tile=2).expr for n in (2, 6))
        >>> A.type.domains, in_domain(A, B.type).type.domains
        ((1,), (3,))
    """
    if value.type.domains == type_.domains:
        return value
    same = Opaque(_same, type_.names, f"the same in {type_.domains}", type_.domains)
    return rekey(value, same, type_.names)


def _same(*key: int) -> TileKey:
    return key


def merge(values: Sequence[Value], type_: RelType) -> Value:
    """The sum of adjoints of one relation.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 3] * 2, tile=2).expr
        >>> merge([1.0, 2.0], A.type), str(merge([A, 1.0], A.type).type)
        (3.0, '[i:1, j:2] of 2×2/3 float64')
    """
    if type_.dtype.names is not None and len(values) > 1:
        return _merged_pairs(values, type_)
    number = sum(value for value in values if is_number(value))
    exprs = [value for value in values if not is_number(value)]
    if not exprs:
        return number
    if number:
        exprs.append(lift(number, type_))
    if len(exprs) == 1:
        return exprs[0]
    if is_dense(type_) and all(is_dense(expr.type) for expr in exprs):
        total: Expr = reduce(lambda a, b: natural_join(a, b, "add"), exprs)
        return total
    return _stacked([lift(expr, type_) for expr in exprs], type_)


def ranked(value: Value, type_: RelType) -> Value:
    """The adjoint with as many axes as its relation, those that it lacks of length one.

    Example:
        >>> import tra
        >>> A, row = tra.from_array([[1.0] * 3] * 2), tra.from_array([1.0] * 3)
        >>> ranked(row.expr, A.expr.type).type.axes[0]
        Axis(size=1, link=(), extent=1)
    """
    for rank in range(0 if is_number(value) else len(value.type.axes), len(type_.axes)):
        value = value if is_number(value) else transform(value, "expand_dims", axis=-rank - 1)
    return value


def _merged_pairs(values: Sequence[Value], type_: RelType) -> Value:
    """Adjoints of pairs of value and index: the two parts apart."""
    plain = replace(type_, dtype=np.dtype(np.float64))
    parts = [[transform(value, name) for value in values] for name in ("value_of", "second_of")]
    first, second = (merge(part, plain) for part in parts)
    return natural_join(first, second, "pair")


def _stacked(lifted: Sequence[Expr], type_: RelType) -> Expr:
    dtype = np.result_type(*(expr.type.dtype for expr in lifted))
    same = [e if e.type.dtype == dtype else transform(e, "cast", dtype=str(dtype)) for e in lifted]
    return aggregate(stack(same, fresh_name("side", type_.names)), type_.names, "add")


def reduced(value: Expr, type_: RelType) -> Expr:
    """Σ over what an operand was broadcast along: axes before its own, axes of extent one, keys it lacks.

    Args:
        value: the operand's adjoint at each key and axis of the result.
        type_: the operand, its keys named as in the result.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 3] * 2, tile=2).expr
        >>> str(reduced(A, tra.from_array([1.0] * 3, "j", tile=2).expr.type).type)
        '[j:2] of 2/3 float64'
    """
    value = _without_ones(value, type_)
    names = [name for name in value.type.names if name in type_.names]
    if value.type.linked - set(names):  # the operand's own keys cut the same axes
        value = natural_join(_keys_of(type_), value, "right")
        names = list(type_.names)
    return value if len(names) == len(value.type.names) else aggregate(value, names, "add")


def _without_ones(value: Expr, type_: RelType) -> Expr:
    """Σ over axes before those of the type, and over axes that have one element there."""
    value = ranked(value, type_)
    rank, extra = len(type_.axes), len(value.type.axes) - len(type_.axes)
    own = value.type.axes[extra:]
    ones = [p for p, a in enumerate(type_.axes) if a.size == 1 and own[p] not in (a, Axis(1, (), 1))]
    if extra > 0 or ones:
        letters = LETTERS[: rank + extra]
        kept = "".join(c for p, c in enumerate(letters) if p >= extra and p - extra not in ones)
        value = transform(value, einsum_kernel(f"{letters}->{kept}"))
    for n, place in enumerate(ones, start=rank - len(ones) + 1):
        value = transform(value, "expand_dims", axis=place - n)
    return value
