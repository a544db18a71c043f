"""A group of steps that run in one pass: which keys may be cut into windows, and what each step then does.

Keys of different relations that stand for the same values are of one *label*. A loop over ranges of a label
gives every relation that has it one window at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from tra.algebra.live import ranges
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes_at_most
from tra.backends.block import Ranges
from tra.backends.passes.wiring import wiring_of
from tra.backends.steps import Step
from tra.optimizer.plan import LocalContract

Slot = tuple[int, int, int]  # a step, its operand (-1: its result), a key


class Phase(Enum):
    """When a step of a pass runs, or an operand is read, with respect to the inner loop.

    BEFORE: once, before the inner loop. WITHIN: in each turn of it. FOLD: in each turn, and the results are
    folded. AFTER: once, when all is folded.
    """

    BEFORE = 0
    WITHIN = 1
    FOLD = 2
    AFTER = 3

    @property
    def turn(self) -> int:
        """Phases of a lower turn are over before this one begins; folds run in each turn of the loop too."""
        return Phase.WITHIN.value if self is Phase.FOLD else self.value


@dataclass(frozen=True)
class Load:
    """A relation made elsewhere, and the label of each of its keys that a loop cuts (None: wanted whole)."""

    digest: str
    labels: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """Steps in the order they run, and what they take.

    Attributes:
        steps: the steps.
        types: the types of all that is taken or made, by digest.
        outputs: digests of results that are wanted afterwards.
    """

    steps: tuple[Step, ...]
    types: Mapping[str, RelType]
    outputs: frozenset[str]

    @cached_property
    def made(self) -> dict[str, int]:
        """The number of the step that makes a result."""
        return {step.node.digest: number for number, step in enumerate(self.steps)}

    @cached_property
    def leaves(self) -> frozenset[str]:
        """Digests of what is taken from elsewhere."""
        return frozenset(d for step in self.steps for d in step.inputs if d not in self.made)

    # -- labels -----------------------------------------------------------------------------------

    @cached_property
    def _labels(self) -> tuple[dict[Slot, int], dict[tuple[int, str], int], frozenset[int]]:
        """The label of each slot, of each folded name, and the labels that no loop may cut."""
        found = _Union()
        whole: list[Slot | tuple[int, str]] = []
        for number, step in enumerate(self.steps):
            wiring = wiring_of(step)
            owners = [self._owner(number, place) for place in range(len(step.inputs))]
            for owner, names in zip([*owners, (number, -1)], [*wiring.operands, wiring.result], strict=True):
                for key, name in enumerate(names):
                    slot = (*owner, key)
                    if name is None:
                        whole.append(slot)
                    found.unite(slot, slot if name is None else (number, name))
        labels = found.numbered()
        slots = {slot: label for slot, label in labels.items() if len(slot) == 3}
        names_ = {name: label for name, label in labels.items() if len(name) == 2}
        return slots, names_, frozenset(labels[slot] for slot in whole) | self._twice(slots)

    def _owner(self, number: int, place: int) -> tuple[int, int]:
        """Whose keys an operand has: those of the step that made it, or its own."""
        maker = self.made.get(self.steps[number].inputs[place])
        return (number, place) if maker is None else (maker, -1)

    def _twice(self, slots: Mapping[Slot, int]) -> frozenset[int]:
        """Labels of two keys of one relation: no range of keys is a window of both."""
        found, seen = set(), set()
        for (number, place, _), label in slots.items():
            if (number, place, label) in seen:
                found.add(label)
            seen.add((number, place, label))
        return frozenset(found)

    @cached_property
    def _known_labels(self) -> dict[tuple[int, int], tuple[int | None, ...]]:
        return {}

    def labels(self, number: int, place: int = -1) -> tuple[int | None, ...]:
        """The label of each key of a step's operand, or of its result; None for a key that is not cut."""
        found = self._known_labels.get((number, place))
        if found is None:
            found = self._known_labels[number, place] = self._find_labels(number, place)
        return found

    def _find_labels(self, number: int, place: int) -> tuple[int | None, ...]:
        slots, _, whole = self._labels
        owner = (number, -1) if place < 0 else self._owner(number, place)
        digest = self.steps[number].inputs[place] if place >= 0 else self.steps[number].node.digest
        found = [slots[(*owner, key)] for key in range(len(self.types[digest].keys))]
        return tuple(None if label in whole else label for label in found)

    def folded(self, number: int) -> frozenset[int]:
        """Labels that a step folds."""
        _, names, whole = self._labels
        gone = wiring_of(self.steps[number]).gone
        return frozenset(names[number, name] for name in gone) - whole

    def n_in_turn(self, number: int) -> int:
        """How many values a fold in the order of keys takes."""
        turn = wiring_of(self.steps[number]).turn
        assert turn is not None
        low, high = self.spans.get(self._labels[1][number, turn], (0, 1))
        return high - low

    @cached_property
    def spans(self) -> dict[int, tuple[int, int]]:
        """The range of each label that may be cut, where it has more than one value."""
        found: dict[int, tuple[int, int]] = {}
        for (number, place, key), label in self._labels[0].items():
            step = self.steps[number]
            digest = step.node.digest if place < 0 else step.inputs[place]
            low, high = ranges(self.types[digest])[key]
            before = found.get(label, (low, high))
            found[label] = (min(before[0], low), max(before[1], high))
        whole = self._labels[2]
        return {n: span for n, span in found.items() if n not in whole and span[1] - span[0] > 1}

    def name(self, label: int) -> str:
        """What a key of a label is called, in the last relation that has one."""
        found = ""
        for (number, place, key), one in self._labels[0].items():
            digest = self.steps[number].node.digest if place < 0 else self.steps[number].inputs[place]
            found = self.types[digest].names[key] if one == label else found
        return found

    # -- loops ------------------------------------------------------------------------------------

    def outer(self) -> frozenset[int]:
        """Labels that every output has, so that windows of them are windows of all outputs."""
        found = [set(self.labels(self.made[digest])) for digest in self.outputs]
        return frozenset(label for label in self.spans if found and all(label in one for one in found))

    def phases(self, inner: int | None) -> tuple[Phase, ...] | None:
        """When each step runs with an inner loop over a label, or None where that loop cannot be.

        It cannot where a result of all of its turns is wanted in each of them.
        """
        if inner not in self._known_phases:
            self._known_phases[inner] = self._find_phases(inner)
        return self._known_phases[inner]

    @cached_property
    def _known_phases(self) -> dict[int | None, tuple[Phase, ...] | None]:
        return {}

    def _find_phases(self, inner: int | None) -> tuple[Phase, ...] | None:
        found: list[Phase] = []
        for number, step in enumerate(self.steps):
            below = {found[self.made[d]] for d in step.inputs if d in self.made}
            waits = bool(below & {Phase.FOLD, Phase.AFTER})
            turns = any(inner in self.labels(number, p) for p in range(len(step.inputs)))
            if inner is None or not (turns or inner in self.labels(number)):
                found.append(Phase.AFTER if waits else Phase.BEFORE)
            elif waits:
                return None
            else:
                found.append(Phase.FOLD if inner in self.folded(number) else Phase.WITHIN)
        return tuple(found)

    def last_uses(self, phases: Sequence[Phase]) -> dict[str, int]:
        """The number of the step that takes each result last, as steps run: phase by phase."""
        running = sorted(range(len(self.steps)), key=lambda number: (phases[number].turn, number))
        return {digest: number for number in running for digest in self.steps[number].inputs}

    def load(self, number: int, place: int, looped: frozenset[int]) -> Load | None:
        """What an operand takes from elsewhere in loops over some labels; None where a step made it."""
        digest = self.steps[number].inputs[place]
        if digest in self.made:
            return None
        labels = self.labels(number, place)
        return Load(digest, tuple(label if label in looped else None for label in labels))

    @cached_property
    def _known_loads(self) -> dict[frozenset[int], tuple[Load, ...]]:
        return {}

    def loads(self, looped: frozenset[int]) -> tuple[Load, ...]:
        """What is taken from elsewhere in loops over some labels, each window once."""
        if looped not in self._known_loads:
            each = ((n, place) for n, step in enumerate(self.steps) for place in range(len(step.inputs)))
            found = (self.load(n, place, looped) for n, place in each)
            self._known_loads[looped] = tuple(dict.fromkeys(load for load in found if load is not None))
        return self._known_loads[looped]

    @cached_property
    def _known_bytes(self) -> dict[tuple[Load, tuple[tuple[int, int] | None, ...]], int]:
        return {}

    def n_bytes(self, load: Load, at: Mapping[int, tuple[int, int]]) -> int:
        """The most bytes of a relation within the ranges of some labels."""
        ranges_ = tuple(None if label is None else at.get(label) for label in load.labels)
        found = self._known_bytes.get((load, ranges_))
        if found is None:  # shapes by the thousand have the same windows
            type_ = self.types[load.digest]
            found = n_bytes_at_most(type_, window(type_, load.labels, at))
            self._known_bytes[load, ranges_] = found
        return found

    def repeats_products(self, outer: Collection[int]) -> bool:
        """Claims that some product lacks one of the labels, and would be computed again in each turn."""
        return any(
            isinstance(step.node, LocalContract)
            and not set(outer) <= {*self.labels(number), *self.folded(number)}
            for number, step in enumerate(self.steps)
        )


