"""The loops that a group of steps may run in, and of those that fit the cheapest.

What a pass reads follows from the order of its loops: a window is read again when a loop outside of those
that cut it takes its next turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import prod

from tra.algebra.volume import n_bytes
from tra.backends.block import cuts_of
from tra.backends.passes.group import Group, Load, Phase
from tra.backends.passes.holding import Holding
from tra.backends.passes.shape import Leaf, Loop, Shape

MOST_OUTER = 2
MEMORY_TRAFFIC = 0.02  # of what a byte read from a file costs
TURN = 1 << 17  # bytes read that cost as much as a turn of a loop
WAITED = 1.5  # what reading costs when nothing is computed meanwhile


@dataclass(frozen=True, eq=False)
class Sized:
    """A group with the loops that it may run in.

    Attributes:
        group: the steps.
        leaves: what reading costs, by digest.
        kept: outputs that stay in memory.
        threads: how many products run at once.
    """

    group: Group
    leaves: Mapping[str, Leaf]
    kept: frozenset[str]
    threads: int

    # -- which loops ------------------------------------------------------------------------------

    def nests(self) -> Iterator[tuple[tuple[int, ...], int | None]]:
        """Labels of outer loops and of the inner one, for all nests of loops that there may be."""
        group = self.group
        folded = {label for number in range(len(group.steps)) for label in group.folded(number)}
        outer = sorted(group.outer() - folded)
        inner = [label for label in sorted(group.spans) if group.phases(label) is not None]
        for n_outer in range(MOST_OUTER + 1):
            for labels in permutations(outer, n_outer):
                if not group.repeats_products(labels):
                    yield from ((labels, one) for one in [None, *inner] if one not in labels)

    def least(self) -> int:
        """Bytes of the pass that holds the least."""
        finest = (self._shape(labels, inner, False, None) for labels, inner in self.nests())
        return min(self.held(shape) for shape in finest)

    def _shape(
        self, labels: Sequence[int], inner: int | None, ahead: bool, counts: Sequence[int] | None
    ) -> Shape:
        """A nest of loops; each as fine as it can be where no counts are given."""
        spans = self.group.spans
        every = [*labels] if inner is None else [*labels, inner]
        found = counts or [spans[label][1] - spans[label][0] for label in every]
        loops = tuple(Loop(label, *spans[label], n) for label, n in zip(every, found, strict=True) if n > 1)
        if inner is None or not loops or loops[-1].label != inner:
            return Shape(loops, None, ahead)
        return Shape(loops[:-1], loops[-1], ahead)

    def best(self, budget: int) -> Shape | None:
        """The cheapest shape that holds no more than a budget, or None where there is none."""
        if self.held(Shape()) <= budget:
            return Shape()
        found: list[tuple[float, int, Shape]] = []
        for labels, inner in self.nests():
            if self.held(self._shape(labels, inner, False, None)) > budget:
                continue
            for ahead in (True, False):
                shapes = self._fitting(labels, inner, ahead, budget)
                found += [(self.cost(shape), shape.turns, shape) for shape in shapes]
        return min(found, key=lambda one: one[:2], default=(0.0, 0, None))[2]

    def _fitting(self, labels: Sequence[int], inner: int | None, ahead: bool, budget: int) -> Iterator[Shape]:
        """Shapes that fit, of each number of outer windows with the fewest inner ones."""
        spans = self.group.spans
        counts = [_counts(spans[label][1] - spans[label][0]) for label in labels]
        n = len(labels) + (inner is not None)
        last = [0] if inner is None else _counts(spans[inner][1] - spans[inner][0])
        for outer in product(*counts):
            low, high = 0, len(last)
            while low < high:
                middle = (low + high) // 2
                shape = self._shape(labels, inner, ahead, [*outer, last[middle]][:n])
                low, high = (low, middle) if self.held(shape) <= budget else (middle + 1, high)
            if low < len(last):
                yield self._shape(labels, inner, ahead, [*outer, last[low]][:n])

    # -- what it holds ----------------------------------------------------------------------------

    def held(self, shape: Shape) -> int:
        """The most bytes held at once, with outputs that stay in memory."""
        return Holding(self.group, self.leaves, self.kept, self.threads, shape).peak()

    # -- what it costs ----------------------------------------------------------------------------

    def cost(self, shape: Shape) -> float:
        """What a shape costs, in bytes read."""
        read = self.read(shape) * (1.0 if shape.ahead else WAITED)
        return read + MEMORY_TRAFFIC * self._folding(shape) + TURN * shape.turns

    def read(self, shape: Shape) -> int:
        """Bytes read from files."""
        taken = self.group.loads(shape.labels)
        return sum(self._read(load, shape) for load in taken if self.leaves[load.digest].is_read)

    def _read(self, load: Load, shape: Shape) -> int:
        if self.leaves[load.digest].is_held:
            return 0
        cutting = [place for place, loop in enumerate(shape.loops) if loop.label in load.labels]
        before = shape.loops[: max(cutting, default=-1) + 1]
        repeats = prod(loop.count for loop in before if loop.label not in load.labels)
        whole = n_bytes(self.group.types[load.digest])
        return int(whole * repeats * self._touched(load, shape))

    def _touched(self, load: Load, shape: Shape) -> float:
        """Elements read for each that is wanted, where chunks are read whole."""
        grain, type_ = self.leaves[load.digest].grain, self.group.types[load.digest]
        if grain is None or cuts_of(type_) is None:
            return 1.0
        ratio = 1.0
        by_label = {loop.label: loop for loop in shape.loops}
        for axis, step in zip(type_.axes, grain[-len(type_.axes) :], strict=False):
            label = load.labels[type_.names.index(axis.link[0][0])] if axis.link else None
            if label in by_label and axis.extent:
                loop = by_label[label]
                spans = (loop.window(turn) for turn in range(loop.count))
                ends = ((low * axis.size, min(high * axis.size, axis.extent)) for low, high in spans)
                read = sum(
                    min(-(-high // step) * step, axis.extent) - low // step * step for low, high in ends
                )
                ratio *= read / axis.extent
        return ratio

    def _folding(self, shape: Shape) -> int:
        """Bytes that pass through memory when folds are added to."""
        phases = self.group.phases(shape.inner.label) if shape.inner else None
        folds = [n for n, phase in enumerate(phases or ()) if phase is Phase.FOLD]
        whole = sum(n_bytes(self.group.types[self.group.steps[n].node.digest]) for n in folds)
        return 2 * whole * (shape.inner.count if shape.inner else 0)


def _counts(n: int) -> list[int]:
    """Numbers of windows worth a look, fewer and fewer as they grow; of those of equal length the first.

    Example:
        >>> _counts(4), _counts(5), len(_counts(1000)) < 30
        ([1, 2, 4], [1, 2, 3, 5], True)
    """
    found: dict[int, int] = {}
    wanted = 1.0
    while wanted < n:
        found.setdefault(-(-n // int(wanted)), int(wanted))
        wanted = wanted + 1 if wanted < 8 else wanted * 1.4
    found.setdefault(1, n)
    return sorted(found.values())
