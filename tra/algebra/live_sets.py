"""Which keys of a relation are live, as far as that is known before it runs: a box, a list, or bounds.

Questions about them are answered in `live`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

KeyArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Box:
    """All keys in the ranges ``[low, high)`` whose tile has a positive length along every axis."""

    ranges: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return "×".join(f"{low}..{high - 1}" for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The live keys listed, in lexicographic order; equal when their digests are.

    Attributes:
        ranges: bounds ``[low, high)`` of the keys, per component.
    """

    keys: KeyArray = field(compare=False, repr=False)
    digest: str = field(init=False)
    ranges: tuple[tuple[int, int], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        keys = np.ascontiguousarray(self.keys, dtype=np.int64)
        keys.setflags(write=False)
        object.__setattr__(self, "keys", keys)
        object.__setattr__(
            self, "digest", sha256(repr(keys.shape).encode() + keys.tobytes()).hexdigest()[:16]
        )
        object.__setattr__(self, "ranges", tuple(map(_bounds, keys.T)))


def _bounds(column: KeyArray) -> tuple[int, int]:
    return (int(column.min()), int(column.max()) + 1) if len(column) else (0, 0)


@dataclass(frozen=True, slots=True)
class AtMost:
    """Too many keys to list: some of those in the ranges; decided when the plan runs.

    Attributes:
        ranges: bounds ``[low, high)`` of the keys, per component.
        expected: about how many there are (see `density`), or None: as many as the ranges hold. Rules that
            change the order of operators change it, so that equal sets may differ in it.
    """

    ranges: tuple[tuple[int, int], ...]
    expected: float | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.expected is not None and self.expected >= prod(high - low for low, high in self.ranges):
            object.__setattr__(self, "expected", None)

    @property
    def count(self) -> float:
        """How many keys are expected, not more than the ranges hold.

        Example:
            >>> AtMost(((0, 3), (0, 2))).count, AtMost(((0, 3), (0, 2)), 1.5).count
            (6.0, 1.5)
        """
        if self.expected is not None:
            return self.expected
        return float(prod(high - low for low, high in self.ranges))


Live: TypeAlias = Box | KeySet | AtMost
