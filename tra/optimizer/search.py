"""Choosing a placement for every operator.

For each mesh a first assignment comes from a sweep over the query, operands first; then operators are
reconsidered one at a time, each against all its neighbours, until nothing improves. A relation with several
users is paid for once, and each conversion of it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tra.algebra.live import frontier
from tra.algebra.nodes import Expr, Retile, Source
from tra.algebra.types import RelType
from tra.optimizer.cost import CostModel, is_legal
from tra.optimizer.operators import Operator, operator_graph
from tra.optimizer.placement import ALL, Mesh, Parts, Placement, Role, Split, meshes, on_mesh
from tra.optimizer.strategies import Choice, choices

_MAX_SWEEPS = 8


@dataclass(frozen=True)
class Context:
    """What the search knows of the cluster and of stored relations.

    Attributes:
        n_sites: how many sites there are.
        model: the cost model.
        placed: placements of stored relations, by source id.
        uploads: source ids whose tiles the client has to send.
        targets: placements that results must end in, by digest.
    """

    n_sites: int = 1
    model: CostModel = field(default_factory=CostModel)
    placed: Mapping[str, Placement] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset()
    targets: Mapping[str, Placement] = field(default_factory=dict)


@dataclass(frozen=True)
class Alternative:
    """One strategy of an operator with what the whole plan would cost with it."""

    rule: str
    vector: tuple[str | None, ...]
    seconds: float


@dataclass(frozen=True)
class Assignment:
    """The chosen strategy of every operator, the price of the whole, and the alternatives that lost."""

    mesh: Mesh
    operators: Mapping[str, Operator]
    chosen: Mapping[str, Choice]
    seconds: float
    alternatives: Mapping[str, tuple[Alternative, ...]]


def search(roots: tuple[Expr, ...], context: Context) -> Assignment:
    """The cheapest assignment over all meshes; ties go to the first mesh."""
    graph = operator_graph(*roots)
    found = [_Search(graph, roots, mesh, context).run() for mesh in meshes(context.n_sites)]
    return min(found, key=lambda a: a.seconds)


class _Search:
    """The search on one mesh."""

    def __init__(self, graph: Mapping[str, Operator], roots: tuple[Expr, ...], mesh: Mesh, context: Context) -> None:
        self.graph, self.mesh, self.context = graph, mesh, context
        self.roots = [root.digest for root in roots]
        self.options = {d: choices(op, mesh, self._fixed(op)) for d, op in graph.items()}
        self.users: dict[str, list[tuple[str, int]]] = {d: [] for d in graph}
        for d, op in graph.items():
            for position, child in enumerate(op.children):
                self.users[child.digest].append((d, position))
        self.chosen: dict[str, Choice] = {}

    def _fixed(self, operator: Operator) -> Placement | None:
        match operator.expr:
            case Source(id=id_) if id_ in self.context.placed:
                return on_mesh(self.context.placed[id_], self.mesh)
            case _:
                return None

    def run(self) -> Assignment:
        for digest in self.graph:
            self.chosen[digest] = min(self.options[digest], key=lambda c: self._upward(digest, c))
        for _ in range(_MAX_SWEEPS):
            if not any([self._improve(digest) for digest in reversed(self.graph)]):
                break
        return Assignment(self.mesh, self.graph, dict(self.chosen), self._total(), self._alternatives())

    def _improve(self, digest: str) -> bool:
        """Reconsiders one operator; with its leaves, which follow it for free."""
        options = self.options[digest]
        if len(options) == 1:
            return False
        now = self._around(digest, self.chosen[digest])
        best = min(options, key=lambda c: self._around(digest, c))
        if self._around(digest, best) >= now - 1e-15:
            return False
        self._set(digest, best)
        return True

    def _set(self, digest: str, choice: Choice) -> None:
        self.chosen[digest] = choice
        for child, leaf_choice in self._followers(digest, choice).items():
            self.chosen[child] = leaf_choice

    def _followers(self, digest: str, choice: Choice) -> dict[str, Choice]:
        """Single-use sources below an operator take the placement it needs, since nothing else needs them."""
        follow: dict[str, Choice] = {}
        for position, child in enumerate(self.graph[digest].children):
            need = choice.inputs[position]
            if need is None or self.graph[child.digest].children or len(self.users[child.digest]) > 1:
                continue
            match = next((o for o in self.options[child.digest] if o.output == need), None)
            if match is not None:
                follow[child.digest] = match
        return follow

    def _upward(self, digest: str, choice: Choice) -> float:
        """Cost of an operator with its operands as chosen so far; sources are taken as needed."""
        return self._own(digest, choice) + self._inputs(digest, choice, self._followers(digest, choice))

    def _around(self, digest: str, choice: Choice) -> float:
        """All costs that depend on the choice of one operator: its own, its operands', its users'."""
        follow = self._followers(digest, choice)
        total = self._upward(digest, choice) + sum(self._own(d, c) for d, c in follow.items())
        return total + self._outgoing(digest, choice)

    def _own(self, digest: str, choice: Choice) -> float:
        operator = self.graph[digest]
        model = self.context.model
        if isinstance(operator.expr, Source):
            return model.load(operator.type, choice.output, operator.expr.id in self.context.uploads)
        return model.work(choice)

    def _inputs(self, digest: str, choice: Choice, follow: Mapping[str, Choice]) -> float:
        operator = self.graph[digest]
        placed = [follow.get(c.digest, self.chosen[c.digest]).output for c in operator.children]
        if isinstance(operator.expr, Retile):
            return self._retile(operator.expr, tuple(placed), choice.output)
        return sum(
            self._convert(child, have, need)
            for child, have, need in zip(operator.children, placed, choice.inputs, strict=True)
            if need is not None
        )

    def _retile(self, expr: Retile, placed: tuple[Placement, ...], output: Placement) -> float:
        ready = tuple(settled(o.type, p) for o, p in zip(expr.operands, placed, strict=True))
        folding = sum(self._convert(o, p, r) for o, p, r in zip(expr.operands, placed, ready, strict=True))
        return folding + self.context.model.repartition(expr, ready, output)

    def _convert(self, child: Expr, have: Placement, need: Placement) -> float:
        if have == need:
            return 0.0
        if not is_legal(have, need):
            return float("inf")
        return self.context.model.transfer(child.type, have, need)

    def _outgoing(self, digest: str, choice: Choice) -> float:
        """Conversions that users need of this result, each distinct one once."""
        operator, seen, total = self.graph[digest], set(), 0.0
        for user, position in self.users[digest]:
            if user not in self.chosen:
                continue
            need = self.chosen[user].inputs[position]
            if need is None:
                total += self._retiled_user(user, digest, choice)
            elif need not in seen:
                seen.add(need)
                total += self._convert(operator.expr, choice.output, need)
        return total + self._final(digest, choice)

    def _retiled_user(self, user: str, digest: str, choice: Choice) -> float:
        expr = self.graph[user].expr
        assert isinstance(expr, Retile)
        placed = tuple(choice.output if o.digest == digest else self.chosen[o.digest].output for o in expr.operands)
        return self._retile(expr, placed, self.chosen[user].output)

    def _final(self, digest: str, choice: Choice) -> float:
        if digest not in self.roots:
            return 0.0
        wanted = self.context.targets.get(digest)
        target = on_mesh(wanted, self.mesh) if wanted else settled(self.graph[digest].type, choice.output)
        return self._convert(self.graph[digest].expr, choice.output, target)

    def _total(self) -> float:
        total = 0.0
        for digest, choice in self.chosen.items():
            total += self._own(digest, choice) + self._outgoing_once(digest, choice)
            if isinstance(self.graph[digest].expr, Retile):
                total += self._inputs(digest, choice, {})
        return total

    def _outgoing_once(self, digest: str, choice: Choice) -> float:
        needs = {self.chosen[u].inputs[p] for u, p in self.users[digest]} - {None}
        converted = sum(self._convert(self.graph[digest].expr, choice.output, n) for n in needs if n is not None)
        return converted + self._final(digest, choice)

    def _alternatives(self) -> dict[str, tuple[Alternative, ...]]:
        """For each operator the price of every strategy, the rest of the plan staying as it is."""
        total, listed = self._total(), {}
        for digest, options in self.options.items():
            here = self._around(digest, self.chosen[digest])
            best: dict[str, Alternative] = {}
            for option in options:
                seconds = total - here + self._around(digest, option)
                if option.rule not in best or seconds < best[option.rule].seconds:
                    best[option.rule] = Alternative(option.rule, option.vector, seconds)
            listed[digest] = tuple(sorted(best.values(), key=lambda a: a.seconds))
        return listed


def settled(type_: RelType, placement: Placement) -> Placement:
    """The placement once parts are folded: dimensions that held parts split the key of largest frontier.

    Scattered tiles stay where they are; without a key to split, folded tiles are copied.
    """
    if not placement.parts:
        return placement
    extent, name = max(zip(frontier(type_), type_.names, strict=True), default=(0, ""), key=lambda f: f[0])
    folded: Role = Split(name) if extent > 1 else ALL
    return Placement(placement.mesh, tuple(folded if isinstance(r, Parts) else r for r in placement.roles))
