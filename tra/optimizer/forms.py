"""Choosing the form of a query together with its plan: which order of products, which sums multiplied out.

Every combination of the regions' options is a query of its own. They are planned in the order of a floor, the
work they are at least, until no floor is below the best plan: what is left out cannot win. Where there are
too many combinations regions are reconsidered one at a time, and the plan is *bounded*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from tra.algebra.nodes import Expr
from tra.optimizer.context import Context
from tra.optimizer.idle import idle_note
from tra.optimizer.operators import is_leaf, operator_graph
from tra.optimizer.regions import WRITTEN, Option, Region, exchanged, regions
from tra.optimizer.rules.registry import Fired
from tra.optimizer.search import Assignment, search

MAX_FORMS = 64
_BUDGET = 600  # operators planned in all, for queries of many regions


@dataclass(frozen=True)
class Considered:
    """A form that might have been: the orders of its products, its price, or just a floor of that."""

    orders: tuple[str, ...]
    price: float
    is_floor: bool = False


@dataclass(frozen=True)
class Form:
    """A query as it will be planned.

    Attributes:
        roots: the results.
        changes: for each region that is not as written its root, and what it became by which rule.
        context: what was known and wished, of these results.
        assignment: the plan's choices.
        considered: this form and the others, cheapest first, with their prices.
        notes: what was left out, and why.
    """

    roots: tuple[Expr, ...]
    changes: tuple[tuple[Expr, Option], ...]
    context: Context
    assignment: Assignment
    considered: tuple[Considered, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fired(self) -> tuple[Fired, ...]:
        """The rules that made the form, and how often."""
        names = [option.rule for _, option in self.changes]
        return tuple(Fired(name, names.count(name)) for name in dict.fromkeys(names))


def best_form(roots: tuple[Expr, ...], context: Context) -> Form | None:
    """The form and the choices whose plan is cheapest, or None where none keeps to the memory limit.

    Of forms whose plans cost the same the one planned first is taken: the one of less work, and where that is
    the same too the first in the order of the regions' options, in which what is written comes first.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 50] * 50, name=name) for name in "AB")
        >>> v = tra.from_array([1.0] * 50, name="v")
        >>> form = best_form(((A @ B @ v).expr,), Context())
        >>> [option.rule for _, option in form.changes], form.roots == ((A @ (B @ v)).expr,)
        (['contraction_reassociate'], True)
    """
    hinted = [hint.operator for hint in context.hints]
    found = regions(roots, context, hinted)
    complete = all(region.is_complete for region in found)
    best = _Best(roots, context, found)
    if prod(len(region.options) for region in found) <= MAX_FORMS:
        best.consider(product(*(region.options for region in found)))
    else:
        complete = best.descend() and complete
    form = best.form()
    if form is None:
        return None
    optimal = complete and best.is_exact
    return replace(form, assignment=replace(form.assignment, is_optimal=optimal))


class _Best:
    """The cheapest form so far."""

    def __init__(self, roots: tuple[Expr, ...], context: Context, found: Sequence[Region]) -> None:
        self.roots, self.context, self.regions = roots, context, found
        self.options: tuple[Option, ...] = ()
        self.marked = (*roots, *(hint.operator for hint in context.hints))
        self.made, self.wishes = roots, context
        self.assignment: Assignment | None = None
        self.n_planned = 0
        self.is_exact = True
        self.considered: dict[tuple[Option, ...], Considered] = {}

    @property
    def _counts(self) -> bool:
        """Claims that prices are the paper's count, which no floor bounds."""
        return self.context.model.paper

    def form(self) -> Form | None:
        if self.assignment is None:
            return None
        pairs = zip(self.regions, self.options, strict=True)
        changes = tuple((region.root, option) for region, option in pairs if option.rule != WRITTEN)
        notes = dict.fromkeys(region.note for region in self.regions if region.note)
        if self.context.hints:
            notes["a hinted operator stays as written, and so does the order of what it multiplies"] = None
        notes.update(dict.fromkeys(idle_note(self.assignment, self.wishes)))
        others = (form for options, form in self.considered.items() if options != self.options)
        considered = (self.considered[self.options], *sorted(others, key=lambda form: form.price))
        return Form(self.made, changes, self.wishes, self.assignment, considered, tuple(notes))

    def expressions(self, options: Sequence[Option]) -> tuple[Expr, ...]:
        pairs = zip(self.regions, options, strict=True)
        return exchanged(self.marked, {region.root.digest: option.expr for region, option in pairs})

    def consider(self, candidates: Iterator[tuple[Option, ...]]) -> None:
        """Plans candidates, those of least work first, as long as one may still win."""
        known = [(options, self.expressions(options)) for options in candidates]
        floors = [floor(made[: len(self.roots)], self.context) for _, made in known]
        for place in sorted(range(len(known)), key=lambda p: floors[p]):
            if self.assignment is not None and floors[place] >= self.assignment.seconds and not self._counts:
                self._note(known[place][0], floors[place], is_floor=True)
            else:
                self._plan(*known[place])

    def _plan(self, options: tuple[Option, ...], made: tuple[Expr, ...]) -> None:
        found = search(made[: len(self.roots)], wishes(self.context, self.marked, made))
        if found is None:
            return
        self.n_planned += len(found.operators)
        self.is_exact = self.is_exact and found.is_optimal
        self._note(options, found.seconds)
        if self.assignment is None or found.seconds < self.assignment.seconds:
            self.options, self.assignment = options, found
            self.made, self.wishes = made[: len(self.roots)], wishes(self.context, self.marked, made)

    def _note(self, options: tuple[Option, ...], price: float, is_floor: bool = False) -> None:
        self.considered[options] = Considered(tuple(o.order for o in options), price, is_floor)

    def descend(self) -> bool:
        """Reconsiders regions one at a time, from the form of least work; claims to have left out nothing."""
        self.options = tuple(min(region.options, key=lambda o: o.work) for region in self.regions)
        self._plan(self.options, self.expressions(self.options))
        for place in range(len(self.regions)):
            if self.n_planned < _BUDGET:
                self.consider(iter(self._others(place)))
        return False

    def _others(self, place: int) -> list[tuple[Option, ...]]:
        """The options as they are now but for one region, which has each of its others."""
        before, now, after = self.options[:place], self.options[place], self.options[place + 1 :]
        return [(*before, option, *after) for option in self.regions[place].options if option != now]


