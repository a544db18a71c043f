"""Gradients: the backward pass of a query, as a query.

The loss is walked from the top down; each operator hands the adjoint of its result back to its operands
(`operator_gradients`), adjoints of a relation that is used several times are added up. What comes out is an
ordinary expression: the optimizer plans it together with the forward pass, whose results it shares, and it
has a gradient itself.

Source: Tang, Ding, Jankov, Yuan, Bourgeois, Jermaine, "Auto-Differentiation of Relational Computations for
Very Large Scale Machine Learning", ICML 2023, for the idea; the rules here hold for tiles, holes and repeated
use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tra.algebra.adjoint import fill, lift, merge, ranked
from tra.algebra.entry_point import entry_point
from tra.algebra.live import is_empty
from tra.algebra.nodes import Expr, Generated, Join, Transform, name_of, postorder
from tra.algebra.operator_gradients import hand_back
from tra.algebra.operators import transform
from tra.algebra.relation import Relation
from tra.algebra.tilewise import Value, is_number
from tra.algebra.types import RelType
from tra.errors import KernelError, SchemaError


@entry_point
def grad(loss: Relation, wrt: Sequence[Relation] | Relation) -> list[Relation]:
    """The gradient of a loss with respect to relations, as relations of the same types.

    Ties of a maximum or minimum share evenly, a comparison and a rounding have gradient 0, and what the loss
    does not depend on has gradient 0. For complex relations it is ∂/∂Re + i·∂/∂Im.

    Args:
        loss: one real number: a relation of shape ().
        wrt: relations that the loss is made of, sources or results.

    Returns:
        A relation for each in `wrt`, with its keys, axes, dtype and live keys.

    Example:
        >>> import tra
        >>> x = tra.from_array([1.0, 2.0, 3.0], tile=2, name="x")
        >>> dx, = tra.grad((x * x).sum(), [x])
        >>> dx.compute()
        array([2., 4., 6.])
        >>> ddx, = tra.grad((dx * dx).sum(), [x])  # a gradient is a query: it has a gradient itself
        >>> ddx.compute()
        array([ 8., 16., 24.])

    Raises:
        SchemaError: the loss is no single number, or it or an element of `wrt` is no real or complex float.
        KernelError: a kernel on the way has no gradient; names it and the way.
    """
    return value_and_grad(loss, wrt)[1]


@entry_point
def value_and_grad(loss: Relation, wrt: Sequence[Relation] | Relation) -> tuple[Relation, list[Relation]]:
    """The loss, and its gradients; computed together they share the forward pass.

    Args:
        loss: one real number: a relation of shape ().
        wrt: relations that the loss is made of.

    Example:
        >>> import tra
        >>> x = tra.from_array([3.0, 4.0], name="x")
        >>> loss, (dx,) = tra.value_and_grad((x ** 2).sum(), [x])
        >>> with tra.connect("local", threads=1) as session:
        ...     session.compute(loss, dx)
        (array(25.), array([6., 8.]))

    Raises:
        SchemaError: as `grad`.
        KernelError: as `grad`.
    """
    asked = [wrt] if isinstance(wrt, Relation) else list(wrt)
    for relation in (loss, *asked):
        if not isinstance(relation, Relation):
            raise SchemaError(f"a gradient is of relations; got {relation!r}")
    _check(loss.expr, [relation.expr for relation in asked])
    found = gradients(loss.expr, [relation.expr for relation in asked])
    sources = dict(loss.sources)
    for relation in asked:
        sources.update(relation.sources)
    return loss, [Relation(expr, sources) for expr in found]


def _check(loss: Expr, wrt: Sequence[Expr]) -> None:
    type_ = loss.type
    if type_.shape != () or type_.axes:
        raise SchemaError(
            f"a gradient is of one number, and this loss has shape {type_.shape}: {type_}; take its .sum() "
            "or .mean()"
        )
    if type_.dtype.kind != "f":
        raise SchemaError(f"a gradient is of a real loss; this one is {type_.dtype}")
    for place, expr in enumerate(wrt):
        if expr.type.dtype.kind not in "fc":
            named = name_of(expr) or f"relation {place}"
            raise SchemaError(f"a gradient is with respect to floats; {named} is {expr.type}")
        if isinstance(expr, Generated) and expr in wrt[:place]:
            raise SchemaError(
                f"relations {wrt.index(expr)} and {place} are generated alike, so that a gradient cannot "
                f"tell them apart: {expr.type}\n  hint: .persist() one, or give it another seed or key name"
            )


def gradients(loss: Expr, wrt: Sequence[Expr]) -> list[Expr]:
    """The gradients of a scalar expression with respect to expressions below it.

    Example:
        >>> import tra
        >>> x = tra.from_array([1.0, 2.0], name="x")
        >>> [str(g.type) for g in gradients((x * x).sum().expr, [x.expr])]
        ['[i:1] of 2 float64']

    Raises:
        KernelError: a kernel on the way has no gradient; names it and the way.
    """
    order = list(postorder(loss))
    stops = frozenset(expr.digest for expr in wrt)
    needed = _needed(order, stops)
    handed: dict[str, list[Value]] = {loss.digest: [1.0]}
    adjoints: dict[str, Value] = {}
    for node in reversed(order):
        if node.digest not in needed or node.digest not in handed:
            continue
        z = adjoints[node.digest] = ranked(merge(handed.pop(node.digest), node.type), node.type)
        for child, value in _handed_back(node, z, needed, stops, order):
            handed.setdefault(child.digest, []).append(_cast(value, child.type))
    return [_finished(adjoints.get(expr.digest, 0.0), expr.type) for expr in wrt]


def _needed(order: Sequence[Expr], stops: frozenset[str]) -> frozenset[str]:
    """The nodes through which the loss depends on what is asked for."""
    found: set[str] = set()
    for node in order:
        if node.digest in stops or any(child.digest in found for child in node.children):
            found.add(node.digest)
    return frozenset(found)


def _handed_back(
    node: Expr, z: Value, needed: frozenset[str], stops: frozenset[str], order: Sequence[Expr]
) -> list[tuple[Expr, Value]]:
    reaches = any(child.digest in needed for child in node.children)
    if not reaches or not _is_smooth(node.type.dtype) or is_empty(node.type):
        return []
    try:
        found = list(hand_back(node, z, stops))
    except KernelError as error:
        raise KernelError(f"{error}\n  {_way(node, needed, stops, order)}") from error
    return [(c, v) for c, v in found if c.digest in needed and _is_smooth(c.type.dtype)]


def _is_smooth(dtype: np.dtype[np.generic]) -> bool:
    """Claims that numbers of this dtype vary continuously: floats, and pairs of one with an index."""
    return dtype.kind in "fc" or dtype.names is not None


def _way(node: Expr, needed: frozenset[str], stops: frozenset[str], order: Sequence[Expr]) -> str:
    """How the loss depends on what is asked for through a node, for messages."""
    below, at = [_shown(node)], node
    while at.digest not in stops:
        at = next(child for child in at.children if child.digest in needed)
        below.append(_shown(at))
    above, at = [], node
    for user in order[order.index(node) + 1 :]:
        if any(child.digest == at.digest for child in user.children):
            above.append(_shown(user))
            at = user
    way = " → ".join([*reversed(below), *above])
    mends = isinstance(node, (Transform, Join)) and node.kernel.user and node.kernel.gradient is None
    return f"it lies on the way {way}" + (
        "\n  hint: @tra.kernel(…, gradient=…) gives it one" if mends else ""
    )


def _shown(node: Expr) -> str:
    if isinstance(node, (Transform, Join)):
        return str(node.kernel)
    return name_of(node) or type(node).__name__.lower()


def _cast(value: Value, type_: RelType) -> Value:
    """The adjoint in the dtype of its relation."""
    if is_number(value) or type_.dtype.names or value.type.dtype.names:
        return value
    if value.type.dtype.kind == "c" and type_.dtype.kind != "c":
        value = transform(value, "real")
    return value if value.type.dtype == type_.dtype else transform(value, "cast", dtype=str(type_.dtype))


def _finished(value: Value, type_: RelType) -> Expr:
    """The gradient with a tile wherever the relation has one."""
    if is_number(value) and type_.dtype.kind != "c":
        value = complex(value).real
    lifted = _cast(lift(value, type_), type_)
    return fill(lifted, type_)
