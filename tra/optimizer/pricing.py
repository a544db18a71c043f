"""The price of an assignment: what operators cost where they are put, and conversions between placements.

Costs are additive. A conversion is counted at the relation that is converted: several users that need it in
one placement pay once. A change of one operator therefore changes only the terms around it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tra.algebra.nodes import Expr, Retile, Source
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes_at_most
from tra.optimizer.boxes import box_of
from tra.optimizer.context import Context
from tra.optimizer.cost import is_legal
from tra.optimizer.meshes import Mesh, n_sites
from tra.optimizer.operators import Operator
from tra.optimizer.placement import Placement, on_mesh, splitting, widest_key
from tra.optimizer.roles import ALL, Parts, Role, Split
from tra.optimizer.strategies import Choice


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
    """Bytes that the fullest site may hold while the operator runs: its operands as needed, and its result.

    An operand that is used twice in one placement is held once.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.rules.examples import product
        >>> from tra.optimizer.strategies import choices
        >>> operator = list(operator_graph(product()).values())[-1]
        >>> [working_set(operator, choice) for choice in choices(operator, (2,))]
        [64, 64, 64, 96]
    """
    operands = dict.fromkeys(zip(operator.children, choice.inputs, strict=False))
    held = [(operator.type, choice.output), *((o.type, need) for o, need in operands if need is not None)]
    sites = range(n_sites(choice.output.mesh))
    return max(sum(n_bytes_at_most(t, box_of(t, p, site)) for t, p in held) for site in sites)


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
            id_, known = operator.expr.id, self.context
            return model.load(operator.type, choice.output, id_ in known.uploads, id_ in known.encoded)
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
