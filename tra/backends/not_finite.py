"""Where a step went wrong: the first operator whose result is infinite or no number, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tra.algebra.nodes import Expr, Source, Transform, name_of, postorder
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource
from tra.algebra.types import Tile
from tra.backends.backend import result_tiles
from tra.backends.state import Runner
from tra.backends.step_query import LOSS, StepQuery
from tra.optimizer.explain import operator_name
from tra.optimizer.operators import Operator, operator_graph

_AT_ONCE = 8  # operators that are run together


@dataclass(frozen=True)
class Cause:
    """What made a loss infinite or no number.

    Attributes:
        operator: what messages call the first operator whose result is not finite.
        fault: what is wrong with what it was given, where its kernel knows.
    """

    operator: str
    fault: str | None = None


def first_not_finite(runner: Runner, query: StepQuery, sources: Mapping[str, TileSource]) -> Cause | None:
    """The first operator below the loss whose result is not finite, operands before users.

    Args:
        runner: where the step was run; it is run again here, operator by operator.
        query: the step.
        sources: what it read.

    Example:
        >>> from weakref import WeakSet
        >>> import tra
        >>> from tra.backends.local import LocalBackend
        >>> from tra.backends.plans import Plans
        >>> backend = LocalBackend(threads=1)
        >>> runner = Runner(backend, Plans(backend), WeakSet())
        >>> w = tra.from_array([0.0, 1.0], name="w")
        >>> query = StepQuery({"w": w.expr}, (), {}, {LOSS: tra.log(w).sum()})
        >>> first_not_finite(runner, query, w.sources)
        Cause(operator='Transform log [i:1] of 2 float64', fault=None)
    """
    operators = [
        operator
        for operator in operator_graph(query.figures[LOSS].expr).values()
        if operator.type.dtype.kind in "fc"
    ]
    for start in range(0, len(operators), _AT_ONCE):
        found = _first_of(runner, operators[start : start + _AT_ONCE], sources)
        if found is not None:
            return Cause(_called(found, query), _fault(runner, found.expr, sources))
    return None


def _first_of(
    runner: Runner, operators: list[Operator], sources: Mapping[str, TileSource]
) -> Operator | None:
    made = _made(runner, [operator.expr for operator in operators], sources)
    for operator, tiles in zip(operators, made, strict=True):
        if not all(map(is_finite, tiles)):
            return operator
    return None


def _fault(runner: Runner, expr: Expr, sources: Mapping[str, TileSource]) -> str | None:
    """What the kernel of an operator says of the tiles it was given, and whose they are."""
    if not isinstance(expr, Transform) or expr.kernel.fault is None:
        return None
    (tiles,) = _made(runner, [expr.child], sources)
    fault = next(filter(None, map(expr.kernel.fault, tiles)), None)
    read = [name_of(node) for node in postorder(expr.child) if isinstance(node, Source)]
    return f"{fault} (in {read[0]})" if fault and len(read) == 1 and read[0] else fault


def _made(
    runner: Runner, exprs: Sequence[Expr], sources: Mapping[str, TileSource]
) -> Iterator[Iterator[Tile]]:
    """The tiles of each expression, run together."""
    planned = runner.plans.plan([Relation(expr, sources) for expr in exprs], sources, {})
    with np.errstate(all="ignore"):
        run = runner.backend.run(planned.program, sources, measure=False)
    for root, shares in zip(planned.program.roots, run.shares, strict=True):
        yield (tile for _, tile in result_tiles(runner.backend, root, shares))


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
