"""Kernels that act on each element: arithmetic, comparisons, functions of one variable.

Each is a NumPy ufunc or a short composition of them; loop dimensions broadcast as in NumPy. The aggregations
add, mul, max, min, logaddexp, and the logical ones are the binary kernels among them that are associative
and commutative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tra.algebra.formula import formula
from tra.algebra.kernel import Kernel, Laws, TileFunction, kernel, make_kernel, register
from tra.algebra.kernels.parameters import number_dtype, whole_size
from tra.algebra.types import Tile

UNARY = "()->()"
BINARY = "(),()->()"
_SLOW = 8.0  # operations charged for a transcendental function


_SIGMOID = formula(
    (np.negative, ...), (np.exp, ...), (np.add, 1.0, ...), (np.true_divide, 1.0, ...), over="ignore"
)
_RELU = formula((np.maximum, ..., False))  # a truth value leaves the dtype as it is, truth values too


def _step(x: Tile) -> Tile:
    return (x > 0).astype(x.dtype)


def _power(x: Tile, y: Tile) -> Tile:
    """As NumPy writes it, where True ** 2 is an int8; of single numbers by the loop for arrays."""
    if np.ndim(x) or np.ndim(y):
        result: Tile = x**y
        return result
    base = x.reshape(1) if isinstance(x, np.ndarray | np.generic) else x
    exponent = y.reshape(1) if isinstance(y, np.ndarray | np.generic) else y
    return np.asarray(base**exponent).reshape(())


def _identity(x: Tile) -> Tile:
    return x


def _laws(**laws: Any) -> Laws:
    return Laws(elementwise=True, **laws)


def _fixed(name: str, signature: str, function: TileFunction, flops: float, **laws: Any) -> None:
    made = make_kernel(name, signature, function, laws=_laws(**laws), flops=lambda dims: flops)
    register(name, lambda: made)


_FIRST, _SECOND, _BOTH = frozenset([0]), frozenset([1]), frozenset([0, 1])
_FOLD = {"associative": True, "commutative": True}
_ORDERED = {"distributes_over": frozenset(["max", "min"]), "monotone": True, "zero_preserving": True}

_fixed("neg", UNARY, np.negative, 1.0, linear=_FIRST, zero_preserving=True, coefficients=(-1.0,))
_fixed("conj", UNARY, np.conjugate, 1.0, zero_preserving=True)
_fixed("real", UNARY, np.real, 1.0, zero_preserving=True)
_fixed("imag", UNARY, np.imag, 1.0, zero_preserving=True)
_fixed("abs", UNARY, np.absolute, 1.0, zero_preserving=True)
_fixed("sign", UNARY, np.sign, 1.0, zero_preserving=True, monotone=True)
_fixed("square", UNARY, np.square, 1.0, zero_preserving=True)
_fixed("sqrt", UNARY, np.sqrt, _SLOW, zero_preserving=True, monotone=True)
_fixed("exp", UNARY, np.exp, _SLOW, monotone=True)
_fixed("log", UNARY, np.log, _SLOW, monotone=True)
_fixed("log1p", UNARY, np.log1p, _SLOW, zero_preserving=True, monotone=True)
_fixed("expm1", UNARY, np.expm1, _SLOW, zero_preserving=True, monotone=True)
_fixed("sin", UNARY, np.sin, _SLOW, zero_preserving=True)
_fixed("cos", UNARY, np.cos, _SLOW)
_fixed("tanh", UNARY, np.tanh, _SLOW, zero_preserving=True, monotone=True)
_fixed("sigmoid", UNARY, _SIGMOID, _SLOW, monotone=True)
_fixed("relu", UNARY, _RELU, 1.0, zero_preserving=True, monotone=True)
_fixed("step", UNARY, _step, 1.0, zero_preserving=True, monotone=True)
_fixed("floor", UNARY, np.floor, 1.0, zero_preserving=True, monotone=True)
_fixed("ceil", UNARY, np.ceil, 1.0, zero_preserving=True, monotone=True)
_fixed("logical_not", UNARY, np.logical_not, 1.0)
_fixed("is_nan", UNARY, np.isnan, 1.0, zero_preserving=True)
_fixed(
    "identity", UNARY, _identity, 0.0,
    linear=_FIRST, zero_preserving=True, monotone=True, contraction=True, coefficients=(1.0,),
)  # fmt: skip
_fixed("stop_gradient", UNARY, _identity, 0.0, linear=_FIRST, zero_preserving=True, monotone=True)

_fixed("add", BINARY, np.add, 1.0, identity=0.0, coefficients=(1.0, 1.0), **_FOLD, **_ORDERED)
_fixed("sub", BINARY, np.subtract, 1.0, zero_preserving=True, coefficients=(1.0, -1.0))
_fixed(
    "mul", BINARY, np.multiply, 1.0,
    identity=1.0, linear=_BOTH, zero_preserving=True, contraction=True, **_FOLD,
)  # fmt: skip
_fixed("div", BINARY, np.true_divide, 1.0, linear=_FIRST)
_fixed("floor_div", BINARY, np.floor_divide, 1.0)
_fixed("mod", BINARY, np.remainder, 1.0)
_fixed("pow", BINARY, _power, _SLOW)
_fixed("max", BINARY, np.maximum, 1.0, idempotent=True, **_FOLD, **_ORDERED)
_fixed("min", BINARY, np.minimum, 1.0, idempotent=True, **_FOLD, **_ORDERED)
_fixed("logaddexp", BINARY, np.logaddexp, 2 * _SLOW, monotone=True, **_FOLD)
_fixed("logical_and", BINARY, np.logical_and, 1.0, identity=1.0, zero_preserving=True, **_FOLD)
_fixed("logical_or", BINARY, np.logical_or, 1.0, identity=0.0, zero_preserving=True, **_FOLD)
_fixed("logical_xor", BINARY, np.logical_xor, 1.0, identity=0.0, zero_preserving=True, **_FOLD)
_fixed("eq", BINARY, np.equal, 1.0, commutative=True)
_fixed("ne", BINARY, np.not_equal, 1.0, commutative=True, zero_preserving=True)
_fixed("lt", BINARY, np.less, 1.0, zero_preserving=True)
_fixed("le", BINARY, np.less_equal, 1.0)
_fixed("gt", BINARY, np.greater, 1.0, zero_preserving=True)
_fixed("ge", BINARY, np.greater_equal, 1.0)
_fixed("left", BINARY, lambda x, y: np.broadcast_arrays(x, y)[0], 0.0, linear=_FIRST, zero_preserving=True)
_fixed("right", BINARY, lambda x, y: np.broadcast_arrays(x, y)[1], 0.0, linear=_SECOND, zero_preserving=True)
_fixed("where", "(),(),()->()", np.where, 1.0, zero_preserving=True)


def _scale(by: float) -> Kernel:
    own = (float(by + 0),) if np.isrealobj(by) else ()  # no text, which float would read
    laws = _laws(linear=_FIRST, zero_preserving=True, coefficients=own)
    return make_kernel(
        "scale", UNARY, formula((np.multiply, ..., by)), params={"by": by}, laws=laws, flops=lambda dims: 1.0
    )


def _cast(dtype: str) -> Kernel:
    target = number_dtype(dtype, "cast")
    return make_kernel(
        "cast", UNARY, lambda x: x.astype(target), params={"dtype": str(target)},
        laws=_laws(zero_preserving=True), flops=lambda dims: 0.0, output_dtype=target,
    )  # fmt: skip


def _clip(low: float, high: float) -> Kernel:
    return make_kernel(
        "clip", UNARY, formula((np.clip, ..., low, high)), params={"low": low, "high": high},
        laws=_laws(zero_preserving=bool((low <= 0) & (high >= 0)), monotone=True), flops=lambda dims: 2.0,
    )  # fmt: skip


def _one_hot(size: int, dtype: str = "float64") -> Kernel:
    """Each integer becomes a row of `size` zeros with a one at its place; out of range gives zeros."""
    size = whole_size(size, "one_hot")
    target = number_dtype(dtype, "one_hot")

    def function(x: Tile) -> Tile:
        result: Tile = (x[..., np.newaxis] == np.arange(size)).astype(target)
        return result

    return make_kernel(
        "one_hot", "()->(classes)", function, params={"size": size, "dtype": str(target)},
        sizes={"classes": size}, output_dtype=target, flops=lambda dims: float(size),
    )  # fmt: skip


register("scale", _scale)
register("cast", _cast)
register("clip", _clip)
register("one_hot", _one_hot)

ADD, MUL, MAX, MIN = (kernel(name) for name in ("add", "mul", "max", "min"))
