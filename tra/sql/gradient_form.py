"""Gradients in text: ``GRAD(loss, W1)``."""

from __future__ import annotations

from tra.algebra.gradient import grad
from tra.algebra.nodes import Generated, postorder
from tra.algebra.relation import Relation
from tra.sql import syntax as s
from tra.sql.problems import Problem
from tra.sql.scope import Scope, at


def bind_gradient(written: s.Gradient, scope: Scope) -> Relation:
    """The gradient of a loss with respect to a relation that it is made of.

    Raises:
        Problem: a name is not known, the loss is no number that follows from the relation, or a kernel has no
            gradient.

    Example:
        >>> from tra.sql.binder import define
        >>> from tra.sql.parser import parse_text
        >>> scope = Scope({"x": [1.0, 2.0]})
        >>> define(parse_text("LET loss = SUM(x[i] ^ 2)")[0], scope)
        >>> bind_gradient(s.Gradient(s.Name("loss"), s.Name("x")), scope)
        [i:1] of 2 float64
    """
    loss, wrt = scope.find(written.loss), scope.find(written.wrt)
    for name in (written.loss, written.wrt):
        if name.text in scope.numbers:
            raise Problem(name.span, f"{name.text} is a number: it has no gradient, and none is taken by it")
    check_loss(written.loss, loss)
    if wrt.dtype.kind not in "fc":
        raise Problem(
            written.wrt.span,
            f"a gradient is with respect to floats; {written.wrt.text} is {wrt.expr.type}",
        )
    if all(node.digest != wrt.expr.digest for node in postorder(loss.expr)):
        raise Problem(written.wrt.span, f"{written.loss.text} does not depend on {written.wrt.text}")
    _check_alone(written.wrt, wrt, scope)
    with at(written.span):
        (found,) = grad(loss, [wrt])
    return found


def check_loss(name: s.Name, loss: Relation) -> None:
    """Checks that a loss is one real floating-point number.

    Raises:
        Problem: it is none; at the name.

    Example:
        >>> import tra
        >>> check_loss(s.Name("x"), tra.from_array([1.0, 2.0]))
        Traceback (most recent call last):
        tra.sql.problems.Problem: a loss is one number, and x has shape (2,)
    """
    type_ = loss.expr.type
    if type_.shape or type_.axes:
        raise Problem(
            name.span,
            f"a loss is one number, and {name.text} has shape {type_.shape}",
            f"{name.text}{type_}: take its mean, such as LET loss = MEAN(...)",
        )
    if type_.dtype.kind != "f":
        raise Problem(name.span, f"a loss is a floating-point number, and {name.text} is {type_.dtype}")


def _check_alone(name: s.Name, relation: Relation, scope: Scope) -> None:
    """Checks that no other name has the same expression, which only generated relations can have."""
    if not isinstance(relation.expr, Generated):
        return
    for other, there in scope.relations.items():
        if other != name.text and there.expr.digest == relation.expr.digest:
            raise Problem(
                name.span,
                f"{name.text} and {other} are generated alike, so that a gradient cannot tell them apart",
                "another SEED, or another key name, makes them two",
            )
