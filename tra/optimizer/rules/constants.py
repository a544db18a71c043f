"""Rules on generated sources: computed while the query is planned, and left out where they change nothing."""

from __future__ import annotations

import warnings
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.live import is_plain, ranges
from tra.algebra.makers import Constant
from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Retile,
    Stack,
    Tile,
    Transform,
)
from tra.algebra.operators import generated
from tra.algebra.types import RelType
from tra.algebra.types import Tile as Array
from tra.errors import TraError
from tra.optimizer.rules.equal import is_known

MAX_FOLDED = 1024  # equal tiles folded one by one while a query is planned


def generated_filter_fold(node: Expr) -> Expr | None:
    """σ_f(generated) = generated on the keys that are left: each tile follows from its key.

    Applies when: the keys left are known.
    Source: own.

    Example:
        >>> from tra.algebra.operators import filter_keys
        >>> from tra.optimizer.rules.examples import filled
        >>> type(generated_filter_fold(filter_keys(filled(0), lambda i: i == 1))).__name__
        'Generated'
    """
    match node:
        case Filter(child=Generated(maker=maker)) if is_known(node):
            return generated(node.type, maker)
    return None


def constant_cut_fold(node: Expr) -> Expr | None:
    """ReKey, Tile, Concat, Retile and Stack of a constant are that constant, under other keys or cut anew.

    Applies when: the live keys are known; all operands have one value.
    Source: own.

    Example:
        >>> from tra.algebra.operators import concat
        >>> from tra.optimizer.rules.examples import filled
        >>> constant_cut_fold(concat(filled(0), "i", 0)).maker
        Constant(value=0)
    """
    match node:
        case ReKey() | Tile() | Concat() | Retile() | Stack() if is_known(node, *node.children):
            makers = [getattr(child, "maker", None) for child in node.children]
            if isinstance(makers[0], Constant) and all(maker == makers[0] for maker in makers):
                return generated(node.type, makers[0])
    return None


def constant_transform_fold(node: Expr) -> Expr | None:
    """λ(constant) = the constant that the kernel makes of it.

    Applies when: the kernel acts on each element by itself, or only moves elements.
    Source: own; constants folded, as in every compiler.

    Example:
        >>> from tra.algebra.operators import transform
        >>> from tra.optimizer.rules.examples import filled
        >>> constant_transform_fold(transform(filled(0), "exp")).maker
        Constant(value=1.0)
    """
    match node:
        case Transform(child=Generated(maker=Constant(value), type=old), kernel=by) if is_known(node):
            if _moves(by) and old.dtype == node.type.dtype:
                return generated(node.type, Constant(value))
            if by.laws.elementwise:
                return _constant(node.type, by, _filled(value, old))
    return None


def _moves(by: Kernel) -> bool:
    """Claims that the elements of the result are elements of the operand, moved."""
    return by.laws.contraction and set(by.signature.inputs[0]) == set(by.signature.output)


def constant_join_fold(node: Expr) -> Expr | None:
    """A constant ⋈ a constant = the constant that the kernel makes of both.

    Applies when: the kernel acts on each element by itself.
    Source: own; constants folded.

    Example:
        >>> from tra.algebra.operators import join
        >>> from tra.optimizer.rules.examples import filled
        >>> constant_join_fold(join(filled(1), filled(2), "i", "add")).maker
        Constant(value=3.0)
    """
    match node:
        case Join(
            left=Generated(maker=Constant(a), type=left),
            right=Generated(maker=Constant(b), type=right),
            kernel=by,
        ) if by.laws.elementwise and is_known(node):
            return _constant(node.type, by, _filled(a, left), _filled(b, right))
    return None


def constant_aggregate_fold(node: Expr) -> Expr | None:
    """Σ_g(constant) = the constant that folding one group gives.

    Applies when: the aggregation acts on each element by itself, and is idempotent or all groups have one
    size, of which there are at most `MAX_FOLDED`.
    Source: own; constants folded.

    Example:
        >>> from tra.algebra.operators import aggregate
        >>> from tra.optimizer.rules.examples import filled
        >>> constant_aggregate_fold(aggregate(filled(1), (), "add")).maker
        Constant(value=2.0)
    """
    match node:
        case Aggregate(child=Generated(maker=Constant(value), type=old), by=by, kernel=fold):
            if not fold.laws.elementwise or not is_known(node):
                return None
            if fold.laws.idempotent and old.dtype == node.type.dtype:
                return generated(node.type, Constant(value))
            spans = zip(old.names, ranges(old), strict=True)
            n = prod(high - low for name, (low, high) in spans if name not in by)
            if is_plain(old) and n <= MAX_FOLDED:
                return _constant(node.type, lambda *t: reduce(fold, t), *[_filled(value, old)] * n)
    return None


