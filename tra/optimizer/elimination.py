"""The least sum of small tables of costs: (min, +) variable elimination.

Each table, a *factor*, is a cost for every combination of a few variables. A variable is eliminated by adding
up the tables that speak of it and keeping, for each combination of the others, the least; reading the choices
back gives the variables. The result is exact, and costs as much as the largest table on the way.

Source: bucket elimination, Dechter, "Bucket elimination: a unifying framework for reasoning", Artificial
Intelligence 113, 1999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Costs: TypeAlias = NDArray[np.float64]
MAX_ENTRIES = 1 << 22


@dataclass(frozen=True)
class Factor:
    """A cost for every combination of the variables in its scope: one axis of the table for each."""

    scope: tuple[str, ...]
    table: Costs


def eliminate(
    sizes: Mapping[str, int], factors: Sequence[Factor], limit: int = MAX_ENTRIES
) -> dict[str, int] | None:
    """The value of every variable that makes the sum of all factors least; ties go to lower values.

    Args:
        sizes: how many values each variable has.
        factors: the tables; a variable may be in any number of them.
        limit: the most entries that a table on the way may have.

    Returns:
        The values, or None where a table would exceed the limit.

    Example:
        >>> one, both = np.array([1.0, 0.0]), np.array([[0.0, 5.0], [5.0, 3.0]])
        >>> eliminate({"a": 2, "b": 2}, [Factor(("a",), one), Factor(("a", "b"), both)])
        {'a': 0, 'b': 0}
    """
    fixed = {name: 0 for name, n in sizes.items() if n == 1}
    open_ = {name: n for name, n in sizes.items() if n > 1}
    waiting = _Scopes(open_, [_without(factor, fixed) for factor in factors])
    steps: list[tuple[str, tuple[str, ...], NDArray[np.int64]]] = []
    while (found := waiting.cheapest()) is not None:
        name, scope = found
        if sizes[name] * prod(sizes[other] for other in scope) > limit:
            return None
        total = _added(waiting.take(name), (*scope, name), sizes)
        steps.append((name, scope, np.argmin(total, axis=-1)))
        waiting.give(Factor(scope, np.min(total, axis=-1)))
    values: dict[str, int] = dict(fixed)
    for name, scope, best in reversed(steps):
        values[name] = int(best[tuple(values[other] for other in scope)])
    return {name: values[name] for name in sizes}


def _without(factor: Factor, fixed: Mapping[str, int]) -> Factor:
    """The table without the axes of variables that have one value: NumPy has no more than 64 axes."""
    scope = tuple(name for name in factor.scope if name not in fixed)
    shape = [n for name, n in zip(factor.scope, factor.table.shape, strict=True) if name not in fixed]
    return Factor(scope, factor.table.reshape(shape))


class _Scopes:
    """The tables still to be added up, and which variables stand beside each other in them."""

    def __init__(self, sizes: Mapping[str, int], factors: Sequence[Factor]) -> None:
        self.sizes = sizes
        self.order = {name: place for place, name in enumerate(sizes)}
        self.tables: dict[str, dict[int, Factor]] = {name: {} for name in sizes}
        self.near: dict[str, set[str]] = {name: set() for name in sizes}
        self.n_given = 0
        for factor in factors:
            self.give(factor)
        self.heap = [(self._size(name), place, name) for name, place in self.order.items()]
        heapify(self.heap)

    def _size(self, name: str) -> int:
        """Entries of the table that is left when a variable goes: the least is eliminated first."""
        return prod(self.sizes[other] for other in self.near[name])

    def give(self, factor: Factor) -> None:
        """Adds a table."""
        self.n_given += 1
        for name in factor.scope:
            self.tables[name][self.n_given] = factor
            self.near[name].update(factor.scope)
            self.near[name].discard(name)

    def take(self, name: str) -> list[Factor]:
        """The tables of a variable, in the order they were given, which are gone afterwards, and so is it."""
        own = self.tables.pop(name)
        for number, factor in own.items():
            for other in factor.scope:
                if other != name:
                    self.tables[other].pop(number, None)
        around = self.near.pop(name)
        for other in around:
            self.near[other] = (self.near[other] | around) - {name, other}
        for other in around:
            heappush(self.heap, (self._size(other), self.order[other], other))
        return list(own.values())

    def cheapest(self) -> tuple[str, tuple[str, ...]] | None:
        """The variable that leaves the smallest table, with those beside it; None when all are gone."""
        while self.heap:
            size, _, name = heappop(self.heap)
            if name in self.near and size == self._size(name):
                return name, tuple(sorted(self.near[name]))
        return None


def _added(factors: Sequence[Factor], scope: tuple[str, ...], sizes: Mapping[str, int]) -> Costs:
    """The sum of factors, as one table over a scope that covers theirs."""
    total: Costs = np.zeros(tuple(sizes[name] for name in scope))
    for factor in factors:
        order = sorted(range(len(factor.scope)), key=lambda axis: scope.index(factor.scope[axis]))
        shape = tuple(sizes[name] if name in factor.scope else 1 for name in scope)
        total += factor.table.transpose(order).reshape(shape)
    return total
