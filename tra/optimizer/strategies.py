"""The alternatives for one operator: which key each mesh dimension splits.

A *vector* gives each mesh dimension one label (a key the operator can be split by), or none, in which case
that dimension computes everything twice. Inputs are required split by the labels they have and replicated
otherwise; a label that the operator sums away leaves parts. The four join strategies of the paper and their
mixtures over two dimensions are vectors, and each is recorded under its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod
from typing import TypeAlias

from tra.algebra.kernels.elementwise import ADD
from tra.algebra.live import frontier
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
    Transform,
)
from tra.optimizer.boxes import cut
from tra.optimizer.folded import passed_on
from tra.optimizer.meshes import Mesh
from tra.optimizer.operators import Operator
from tra.optimizer.placement import Placement
from tra.optimizer.roles import ALL, SCATTERED, Parts, Role, Split, parts_over

Vector: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True)
class Choice:
    """One way to run an operator.

    Attributes:
        vector: the label each mesh dimension splits, None for replicated computing.
        inputs: the placement each operand is needed in; None takes it as it is.
        output: the placement of the result.
        rule: the name of the strategy.
        share: the part of the work that the slowest site does.
    """

    vector: Vector
    inputs: tuple[Placement | None, ...]
    output: Placement
    rule: str
    share: float

    @property
    def copies(self) -> int:
        """How often the work is done: once for every site along the dimensions that split nothing."""
        return prod(g for g, label in zip(self.output.mesh, self.vector, strict=True) if label is None)


def choices(operator: Operator, mesh: Mesh, fixed: Placement | None = None) -> list[Choice]:
    """All alternatives of an operator on a mesh; a stored relation has the placement it is stored in.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.rules.examples import product
        >>> operator = list(operator_graph(product()).values())[-1]
        >>> [c.rule for c in choices(operator, (2,))]
        ['broadcast right', 'co-partition, aggregate before shuffle', 'broadcast left', 'compute everywhere']
    """
    if fixed is not None:
        return [_choice(operator, (None,) * len(fixed.mesh), (), fixed, "stored")]
    return [*_vectors(operator, mesh), *_parts_through(operator, mesh)]


def split_labels(operator: Operator) -> list[str]:
    """Keys worth splitting: those with more than one value, and known to every operand alike.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.rules.examples import product
        >>> split_labels(list(operator_graph(product()).values())[-1])
        ['i', 'j', 'k']
    """
    type_ = operator.labelled
    known: set[str] = set(type_.names)
    if isinstance(operator.expr, Concat | Stack):
        known -= {operator.expr.key}
    if isinstance(operator.join or operator.expr, Join):
        known &= set().union(*operator.input_keys)
    return [name for name, f in zip(type_.names, frontier(type_), strict=True) if f > 1 and name in known]


def _vectors(operator: Operator, mesh: Mesh) -> Iterator[Choice]:
    for vector in product([*_worth_splitting(operator), None], repeat=len(mesh)):
        inputs: tuple[Placement | None, ...] = (None,) * len(operator.children)
        if not isinstance(operator.expr, Retile):
            inputs = tuple(Placement(mesh, _input_roles(vector, own)) for own in operator.input_keys)
        for roles in _nestings(tuple(_output_role(operator, label) for label in vector), operator):
            yield _choice(operator, vector, inputs, Placement(mesh, roles), _rule(operator, vector))


def _worth_splitting(operator: Operator) -> list[str]:
    """Labels that may be split: a fold that is not associative has all it folds at one place."""
    labels = split_labels(operator)
    if isinstance(operator.expr, Aggregate) and not operator.expr.kernel.laws.associative:
        return [label for label in labels if operator.output_key(label) is not None]
    return labels


def _nestings(roles: tuple[Role, ...], operator: Operator) -> Iterator[tuple[Role, ...]]:
    """A source that two dimensions split by one key may lie either way: the first or the last cuts finer."""
    yield roles
    if operator.children:
        return
    for first, role in enumerate(roles):
        if isinstance(role, Split) and role in roles[first + 1 :]:
            yield (*roles[:first], Split(role.key, is_minor=True), *roles[first + 1 :])


def _input_roles(vector: Vector, own: Mapping[str, str]) -> tuple[Role, ...]:
    return tuple(Split(own[label]) if label is not None and label in own else ALL for label in vector)


def _output_role(operator: Operator, label: str | None) -> Role:
    if label is None:
        return ALL
    name = operator.output_key(label)
    if name is not None:
        return Split(name)
    if isinstance(operator.expr, Aggregate):
        return parts_over(operator.expr.kernel, operator.labelled, label, operator.expr.by)
    return SCATTERED


@lru_cache(maxsize=1 << 12)  # asked of operands before their users, so that it does not go deep
def held_parts(expr: Expr) -> list[Parts]:
    """The parts that a result may be left in: those of a Σ, which pass through σ, ReKey and λ linear for it.

    Example:
        >>> from tra.algebra.operators import transform
        >>> from tra.optimizer.rules.examples import product
        >>> [[str(role) for role in held_parts(transform(product(), name))] for name in ("neg", "exp")]
        [['parts(add)'], []]
    """
    match expr:
        case Aggregate(child=child, by=by, kernel=kernel) if kernel.laws.associative:
            names = zip(child.type.names, frontier(child.type), strict=True)
            return [parts_over(kernel, child.type, name, by) for name, f in names if f > 1 and name not in by]
        case Filter() | ReKey() | Transform():
            return [given for _, given in _passing(expr)]
        case _:
            return []


def _passing(expr: Expr) -> list[tuple[Parts, Parts]]:
    """The parts that pass through a node: as its operand may have them, and as its result then has them."""
    match expr:
        case Filter(child=child) | ReKey(child=child):
            needed = held_parts(child)
        case Transform(child=child):
            needed = [role for role in held_parts(child) if role.kernel == ADD and _is_linear(expr)]
        case _:
            needed = []
    return [(role, _after(role, expr)) for role in needed]


def _after(role: Parts, expr: Expr) -> Parts:
    return role if role.folded is None else replace(role, folded=passed_on(role.folded, expr))


def _is_linear(node: Transform) -> bool:
    """Claims that λ(a + b) = λ(a) + λ(b) for tiles: not for booleans, nor where integers wrap."""
    old, new = node.child.type.dtype, node.type.dtype
    return node.kernel.laws.linear == {0} and (old.kind in "fc" or (old == new and old.kind in "iu"))


def _parts_through(operator: Operator, mesh: Mesh) -> Iterator[Choice]:
    """Parts of a sum pass through σ, ReKey and λ linear for it, and need not be folded first."""
    passing = dict(_passing(operator.expr))
    if not passing:
        return
    for vector in product([*split_labels(operator), None, *passing], repeat=len(mesh)):
        plain = tuple(label if isinstance(label, str) else None for label in vector)
        if not any(isinstance(role, Parts) for role in vector):
            continue
        inputs = _input_roles(plain, operator.input_keys[0])
        outputs = (_output_role(operator, label) for label in plain)
        needs = (v if isinstance(v, Parts) else role for v, role in zip(vector, inputs, strict=True))
        gives = (passing[v] if isinstance(v, Parts) else r for v, r in zip(vector, outputs, strict=True))
        have, made = Placement(mesh, tuple(needs)), Placement(mesh, tuple(gives))
        yield _choice(operator, plain, (have,), made, "keep parts")


def _choice(
    operator: Operator, vector: Vector, inputs: tuple[Placement | None, ...], output: Placement, rule: str
) -> Choice:
    share = 1.0
    type_ = operator.labelled
    parts: dict[str, int] = {}
    for g, label in zip(output.mesh, vector, strict=True):
        if label is not None:
            parts[label] = parts.get(label, 1) * g
    for label, n in parts.items():
        domain = type_.domain(label)
        share *= max(b - a for a, b in (cut(domain, n, p) for p in range(n))) / max(domain, 1)
    return Choice(vector, inputs, output, rule, share)


def _rule(operator: Operator, vector: Vector) -> str:
    """The strategy that a vector is."""
    labels = [label for label in vector if label is not None]
    summed = any(operator.output_key(label) is None for label in labels)
    match operator.join or operator.expr:
        case _ if not vector:
            return "one site"
        case Source() | Generated():
            return "split" if labels else "copy everywhere"
        case _ if not labels:
            return "compute everywhere"
        case Join(left=left, on=on):
            rule = _join_rule({_side(label, left.type.names, {mine for mine, _ in on}) for label in labels})
            return f"{rule}, aggregate before shuffle" if summed else rule
        case Aggregate():
            return "aggregate before shuffle" if summed else "aggregate in place"
        case Retile():
            return "repartition"
        case _:
            return "in place"


def _side(label: str, left: tuple[str, ...], joined: set[str]) -> str:
    if label in joined:
        return "both"
    return "left" if label in left else "right"


def _join_rule(sides: set[str]) -> str:
    match tuple(sorted(sides)):
        case ("both",):
            return "co-partition"
        case ("left",):
            return "broadcast right"
        case ("right",):
            return "broadcast left"
        case ("left", "right"):
            return "2-D split"
        case ("both", "left", "right"):
            return "replicate (3-D)"
        case _:
            return "replicate (mixed split)"
