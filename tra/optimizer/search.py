"""Choosing a placement for every operator.

On each mesh the price of a plan is a sum of small tables, and variable elimination finds the choices that
make it least. Where a query shares results so widely that tables would be too large, they are replaced by
simpler ones, and the result is no longer proven best: it is *bounded*. Operators are then reconsidered one at
a time, each against all its neighbours, until nothing improves; in small queries so is a guess from a sweep
over the query, operands first. No change of a single operator is cheaper than what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite

from tra.algebra.nodes import Expr, Source
from tra.optimizer.context import Context
from tra.optimizer.elimination import eliminate
from tra.optimizer.factors import price_factors
from tra.optimizer.mesh_choice import meshes_to_search
from tra.optimizer.meshes import Mesh
from tra.optimizer.operators import Operator, is_leaf, operator_graph
from tra.optimizer.placement import on_mesh
from tra.optimizer.pricing import Pricing, working_set
from tra.optimizer.roles import ALL
from tra.optimizer.rules.registry import rules_named
from tra.optimizer.strategies import Choice, choices

_MAX_SWEEPS = 64
_MAX_GUESSED = 64  # operators: beyond, a second start is not worth its time
_NEGLIGIBLE = 1e-12  # seconds: less is rounding


@dataclass(frozen=True)
class Alternative:
    """One strategy of an operator with what the whole plan would cost with it."""

    rule: str
    vector: tuple[str | None, ...]
    seconds: float


@dataclass(frozen=True)
class Assignment:
    """The chosen strategy of every operator, the price of the whole, and the alternatives that lost.

    Attributes:
        mesh: the mesh of the plan.
        operators: what was placed, by digest.
        chosen: the strategy of each.
        seconds: the price of the whole.
        is_optimal: claims that no other choices on these meshes are cheaper; otherwise the plan is *bounded*.
    """

    mesh: Mesh
    operators: Mapping[str, Operator]
    chosen: Mapping[str, Choice]
    seconds: float
    is_optimal: bool = False


def search(roots: tuple[Expr, ...], context: Context) -> Assignment | None:
    """The cheapest assignment over all meshes, or None where none keeps to the memory limit.

    Ties go to the first mesh; of plans that send as many elements, in the paper's count, to the faster one.

    Args:
        roots: the results wanted.
        context: the cluster, and where stored relations lie.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> found = search((product(2000),), Context(n_sites=4))
        >>> found.mesh, [choice.rule for choice in found.chosen.values()]
        ((2, 2), ['split', 'split', '2-D split'])
    """
    graph = operator_graph(*roots)
    ordered = bool(context.placed or context.targets)
    found_meshes, complete = meshes_to_search(graph, context.n_sites, context.model, ordered)
    tried = (_Search(graph, roots, mesh, context) for mesh in found_meshes)
    found = [one.run() for one in tried if all(one.options.values())]
    if not found:
        return None
    best = min(found, key=lambda a: a.seconds)
    if context.model.paper:
        best = replace(best, seconds=_exact(best, roots, context))
    return replace(best, is_optimal=complete and all(a.is_optimal for a in found))


def _exact(found: Assignment, roots: tuple[Expr, ...], context: Context) -> float:
    """The paper's count without what decides between equal counts."""
    prices = Pricing(found.operators, roots, found.mesh, _counted(context))
    prices.chosen.update(found.chosen)
    return prices.total()


def alternatives(
    found: Assignment, roots: tuple[Expr, ...], context: Context
) -> dict[str, tuple[Alternative, ...]]:
    """For each operator the whole plan's price with every strategy, the rest of it staying as it is.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> roots, context = (product(2000),), Context(n_sites=2)
        >>> listed = list(alternatives(search(roots, context), roots, context).values())[-1]
        >>> [alternative.rule for alternative in listed]
        ['broadcast right', 'broadcast left', 'co-partition, aggregate before shuffle', 'compute everywhere']
    """
    return _Search(found.operators, roots, found.mesh, _counted(context)).alternatives(found.chosen)


def _counted(context: Context) -> Context:
    """The same without what decides between equal counts of the paper."""
    return replace(context, model=replace(context.model, tie_break=0.0))


def options_of(operator: Operator, mesh: Mesh, context: Context) -> list[Choice]:
    """The choices for an operator that keep to the memory limit; a stored relation lies where it is stored.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> len(options_of(Operator(A.expr), (2,), Context(n_sites=2)))
        2
    """
    if isinstance(operator.expr, Source) and operator.expr.id in context.placed:
        return choices(operator, mesh, on_mesh(context.placed[operator.expr.id], mesh))
    found = choices(operator, mesh)
    if context.without:
        found = [o for o in found if not set(rules_named(o.rule)) & set(context.without)] or found
    for hint in context.hints:
        if hint.operator.digest == operator.digest:
            found = [option for option in found if hint.allows(option)]
    if context.spread and is_leaf(operator):
        found = [o for o in found if ALL not in o.output.roles] or found
    limit = context.memory_limit
    return found if limit is None else [o for o in found if working_set(operator, o) <= limit]


