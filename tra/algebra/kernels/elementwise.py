"""Kernels that act on each element: arithmetic, comparisons, functions of one variable.

Each is a NumPy ufunc or a short composition of them; loop dimensions broadcast as in NumPy. The aggregations
add, mul, max, min, logaddexp, and the logical ones are the binary kernels among them that are associative
and commutative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, Laws, kernel, make_kernel, register
from tra.algebra.types import Tile

UNARY = "()->()"
BINARY = "(),()->()"
BOTH = frozenset([0, 1])
_SLOW = 8.0  # operations charged for a transcendental function


def _sigmoid(x: Tile) -> Tile:
    with np.errstate(over="ignore"):
        result: Tile = 1.0 / (1.0 + np.exp(-x))
    return result


def _relu(x: Tile) -> Tile:
    return np.maximum(x, x.dtype.type(0))


def _step(x: Tile) -> Tile:
    return (x > 0).astype(x.dtype)


def _identity(x: Tile) -> Tile:
    return x


def _fixed(name: str, signature: str, function: Callable[..., Tile], laws: Laws, flops: float = 1.0) -> None:
    made = make_kernel(name, signature, function, laws=laws, flops=lambda dims: flops)
    register(name, lambda: made)


def _laws(**laws: Any) -> Laws:
    return Laws(elementwise=True, **laws)


_LINEAR = frozenset([0])

for _name, _function, _flops, _law in [
    ("neg", np.negative, 1.0, {"linear": _LINEAR, "zero_preserving": True}),
    ("conj", np.conjugate, 1.0, {"zero_preserving": True}),
    ("real", np.real, 1.0, {"zero_preserving": True}),
    ("imag", np.imag, 1.0, {"zero_preserving": True}),
    ("abs", np.absolute, 1.0, {"zero_preserving": True}),
    ("sign", np.sign, 1.0, {"zero_preserving": True, "monotone": True}),
    ("square", np.square, 1.0, {"zero_preserving": True}),
    ("sqrt", np.sqrt, _SLOW, {"zero_preserving": True, "monotone": True}),
    ("exp", np.exp, _SLOW, {"monotone": True}),
    ("log", np.log, _SLOW, {"monotone": True}),
    ("log1p", np.log1p, _SLOW, {"zero_preserving": True, "monotone": True}),
    ("expm1", np.expm1, _SLOW, {"zero_preserving": True, "monotone": True}),
    ("sin", np.sin, _SLOW, {"zero_preserving": True}),
    ("cos", np.cos, _SLOW, {}),
    ("tanh", np.tanh, _SLOW, {"zero_preserving": True, "monotone": True}),
    ("sigmoid", _sigmoid, _SLOW, {"monotone": True}),
    ("relu", _relu, 1.0, {"zero_preserving": True, "monotone": True}),
    ("step", _step, 1.0, {"zero_preserving": True, "monotone": True}),
    ("floor", np.floor, 1.0, {"zero_preserving": True, "monotone": True}),
    ("ceil", np.ceil, 1.0, {"zero_preserving": True, "monotone": True}),
    ("logical_not", np.logical_not, 1.0, {}),
    ("is_nan", np.isnan, 1.0, {"zero_preserving": True}),
    ("identity", _identity, 0.0, {"linear": _LINEAR, "zero_preserving": True, "monotone": True}),
]:  # fmt: skip
    _fixed(_name, UNARY, _function, _laws(**_law), _flops)

_FOLD = {"associative": True, "commutative": True}
for _name, _function, _flops, _law in [
    ("add", np.add, 1.0,
     {**_FOLD, "identity": 0.0, "distributes_over": frozenset(["max", "min"]), "monotone": True,
      "zero_preserving": True}),
    ("sub", np.subtract, 1.0, {"zero_preserving": True}),
    ("mul", np.multiply, 1.0, {**_FOLD, "identity": 1.0, "linear": BOTH, "zero_preserving": True}),
    ("div", np.true_divide, 1.0, {"linear": _LINEAR}),
    ("floor_div", np.floor_divide, 1.0, {}),
    ("mod", np.remainder, 1.0, {}),
    ("pow", np.power, _SLOW, {}),
    ("max", np.maximum, 1.0,
     {**_FOLD, "idempotent": True, "distributes_over": frozenset(["max", "min"]), "monotone": True,
      "zero_preserving": True}),
    ("min", np.minimum, 1.0,
     {**_FOLD, "idempotent": True, "distributes_over": frozenset(["max", "min"]), "monotone": True,
      "zero_preserving": True}),
    ("logaddexp", np.logaddexp, 2 * _SLOW, {**_FOLD, "monotone": True}),
    ("logical_and", np.logical_and, 1.0, {**_FOLD, "identity": 1.0, "zero_preserving": True}),
    ("logical_or", np.logical_or, 1.0, {**_FOLD, "identity": 0.0, "zero_preserving": True}),
    ("logical_xor", np.logical_xor, 1.0, {**_FOLD, "identity": 0.0, "zero_preserving": True}),
    ("eq", np.equal, 1.0, {"commutative": True}),
    ("ne", np.not_equal, 1.0, {"commutative": True, "zero_preserving": True}),
    ("lt", np.less, 1.0, {"zero_preserving": True}),
    ("le", np.less_equal, 1.0, {}),
    ("gt", np.greater, 1.0, {"zero_preserving": True}),
    ("ge", np.greater_equal, 1.0, {}),
    ("left", lambda x, y: np.broadcast_arrays(x, y)[0], 0.0, {"linear": _LINEAR, "zero_preserving": True}),
    ("right", lambda x, y: np.broadcast_arrays(x, y)[1], 0.0,
     {"linear": frozenset([1]), "zero_preserving": True}),
]:  # fmt: skip
    _fixed(_name, BINARY, _function, _laws(**_law), _flops)

_fixed("where", "(),(),()->()", np.where, _laws(zero_preserving=True))


def _scale(by: float) -> Kernel:
    laws = _laws(linear=_LINEAR, zero_preserving=True)
    return make_kernel("scale", UNARY, lambda x: x * by, params={"by": by}, laws=laws, flops=lambda dims: 1.0)


def _cast(dtype: str) -> Kernel:
    target: np.dtype[Any] = np.dtype(dtype)
    return make_kernel(
        "cast", UNARY, lambda x: x.astype(target), params={"dtype": str(target)},
        laws=_laws(zero_preserving=True), flops=lambda dims: 0.0, output_dtype=target,
    )  # fmt: skip


def _clip(low: float, high: float) -> Kernel:
    return make_kernel(
        "clip", UNARY, lambda x: np.clip(x, low, high), params={"low": low, "high": high},
        laws=_laws(zero_preserving=low <= 0 <= high, monotone=True), flops=lambda dims: 2.0,
    )  # fmt: skip


def _one_hot(size: int, dtype: str = "float64") -> Kernel:
    """Each integer becomes a row of `size` zeros with a one at its place; out of range gives zeros."""
    target: np.dtype[Any] = np.dtype(dtype)

    def function(x: Tile) -> Tile:
        return (x[..., np.newaxis] == np.arange(size)).astype(target)

    return make_kernel(
        "one_hot", "()->(classes)", function, params={"size": size, "dtype": str(target)},
        sizes={"classes": size}, output_dtype=target, flops=lambda dims: float(size),
    )  # fmt: skip


register("scale", _scale)
register("cast", _cast)
register("clip", _clip)
register("one_hot", _one_hot)

ADD, MUL, MAX, MIN = (kernel(name) for name in ("add", "mul", "max", "min"))
