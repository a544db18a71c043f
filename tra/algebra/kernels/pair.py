"""Pairs of a value and an index, so that argmin and argmax aggregate like any sum.

A pair is a structured tile with the fields ``value`` and ``index``. The order is NumPy's: NaN first, then
the value, then the lowest index; with the index inside, it is associative and commutative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, Laws, TileFunction, make_kernel, register
from tra.algebra.kernels.reduction import _signature
from tra.algebra.types import Tile

_ARG_LAWS = Laws(associative=True, commutative=True, idempotent=True, elementwise=True)


def _pair(value: Tile, index: Tile) -> Tile:
    value, index = np.asarray(value), np.asarray(index)
    shape = np.broadcast_shapes(value.shape, index.shape)
    out = np.empty(shape, dtype=[("value", value.dtype), ("index", index.dtype)])
    out["value"] = value
    out["index"] = index
    return out


def _is_nan(value: Tile) -> Tile:
    result: Tile = np.isnan(value) if value.dtype.kind in "fc" else np.zeros(value.shape, dtype=bool)
    return result


def _arg(largest: bool) -> Any:
    def choose(a: Tile, b: Tile) -> Tile:
        a, b = np.asarray(a), np.asarray(b)
        nan_a, nan_b = _is_nan(a["value"]), _is_nan(b["value"])
        with np.errstate(invalid="ignore"):
            ahead = a["value"] > b["value"] if largest else a["value"] < b["value"]
        tied = (a["value"] == b["value"]) | (nan_a & nan_b)
        first = (nan_a & ~nan_b) | (~nan_b & ahead) | (tied & (a["index"] <= b["index"]))
        return np.where(first, a, b)

    return choose


def _reduce_arg(largest: bool) -> Any:
    def reduce(x: Tile, axis: int) -> Tile:
        value, index = x["value"], x["index"]
        best = (np.max if largest else np.min)(value, axis=axis, keepdims=True)
        tied = (value == best) | (_is_nan(value) & _is_nan(best))
        lowest = np.min(np.where(tied, index, np.iinfo(index.dtype).max), axis=axis)
        return _pair(np.squeeze(best, axis), lowest)

    return reduce


def _along(name: str, largest: bool) -> None:
    reduce = _reduce_arg(largest)

    def definition(axis: int = -1) -> Kernel:
        return make_kernel(
            name, _signature(axis, name, keeps=False), lambda x: reduce(x, axis), params={"axis": int(axis)},
            flops=lambda dims: 2.0 * dims.get("n", 1),
        )  # fmt: skip

    register(name, definition)


def _fixed(name: str, function: TileFunction, signature: str, laws: Laws) -> None:
    made = make_kernel(name, signature, function, laws=laws, flops=lambda dims: 1.0)
    register(name, lambda: made)


_fixed("pair", _pair, "(),()->()", Laws(elementwise=True, zero_preserving=True))
_fixed("value_of", lambda x: x["value"].copy(), "()->()", Laws(elementwise=True, zero_preserving=True))
_fixed("index_of", lambda x: x["index"].astype(np.int64), "()->()", Laws(elementwise=True))
_fixed("second_of", lambda x: x["index"].copy(), "()->()", Laws(elementwise=True, zero_preserving=True))
_fixed("choose", lambda c, x: np.where(c, x["value"], x["index"]), "(),()->()", Laws(elementwise=True))
_fixed("arg_min", _arg(False), "(),()->()", _ARG_LAWS)
_fixed("arg_max", _arg(True), "(),()->()", _ARG_LAWS)
_along("reduce_arg_min", False)
_along("reduce_arg_max", True)
