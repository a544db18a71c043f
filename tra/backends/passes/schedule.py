"""The passes of a plan within a memory limit: which steps run together, how, and what waits on disk.

Steps are grouped three ways: all together, as far as that reads less, and each by itself. Of those that fit
the one that reads and writes the least is taken. Results between passes stay in memory while they fit; what
has to go is the one whose next use is furthest away, and it goes to disk as it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes, n_bytes_at_most
from tra.backends.passes.group import Group, Phase
from tra.backends.passes.shape import Leaf, Shape
from tra.backends.passes.sized import Sized
from tra.backends.steps import Step

_FILE = Leaf()
_HELD = Leaf(is_held=True)


class End(Enum):
    """Where a result of a plan goes: into memory, to whoever takes its windows, or into a file."""

    MEMORY = "memory"
    TAKEN = "taken"
    FILE = "file"


@dataclass(frozen=True)
class Pass:
    """Steps that run in the turns of some loops.

    Attributes:
        group: the steps.
        shape: the loops.
        kept: outputs that stay in memory.
        spilled: outputs that go to disk until a later pass reads them.
        held: the most bytes held at once, with what earlier passes left in memory.
        read: bytes read from files.
        cost: what it reads, computes and writes on the way, in bytes read.
    """

    group: Group
    shape: Shape
    kept: frozenset[str]
    spilled: frozenset[str]
    held: int
    read: int
    cost: float

    @property
    def folds(self) -> bool:
        """Claims that its inner loop adds up, or folds otherwise."""
        inner = self.shape.inner
        return inner is not None and Phase.FOLD in (self.group.phases(inner.label) or ())


@dataclass(frozen=True)
class Schedule:
    """The passes of a plan.

    Attributes:
        passes: in order.
        ends: where each result of the plan goes, by digest.
    """

    passes: tuple[Pass, ...]
    ends: Mapping[str, End]

    @property
    def held(self) -> int:
        """The most bytes held at once."""
        return max((one.held for one in self.passes), default=0)

    @property
    def read(self) -> int:
        """Bytes read from files, those that were put there on the way included."""
        return sum(one.read for one in self.passes)

    @property
    def cost(self) -> float:
        """What all passes cost, in bytes read."""
        return sum(one.cost for one in self.passes)

    @property
    def spilled(self) -> int:
        """Bytes written to files on the way."""
        return sum(n_bytes(one.group.types[digest]) for one in self.passes for digest in one.spilled)

    def last_use(self) -> dict[str, int]:
        """The last pass that takes each result."""
        return {digest: n for n, one in enumerate(self.passes) for digest in one.group.leaves}


@dataclass(frozen=True, eq=False)
class Query:
    """What is to be scheduled.

    Attributes:
        steps: all steps, in order.
        types: types of all that is taken or made, by digest.
        sources: what reading a source costs, by digest.
        ends: where results go, by digest.
        threads: how many products run at once.
    """

    steps: tuple[Step, ...]
    types: Mapping[str, RelType]
    sources: Mapping[str, Leaf]
    ends: Mapping[str, End]
    threads: int

    def schedule(self, budget: int) -> Schedule | None:
        """The passes that read and write the least within a budget of bytes; None where none fit."""
        together = self._fitting([self.steps], budget)
        if together is not None and together.passes[0].shape.turns == 1:
            return together
        merged = self._merged(budget)
        apart = None if merged is None else self._fitting(merged, budget)
        if apart is None:
            apart = self._fitting([(step,) for step in self.steps], budget)
        found = [made for made in (together, apart) if made is not None]
        return min(found, key=lambda one: one.cost, default=None)

    def least(self) -> int:
        """The smallest budget for which there is a schedule: of one group or many, or of what those leave."""
        found = min(self._least_of(groups) for groups in ([self.steps], [(step,) for step in self.steps]))
        while (smaller := self.schedule(found - 1)) is not None:
            found = smaller.held
        return found

    # -- groups -----------------------------------------------------------------------------------

    def _merged(self, budget: int) -> list[tuple[Step, ...]] | None:
        """Steps one after the other, each with those before it where that is cheaper than by itself."""
        found: list[tuple[tuple[Step, ...], float]] = []
        for step in self.steps:
            alone = self._cost([step], budget)
            if alone is None:
                return None
            joined = self._cost([*found[-1][0], step], budget) if found else None
            if joined is not None and joined <= found[-1][1] + alone:
                found[-1] = (*found[-1][0], step), joined
            else:
                found.append(((step,), alone))
        return [steps for steps, _ in found]

    def _cost(self, steps: Sequence[Step], budget: int) -> float | None:
        """What a pass reads and writes when everything else is on disk."""
        group = self._group(tuple(steps))
        sized = self._sized(group, frozenset(), frozenset(self.types))
        shape = sized.best(budget)
        if shape is None:
            return None
        return sized.cost(shape) + sum(n_bytes(self.types[digest]) for digest in group.outputs)

    def _group(self, steps: tuple[Step, ...]) -> Group:
        made = {step.node.digest for step in steps}
        inside = {id(step) for step in steps}
        used = {d for step in self.steps if id(step) not in inside for d in step.inputs}
        return Group(steps, self.types, frozenset(made & (used | set(self.ends))))

    def _sized(self, group: Group, kept: frozenset[str], on_disk: Collection[str]) -> Sized:
        leaves = {d: self.sources.get(d, _FILE if d in on_disk else _HELD) for d in group.leaves}
        return Sized(group, leaves, kept & group.outputs, self.threads)

    # -- what waits -------------------------------------------------------------------------------

    def _fitting(self, groups: Sequence[tuple[Step, ...]], budget: int) -> Schedule | None:
        """The passes of some groups, with more and more of their results on disk until all fit."""
        made = [self._group(steps) for steps in groups]
        waiting = _Waiting(made, self.types, self.ends)
        while True:
            passes: list[Pass] = []
            for number, group in enumerate(made):
                found = self._pass(group, waiting, number, budget)
                if found is None:
                    break
                passes.append(found)
            if len(passes) == len(made):
                return Schedule(tuple(passes), self.ends)
            if not waiting.evict(len(passes)):
                return None

    def _pass(self, group: Group, waiting: _Waiting, number: int, budget: int) -> Pass | None:
        before = waiting.bytes_before(number)
        sized = self._sized(group, waiting.kept, waiting.on_disk)
        shape = sized.best(budget - before)
        if shape is None:
            return None
        spilled = frozenset(d for d in group.outputs & waiting.on_disk if self.ends.get(d) is not End.TAKEN)
        cost = sized.cost(shape) + sum(n_bytes(self.types[digest]) for digest in spilled)
        held = before + sized.held(shape)
        return Pass(group, shape, sized.kept, spilled, held, sized.read(shape), cost)

    def _least_of(self, groups: Sequence[tuple[Step, ...]]) -> int:
        """What some groups need when all that can be is on disk."""
        made = [self._group(steps) for steps in groups]
        waiting = _Waiting(made, self.types, self.ends)
        while waiting.evict_any():
            pass
        sized = [self._sized(group, waiting.kept, waiting.on_disk) for group in made]
        return max(waiting.bytes_before(n) + one.least() for n, one in enumerate(sized))


class _Waiting:
    """Which results stay in memory between passes, and which wait on disk."""

    def __init__(
        self, groups: Sequence[Group], types: Mapping[str, RelType], ends: Mapping[str, End]
    ) -> None:
        self.types, self.ends = types, ends
        self.made = {digest: n for n, group in enumerate(groups) for digest in group.outputs}
        self.uses: dict[str, list[int]] = {digest: [] for digest in self.made}
        for n, group in enumerate(groups):
            for digest in group.leaves & self.made.keys():
                self.uses[digest].append(n)
        self.kept = frozenset(d for d in self.made if ends.get(d) in (None, End.MEMORY))
        self.on_disk = frozenset(self.made) - self.kept

    def bytes_before(self, number: int) -> int:
        """Bytes that earlier passes left in memory when one begins."""
        return sum(n_bytes_at_most(self.types[digest]) for digest in self._alive(number))

    def _alive(self, number: int) -> Iterator[str]:
        for digest in sorted(self.kept, key=lambda d: (self.made[d], d)):
            is_wanted = digest in self.ends or max(self.uses[digest], default=-1) >= number
            if self.made[digest] < number and is_wanted:
                yield digest

    def evict(self, number: int) -> bool:
        """Puts on disk what a pass finds or makes in memory and whose next use is furthest away."""
        found = [*self._alive(number), *(d for d in self.kept if self.made[d] == number)]
        movable = [digest for digest in found if digest not in self.ends]

        def next_use(digest: str) -> int:
            return min((n for n in self.uses[digest] if n >= number), default=number)

        if not movable:
            return False
        furthest = max(movable, key=lambda d: (next_use(d), n_bytes_at_most(self.types[d]), d))
        self._put_on_disk(furthest)
        return True

    def evict_any(self) -> bool:
        """Puts on disk whatever still can be."""
        movable = sorted(d for d in self.kept if d not in self.ends)
        if movable:
            self._put_on_disk(movable[0])
        return bool(movable)

    def _put_on_disk(self, digest: str) -> None:
        self.kept, self.on_disk = self.kept - {digest}, self.on_disk | {digest}
