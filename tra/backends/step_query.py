"""The query of one training step: forward pass, gradients, update, all planned and run as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

import numpy as np

from tra.algebra.live import is_empty
from tra.algebra.nodes import Expr, Generated, Source, digest_text, postorder
from tra.algebra.relation import Relation
from tra.algebra.sources import FixedTiles, source_id
from tra.algebra.tensor_type import tensor_type
from tra.algebra.types import RelType, Tile, TileKey, scalar_type
from tra.errors import PlanError, SchemaError, near_name

Function: TypeAlias = Callable[..., Relation]  # of the parameters by name, and of the relations of a batch
STEP = "(step)"  # how many steps were done, among what is carried from step to step
LOSS = "loss"


class Optimizer(Protocol):
    """How parameters follow from gradients: see `tra.SGD`, `tra.Adam`."""

    def start(self, parameters: Mapping[str, Relation]) -> Mapping[str, Relation]:
        """The state before the first step, by names that begin with a parameter's and a dot."""

    def update(
        self,
        parameters: Mapping[str, Relation],
        gradients: Mapping[str, Relation],
        state: Mapping[str, Relation],
        step: Relation,
    ) -> tuple[Mapping[str, Relation], Mapping[str, Relation]]:
        """New parameters and new state."""


class Unbound(FixedTiles):
    """What a step reads, while the query is written: it has a type and no tiles yet."""

    remote = False

    def read(self, key: TileKey) -> Tile:
        """Nothing can be read.

        Raises:
            PlanError: always.
        """
        raise PlanError("parameters and batches have values when the training runs, not while it is written")


def open_relation(type_: RelType, kind: str, name: str) -> Relation:
    """A relation that is bound to tiles when a step runs.

    Example:
        >>> open_relation(scalar_type(np.dtype("f8")), "parameter", "w")
        w[] of scalars float64
    """
    node = Source(type_, source_id(kind), "0", name)
    return Relation(node, {node.id: Unbound()})


def is_open(relation: Relation) -> bool:
    """Claims that nobody said how a tensor is cut, so that it may be cut for the sites.

    Example:
        >>> import tra
        >>> is_open(tra.from_array([1.0, 2.0])), is_open(tra.from_array([1.0, 2.0], tile=1))
        (True, False)
    """
    match relation.expr:
        case Source(id=id_):
            return relation.sources[id_].is_open
        case Generated(type=type_):
            return len(type_.names) == len(type_.shape) and type_ == tensor_type(
                type_.shape, type_.dtype, type_.names
            )
        case _:
            return False


def recut(relation: Relation, type_: RelType) -> Relation:
    """An open source or a generated relation in the tiles of another type.

    Example:
        >>> import tra
        >>> A, halves = tra.from_array([1.0, 2.0], name="A"), tra.from_array([1.0, 2.0], tile=1)
        >>> A, recut(A, halves.expr.type)
        (A[i:1] of 2 float64, A[i:2] of 1/2 float64)
    """
    assert isinstance(relation.expr, Source | Generated)
    return Relation(replace(relation.expr, type=type_), relation.sources)


@dataclass(frozen=True)
class StepQuery:
    """What one step reads and what it makes.

    Attributes:
        carried: what is carried from step to step, by name: parameters, optimizer state, `STEP`.
        batch: what it reads of the data.
        updates: the new values of what is carried, but for what stays as it is.
        figures: the loss, and the metrics by name.
    """

    carried: Mapping[str, Source]
    batch: tuple[Source, ...]
    updates: Mapping[str, Relation]
    figures: Mapping[str, Relation]

    @property
    def results(self) -> tuple[Relation, ...]:
        """Everything that a step makes: updates, then figures."""
        return (*self.updates.values(), *self.figures.values())

    @property
    def roots(self) -> tuple[Expr, ...]:
        """The expressions of the results."""
        return tuple(relation.expr for relation in self.results)

    @property
    def sources(self) -> dict[str, Any]:
        """What the expressions read, by source id; what is carried and the batch are not bound yet."""
        return {id_: source for relation in self.results for id_, source in relation.sources.items()}

    @property
    def others(self) -> list[Source]:
        """Sources that the loss or a metric reads beside its arguments."""
        own = {node.id for node in (*self.carried.values(), *self.batch)}
        nodes = postorder(*self.roots)
        return [node for node in nodes if isinstance(node, Source) and node.id not in own]

    @property
    def digest(self) -> str:
        """A name for what a step does to the parameters, equal in every process; metrics do not count."""
        roots = [relation.expr for relation in (*self.updates.values(), self.figures[LOSS])]
        return query_digest(roots)


