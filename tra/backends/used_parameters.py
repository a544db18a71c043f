"""A loss that does not depend on a parameter: it would be trained in silence, and stay as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from tra.algebra.nodes import postorder
from tra.algebra.relation import Relation
from tra.errors import SchemaError


def using_all(loss: Callable[..., Any]) -> Callable[..., Relation]:
    """A loss that makes sure, where a query is written, that it depends on all parameters.

    Example:
        >>> import tra
        >>> w, u = tra.from_array([1.0], name="w"), tra.from_array([2.0], name="u")
        >>> using_all(lambda p: p["w"].sum())({"w": w}).compute()
        array(1.)
        >>> using_all(lambda p: p["w"].sum())({"w": w, "u": u})
        Traceback (most recent call last):
        tra.errors.SchemaError: the loss does not depend on the parameter u, but on w alone
          hint: use it in the loss, or leave it out of the parameters

    Raises:
        SchemaError: names what the loss does not depend on.
    """

    @wraps(loss)
    def checked(parameters: Mapping[str, Relation], *batch: Relation) -> Relation:
        value = Relation._of(loss(parameters, *batch))
        if value.shape or value.dtype.kind != "f":
            return value  # it is no loss at all, which is said where its gradient is taken
        reached = {node.digest for node in postorder(value.expr)}
        unused = [name for name, relation in parameters.items() if relation.expr.digest not in reached]
        if unused:
            raise _without(unused, [name for name in parameters if name not in unused])
        return value

    return checked


def _without(unused: list[str], used: list[str]) -> SchemaError:
    if not used:
        listed = ", ".join(unused)
        return SchemaError(
            f"the loss depends on no parameter; there are {listed}\n  hint: it takes them by name, as in "
            f"lambda p, x, y: tra.losses.squared_error(x @ p[{unused[0]!r}], y)"
        )
    one = len(unused) == 1
    return SchemaError(
        f"the loss does not depend on the {'parameter' if one else 'parameters'} {', '.join(unused)}, but on "
        f"{', '.join(used)} alone\n"
        f"  hint: use {'it' if one else 'them'} in the loss, or leave {'it' if one else 'them'} out of the "
        "parameters"
    )
