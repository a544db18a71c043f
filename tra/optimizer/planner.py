"""From a query to a program: normalise, choose, build, clean up, cut into stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tra.algebra.nodes import Expr
from tra.optimizer.build import build
from tra.optimizer.placement import Placement
from tra.optimizer.predict import Prediction, predict
from tra.optimizer.rules.registry import CLEAN_UP, NORMALISE, Fired, clean_up, normalise, rules_without
from tra.optimizer.search import Assignment, Context, search
from tra.optimizer.stages import Program, program


@dataclass(frozen=True)
class Planned:
    """A planned query.

    Attributes:
        written: the expressions as the user wrote them.
        roots: the expressions after the rules that always help.
        fired: the rules that fired, in order.
        assignment: the strategy of every operator, and the alternatives that lost.
        program: stages and tasks.
        prediction: what it will cost.
    """

    written: tuple[Expr, ...]
    roots: tuple[Expr, ...]
    fired: tuple[Fired, ...]
    assignment: Assignment
    program: Program
    prediction: Prediction


def plan_query(roots: tuple[Expr, ...], context: Context) -> Planned:
    """Plans one or several results together, so that what they share is made once.

    Where the cheapest plan does not fit into the memory of a site, a plan of every operator's smallest
    choice is tried; it is returned whether it fits or not, and the session refuses what does not.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> plan_query((product(),), Context(n_sites=2, uploads=frozenset("AB"))).program.n_tasks
        2
    """
    normal, fired = normalise(roots, rules_without(context.without, NORMALISE))
    targets = {
        new.digest: context.targets[old.digest]
        for old, new in zip(roots, normal, strict=True)
        if old.digest in context.targets
    }
    settled = replace(context, targets=targets)
    planned = _planned(roots, normal, fired, settled, frugal=False)
    limit = context.memory_limit
    if limit is None or planned.prediction.peak_bytes_per_site <= limit or context.n_sites == 1:
        return planned
    small = _planned(roots, normal, fired, settled, frugal=True)
    return min(planned, small, key=lambda p: p.prediction.peak_bytes_per_site)


def _planned(
    written: tuple[Expr, ...],
    roots: tuple[Expr, ...],
    fired: tuple[Fired, ...],
    context: Context,
    frugal: bool,
) -> Planned:
    assignment = search(roots, context, frugal)
    rules = rules_without(context.without, CLEAN_UP)
    plans, cleaned = clean_up(build(assignment, roots, context.targets), rules)
    made = program(plans, given=_given(context.placed, context.uploads))
    return Planned(written, roots, (*fired, *cleaned), assignment, made, predict(made, assignment))


def _given(placed: Mapping[str, Placement], uploads: frozenset[str]) -> frozenset[str]:
    """The sources whose tiles the sites hold before the first stage: stored there, or sent by the client."""
    return uploads | frozenset(placed)
