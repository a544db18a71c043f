"""The price of an assignment: what operators cost where they are put, and conversions between placements.

Costs are additive. A conversion is counted at the relation that is converted: several users that need it in
one placement pay once. A change of one operator therefore changes only the terms around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tra.algebra.nodes import Expr, Filter, ReKey, Retile, Source, Transform
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes
from tra.optimizer.cost import CostModel, is_legal
from tra.optimizer.operators import Operator
from tra.optimizer.placement import (
    ALL,
    Mesh,
    Parts,
    Placement,
    Role,
    Split,
    box_of,
    n_sites,
    on_mesh,
    splitting,
    widest_key,
)
from tra.optimizer.strategies import Choice


@dataclass(frozen=True)
class Hint:
    """A strategy that an operator must have.

    Attributes:
        expr: the result; the hint is for the topmost operator in it that combines or folds tiles.
        strategy: the name of a strategy, with or without what comes after its comma; None for any.
        split: the key that each mesh dimension splits, None for one that splits nothing; None for any.
    """

    expr: Expr
    strategy: str | None = None
    split: tuple[str | None, ...] | None = None

    @property
    def operator(self) -> Expr:
        """The operator meant: re-keys, filters and transforms above it follow the result."""
        node = self.expr
        while isinstance(node, ReKey | Filter | Transform):
            node = node.child
        return node

    def allows(self, choice: Choice) -> bool:
        """Claims that a choice is as the hint wants it."""
        named = self.strategy in (None, choice.rule, choice.rule.partition(",")[0])
        return named and self.split in (None, choice.vector)


@dataclass(frozen=True)
class Context:
    """What the search knows of the cluster and of stored relations.

    Attributes:
        n_sites: how many sites there are.
        model: the cost model.
        placed: placements of stored relations, by source id.
        uploads: source ids whose tiles the client has to send.
        targets: placements that results must end in, by digest.
        memory_limit: bytes that one operator may use at one site, or None.
        without: names of rules that are switched off.
        hints: what the user asks of operators, and not the cost.
        tolerance: rounding that rules may add, as a part of the largest product: multiplying sums out does.
        open: ids of sources whose tile sizes may be chosen, because the results are wanted as whole tensors.
    """

    n_sites: int = 1
    model: CostModel = field(default_factory=CostModel)
    placed: Mapping[str, Placement] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset()
    targets: Mapping[str, Placement] = field(default_factory=dict)
    memory_limit: int | None = None
    without: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    tolerance: float = 0.0
    open: frozenset[str] = frozenset()


def settled(type_: RelType, placement: Placement) -> Placement:
    """The placement once parts are folded: dimensions that held parts split the key of largest frontier.

    They cut finer what other dimensions split by that key, so that no site needs what another will not send.
    Scattered tiles stay where they are; without a key to split, folded tiles are copied.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.algebra.sources import tensor_type
        >>> t = tensor_type((12, 4), "f8", ("i", "j"), (1, 4))
        >>> str(settled(t, Placement((2,), (Parts(ADD),))))
        'split(i) on 2'
    """
    if not placement.parts:
        return placement
    name = widest_key(type_)
    folded: Role = ALL if name is None else Split(name, is_minor=bool(splitting(placement, name)))
    return Placement(placement.mesh, tuple(folded if isinstance(r, Parts) else r for r in placement.roles))


def working_set(operator: Operator, choice: Choice) -> int:
    """Bytes that the fullest site holds while the operator runs: its operands as needed, and its result.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.rules.examples import product
        >>> from tra.optimizer.strategies import choices
        >>> operator = list(operator_graph(product()).values())[-1]
        >>> [working_set(operator, choice) for choice in choices(operator, (2,))]
        [64, 64, 64, 96]
    """
    held = [(operator.type, choice.output)]
    held += [(c.type, n) for c, n in zip(operator.children, choice.inputs, strict=False) if n is not None]
    sites = range(n_sites(choice.output.mesh))
    return max(sum(n_bytes(t, box_of(t, p, site)) for t, p in held) for site in sites)


class Pricing:
    """Prices of the choices for the operators of a query on one mesh.

    Attributes:
        users: for each operator its users, with the position of the operand.
        chosen: the choices made so far; what is not chosen yet costs nothing.
    """

    def __init__(
        self, graph: Mapping[str, Operator], roots: tuple[Expr, ...], mesh: Mesh, context: Context
    ) -> None:
        self.graph, self.mesh, self.context = graph, mesh, context
        self.roots = frozenset(root.digest for root in roots)
        self.chosen: dict[str, Choice] = {}
        self.users: dict[str, list[tuple[str, int]]] = {digest: [] for digest in graph}
        for digest, operator in graph.items():
            for position, child in enumerate(operator.children):
                self.users[child.digest].append((digest, position))
        self._work: dict[str, float] = {}
        self._transfers: dict[tuple[str, Placement, Placement], float] = {}

    def total(self) -> float:
        """Seconds of the whole plan as chosen."""
        return sum(
            self.own(digest) + self.conversions(digest) + self.repartition(digest) for digest in self.chosen
        )

    def around(self, digest: str) -> float:
        """The part of the total that the choice for one operator changes, with sources that only it uses."""
        children = dict.fromkeys(child.digest for child in self.graph[digest].children)
        users = dict.fromkeys(user for user, _ in self.users[digest])
        total = self.own(digest) + self.conversions(digest) + self.repartition(digest)
        total += sum(self.repartition(user) for user in users)
        return total + sum(self.own(child) + self.conversions(child) for child in children)

    def own(self, digest: str) -> float:
        """Seconds of the work of one operator as chosen."""
        return self.own_price(digest, self.chosen[digest])

    def own_price(self, digest: str, choice: Choice) -> float:
        """Seconds of the work of one operator, or of loading a source."""
        operator, model = self.graph[digest], self.context.model
        if isinstance(operator.expr, Source):
            return model.load(operator.type, choice.output, operator.expr.id in self.context.uploads)
        if digest not in self._work:
            self._work[digest] = model.work(operator)
        return choice.share * self._work[digest]

    def conversions(self, digest: str) -> float:
        """Seconds to bring a result to each placement that users need it in, and to its final one."""
        choice = self.chosen[digest]
        users = [
            (self.chosen[user], position) for user, position in self.users[digest] if user in self.chosen
        ]
        wanted = dict.fromkeys(
            [*(user.inputs[position] for user, position in users), self.final(digest, choice)]
        )
        return sum(self.convert(digest, choice.output, need) for need in wanted if need is not None)

    def final(self, digest: str, choice: Choice) -> Placement | None:
        """The placement that a result must end in; None for what is no result."""
        if digest not in self.roots:
            return None
        wanted = self.context.targets.get(digest)
        return on_mesh(wanted, self.mesh) if wanted else settled(self.graph[digest].type, choice.output)

    def repartition(self, digest: str) -> float:
        """Seconds of a Retile as chosen; 0 for other operators, and where operands are not chosen yet."""
        expr = self.graph[digest].expr
        if not isinstance(expr, Retile) or digest not in self.chosen:
            return 0.0
        names = (digest, *(operand.digest for operand in expr.operands))
        return self.repartition_price(digest, {name: self.chosen[name].output for name in names})

    def repartition_price(self, digest: str, placed: Mapping[str, Placement]) -> float:
        """Seconds of a Retile, and of folding its operands, from the placements of operands and result."""
        expr = self.graph[digest].expr
        assert isinstance(expr, Retile)
        have = [placed[operand.digest] for operand in expr.operands]
        ready = tuple(settled(o.type, p) for o, p in zip(expr.operands, have, strict=True))
        folded = dict.fromkeys((o.digest, p, r) for o, p, r in zip(expr.operands, have, ready, strict=True))
        seconds = self.context.model.repartition(expr, ready, placed[digest])
        return seconds + sum(self.convert(*step) for step in folded)

    def convert(self, digest: str, have: Placement, need: Placement) -> float:
        """Seconds of one conversion of a result; infinite where there is none."""
        key = (digest, have, need)
        if key not in self._transfers:
            legal = is_legal(have, need)
            self._transfers[key] = (
                self.context.model.transfer(self.graph[digest].type, have, need) if legal else float("inf")
            )
        return self._transfers[key]
