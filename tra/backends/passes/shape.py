"""The shape of a pass: its loops, into how many windows each cuts its label, and what that holds and reads.

What a pass holds is a formula of windows: those of what it reads, twice where the next are read while these
are worked on; results until their last use; and folds until their loop ends. What it reads follows from the
order of the loops: a window is read again when a loop outside of those that cut it takes its next turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from math import prod

from tra.algebra.volume import n_bytes
from tra.backends.block import cuts_of
from tra.backends.block_products import law_of
from tra.backends.panel_products import ADDED_BYTES
from tra.backends.passes.group import Group, Load, Phase, window
from tra.backends.steps import Step
from tra.optimizer.boxes import cut
from tra.optimizer.plan import LocalConcat, LocalContract, LocalJoin, LocalMap, LocalTile

MOST_OUTER = 2
BLAS_BYTES = 12 << 20  # of memory into which a thread packs operands, and which BLAS keeps
MEMORY_TRAFFIC = 0.1  # of what a byte read from a file costs
TURN = 1 << 17  # bytes read that cost as much as a turn of a loop
WAITED = 1.5  # what reading costs when nothing is computed meanwhile


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

    @property
    def turns(self) -> int:
        """How often the innermost part runs."""
        return prod(loop.count for loop in self.loops)


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
        loops = tuple(Loop(label, *spans[label], n) for label, n in zip(every, found, strict=True))
        return Shape(loops, None, ahead) if inner is None else Shape(loops[:-1], loops[-1], ahead)

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

    def _fitting(
        self, labels: Sequence[int], inner: int | None, ahead: bool, budget: int
    ) -> Iterator[Shape]:
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
        return _Holding(self, shape).peak()

    # -- what it costs ----------------------------------------------------------------------------

    def cost(self, shape: Shape) -> float:
        """What a shape costs, in bytes read."""
        read = self.read(shape) * (1.0 if shape.ahead else WAITED)
        return read + MEMORY_TRAFFIC * self._folding(shape) + TURN * shape.turns

    def read(self, shape: Shape) -> int:
        """Bytes read from files."""
        return sum(self._read(load, shape) for load in self.loads if self.leaves[load.digest].is_read)

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
                read = sum(min(-(-high // step) * step, axis.extent) - low // step * step for low, high in ends)
                ratio *= read / axis.extent
        return ratio

    def _folding(self, shape: Shape) -> int:
        """Bytes that pass through memory when folds are added to."""
        phases = self.group.phases(shape.inner.label) if shape.inner else None
        folds = [n for n, phase in enumerate(phases or ()) if phase is Phase.FOLD]
        whole = sum(n_bytes(self.group.types[self.group.steps[n].node.digest]) for n in folds)
        return 2 * whole * (shape.inner.count if shape.inner else 0)

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """What is taken from elsewhere, each window once."""
        group = self.group
        found = (group.load(n, p) for n, step in enumerate(group.steps) for p in range(len(step.inputs)))
        return tuple(dict.fromkeys(load for load in found if load is not None))


class _Holding:
    """What is held step by step when a pass runs one turn of its outer loops."""

    def __init__(self, sized: Sized, shape: Shape) -> None:
        self.sized, self.group, self.shape = sized, sized.group, shape
        phases = self.group.phases(shape.inner.label if shape.inner else None)
        assert phases is not None
        self.phases = phases
        self.at = {loop.label: loop.largest for loop in shape.loops}
        self.last = {d: n for n, step in enumerate(self.group.steps) for d in step.inputs}

    def peak(self) -> int:
        """The most bytes held at once."""
        steps = range(len(self.group.steps))
        folds = sum(self._size(n) for n in steps if self.phases[n] is Phase.FOLD)
        beside = max((self.sized.leaves[load.digest].beside for load in self.sized.loads), default=0)
        base = self._stores() + self._loads() + self._packed() + beside
        live: dict[str, int] = {}
        most = 0
        for turn in (Phase.BEFORE, Phase.WITHIN, Phase.AFTER):
            if turn is Phase.WITHIN:
                base += folds
            for n in steps:
                phase = Phase.WITHIN if self.phases[n] is Phase.FOLD else self.phases[n]
                if phase is turn:
                    most = max(most, base + self._after(n, live))
        return max(most, base)

    def _after(self, n: int, live: dict[str, int]) -> int:
        """Bytes of results that are about when a step is done; those of no more use go."""
        step = self.group.steps[n]
        digest, scratch = step.node.digest, self._scratch(n)
        if self.phases[n] is not Phase.FOLD:
            live[digest] = 0 if is_view(step) else self._size(n)
        total = sum(live.values()) + scratch
        for done in [d for d in live if self._is_done(d, n)]:
            del live[done]
        return total

    def _is_done(self, digest: str, n: int) -> bool:
        """Claims that nothing needs a result after a step; what a loop needs is needed to its end."""
        maker, last = self.group.made[digest], self.last.get(digest, -1)
        if digest in self.sized.kept and not self._is_cut(maker):
            return False
        if self.phases[maker] is Phase.BEFORE and last >= 0 and self.phases[last] is not Phase.BEFORE:
            return False
        return last <= n

    def _scratch(self, n: int) -> int:
        """Bytes that a step uses for itself."""
        node, size = self.group.steps[n].node, self._size(n)
        if not isinstance(node, LocalContract | LocalJoin):
            return size if self.phases[n] is Phase.FOLD else 0
        law = law_of(node)
        plain = law is not None and law.matrix is not None
        if plain and max(len(node.left.type.axes), len(node.right.type.axes)) <= 2:
            return min(self.sized.threads * ADDED_BYTES, size) if self.phases[n] is Phase.FOLD else 0
        return 2 * size

    def _packed(self) -> int:
        """Bytes that BLAS has packed operands into, and keeps."""
        return max((self._packed_by(n) for n in range(len(self.group.steps))), default=0)

    def _packed_by(self, n: int) -> int:
        step = self.group.steps[n]
        if not isinstance(step.node, LocalContract | LocalJoin) or not step.node.kernel.laws.contraction:
            return 0
        operands = (Load(digest, self.group.labels(n, place)) for place, digest in enumerate(step.inputs))
        return self.sized.threads * min(BLAS_BYTES, sum(map(self._bytes, operands)))

    def _size(self, n: int) -> int:
        """Bytes of a step's result in one turn."""
        return self._bytes(Load(self.group.steps[n].node.digest, self.group.labels(n)))

    def _bytes(self, load: Load) -> int:
        type_ = self.group.types[load.digest]
        return n_bytes(type_, window(type_, load.labels, self.at))

    def _is_cut(self, n: int) -> bool:
        return any(label in self.at for label in self.group.labels(n))

    def _stores(self) -> int:
        """Outputs that stay in memory and come in windows."""
        made = self.group.made
        cut_ = [digest for digest in self.sized.kept if self._is_cut(made[digest])]
        return sum(n_bytes(self.group.types[digest]) for digest in cut_)

    def _loads(self) -> int:
        """Windows of what is taken from elsewhere."""
        return sum(
            self._bytes(load) * (2 if is_ahead(load, self.shape) else 1)
            for load in self.sized.loads
            if not self.sized.leaves[load.digest].is_held
        )


