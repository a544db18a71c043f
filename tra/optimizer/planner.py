"""From a query to a program: normalise, choose form and placements, build, clean up, cut into stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tra.algebra.nodes import Expr
from tra.algebra.volume import n_bytes
from tra.errors import MemoryLimitError, PlanError
from tra.optimizer.build import build
from tra.optimizer.figures import readable
from tra.optimizer.forms import Form, best_form, wishes
from tra.optimizer.operators import operator_graph
from tra.optimizer.placement import Placement, meshes
from tra.optimizer.predict import Prediction, predict
from tra.optimizer.pricing import Context
from tra.optimizer.rules.registry import CLEAN_UP, NORMALISE, Fired, clean_up, normalise, rules_without
from tra.optimizer.search import Alternative, Assignment, alternatives
from tra.optimizer.stages import Program, program
from tra.optimizer.strategies import choices
from tra.optimizer.tile_choice import with_chosen_tiles

_SHRINK, _N_LIMITS = 0.6, 14


@dataclass(frozen=True)
class Planned:
    """A planned query.

    Attributes:
        written: the expressions as the user wrote them.
        roots: the expressions after the rules that always help.
        fired: the rules that fired, in order.
        form: the order of products, and the strategy of every operator.
        program: stages and tasks.
        prediction: what it will cost.
    """

    written: tuple[Expr, ...]
    roots: tuple[Expr, ...]
    fired: tuple[Fired, ...]
    form: Form
    program: Program
    prediction: Prediction

    @cached_property
    def alternatives(self) -> dict[str, tuple[Alternative, ...]]:
        """For each operator the price of every strategy, the rest of the plan staying as it is."""
        return alternatives(self.assignment, self.roots, self.form.context)

    @property
    def assignment(self) -> Assignment:
        """The strategy of every operator."""
        return self.form.assignment


def plan_query(roots: tuple[Expr, ...], context: Context) -> Planned:
    """Plans one or several results together, so that what they share is made once.

    A plan that does not fit into the memory of a site is not considered. What a stage holds is known once it
    is built, so that plans of smaller and smaller operators are tried until one fits.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> plan_query((product(),), Context(n_sites=2, uploads=frozenset("AB"))).program.n_tasks
        2

    Raises:
        MemoryLimitError: no plan fits; names the smallest limit that one of those tried would do with.
    """
    marked = (*roots, *(hint.operator for hint in context.hints))
    cut = with_chosen_tiles(marked, context.open, context.n_sites)
    rules = rules_without(context.without, NORMALISE)
    normal, fired = normalise(cut, rules, fixed=cut[len(roots) :])
    known = wishes(context, marked, normal)
    normal = normal[: len(roots)]
    limits: list[int | None] = [context.memory_limit]
    if context.memory_limit is not None:
        limits += [size for size in _smaller_limits(normal) if size < context.memory_limit]
    for limit in limits:
        planned = _planned(roots, normal, fired, replace(known, memory_limit=limit))
        if planned is None:
            break
        if context.memory_limit is None or planned.prediction.peak_bytes_per_site <= context.memory_limit:
            return planned
    if _planned(roots, normal, fired, replace(known, memory_limit=None)) is None:
        raise _no_plan(context)
    raise _too_large(roots, normal, fired, known)


def _smaller_limits(roots: tuple[Expr, ...]) -> list[int]:
    """What one operator may use, less and less; whatever the limit, so that errors name one that works."""
    whole = 2 * sum(n_bytes(op.type) for op in operator_graph(*roots).values())
    return [round(whole * _SHRINK**n) for n in range(_N_LIMITS)]


def _too_large(
    roots: tuple[Expr, ...], normal: tuple[Expr, ...], fired: tuple[Fired, ...], known: Context
) -> MemoryLimitError:
    """The error that names the smallest limit known to work."""
    needed = []
    for limit in _smaller_limits(normal):
        planned = _planned(roots, normal, fired, replace(known, memory_limit=limit))
        if planned is None:
            break
        needed.append(planned.prediction.peak_bytes_per_site)
    return MemoryLimitError(
        f"no plan fits: the smallest tried needs {readable('bytes', min(needed))} on one site, the limit is "
        f"{readable('bytes', known.memory_limit or 0)}; memory_limit={min(needed)} would do"
    )


def _no_plan(context: Context) -> PlanError:
    """The error where hints leave no plan; names the strategies there are."""
    lines = []
    for hint in context.hints:
        operator = operator_graph(hint.operator)[hint.operator.digest]
        named = [option.rule for mesh in meshes(context.n_sites) for option in choices(operator, mesh)]
        wish = hint.strategy or f"split {hint.split}"
        lines.append(f"{operator.type} by {wish!r}; its strategies are {', '.join(dict.fromkeys(named))}")
    return PlanError("no plan is as hinted: " + "\n  ".join(lines))


def _planned(
    written: tuple[Expr, ...], roots: tuple[Expr, ...], fired: tuple[Fired, ...], context: Context
) -> Planned | None:
    form = best_form(roots, context)
    if form is None:
        return None
    assignment = form.assignment
    plans, cleaned = clean_up(
        build(assignment, form.roots, form.context.targets), rules_without(context.without, CLEAN_UP)
    )
    made = program(plans, given=_given(context.placed, context.uploads))
    rules = (*fired, *form.fired, *cleaned)
    return Planned(written, form.roots, rules, form, made, predict(made, assignment))


def _given(placed: Mapping[str, Placement], uploads: frozenset[str]) -> frozenset[str]:
    """The sources whose tiles the sites hold before the first stage: stored there, or sent by the client."""
    return uploads | frozenset(placed)