class _Search:
    """The search on one mesh."""

    def __init__(
        self,
        graph: Mapping[str, Operator],
        roots: tuple[Expr, ...],
        mesh: Mesh,
        context: Context,
    ) -> None:
        self.graph, self.mesh = graph, mesh
        self.prices = Pricing(graph, roots, mesh, context)
        self.options = {digest: options_of(op, mesh, context) for digest, op in graph.items()}

    def run(self) -> Assignment:
        prices = self.prices
        is_optimal = self._eliminate()
        if not is_optimal:
            self._settle()
            if len(self.graph) <= _MAX_GUESSED:
                self._guess()
        return Assignment(self.mesh, self.graph, dict(prices.chosen), prices.total(), is_optimal)

    def _guess(self) -> None:
        """Takes a sweep over the query, operands first, where that leads to a cheaper plan."""
        found, seconds = dict(self.prices.chosen), self.prices.total()
        self.prices.chosen.clear()
        for digest in self.graph:
            self.prices.chosen.update(self._best(digest)[1])
        self._settle()
        if self.prices.total() >= seconds:
            self.prices.chosen.update(found)

    def _eliminate(self) -> bool:
        """Chooses by variable elimination; claims that the choices are the best there are."""
        factors = price_factors(self.prices, self.options)
        values = eliminate(factors.sizes, factors.tables)
        if values is None:
            self.prices.chosen.update({digest: found[0] for digest, found in self.options.items()})
            return False
        self.prices.chosen.update({digest: found[values[digest]] for digest, found in self.options.items()})
        return factors.is_exact

    def _settle(self) -> None:
        """Reconsiders operators one at a time until nothing improves."""
        for _ in range(_MAX_SWEEPS):
            improved = [self._improve(digest) for digest in reversed(list(self.graph))]
            if not any(improved):
                break

    def _improve(self, digest: str) -> bool:
        """Reconsiders one operator."""
        if len(self.options[digest]) == 1:
            return False
        now = self.prices.around(digest)
        seconds, best = self._best(digest)
        if seconds >= now - _NEGLIGIBLE:
            return False
        self.prices.chosen.update(best)
        return True

    def _best(self, digest: str) -> tuple[float, dict[str, Choice]]:
        """The cheapest choice for an operator, with those of its own sources, the rest staying as it is."""
        return min(
            (self._tried(digest, option) for option in self.options[digest]), key=lambda found: found[0]
        )

    def _tried(self, digest: str, option: Choice) -> tuple[float, dict[str, Choice]]:
        """The price around an operator under one option, with the choices that gives its own sources."""
        sources = self._own_sources(digest)
        before = {d: self.prices.chosen[d] for d in (digest, *sources) if d in self.prices.chosen}
        self.prices.chosen[digest] = option
        for source in sources:
            self.prices.chosen[source] = min(
                self.options[source], key=lambda o: self._source_price(source, o)
            )
        after = {d: self.prices.chosen[d] for d in (digest, *sources)}
        seconds = self.prices.around(digest)
        self.prices.chosen.update(before)
        if digest not in before:
            del self.prices.chosen[digest]
        return seconds, after

    def _own_sources(self, digest: str) -> list[str]:
        """Sources that nothing else uses."""
        children = dict.fromkeys(child.digest for child in self.graph[digest].children)
        return [
            child
            for child in children
            if is_leaf(self.graph[child]) and {user for user, _ in self.prices.users[child]} == {digest}
        ]

    def _source_price(self, source: str, option: Choice) -> float:
        self.prices.chosen[source] = option
        return self.prices.around(source)

    def alternatives(self, chosen: Mapping[str, Choice]) -> dict[str, tuple[Alternative, ...]]:
        """For each operator the price of every strategy, the rest of the plan staying as it is."""
        self.prices.chosen.update(chosen)
        total, listed = self.prices.total(), {}
        for digest, options in self.options.items():
            here = self.prices.around(digest)
            best: dict[str, Alternative] = {}
            for option in options:
                seconds = total - here + self._tried(digest, option)[0]
                if isfinite(seconds) and seconds < getattr(best.get(option.rule), "seconds", inf):
                    best[option.rule] = Alternative(option.rule, option.vector, seconds)
            listed[digest] = tuple(sorted(best.values(), key=lambda a: a.seconds))
        return listed


__all__ = ["Alternative", "Assignment", "alternatives", "options_of", "search"]