def is_view(step: Step) -> bool:
    """Claims that a step gives tiles that lie in one block other names and keys, and makes none.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> node = LocalMap(A.type, A.placement, A, None, ())
        >>> is_view(Step(node, (A.digest,), None, frozenset(), frozenset()))
        True
    """
    node = step.node
    named = isinstance(node, LocalMap) and not any(node.kernels)
    moved = isinstance(node, LocalTile | LocalConcat) or named
    return moved and all(cuts_of(type_) is not None for type_ in (node.type, *(c.type for c in node.children)))


def is_ahead(load: Load, shape: Shape) -> bool:
    """Claims that the next window of a relation is read while this one is worked on.

    Example:
        >>> rows = Shape((Loop(0, 0, 4, 4),), ahead=True)
        >>> is_ahead(Load("A", (0, 1)), rows), is_ahead(Load("B", (1, 2)), rows)
        (True, False)
    """
    return shape.ahead and bool(shape.loops) and shape.loops[-1].label in load.labels


def _counts(n: int) -> list[int]:
    """Numbers of windows worth a look, fewer and fewer as they grow; of those of equal length the first.

    Example:
        >>> _counts(4), _counts(5), len(_counts(1000))
        ([1, 2, 4], [1, 2, 3, 5], 21)
    """
    found, wanted = {}, 1.0
    while wanted < n:
        found.setdefault(-(-n // int(wanted)), int(wanted))
        wanted = wanted + 1 if wanted < 8 else wanted * 1.4
    found.setdefault(1, n)
    return sorted(found.values())
