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
    left = list(factors)
    near = {name: {other for f in left if name in f.scope for other in f.scope} - {name} for name in sizes}
    steps: list[tuple[str, tuple[str, ...], NDArray[np.int64]]] = []
    while near:
        name = min(near, key=lambda n: prod(sizes[other] for other in near[n]))
        scope = tuple(sorted(near[name]))
        if sizes[name] * prod(sizes[other] for other in scope) > limit:
            return None
        own = [factor for factor in left if name in factor.scope]
        left = [factor for factor in left if name not in factor.scope]
        total = _added(own, (*scope, name), sizes)
        steps.append((name, scope, np.argmin(total, axis=-1)))
        left.append(Factor(scope, np.min(total, axis=-1)))
        for other in near.pop(name):
            near[other] = (near[other] | set(scope)) - {name, other}
    values: dict[str, int] = {}
    for name, scope, best in reversed(steps):
        values[name] = int(best[tuple(values[other] for other in scope)])
    return {name: values[name] for name in sizes}


def _added(factors: Sequence[Factor], scope: tuple[str, ...], sizes: Mapping[str, int]) -> Costs:
    """The sum of factors, as one table over a scope that covers theirs."""
    total: Costs = np.zeros(tuple(sizes[name] for name in scope))
    for factor in factors:
        order = sorted(range(len(factor.scope)), key=lambda axis: scope.index(factor.scope[axis]))
        shape = tuple(sizes[name] if name in factor.scope else 1 for name in scope)
        total += factor.table.transpose(order).reshape(shape)
    return total