def window(type_: RelType, labels: Sequence[int | None], at: Mapping[int, tuple[int, int]]) -> Ranges:
    """The keys of a relation within the ranges of some labels.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> window(tensor_type((6, 6), "f8", ("i", "j"), 2), (7, None), {7: (1, 2)})
        ((1, 2), (0, 3))
    """
    found = []
    for (low, high), label in zip(ranges(type_), labels, strict=True):
        first, last = at.get(label, (low, high)) if label is not None else (low, high)
        found.append((max(low, first), min(high, last)))
    return tuple(found)


class _Union:
    """Sets of things that are united."""

    def __init__(self) -> None:
        self._above: dict[tuple[int, int, int] | tuple[int, str], tuple[int, int, int] | tuple[int, str]] = {}

    def unite(self, one: Slot | tuple[int, str], other: Slot | tuple[int, str]) -> None:
        """Makes one set of those of two."""
        self._above[self._top(one)] = self._top(other)

    def _top(self, one: Slot | tuple[int, str]) -> Slot | tuple[int, str]:
        while self._above.setdefault(one, one) != one:
            one = self._above[one]
        return one

    def numbered(self) -> dict[Slot | tuple[int, str], int]:
        """The number of the set that each is in."""
        numbers: dict[Slot | tuple[int, str], int] = {}
        return {one: numbers.setdefault(self._top(one), len(numbers)) for one in self._above}
