"""The layers of feed-forward networks on relations; names and arguments are those of PyTorch's functions.

What gives its input back in PyTorch gives the same object back here: an operation in place then changes both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import tra
from tra.algebra.relation import Relation
from tra.errors import SchemaError

Function = Callable[..., Any]


def linear(input: Relation, weight: Relation, bias: Relation | None = None) -> Relation:
    """x·Wᵀ + b, with the weights [out, in].

    Example:
        >>> x, W, b = tra.from_array([[1.0, 2.0]]), tra.from_array([[1.0, 1.0]]), tra.from_array([10.0])
        >>> linear(x, W, b).compute()
        array([[13.]])

    Raises:
        SchemaError: the rows are not as long as those of the weights.
    """
    product = input @ weight.T
    return product if bias is None else product + bias


def relu(input: Relation, inplace: bool = False) -> Relation:
    """The larger of each element and zero.

    Example:
        >>> relu(tra.from_array([-1.0, 2.0])).compute()
        array([0., 2.])
    """
    result: Relation = tra.relu(input)
    return result


def softmax(input: Relation, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Relation:
    """The shares exp(x) / Σ exp(x) along an axis; without one along the last of two, as PyTorch does.

    Example:
        >>> softmax(tra.from_array([[0.0, 0.0]]), dim=-1).compute()
        array([[0.5, 0.5]])

    Raises:
        SchemaError: the axis is not there.
    """
    result: Relation = tra.softmax(_cast(input, dtype), axis=_axis(input, dim))
    return result


def log_softmax(input: Relation, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Relation:
    """The logarithm of `softmax`.

    Example:
        >>> log_softmax(tra.from_array([[0.0, 0.0]])).compute().round(3)
        array([[-0.693, -0.693]])

    Raises:
        SchemaError: the axis is not there.
    """
    result: Relation = tra.log_softmax(_cast(input, dtype), axis=_axis(input, dim))
    return result


def _axis(input: Relation, dim: int | None) -> int:
    """PyTorch's choice where none was made."""
    if dim is not None:
        return dim
    return 0 if input.ndim in (0, 1, 3) else 1


def _cast(input: Relation, dtype: Any) -> Relation:
    return input if dtype is None else input.astype(str(dtype).removeprefix("torch."))


def layer_norm(
    input: Relation,
    normalized_shape: Sequence[int],
    weight: Relation | None = None,
    bias: Relation | None = None,
    eps: float = 1e-5,
) -> Relation:
    """Each row less its mean, over its standard deviation; then weights and a bias per column.

    Example:
        >>> layer_norm(tra.from_array([[1.0, 3.0]]), (2,), eps=0.0).compute()
        array([[-1.,  1.]])

    Raises:
        SchemaError: it is not over the last axis alone, or that has another length.
    """
    if tuple(normalized_shape) != input.shape[-1:]:
        raise SchemaError(
            f"LayerNorm is over the last axis, here of {input.shape[-1:]}; its normalized_shape is "
            f"{tuple(normalized_shape)}"
        )
    deviation = input - input.mean(axis=-1, keepdims=True)
    variance = tra.square(deviation).mean(axis=-1, keepdims=True)
    normal: Relation = deviation / tra.sqrt(variance + eps)
    scaled = normal if weight is None else normal * weight
    return scaled if bias is None else scaled + bias


def identity(input: Relation) -> Relation:
    """The input itself: what Dropout is in evaluation.

    Example:
        >>> identity(tra.from_array([1.0], name="x"))
        x[i:1] of 1 float64
    """
    return input


def dropout(input: Relation, p: float = 0.5, training: bool = True, inplace: bool = False) -> Relation:
    """The input itself, in evaluation.

    Example:
        >>> dropout(tra.from_array([1.0], name="x"), training=False)
        x[i:1] of 1 float64

    Raises:
        SchemaError: it is to drop elements.
    """
    if training and p:
        raise SchemaError(
            "dropout is the identity in evaluation only; call F.dropout(x, p, training=self.training), "
            "or use the layer nn.Dropout"
        )
    return input


def flatten(input: Relation, start_dim: int = 0, end_dim: int = -1) -> Relation:
    """A tensor [n, d] as it is.

    Example:
        >>> flatten(tra.from_array([[1.0]], name="x"), 1)
        x[i:1, j:1] of 1×1 float64

    Raises:
        SchemaError: it joins axes.
    """
    if input.ndim and start_dim % input.ndim != end_dim % input.ndim:
        raise SchemaError(f"cannot flatten axes {start_dim} to {end_dim} of {input!r}: rows are [n, d]")
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
    """x + alpha·y.

    Example:
        >>> add(tra.from_array([1.0]), 2.0, alpha=10).compute()
        array([21.])
    """
    return input + (other if alpha == 1 else other * alpha)


def sub(input: Any, other: Any, alpha: float = 1) -> Any:
    """x − alpha·y.

    Example:
        >>> sub(tra.from_array([1.0]), 2.0).compute()
        array([-1.])
    """
    return input - (other if alpha == 1 else other * alpha)


def mul(input: Any, other: Any) -> Any:
    """x·y, element by element.

    Example:
        >>> mul(3.0, tra.from_array([1.0])).compute()
        array([3.])
    """
    return input * other


def div(input: Any, other: Any) -> Any:
    """x / y, element by element.

    Example:
        >>> div(tra.from_array([1.0]), 4.0).compute()
        array([0.25])
    """
    return input / other


def power(input: Any, exponent: Any) -> Any:
    """x to the power of y, element by element.

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


_ELEMENTWISE = {
    name: elementwise(name) for name in ("tanh", "sigmoid", "exp", "log", "sqrt", "square", "abs", "neg")
}

#: What a network may call, under the names that PyTorch's functions, methods and operators have.
FUNCTIONS = MappingProxyType({
    "linear": linear, "relu": relu, "softmax": softmax, "log_softmax": log_softmax, "layer_norm": layer_norm,
    "dropout": dropout, "flatten": flatten, "view": view, "reshape": view, "contiguous": identity,
    "size": size, "getattr": attribute, "getitem": item,
    "add": add, "sub": sub, "mul": mul, "multiply": mul, "div": div, "truediv": div, "pow": power,
    "matmul": matmul, "mm": matmul, "t": transpose, "mean": mean, "sum": total, **_ELEMENTWISE,
})  # fmt: skip

#: Layers, and the attributes of each that are arguments of its function.
LAYERS = MappingProxyType({
    "Linear": (linear, ("weight", "bias")),
    "ReLU": (relu, ("inplace",)),
    "Tanh": (_ELEMENTWISE["tanh"], ()),
    "Sigmoid": (_ELEMENTWISE["sigmoid"], ()),
    "Softmax": (softmax, ("dim",)),
    "LogSoftmax": (log_softmax, ("dim",)),
    "LayerNorm": (layer_norm, ("normalized_shape", "weight", "bias", "eps")),
    "Dropout": (identity, ()),
    "Identity": (identity, ()),
    "Flatten": (flatten, ("start_dim", "end_dim")),
})  # fmt: skip
