"""Roles: what a relation does along one dimension of a mesh of sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tra.algebra.kernel import Kernel
from tra.algebra.live import ranges
from tra.algebra.types import RelType
from tra.optimizer.folded import Folded, folded_keys


@dataclass(frozen=True, slots=True)
class Split:
    """Range split by the key called `key`.

    Attributes:
        key: the key.
        is_minor: cuts the ranges that other dimensions of this key make, also where it comes first.
    """

    key: str
    is_minor: bool = False

    def __str__(self) -> str:
        return f"split({self.key}{', minor' * self.is_minor})"


@dataclass(frozen=True, slots=True)
class Replicated:
    """Every site along the dimension holds a copy."""

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True, slots=True, repr=False)
class Parts:
    """Each site along the dimension holds one part; folding the parts with `kernel` gives the tiles.

    Attributes:
        kernel: the aggregation that makes one tile of the parts.
        key: the key that was split and is folded away, or None when it was no plain key.
        domain: the domain of that key.
        live: the range of its live values; a site that has none of them holds no part.
        folded: the live keys of what was folded, where it has holes; None where they fill a box.
    """

    kernel: Kernel
    key: str | None = None
    domain: int = 0
    live: tuple[int, int] = (0, 0)
    folded: Folded | None = None

    def __str__(self) -> str:
        return f"parts({self.kernel.name})"

    def __repr__(self) -> str:
        known = (self.key, self.domain, self.live, self.folded)
        return f"Parts({self.kernel.identity_key}, {', '.join(map(repr, known))})"


@dataclass(frozen=True, slots=True)
class Scattered:
    """Each tile lies at one site along the dimension; which one is known when the plan runs."""

    def __str__(self) -> str:
        return "scattered"


def parts_over(kernel: Kernel, type_: RelType, key: str, by: tuple[str, ...]) -> Parts:
    """The parts that come of folding a relation to the keys `by` where it is split by a key that ends.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.algebra.sources import tensor_type
        >>> parts_over(ADD, tensor_type((6, 4), "f8", ("i", "j"), (2, 2)), "i", ("j",)).live
        (0, 3)
    """
    live = ranges(type_)[type_.names.index(key)]
    return Parts(kernel, key, type_.domain(key), live, folded_keys(type_, by))


Role: TypeAlias = Split | Replicated | Parts | Scattered
ALL = Replicated()
SCATTERED = Scattered()
