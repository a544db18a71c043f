"""The products that systems are compared on: equal extents, a long inner one, two long outer ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

ABOUT = (
    "Products (n×k)·(k×m) with equal extents (general), a long inner dimension (common) and two long outer "
    "dimensions (two), of as many operations each; float32. All systems run in turns, after a round that "
    "warms up: seconds are medians, ratios the median of those within rounds. Every result is held against "
    "NumPy's first."
)


@dataclass(frozen=True)
class Shape:
    """A product (n×k)·(k×m).

    Attributes:
        name: "general", "common" (a long inner dimension) or "two" (two long outer dimensions).
    """

    name: str
    n: int
    k: int
    m: int

    @property
    def flops(self) -> float:
        return 2.0 * self.n * self.k * self.m

    @property
    def text(self) -> str:
        """The shape as the page writes it.

        Example:
            >>> Shape("general", 2, 3, 4).text
            'general 2×3×4'
        """
        return f"{self.name} {self.n}×{self.k}×{self.m}"

    @property
    def chunks(self) -> tuple[int, ...]:
        """The edges of chunks that dask.array is given: two usual ones, and half the smallest extent.

        Chunks that would cut nothing are left out, and such that leave a task a millisecond of work.

        Example:
            >>> Shape("two", 12000, 1500, 12000).chunks
            (1000, 2000, 750)
        """
        extents = (self.n, self.k, self.m)
        return tuple(
            c for c in dict.fromkeys((1000, 2000, min(extents) // 2)) if SMALLEST_CHUNK <= c < max(extents)
        )

    @cached_property
    def inputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Random float32 matrices, scaled so that the product is of size one."""
        rng = np.random.default_rng(0)
        left = rng.standard_normal((self.n, self.k), dtype=np.float32)
        right = rng.standard_normal((self.k, self.m), dtype=np.float32)
        left *= np.float32(self.k**-0.5)
        return left, right


SMALLEST_CHUNK = 500
NAMES = ("general", "common", "two")
SHAPES = (
    Shape("general", 6000, 6000, 6000),
    Shape("common", 1500, 96000, 1500),
    Shape("two", 12000, 1500, 12000),
)
QUICK = (
    Shape("general", 2000, 2000, 2000),
    Shape("common", 500, 32000, 500),
    Shape("two", 4000, 500, 4000),
)
LINKED = (
    Shape("general", 4000, 4000, 4000),
    Shape("common", 1000, 64000, 1000),
    Shape("two", 8000, 1000, 8000),
)


def shapes(quick: bool) -> tuple[Shape, ...]:
    """The shapes for one machine; fresh, so that their inputs are let go with them."""
    return tuple(Shape(s.name, s.n, s.k, s.m) for s in (QUICK if quick else SHAPES))


def linked(quick: bool) -> tuple[Shape, ...]:
    """The shapes for hosts with slow links."""
    return tuple(Shape(s.name, s.n, s.k, s.m) for s in (QUICK if quick else LINKED))
