"""Parameters to begin a training with: relations that are made where they are needed, and stored nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tra.algebra.key_function import Var
from tra.algebra.makers import Constant, Maker, Random
from tra.algebra.operators import generated, rekey
from tra.algebra.relation import Relation
from tra.algebra.tensor_type import tensor_type


def uniform(shape: Sequence[int], dtype: Any, keys: Sequence[str], bound: float, seed: int) -> Relation:
    """Random numbers between −bound and bound, the same on any number of sites.

    Example:
        >>> W = uniform((3, 2), "float32", ("d", "h"), bound=0.5, seed=7)
        >>> W, bool((abs(W.compute()) <= 0.5).all())
        ([d:1, h:1] of 3×2 float32, True)
    """
    return _made(shape, dtype, keys, Random("uniform", (-bound, bound), seed))


def normal(
    shape: Sequence[int],
    dtype: Any,
    keys: Sequence[str],
    deviation: float,
    seed: int,
    tile: Sequence[int] | None = None,
) -> Relation:
    """Random numbers around 0, the same on any number of sites and whatever the tile sizes.

    Example:
        >>> b = normal((1000,), "float64", ("d",), deviation=2.0, seed=7)
        >>> bool(1.8 < b.compute().std() < 2.2)
        True
    """
    return _made(shape, dtype, keys, Random("normal", (0.0, deviation), seed), tile)


def zeros(shape: Sequence[int], dtype: Any, keys: Sequence[str]) -> Relation:
    """Zeros.

    Example:
        >>> zeros((2,), "float64", ("h",)).compute()
        array([0., 0.])
    """
    return _made(shape, dtype, keys, Constant(0.0))


def _made(
    shape: Sequence[int], dtype: Any, keys: Sequence[str], maker: Maker, tile: Sequence[int] | None = None
) -> Relation:
    made = generated(tensor_type(shape, dtype, keys, tile), maker)
    if tile is None:
        return Relation(made, {})
    fixed = rekey(made, tuple(Var(key) for key in keys), keys)  # what is made by an operator is not cut anew
    return Relation(fixed, {})