def wishes(context: Context, old: Sequence[Expr], new: Sequence[Expr]) -> Context:
    """The same wishes, for where results end and for hinted operators, of a query that was rewritten.

    Args:
        context: what is wished of the query as it was.
        old: its results, and the operators that hints speak of, in their order.
        new: what became of these.

    Example:
        >>> from tra.optimizer.placement import replicated
        >>> from tra.optimizer.rules.examples import product
        >>> wish = Context(targets={product(2).digest: replicated((2,))})
        >>> list(wishes(wish, [product(2)], [product(4)]).targets) == [product(4).digest]
        True
    """
    pairs = zip(old, new, strict=True)
    n = len(new) - len(context.hints)
    hints = tuple(replace(h, expr=expr) for h, expr in zip(context.hints, new[n:], strict=True))
    moved = {b.digest: context.targets[a.digest] for a, b in pairs if a.digest in context.targets}
    return replace(context, targets=moved, hints=hints)


def floor(roots: Sequence[Expr], context: Context) -> float:
    """Seconds that no plan of a query can beat: its work, spread evenly over all sites.

    In the paper's count work is free, and this just puts forms in the order of their work.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> floor([product()], Context(n_sites=2)) < floor([product()], Context())
        True
    """
    model = context.model
    graph = operator_graph(*roots)
    return sum(model.work(op) for op in graph.values() if not is_leaf(op)) / context.n_sites
