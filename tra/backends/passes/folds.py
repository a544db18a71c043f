"""What a pass folds, window by window of its inner loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tra.algebra.kernel import Kernel
from tra.algebra.types import RelType
from tra.backends.balanced_fold import BalancedFold
from tra.backends.block_products import adds_product
from tra.backends.local_operators import aggregate_local
from tra.backends.passes.wiring import wiring_of
from tra.backends.steps import Step
from tra.backends.tiles import Tiles, bounds, union
from tra.optimizer.plan import LocalContract

RunStep: TypeAlias = Callable[[Step, list[Tiles], Mapping[str, Tiles]], Tiles]


@dataclass
class Total:
    """A fold whose order does not matter, or is that of the windows: what there is, and the next window."""

    step: Step
    run: RunStep
    tiles: Tiles | None = None

    def add(self, inputs: list[Tiles], held: Mapping[str, Tiles]) -> None:
        """Folds a window into those before it."""
        node, total = self.step.node, self.tiles
        if total is not None and isinstance(node, LocalContract):
            left, right = inputs
            if adds_product(node, left, right, total):
                return
        part = self.run(self.step, inputs, held)
        if total is None:
            self.tiles = part if is_own(part) else part.copied()
        else:
            self.tiles = _folded(_kernel(self.step), node.type, total, part)

    def made(self) -> Tiles:
        """The fold of all windows."""
        assert self.tiles is not None
        return self.tiles


@dataclass
class InTurn:
    """A fold in the order of keys: value by value of the one key that it folds, whatever the windows are."""

    step: Step
    run: RunStep
    tiles: Tiles | None = None  # nothing is a view of what it holds
    _fold: BalancedFold[Tiles] = field(init=False)

    def __post_init__(self) -> None:
        kernel, type_ = _kernel(self.step), self.step.node.type
        self._fold = BalancedFold(lambda one, other: _folded(kernel, type_, one, other))

    def add(self, inputs: list[Tiles], held: Mapping[str, Tiles]) -> None:
        """Folds a window into those before it."""
        for parts in self._one_by_one(inputs):
            self._fold.add(self.run(self.step, parts, held).copied())

    def made(self) -> Tiles:
        """The fold of all windows."""
        return self._fold.total()

    def _one_by_one(self, inputs: list[Tiles]) -> Iterator[list[Tiles]]:
        """The operands at each value of the keys that are folded."""
        wiring = wiring_of(self.step)
        places = [names.index(wiring.turn) if wiring.turn in names else None for names in wiring.operands]
        boxes = [bounds(tiles) for tiles in inputs]
        low, high = next(box[n] for box, n in zip(boxes, places, strict=True) if n is not None)
        for value in range(low, high):
            yield [
                tiles if n is None else tiles.within((*box[:n], (value, value + 1), *box[n + 1 :]))
                for tiles, box, n in zip(inputs, boxes, places, strict=True)
            ]


def fold_of(step: Step, run: RunStep) -> Total | InTurn:
    """An empty fold of a step.

    Args:
        step: what is folded.
        run: runs a step on windows of its operands.
    """
    return (InTurn if _kernel(step).laws.ordered else Total)(step, run)


def is_own(tiles: Tiles) -> bool:
    """Claims that tiles are in memory that nobody else will use."""
    return tiles.blocks is not None and all(block.is_fresh for block in tiles.blocks)


def _kernel(step: Step) -> Kernel:
    kernel = wiring_of(step).fold
    assert kernel is not None
    return kernel


def _folded(kernel: Kernel, type_: RelType, one: Tiles, other: Tiles) -> Tiles:
    """Two relations of one type folded, in memory of its own."""
    together = union([one, other], len(type_.keys))
    return aggregate_local(together, type_, type_.names, kernel).copied()
