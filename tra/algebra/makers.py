"""What generated sources are made by: constants, places along an axis, random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element is `value`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Iota:
    """Each element is its own place along `axis` of the whole tensor."""

    axis: int


@dataclass(frozen=True, slots=True)
class Random:
    """Counter-based random numbers: a function of the seed and the element's place in the whole tensor.

    Attributes:
        distribution: "uniform" (low, high) or "normal" (mean, deviation).
        parameters: the two parameters of the distribution.
        seed: the seed.
    """

    distribution: str
    parameters: tuple[float, float]
    seed: int


Maker: TypeAlias = Constant | Iota | Random
