"""The shape of a pass: its loops, and into how many windows each cuts its label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from tra.backends.passes.group import Load
from tra.optimizer.boxes import cut


@dataclass(frozen=True)
class Leaf:
    """What reading a relation costs.

    Attributes:
        is_held: its tiles are in memory, whatever the pass does.
        is_read: its tiles are read from a file; else they are generated.
        grain: elements along each axis that can only be read together, or None.
        beside: bytes that reading takes beside the window itself.
    """

    is_held: bool = False
    is_read: bool = True
    grain: tuple[int, ...] | None = None
    beside: int = 0


@dataclass(frozen=True)
class Loop:
    """A label cut into even windows."""

    label: int
    low: int
    high: int
    count: int

    def window(self, turn: int) -> tuple[int, int]:
        """The range of one turn.

        Example:
            >>> [Loop(0, 2, 7, 2).window(turn) for turn in range(2)]
            [(2, 4), (4, 7)]
        """
        low, high = cut(self.high - self.low, self.count, turn)
        return self.low + low, self.low + high

    @property
    def largest(self) -> tuple[int, int]:
        """A range as long as the longest window."""
        return self.low, self.low + -(-(self.high - self.low) // self.count)


@dataclass(frozen=True)
class Shape:
    """The loops of a pass.

    Attributes:
        outer: loops over labels that all outputs have, the slowest first.
        inner: the innermost loop, whose label steps may fold; or None.
        ahead: the next windows are read while these are worked on.
    """

    outer: tuple[Loop, ...] = ()
    inner: Loop | None = None
    ahead: bool = False

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """All loops, the slowest first."""
        return self.outer if self.inner is None else (*self.outer, self.inner)

    @cached_property
    def labels(self) -> frozenset[int]:
        """What the loops cut."""
        return frozenset(loop.label for loop in self.loops)

    @property
    def turns(self) -> int:
        """How often the innermost part runs."""
        return prod(loop.count for loop in self.loops)


def is_ahead(load: Load, shape: Shape) -> bool:
    """Claims that the next window of a relation is read while this one is worked on.

    Example:
        >>> rows = Shape((Loop(0, 0, 4, 4),), ahead=True)
        >>> is_ahead(Load("A", (0, 1)), rows), is_ahead(Load("B", (1, 2)), rows)
        (True, False)
    """
    return shape.ahead and bool(shape.loops) and shape.loops[-1].label in load.labels