def _filled(value: Any, type_: RelType) -> Array:
    return np.full((1,), value, type_.dtype)


def _constant(type_: RelType, by: Any, *tiles: Array) -> Expr | None:
    """A constant of what a kernel gives on tiles of one element, if that has the dtype it should."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            made = np.asarray(by(*tiles))
        except TraError:
            return None
    if made.dtype != type_.dtype or made.dtype.names is not None or made.size != 1:
        return None
    return generated(type_, Constant(made.item()))


def transform_neutral_drop(node: Expr) -> Expr | None:
    """R · 1 = R, R + 0 = R: a constant operand that is neutral goes.

    Applies when: the kernel declares the constant as its identity, and changes no bit of any number.
    Source: own; for floats x + 0 turns −0 into 0, so that it stays.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> transform_neutral_drop((A * 1.0).expr) == A.expr, transform_neutral_drop((A + 0.0).expr)
        (True, None)
    """
    match node:
        case Transform(child=child, kernel=by) if len(by.literals) == 1 and node.type == child.type:
            ((position, value),) = by.literals
            plain = _without_literals(by)
            if plain is not None and _declares(plain, position, value):
                return child if _keeps_bits(by, child.type.dtype) else None
    return None


def _without_literals(by: Kernel) -> Kernel | None:
    """The kernel of all operands, as registered."""
    try:
        plain = kernel(by.name, **dict(by.params))
    except TraError:
        return None
    return plain if plain.user == by.user else None


def _declares(by: Kernel, position: int, value: Any) -> bool:
    """Claims that a value in one of two places leaves the other operand as it is, by the kernel's laws."""
    known = by.arity == 2 and by.laws.elementwise and by.laws.identity is not None
    return (
        known and np.ndim(value) == 0 and value == by.laws.identity and (position == 0 or by.laws.commutative)
    )


def _keeps_bits(by: Any, dtype: np.dtype[Any]) -> bool:
    """Claims that the kernel gives back numbers of all kinds, signed zeros and infinities among them."""
    if dtype.kind in "fc":
        facts = np.finfo(dtype)
        parts = [0.0, 1.0, 1 / 3, np.inf, np.nan, facts.max, facts.tiny, facts.smallest_subnormal]
        numbers = np.array([*parts, *(-part for part in parts)], dtype)
        if dtype.kind == "c":
            numbers = np.array([complex(a, b) for a in numbers.real for b in numbers.real], dtype)
    else:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        numbers = np.array([low, 0, 1, high], dtype)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        found = np.asarray(by(numbers))
    return found.dtype == dtype and found.tobytes() == numbers.tobytes()


def join_neutral_drop(node: Expr) -> Expr | None:
    """R ⋈ 1 = R for a kernel with the identity 1: multiplying by ones goes.

    Applies when: the kernel declares the constant as its identity and changes no bit of any number, keys of
    one name are joined, and the constant has a tile for every tile of R.
    Source: own; as for constants in kernels.

    Example:
        >>> import tra
        >>> from tra.algebra.operators import join
        >>> from tra.optimizer.rules.examples import filled
        >>> A = tra.from_array([1.0, 2.0, 3.0, 4.0], tile=2, name="A")
        >>> join_neutral_drop(join(A.expr, filled(1), "i", "mul")) == A.expr
        True
    """
    match node:
        case Join(on=on, kernel=by) if is_known(node) and all(mine == theirs for mine, theirs in on):
            for place, other in ((0, node.right), (1, node.left)):
                constant = node.children[place]
                match constant:
                    case Generated(maker=Constant(value)) if other.type == node.type:
                        if _declares(by, place, value) and _ignores(by, place, constant.type, other.type):
                            return other
    return None


def _ignores(by: Kernel, place: int, constant: RelType, other: RelType) -> bool:
    """Claims that a kernel with its identity in one place gives back the other operand bit by bit."""
    one = np.full((), 1 if by.laws.identity is None else by.laws.identity, constant.dtype)
    return _keeps_bits(lambda x: by(one, x) if place == 0 else by(x, one), other.dtype)
