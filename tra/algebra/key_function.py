"""Functions of keys, traced once so that the optimizer can read, invert and push them.

A user writes ``lambda i, j: (j, i + 1)``; it is called once with symbols, and what it does to them is kept
as small frozen expressions over key names. What cannot be traced (``if``, ``and``, look-ups) is kept as an
opaque function and called key by key.
"""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import NDArray

from tra.algebra.key_expression import (
    COMPARISONS,
    OPERATORS,
    Const,
    KeyExpr,
    KeyFunction,
    Not,
    Op,
    Opaque,
    Var,
    bounds_of,
    check_fits,
    conjuncts,
    evaluate,
    interval,
    plain_shift,
    substitute,
    text,
    variables,
)  # fmt: skip
from tra.algebra.key_trace import trace
from tra.algebra.types import LARGEST, KeyArray
from tra.errors import SchemaError


def apply(function: KeyFunction, names: tuple[str, ...], keys: KeyArray) -> KeyArray:
    """The image of each key: an array with one row per key and one column per output component.

    Example:
        >>> apply((Var("j"), Op("+", Var("i"), Const(1))), ("i", "j"), np.array([[0, 5], [1, 6]])).tolist()
        [[5, 1], [6, 2]]

    Raises:
        SchemaError: a traced function divides by zero or leaves 64 bits, or an opaque one fails or does not
            return integers.
    """
    if isinstance(function, Opaque):
        return _apply_opaque(function, keys)
    columns = {name: keys[:, p] for p, name in enumerate(names)}
    if len(keys):
        bounds = {name: (int(column.min()), int(column.max()) + 1) for name, column in columns.items()}
        for expr in function:
            check_fits(expr, bounds)
    try:
        with np.errstate(divide="raise"):
            outputs = [np.broadcast_to(np.asarray(evaluate(e, columns)), (len(keys),)) for e in function]
    except (FloatingPointError, ZeroDivisionError):
        raise SchemaError("the key function divides by zero") from None
    return np.stack(outputs, axis=1).astype(np.int64) if outputs else np.zeros((len(keys), 0), np.int64)


def _apply_opaque(function: Opaque, keys: KeyArray) -> KeyArray:
    rows = [_call_opaque(function, key) for key in keys.tolist()]
    width = len(rows[0]) if rows else 0
    if any(len(row) != width for row in rows):
        raise SchemaError("the key function returns keys of different lengths")
    if any(not -LARGEST <= component <= LARGEST for row in rows for component in row):
        raise SchemaError(f"the key function returns a component that is not within ±{LARGEST}")
    return np.array(rows, np.int64).reshape(len(rows), width)


def _call_opaque(function: Opaque, key: list[int]) -> list[int]:
    try:
        result = function.function(*key)
    except Exception as error:
        raise SchemaError(f"the key function fails on key {tuple(key)}: {error!r}") from error
    values = result if isinstance(result, tuple) else (result,)
    try:
        return [int(v) if isinstance(v, np.bool_) else operator.index(v) for v in values]
    except TypeError:
        raise SchemaError(
            f"the key function must return integers; on key {tuple(key)} it returns {result!r}"
        ) from None


def holds(predicate: KeyExpr | Opaque, names: tuple[str, ...], keys: KeyArray) -> NDArray[np.bool_]:
    """Which keys satisfy the predicate.

    Example:
        >>> holds(Op("==", Var("i"), Var("j")), ("i", "j"), np.array([[0, 1], [2, 2]]))
        array([False,  True])

    Raises:
        SchemaError: the predicate fails on a key, or gives something else than a truth value.
    """
    function: KeyFunction = predicate if isinstance(predicate, Opaque) else (predicate,)
    return apply(function, names, keys)[:, 0].astype(bool) if len(keys) else np.zeros(0, bool)


__all__ = [
    "COMPARISONS", "OPERATORS", "Const", "KeyExpr", "KeyFunction", "Not", "Op", "Opaque", "Var", "apply",
    "bounds_of", "check_fits", "conjuncts", "evaluate", "holds", "interval", "plain_shift", "substitute",
    "text", "trace", "variables",
]  # fmt: skip
