"""What networks call besides layers: functions, methods and operators on tensors, under PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, TypeAlias

import tra
from tra.algebra.relation import Relation
from tra.errors import SchemaError

Function: TypeAlias = Callable[..., Any]


def identity(input: Relation) -> Relation:
    """The input itself.

    Example:
        >>> identity(tra.from_array([1.0], name="x"))
        x[i:1] of 1 float64
    """
    return input


def view(input: Relation, *shape: Any) -> Relation:
    """A tensor in the shape that it has.

    Example:
        >>> view(tra.from_array([[1.0, 2.0]], name="x"), -1, 2)
        x[i:1, j:1] of 1×2 float64

    Raises:
        SchemaError: the shape is another.
    """
    wanted = tuple(shape[0]) if shape and isinstance(shape[0], Sequence) else shape
    rest = prod(input.shape) // max(prod(n for n in wanted if n != -1), 1)
    if tuple(rest if n == -1 else n for n in wanted) != input.shape:
        raise SchemaError(f"cannot reshape {input!r} of shape {input.shape} to {wanted}: rows stay [n, d]")
    return input


def size(input: Relation, dim: int | None = None) -> Any:
    """The shape, or one of its numbers.

    Example:
        >>> size(tra.from_array([[1.0, 2.0]])), size(tra.from_array([[1.0, 2.0]]), 1)
        ((1, 2), 2)
    """
    return input.shape if dim is None else input.shape[dim]


def attribute(input: Relation, name: str) -> Any:
    """The shape, the rank, or the transpose of a tensor.

    Example:
        >>> attribute(tra.from_array([[1.0, 2.0]]), "shape")
        (1, 2)

    Raises:
        SchemaError: it is another attribute.
    """
    if name not in ("shape", "ndim", "T"):
        raise SchemaError(f"of the attributes of a tensor only shape, ndim and T are supported; got {name!r}")
    return getattr(input, name)


def item(input: Any, index: Any) -> Any:
    """A number of a shape.

    Example:
        >>> item((3, 4), 0)
        3

    Raises:
        SchemaError: it is of a tensor.
    """
    if isinstance(input, Relation):
        raise SchemaError("tensors are not indexed in a model; only their shapes are")
    return input[index]


def add(input: Any, other: Any, alpha: float = 1) -> Any:
    """The sum x + alpha·y.

    Example:
        >>> add(tra.from_array([1.0]), 2.0, alpha=10).compute()
        array([21.])
    """
    return input + (other if alpha == 1 else other * alpha)


def sub(input: Any, other: Any, alpha: float = 1) -> Any:
    """The difference x − alpha·y.

    Example:
        >>> sub(tra.from_array([1.0]), 2.0).compute()
        array([-1.])
    """
    return input - (other if alpha == 1 else other * alpha)


def mul(input: Any, other: Any) -> Any:
    """The product x·y, element by element.

    Example:
        >>> mul(3.0, tra.from_array([1.0])).compute()
        array([3.])
    """
    return input * other


def div(input: Any, other: Any) -> Any:
    """The quotient x / y, element by element.

    Example:
        >>> div(tra.from_array([1.0]), 4.0).compute()
        array([0.25])
    """
    return input / other


def power(input: Any, exponent: Any) -> Any:
    """The power xʸ, element by element.

    Example:
        >>> power(tra.from_array([3.0]), 2).compute()
        array([9.])
    """
    return input**exponent


def matmul(input: Relation, other: Relation) -> Relation:
    """The matrix product.

    Example:
        >>> matmul(tra.from_array([[1.0, 2.0]]), tra.from_array([3.0, 4.0])).compute()
        array([11.])
    """
    return input @ other


def transpose(input: Relation) -> Relation:
    """A matrix with its axes reversed.

    Example:
        >>> transpose(tra.from_array([[1.0, 2.0]])).shape
        (2, 1)
    """
    return input.T


def mean(input: Relation, dim: Any = None, keepdim: bool = False) -> Relation:
    """The mean along axes, or of all.

    Example:
        >>> mean(tra.from_array([[1.0, 3.0]]), -1, keepdim=True).compute()
        array([[2.]])
    """
    return input.mean(axis=dim, keepdims=keepdim)


def total(input: Relation, dim: Any = None, keepdim: bool = False) -> Relation:
    """The sum along axes, or of all.

    Example:
        >>> total(tra.from_array([[1.0, 3.0]]), dim=1).compute()
        array([4.])
    """
    return input.sum(axis=dim, keepdims=keepdim)


def elementwise(kernel: str) -> Function:
    """A kernel as a function of its first argument, called as PyTorch calls it.

    Example:
        >>> elementwise("tanh")(input=tra.from_array([0.0])).compute()
        array([0.])
    """

    def function(input: Relation) -> Relation:
        result: Relation = getattr(tra, kernel)(input)
        return result

    return function


_KERNELS = ("tanh", "sigmoid", "exp", "log", "sqrt", "square", "abs", "neg")

#: What a network may call besides layers.
TENSOR_FUNCTIONS: MappingProxyType[str, Function] = MappingProxyType({
    "add": add, "sub": sub, "mul": mul, "multiply": mul, "div": div, "truediv": div, "pow": power,
    "matmul": matmul, "mm": matmul, "t": transpose, "mean": mean, "sum": total,
    **{name: elementwise(name) for name in _KERNELS},
    "view": view, "reshape": view, "contiguous": identity,
    "size": size, "getattr": attribute, "getitem": item,
})  # fmt: skip
