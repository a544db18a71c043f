"""Plans from assignments: local operators where they were placed, and exchanges between placements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Retile,
    Source,
    Stack,
    Tile,
    Transform,
)
from tra.algebra.types import RelType
from tra.optimizer.cost import route
from tra.optimizer.operators import Operator
from tra.optimizer.placement import Placement, on_mesh
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalConcat,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    LocalStack,
    LocalTile,
    Make,
    Plan,
    Repartition,
    Scan,
    Shuffle,
)
from tra.optimizer.pricing import settled
from tra.optimizer.roles import ALL
from tra.optimizer.search import Assignment
from tra.optimizer.strategies import Choice


@dataclass
class _Builder:
    """Plans made so far, by digest of the expression."""

    chosen: Mapping[str, Choice]
    made: dict[str, Plan] = field(default_factory=dict)
    converted: dict[tuple[str, Placement], Plan] = field(default_factory=dict)

    def at(self, expr: Expr, need: Placement) -> Plan:
        """The plan of an operand in the placement it is needed in."""
        key = (expr.digest, need)
        if key not in self.converted:
            self.converted[key] = convert(self.made[expr.digest], need)
        return self.converted[key]


def build(
    assignment: Assignment, roots: tuple[Expr, ...], targets: Mapping[str, Placement]
) -> tuple[Plan, ...]:
    """The plan of each root; results come without parts, in their target placement where one is given.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> from tra.optimizer.context import Context
        >>> from tra.optimizer.search import search
        >>> roots = (product(),)
        >>> [type(plan).__name__ for plan in build(search(roots, Context(n_sites=2)), roots, {})]
        ['LocalContract']
    """
    builder = _Builder(assignment.chosen)
    for digest, operator in assignment.operators.items():
        builder.made[digest] = _plan(operator, assignment.chosen[digest], builder)
    results = []
    for root in roots:
        plan = builder.made[root.digest]
        wanted = targets.get(root.digest)
        need = on_mesh(wanted, assignment.mesh) if wanted else settled(root.type, plan.placement)
        results.append(builder.at(root, need))
    return tuple(results)


def convert(plan: Plan, need: Placement) -> Plan:
    """Brings a relation to a placement: Broadcast or Shuffle, and Σᴸ where parts arrive.

    The shuffle of parts is Σᴸ(SHUF(·)), the second phase of a two-phase aggregation (R2-5).

    Example:
        >>> from tra.optimizer.rules.examples import everywhere, scan, split
        >>> type(convert(scan(), everywhere())).__name__, convert(scan(), split("i")) == scan()
        ('Broadcast', True)
    """
    if plan.placement == need:
        return plan
    for have, step in route(plan.type, plan.placement, need):
        plan = _exchange(plan, have, step)
    return plan


def _exchange(plan: Plan, have: Placement, need: Placement) -> Plan:
    broadcast = all(role == ALL for role in need.roles)
    moved: Plan = Broadcast(plan.type, need, plan) if broadcast else Shuffle(plan.type, need, plan)
    fold = have.fold_kernel()
    gone = [d for d in have.parts if have.mesh != need.mesh or need.roles[d] != have.roles[d]]
    if fold is None or not gone:
        return moved
    return LocalAggregate(plan.type, need, moved, plan.type.names, fold)


def _plan(operator: Operator, choice: Choice, builder: _Builder) -> Plan:
    type_, placement = operator.type, choice.output
    match operator.expr:
        case Source(id=id_, version=version, name=name):
            return Scan(type_, placement, id_, version, name)
        case Generated(maker=maker):
            return Make(type_, placement, maker)
        case Retile(operands=operands, along=along, windows=windows, cuts=cuts):
            made = [builder.made[o.digest] for o in operands]
            ready = tuple(
                builder.at(o, settled(o.type, m.placement)) for o, m in zip(operands, made, strict=True)
            )
            return Repartition(type_, placement, ready, along, windows, cuts)
        case _:
            inputs = [
                builder.at(c, n)
                for c, n in zip(operator.children, choice.inputs, strict=True)
                if n is not None
            ]
            return local(operator, type_, placement, inputs)


def local(operator: Operator, type_: RelType, placement: Placement, inputs: list[Plan]) -> Plan:
    """The local operator for an expression node, over operands that are where they should be.

    Example:
        >>> import tra
        >>> from tra.optimizer.rules.examples import scan
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> type(local(Operator(tra.exp(A).expr), A.expr.type, scan().placement, [scan()])).__name__
        'LocalMap'
    """
    join = operator.join
    match operator.expr:
        case Aggregate(by=by, kernel=fold) if join is not None:
            return LocalContract(type_, placement, inputs[0], inputs[1], join.on, join.kernel, by, fold)
        case Aggregate(by=by, kernel=fold):
            return LocalAggregate(type_, placement, inputs[0], by, fold)
        case Join(on=on, kernel=kernel):
            return LocalJoin(type_, placement, inputs[0], inputs[1], on, kernel)
        case ReKey(function=function):
            return LocalMap(type_, placement, inputs[0], function, ())
        case Transform(kernel=kernel):
            return LocalMap(type_, placement, inputs[0], None, (kernel,))
        case Filter(predicate=predicate):
            return LocalFilter(type_, placement, inputs[0], predicate)
        case Tile(axis=axis, size=size, key=key):
            return LocalTile(type_, placement, inputs[0], axis, size, key)
        case Concat(key=key, axis=axis):
            return LocalConcat(type_, placement, inputs[0], key, axis)
        case Stack(key=key):
            return LocalStack(type_, placement, tuple(inputs), key)
        case _:
            raise AssertionError(f"{operator.expr!r} is no local operator")
