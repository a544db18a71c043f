"""The alternatives for one operator: which key each mesh dimension splits.

A *vector* gives each mesh dimension one label (a key the operator can be split by), or none, in which case
that dimension computes everything twice. Inputs are required split by the labels they have and replicated
otherwise; a label that the operator sums away leaves parts. The four join strategies of the paper and their
mixtures over two dimensions are vectors, and each is recorded under its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tra.algebra.live import frontier
from tra.algebra.nodes import Aggregate, Concat, Filter, Generated, Join, ReKey, Retile, Source, Stack, Transform
from tra.optimizer.operators import Operator
from tra.optimizer.placement import ALL, SCATTERED, Mesh, Parts, Placement, Role, Split, cut

Vector = tuple[str | None, ...]


@dataclass(frozen=True)
class Choice:
    """One way to run an operator.

    Attributes:
        vector: the label each mesh dimension splits, None for replicated computing.
        inputs: the placement each operand is needed in; None takes it as it is.
        output: the placement of the result.
        rule: the name of the strategy.
        share: the part of the work that the slowest site does.
        flops: operations over all sites.
        bytes_touched: bytes read and written over all sites.
    """

    vector: Vector
    inputs: tuple[Placement | None, ...]
    output: Placement
    rule: str
    share: float
    flops: float
    bytes_touched: int


def choices(operator: Operator, mesh: Mesh, fixed: Placement | None = None) -> list[Choice]:
    """All alternatives of an operator on a mesh; a stored relation has the placement it is stored in.

    Example:
        >>> import tra
        >>> from tra.optimizer.operators import operator_graph
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> product = list(operator_graph((A @ A).expr).values())[-1]
        >>> [c.rule for c in choices(product, (2,))]
        ['broadcast right', 'co-partition, aggregate before shuffle', 'broadcast left', 'compute everywhere']
    """
    if fixed is not None:
        return [_choice(operator, (None,) * len(mesh), (), fixed, "stored")]
    return [*_vectors(operator, mesh), *_parts_through(operator, mesh)]


def _labels(operator: Operator) -> list[str]:
    """Keys worth splitting: those with more than one value, and known to every operand alike."""
    type_ = operator.labelled
    known: set[str] = set(type_.names)
    match operator.expr:
        case Concat(key=key):
            known -= {key}
        case Stack(key=key):
            known -= {key}
        case _:
            pass
    join = operator.join or operator.expr
    if isinstance(join, Join):
        known &= set().union(*operator.input_keys)
    return [n for n, f in zip(type_.names, frontier(type_), strict=True) if f > 1 and n in known]


def _vectors(operator: Operator, mesh: Mesh) -> Iterator[Choice]:
    for vector in product([*_labels(operator), None], repeat=len(mesh)):
        if isinstance(operator.expr, Retile):
            inputs: tuple[Placement | None, ...] = (None,) * len(operator.children)
        else:
            inputs = tuple(Placement(mesh, _input_roles(vector, own)) for own in operator.input_keys)
        output = Placement(mesh, tuple(_output_role(operator, label) for label in vector))
        yield _choice(operator, vector, inputs, output, _rule(operator, vector))


def _input_roles(vector: Vector, own: object) -> tuple[Role, ...]:
    assert isinstance(own, dict)
    return tuple(Split(own[label]) if label in own else ALL for label in vector)


def _output_role(operator: Operator, label: str | None) -> Role:
    if label is None:
        return ALL
    name = operator.output_key(label)
    if name is not None:
        return Split(name)
    if isinstance(operator.expr, Aggregate):
        return Parts(operator.expr.kernel)
    return SCATTERED


def _parts_through(operator: Operator, mesh: Mesh) -> Iterator[Choice]:
    """Parts of a sum pass through σ, ReKey and λ linear for it, and need not be folded first."""
    from tra.algebra.kernels.elementwise import ADD

    linear = isinstance(operator.expr, Transform) and operator.expr.kernel.laws.linear == {0}
    if not (linear or isinstance(operator.expr, (Filter, ReKey))):
        return
    options = [*_labels(operator), None, Parts(ADD)]
    for vector in product(options, repeat=len(mesh)):
        if Parts(ADD) not in vector:
            continue
        own = operator.input_keys[0]
        roles = tuple(v if isinstance(v, Parts) else (ALL if v is None else Split(own[v])) for v in vector)
        out = tuple(v if isinstance(v, Parts) else _output_role(operator, v) for v in vector)
        plain = tuple(v if isinstance(v, str) else None for v in vector)
        yield _choice(operator, plain, (Placement(mesh, roles),), Placement(mesh, out), "keep parts")


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
    return Choice(vector, inputs, output, rule, share, operator.flops, operator.bytes_touched)


def _rule(operator: Operator, vector: Vector) -> str:
    """The strategy that a vector is."""
    labels = [label for label in vector if label is not None]
    match operator.join or operator.expr:
        case _ if not vector:
            return "one site"
        case Source() | Generated():
            return "split" if labels else "copy everywhere"
        case _ if not labels:
            return "compute everywhere"
        case Join(left=left, on=on):
            rule = _join_rule({_side(label, left.type.names, {l for l, _ in on}) for label in labels})
            summed = any(operator.output_key(label) is None for label in labels)
            return f"{rule}, aggregate before shuffle" if summed else rule
        case Aggregate():
            summed = any(operator.output_key(label) is None for label in labels)
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
        case _:
            return "replicate (mixed split)"
