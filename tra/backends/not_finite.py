"""Where a step went wrong: the first operator whose result is infinite or no number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tra.algebra.nodes import Source
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import Tile
from tra.backends.backend import result_tiles
from tra.backends.state import Runner
from tra.backends.step_query import LOSS, StepQuery
from tra.optimizer.explain import operator_name
from tra.optimizer.operators import Operator, operator_graph

_AT_ONCE = 8  # operators that are run together


def first_not_finite(runner: Runner, query: StepQuery, sources: Mapping[str, TileSource]) -> str | None:
    """The name of the first operator below the loss whose result is not finite, operands before users.

    Args:
        runner: where the step was run; it is run again here, operator by operator.
        query: the step.
        sources: what it read.
    """
    operators = [
        operator
        for operator in operator_graph(query.figures[LOSS].expr).values()
        if operator.type.dtype.kind in "fc"
    ]
    for start in range(0, len(operators), _AT_ONCE):
        found = _first_of(runner, operators[start : start + _AT_ONCE], sources)
        if found is not None:
            return _called(found, query)
    return None


def _first_of(
    runner: Runner, operators: list[Operator], sources: Mapping[str, TileSource]
) -> Operator | None:
    relations = [Relation(operator.expr, sources) for operator in operators]
    planned = runner.plans.plan(relations, sources, {})
    with np.errstate(all="ignore"):
        run = runner.backend.run(planned.program, sources, measure=False)
    for operator, root, shares in zip(operators, planned.program.roots, run.shares, strict=True):
        if not all(is_finite(tile) for _, tile in result_tiles(runner.backend, root, shares)):
            return operator
    return None


def is_finite(tile: Tile) -> bool:
    """Claims that all elements are finite.

    Example:
        >>> is_finite(np.array([1.0, np.nan]))
        False
    """
    return bool(np.isfinite(tile).all())


def _called(operator: Operator, query: StepQuery) -> str:
    """What messages call an operator, or something that a step reads."""
    expr = operator.expr
    if not isinstance(expr, Source):
        return operator_name(operator)
    if expr in query.batch:
        return f"the data {expr.name}"
    return f"{expr.name} as the step before left it" if expr in query.carried.values() else expr.name
