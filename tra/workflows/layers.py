"""The layers of feed-forward networks on relations; names and arguments are those of PyTorch's functions.

What gives its input back in PyTorch gives the same object back here: an operation in place then changes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import tra
from tra.algebra.relation import Relation
from tra.errors import SchemaError
from tra.workflows.tensor_functions import TENSOR_FUNCTIONS, Function, identity


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


#: Layers, and the attributes of each that are arguments of its function.
LAYERS: MappingProxyType[str, tuple[Function, tuple[str, ...]]] = MappingProxyType({
    "Linear": (linear, ("weight", "bias")),
    "ReLU": (relu, ("inplace",)),
    "Tanh": (TENSOR_FUNCTIONS["tanh"], ()),
    "Sigmoid": (TENSOR_FUNCTIONS["sigmoid"], ()),
    "Softmax": (softmax, ("dim",)),
    "LogSoftmax": (log_softmax, ("dim",)),
    "LayerNorm": (layer_norm, ("normalized_shape", "weight", "bias", "eps")),
    "Dropout": (identity, ()),
    "Identity": (identity, ()),
    "Flatten": (flatten, ("start_dim", "end_dim")),
})  # fmt: skip

#: What a network may call: layers as functions, and all others.
FUNCTIONS: MappingProxyType[str, Function] = MappingProxyType({
    "linear": linear, "relu": relu, "softmax": softmax, "log_softmax": log_softmax, "layer_norm": layer_norm,
    "dropout": dropout, "flatten": flatten, **TENSOR_FUNCTIONS,
})  # fmt: skip