def step_query(
    loss: Function,
    carried: Mapping[str, Relation],
    n_parameters: int,
    using: Optimizer,
    batch: Sequence[Relation],
    metrics: Mapping[str, Function],
) -> StepQuery:
    """The query of one step.

    Args:
        loss: a scalar, of the parameters by name and the relations of a batch.
        carried: parameters, optimizer state and `STEP`, in this order: open relations.
        n_parameters: how many of these are parameters.
        using: the optimizer.
        batch: open relations.
        metrics: more scalars, which nothing follows from.

    Example:
        >>> import tra
        >>> w = open_relation(tra.from_array([1.0, 2.0]).expr.type, "parameter", "w")
        >>> carried = {"w": w, STEP: open_relation(step_type(), "count", "n")}
        >>> query = step_query(lambda p: p["w"].sum(), carried, 1, tra.SGD(rate=0.1), [], {})
        >>> list(query.updates), list(query.figures)
        (['w', '(step)'], ['loss'])

    Raises:
        SchemaError: the loss or a metric is no floating-point scalar; or an update changes the type.
    """
    names = list(carried)
    parameters = _Parameters({name: carried[name] for name in names[:n_parameters]})
    state = {name: carried[name] for name in names[n_parameters:] if name != STEP}
    figures = {LOSS: _scalar(LOSS, loss(parameters, *batch))}
    gradients = _gradients(figures[LOSS], parameters)
    new, new_state = using.update(parameters, gradients, state, carried[STEP])
    updates = {**new, **new_state, STEP: carried[STEP] + 1.0}
    changed = {name: updates[name] for name in names if updates[name].expr != carried[name].expr}
    for name, relation in changed.items():
        _check_type(name, carried[name], relation)
    figures |= {name: _scalar(name, metric(parameters, *batch)) for name, metric in metrics.items()}
    nodes = {name: _node(relation) for name, relation in carried.items()}
    return StepQuery(nodes, tuple(map(_node, batch)), changed, figures)


def _node(relation: Relation) -> Source:
    assert isinstance(relation.expr, Source)
    return relation.expr


class _Parameters(dict[str, Relation]):
    """Parameters by name, as a loss is given them."""

    def __missing__(self, name: str) -> Relation:
        raise SchemaError(
            f"there is no parameter {name!r}{near_name(str(name), self)}; there are {', '.join(self)}"
        )


def _gradients(loss: Relation, parameters: Mapping[str, Relation]) -> dict[str, Relation]:
    from tra.algebra.gradient import grad

    return dict(zip(parameters, grad(loss, list(parameters.values())), strict=True))


def _scalar(name: str, value: Any) -> Relation:
    relation = Relation._of(value)
    type_ = relation.expr.type
    if type_.shape or type_.dtype.kind not in "biuf":
        raise SchemaError(f"{name} is a number, so that it can be watched; got {type_}")
    if is_empty(type_):
        raise SchemaError(f"{name} has no tile, and so no value; got {type_}")
    if name == LOSS and type_.dtype.kind != "f":
        raise SchemaError(f"a loss is a floating-point number, since it is differentiated; got {type_}")
    return relation


def _check_type(name: str, old: Relation, new: Relation) -> None:
    if new.expr.type != old.expr.type:
        raise SchemaError(
            f"a step leaves the type of {name} as it is\n  before {old.expr.type}\n  after  {new.expr.type}"
        )


def query_digest(roots: Sequence[Expr]) -> str:
    """A digest of expressions in which sources are known by when they are first met, and by their types.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([1.0, 2.0]) for _ in "AB")
        >>> A.expr.digest == B.expr.digest, query_digest([(A + 1).expr]) == query_digest([(B + 1).expr])
        (False, True)
    """
    known: dict[str, str] = {}
    n_sources = 0
    for node in postorder(*roots):
        if isinstance(node, Source):
            text, n_sources = f"source {n_sources} {digest_text(node.type)}", n_sources + 1
        else:
            text = "\0".join(_parts(node, known))
        known[node.digest] = sha256(text.encode()).hexdigest()
    return sha256("\0".join(known[root.digest] for root in roots).encode()).hexdigest()[:24]


def _parts(node: Expr, known: Mapping[str, str]) -> Iterator[str]:
    """What a node says of itself, its operands by what is known of them."""
    yield type(node).__name__
    yield from (known[child.digest] for child in node.children)
    operands = {child.digest for child in node.children}
    for field in fields(node):
        value = getattr(node, field.name)
        is_operand = getattr(value, "digest", None) in operands or field.name == "operands"
        if field.name not in ("digest", "type") and not is_operand:
            yield f"{field.name}={digest_text(value)}"
    if not node.children:
        yield digest_text(node.type)


def step_type() -> RelType:
    """The type of the count of steps.

    Example:
        >>> str(step_type())
        '[] of scalars float64'
    """
    return scalar_type(np.dtype(np.float64))
