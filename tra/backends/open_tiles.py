"""Queries over sources whose tile sizes were left out, where results have to come in the tiles they show.

What `compute` returns has no tiles, so that sources may be cut as the sites would have it. What is stored, or
given out tile by tile, has the tiles that the relation shows. It can be made in other tiles all the same, and
cut anew at the end: that is another query with the same results, and its price says whether it pays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tra.algebra.nodes import Cut, Expr
from tra.algebra.retiling import retile
from tra.algebra.sources import FixedTiles, TileSource
from tra.algebra.types import RelType
from tra.errors import MemoryLimitError, PlanError, TraError
from tra.optimizer.context import Context
from tra.optimizer.forms import wishes
from tra.optimizer.planner import Planned, plan_query
from tra.optimizer.tile_choice import with_chosen_tiles


def open_sources(sources: Mapping[str, TileSource]) -> frozenset[str]:
    """The ids of sources whose tile sizes were left out.

    Example:
        >>> import tra
        >>> A, B = tra.from_array([1.0, 2.0]), tra.from_array([1.0, 2.0], tile=1)
        >>> open_sources((A + B).sources) == {A.expr.id}
        True
    """
    return frozenset(id_ for id_, source in sources.items() if source.is_open)


def cuttable_sources(sources: Mapping[str, TileSource]) -> frozenset[str]:
    """The ids of sources that lie as whole tensors, and are read in whatever tiles.

    Example:
        >>> import tra
        >>> A, B = tra.from_array([1.0], tile=1), tra.from_tiles({0: [1.0]}, keys="i")
        >>> cuttable_sources((A + B).sources) == {A.expr.id}
        True
    """
    return frozenset(id_ for id_, source in sources.items() if not isinstance(source, FixedTiles))


def plan_shown(roots: tuple[Expr, ...], context: Context) -> Planned:
    """The cheaper of two plans: in the tiles that results show, or in chosen ones, cut anew at the end.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 1000] * 1000)
        >>> context = Context(n_sites=4, open=frozenset({A.expr.id}))
        >>> [str(root.type) for root in plan_shown(((A @ A @ A).expr,), context).roots]
        ['[i:1, j:1] of 1000×1000 float64']

    Raises:
        PlanError: no plan is as hinted.
        MemoryLimitError: no plan fits into the memory limit.
    """
    asked = [(roots, replace(context, open=frozenset())), *_cut_anew(roots, context)]
    found: list[Planned] = []
    failed: list[TraError] = []
    for results, wish in asked:
        try:
            found.append(plan_query(results, wish))
        except (MemoryLimitError, PlanError) as error:
            failed.append(error)
    if not found:
        raise failed[0]
    return min(found, key=lambda planned: planned.assignment.seconds)


def _cut_anew(roots: tuple[Expr, ...], context: Context) -> list[tuple[tuple[Expr, ...], Context]]:
    """The query in chosen tiles whose results are cut as they show, where there is one."""
    marked = (*roots, *(hint.operator for hint in context.hints))
    cut = with_chosen_tiles(marked, context.open, context.n_sites)
    results = [_as_shown(made, root.type) for made, root in zip(cut, roots, strict=False)]
    if cut == marked or any(made.type != root.type for made, root in zip(results, roots, strict=True)):
        return []
    made = (*results, *cut[len(roots) :])
    return [(made[: len(roots)], replace(wishes(context, marked, made), open=frozenset()))]


def _as_shown(expr: Expr, type_: RelType) -> Expr:
    """The whole tensor in the tiles of a type, or as it is where its keys do not cut one axis each."""
    plain = all(len(axis.link) < 2 for axis in type_.axes)
    if expr.type == type_ or not plain:
        return expr
    cuts = [Cut(axis.size, axis.link[0][0]) if axis.link else Cut() for axis in type_.axes]
    return retile([expr], cuts)


def cut_for(expr: Expr, sources: Mapping[str, TileSource], n_sites: int) -> Expr:
    """A result as it is planned where it is wanted whole.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 1000] * 1000)
        >>> str(cut_for((A + A).expr, A.sources, 2).type)
        '[i:2, j:2] of 500/1000×500/1000 float64'
    """
    return with_chosen_tiles((expr,), open_sources(sources), n_sites)[0]
