"""Queries as a level of reproducibility has them written, and the rules it does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tra.algebra.nodes import Expr
from tra.optimizer.context import Context
from tra.optimizer.reproducible.canonical_order import in_canonical_order
from tra.optimizer.reproducible.canonical_sums import canonical_sum_of
from tra.optimizer.reproducible.exact_sums import exact_sum_of
from tra.optimizer.reproducible.fixed_functions import with_fixed_functions
from tra.optimizer.reproducible.in_order import in_order
from tra.optimizer.reproducible.level import Level
from tra.optimizer.reproducible.regions import with_sums
from tra.optimizer.reproducible.shares import with_shares_written_out
from tra.optimizer.rules.registry import CLEAN_UP, FORMS, NORMALISE, STRATEGIES, AnyRule


def written_for(roots: tuple[Expr, ...], context: Context) -> tuple[Expr, ...]:
    """The query, written so that a level's promise holds whatever the optimizer does with it.

    Args:
        roots: the results.
        context: says the level, what exact products may lose, and which sources may be cut anew.

    Example:
        >>> import tra
        >>> from tra.optimizer.reproducible.level import LEVELS
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], name="A")
        >>> query = ((A @ A).expr,)
        >>> [written_for(query, Context(level=level)) == query for level in LEVELS]
        [True, True, False, False]

    Raises:
        PlanError: the level knows no way to compute some operator.
    """
    if context.level in ("off", "run"):
        return roots
    roots = in_canonical_order(with_shares_written_out(roots))
    if context.level == "tiling":
        write = partial(canonical_sum_of, cuttable=context.cuttable)
        return in_order(with_sums(roots, write, folds_layouts=False))
    fixed = with_fixed_functions(roots)
    return with_sums(fixed, partial(exact_sum_of, tolerance=context.tolerance))


def rules_off(level: Level) -> Iterator[str]:
    """Rules that a level does not allow: those that round otherwise.

    With "exact" every sum is exact, so that rules which reorder it change no bit; those that change which
    products are formed, or apply a kernel to parts of a sum, do. With "tiling" what is folded in parts at all
    is exact: whole numbers and extremes.

    Example:
        >>> "aggregate_join_push" in rules_off("exact"), "aggregate_aggregate_fuse" in rules_off("exact")
        (True, False)
        >>> "aggregate_aggregate_fuse" in rules_off("tiling")
        True
    """
    if level in ("off", "run"):
        return
    changing: tuple[AnyRule, ...] = (*NORMALISE, *FORMS, *CLEAN_UP)
    for rule in changing:
        if rule.rule_class == "distribute" or (rule.rule_class == "regroup" and level == "tiling"):
            yield rule.name
    yield from (rule.name for rule in STRATEGIES if rule.rule_class == "distribute")
