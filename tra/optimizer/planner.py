"""From a query to a program: normalise, choose form and placements, build, clean up, cut into stages."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count

from tra.algebra.nodes import Expr, ReKey, Transform
from tra.errors import MemoryLimitError, PlanError
from tra.optimizer.build import build
from tra.optimizer.context import Context
from tra.optimizer.figures import readable
from tra.optimizer.forms import Form, best_form, wishes
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import operator_graph
from tra.optimizer.placement import Placement
from tra.optimizer.predict import Prediction, predict
from tra.optimizer.pricing import working_set
from tra.optimizer.program import Program, program
from tra.optimizer.reproducible.written import rules_off, written_for
from tra.optimizer.rules.registry import CLEAN_UP, NORMALISE, Fired, clean_up, normalise, rules_without
from tra.optimizer.search import Alternative, Assignment, alternatives
from tra.optimizer.strategies import choices
from tra.optimizer.tile_choice import parts_within, with_chosen_tiles

_SHRINK, _N_SINGLE = 0.7, 24  # steps from plan to plan under a memory limit, and before they grow


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


def price_of_level(roots: tuple[Expr, ...], context: Context) -> float:
    """The predicted price of a level of reproducibility, as a multiple of "run", where memory has no limit.

    Args:
        roots: the results, as the user wrote them.
        context: the level, and what is known of the sources.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> price_of_level((product(),), Context(level="off"))
        1.0
        >>> 1 < price_of_level((product(),), Context(level="exact")) < 2
        True
    """
    if context.level in ("off", "run"):
        return 1.0
    off = tuple(name for name in context.without if name not in rules_off(context.level))
    asked = replace(context, without=off, hints=(), targets={}, memory_limit=None, is_written=False)
    mine, least = (
        plan_query(roots, replace(asked, level=level)).assignment.seconds for level in (context.level, "run")
    )
    start = context.model.latency  # any query waits as long as one exchange before it computes
    return (mine + start) / (least + start)


def plan_query(roots: tuple[Expr, ...], context: Context) -> Planned:
    """Plans one or several results together, so that what they share is made once.

    A plan that does not fit into the memory of a site is not considered. What a stage holds is known once it
    is built, so that plans of smaller and smaller operators are made until one fits.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> plan_query((product(),), Context(n_sites=2, uploads=frozenset("AB"))).program.n_tasks
        2

    Raises:
        MemoryLimitError: no plan fits; names the smallest limit that one of those tried would do with.
    """
    query = _normalised(roots, context)
    if query.planned(None) is None:
        raise _no_plan(context)
    found = query.fitting(context.memory_limit)
    if found is None:
        raise _too_large(query)
    return found


def _normalised(roots: tuple[Expr, ...], context: Context) -> _Query:
    context = replace(context, without=(*context.without, *rules_off(context.level)))
    marked = (*roots, *(hint.operator for hint in context.hints))
    n_parts = max(context.n_sites, parts_within(marked, context.open, context.tile_bytes))
    chosen = with_chosen_tiles(marked, context.open, n_parts)
    cut = chosen if context.is_written else written_for(chosen, context)
    _check_hints(context, chosen[len(roots) :], cut[len(roots) :])
    rules = rules_without(context.without, NORMALISE)
    normal, fired = normalise(cut, rules, fixed=cut[len(roots) :])
    return _Query(roots, normal[: len(roots)], fired, wishes(context, marked, normal))


def _check_hints(context: Context, asked: Sequence[Expr], written: Sequence[Expr]) -> None:
    """Makes sure that the operators that hints speak of are still there.

    Raises:
        PlanError: the level has one of them written as others.
    """
    for before, after in zip(asked, written, strict=True):
        if type(before) is not type(after) or getattr(before, "kernel", 0) != getattr(after, "kernel", 0):
            raise PlanError(
                f"reproducible={context.level!r} computes {before.type} by other operators, for which no "
                "strategy can be asked; hints for it go with 'run' and 'off'"
            )


@dataclass(frozen=True)
class _Query:
    """A query after the rules that always help, and its plans by what one operator may hold.

    Attributes:
        written: the expressions as the user wrote them.
        roots: the expressions to plan.
        fired: the rules that fired.
        context: what is known and wished of these expressions.
        plans: the plans made so far; None where no operators are as small.
    """

    written: tuple[Expr, ...]
    roots: tuple[Expr, ...]
    fired: tuple[Fired, ...]
    context: Context
    plans: dict[int | None, Planned | None] = field(default_factory=dict)

    def planned(self, most: int | None) -> Planned | None:
        """The cheapest plan whose operators hold no more than so many bytes each."""
        if most not in self.plans:
            context = replace(self.context, memory_limit=most)
            self.plans[most] = _planned(self.written, self.roots, self.fired, context)
        return self.plans[most]

    def fitting(self, limit: int | None) -> Planned | None:
        """The first plan whose stages keep to a limit, of plans of smaller and smaller operators."""
        for planned in self.smaller(limit):
            if limit is None or planned.prediction.most_bytes_per_site <= limit:
                return _claimed(planned, limit, self.plans[None])
        return None

    def smaller(self, limit: int | None) -> Iterator[Planned]:
        """The cheapest plan of all, then plans of operators that fit a limit, smaller from plan to plan.

        A plan stays the cheapest until its own largest operator is not allowed, so that no plan is left out
        between two of the first; those after them are taken in larger steps.
        """
        most: int | None = None
        for n in count():
            planned = self.planned(most)
            if planned is None:
                return
            yield planned
            step = 1.0 if n < _N_SINGLE else _SHRINK
            most = min(round(_largest(planned) * step) - 1, sys.maxsize if limit is None else limit)


def _largest(planned: Planned) -> int:
    """Bytes that the largest operator of a plan holds at one site."""
    chosen = planned.assignment.chosen
    return max(working_set(op, chosen[digest]) for digest, op in planned.assignment.operators.items())


def _claimed(planned: Planned, limit: int | None, cheapest: Planned | None) -> Planned:
    """A plan that fits, which is the cheapest of those that fit if no other was forbidden for less.

    Larger operators than the limit cannot fit. Where operators had to be smaller still, to make some stage
    smaller, another plan may do that for less: this one is bounded, unless it costs what the cheapest does.
    """
    most, assignment = planned.form.context.memory_limit, planned.assignment
    proved = most is None or (most == limit and _holds_its_size(assignment))
    if cheapest is not None and cheapest.assignment.is_optimal:
        proved = proved or assignment.seconds <= cheapest.assignment.seconds
    claimed = replace(assignment, is_optimal=assignment.is_optimal and proved)
    fits = limit is not None and (most is not None or _largest(planned) <= limit)
    context = replace(planned.form.context, memory_limit=limit if fits else None)
    return replace(planned, form=replace(planned.form, assignment=claimed, context=context))


def _holds_its_size(assignment: Assignment) -> bool:
    """Claims that stages hold all that operators are said to hold: no map of a map, which run as one."""
    maps = (ReKey, Transform)
    exprs = [operator.expr for operator in assignment.operators.values()]
    return not any(isinstance(expr, maps) and isinstance(expr.child, maps) for expr in exprs)


def _too_large(query: _Query) -> MemoryLimitError:
    """The error that names the smallest limit known to work."""
    limit = query.context.memory_limit or 0
    tried = sorted({planned.prediction.most_bytes_per_site for planned in query.smaller(None)})
    works = next(size for size in tried if query.fitting(size) is not None)
    return MemoryLimitError(
        f"no plan fits: the smallest tried needs {readable('bytes', works)} on one site, the limit is "
        f"{readable('bytes', limit)}; memory_limit={works} would do",
        would_do=works,
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
    given = _given(context.placed, context.uploads)
    made = program(plans, given, context.model, is_free=context.level == "off")
    rules = (*fired, *form.fired, *cleaned)
    return Planned(written, form.roots, rules, form, made, predict(made, assignment))


def _given(placed: Mapping[str, Placement], uploads: frozenset[str]) -> frozenset[str]:
    """The sources whose tiles the sites hold before the first stage: stored there, or sent by the client."""
    return uploads | frozenset(placed)
