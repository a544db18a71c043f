"""Expressions that were built before: the same function of the same operands gives the same node.

A training, or a loop, writes its queries anew each time. A node is remembered as long as somebody holds it: a
relation of the user, a larger expression, or the plan of a session that has run it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from tra.algebra.nodes import Expr, digest_text

Build = TypeVar("Build", bound=Callable[..., Expr])


def remembered(build: Build) -> Build:
    """A function that makes an expression of expressions, kernels, numbers and text, and of nothing else.

    Kernels stand for themselves: what a name means may change.

    Nodes are frozen and known by their content, so that one that is there is as good as one made anew.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]])
        >>> product = A @ A
        >>> (A @ A).expr is product.expr, (A * 1).expr is (A * 1.0).expr
        (True, False)
    """
    nodes: WeakValueDictionary[tuple[str, ...], Expr] = WeakValueDictionary()

    @wraps(build)
    def found(*operands: Any) -> Expr:
        key = tuple(map(digest_text, operands))
        node = nodes.get(key)
        if node is None:
            node = nodes[key] = build(*operands)
        return node

    return found  # type: ignore[return-value]
