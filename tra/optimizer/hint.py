"""Hints: what the user asks of an operator, whatever it costs."""

from __future__ import annotations

from dataclasses import dataclass

from tra.algebra.nodes import Expr, Filter, ReKey, Transform
from tra.optimizer.strategies import Choice


@dataclass(frozen=True)
class Hint:
    """A strategy that an operator must have.

    Attributes:
        expr: the result; the hint is for the topmost operator in it that combines or folds tiles.
        strategy: the name of a strategy, with or without what comes after its comma; None for any.
        split: the key that each mesh dimension splits, None for one that splits nothing; None for any.
    """

    expr: Expr
    strategy: str | None = None
    split: tuple[str | None, ...] | None = None

    @property
    def operator(self) -> Expr:
        """The operator meant: re-keys, filters and transforms above it follow the result."""
        node = self.expr
        while isinstance(node, ReKey | Filter | Transform):
            node = node.child
        return node

    def allows(self, choice: Choice) -> bool:
        """Claims that a choice is as the hint wants it."""
        named = self.strategy in (None, choice.rule, choice.rule.partition(",")[0])
        return named and self.split in (None, choice.vector)
