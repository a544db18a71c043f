"""Every kernel of one operand as a function of whole tensors: ``tra.relu(A)``, ``tra.softmax(A, axis=1)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tra.algebra import arithmetic, reductions
from tra.algebra.kernel import is_registered, kernel, kernel_names
from tra.algebra.relation import Relation, as_relation, combine
from tra.errors import KernelError, near_name

_ALONG_AXIS: dict[str, Callable[..., Any]] = {
    "softmax": reductions.softmax,
    "log_softmax": reductions.log_softmax,
    "logsumexp": lambda expr, axis=-1: reductions.reduce(expr, "logsumexp", axis),
}


def maximum(left: Any, right: Any) -> Relation:
    """The larger of two tensors, element by element; NaN wins.

    Example:
        >>> import tra
        >>> tra.maximum(tra.from_array([1.0, 5.0]), 2.0).compute()
        array([2., 5.])
    """
    return combine("max", left, right)


def minimum(left: Any, right: Any) -> Relation:
    """The smaller of two tensors, element by element; NaN wins.

    Example:
        >>> import tra
        >>> tra.minimum(tra.from_array([1.0, 5.0]), 2.0).compute()
        array([1., 2.])
    """
    return combine("min", left, right)


def kernel_function(name: str) -> Callable[..., Relation]:
    """The function of whole tensors for a kernel of one operand.

    Example:
        >>> import tra
        >>> kernel_function("relu")(tra.from_array([-1.0, 2.0])).compute()
        array([0., 2.])

    Raises:
        KernelError: there is no such kernel.
    """
    if not is_registered(name):
        raise KernelError(f"unknown kernel {name!r}{near_name(name, kernel_names())}")

    def function(operand: Any, **params: Any) -> Relation:
        relation = as_relation(operand)
        along = _ALONG_AXIS.get(name)
        if along is not None:
            return Relation(along(relation.expr, **params), relation.sources)
        return Relation(arithmetic.unary(kernel(name, **params), relation.expr), relation.sources)

    function.__name__ = name
    function.__doc__ = f"The kernel {name} applied to a whole tensor; see `tra.kernel`."
    return function
