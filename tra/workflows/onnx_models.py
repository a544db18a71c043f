"""ONNX files as queries, and back; onnx is an optional package that is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any

from tra.algebra.entry_point import entry_point
from tra.algebra.relation import Relation, from_array
from tra.errors import CatalogError, SchemaError, near_name
from tra.workflows.layers import FUNCTIONS, layer_norm
from tra.workflows.model import Model, Result, Step, Weight
from tra.workflows.tensor_functions import Function, identity


@entry_point
def from_onnx(model: Any) -> OnnxModel:
    """An ONNX model as relations, one per array of floating point numbers in it, and its expression.

    Args:
        model: a path or an `onnx.ModelProto`, of one input of rows [n, d] and one output.

    Example:
        >>> import numpy as np, tra
        >>> from onnx import helper, numpy_helper
        >>> W = numpy_helper.from_array(np.array([[1.0], [2.0]]), "W")
        >>> x, y = (helper.make_tensor_value_info(name, 11, ["n", None]) for name in "xy")
        >>> graph = helper.make_graph([helper.make_node("MatMul", ["x", "W"], ["y"])], "net", [x], [y], [W])
        >>> model = from_onnx(helper.make_model(graph))
        >>> model
        OnnxModel(W[i:1, j:1] of 2×1 float64)
        >>> model([[1.0, 1.0]]).compute()
        array([[3.]])

    Raises:
        SchemaError: it has an operator that is not supported, which is named, or several inputs or outputs.
        CatalogError: onnx is not installed, or the file is not there or damaged.
    """
    return OnnxModel(_load(model))


class OnnxModel(Model):
    """A model that came from ONNX, and goes back.

    Attributes:
        parameters: the relations of its arrays of floating point numbers, by name.
        frozen: those of other arrays.
    """

    def __init__(self, proto: Any) -> None:
        self._proto = proto
        graph = proto.graph
        arrays = {tensor.name: _array(tensor) for tensor in graph.initializer}
        weights = {
            name: from_array(a, name=name) for name, a in arrays.items() if a.dtype.kind == "f" and a.ndim
        }
        constants = {name: _constant(a, name) for name, a in arrays.items() if name not in weights}
        steps = [
            *(Step(name, name, identity, (value,)) for name, value in constants.items()),
            *(_step(node, weights) for node in graph.node),
        ]
        given = _only([value.name for value in graph.input if value.name not in arrays], "input")
        super().__init__(weights, {}, steps, given, _only([value.name for value in graph.output], "output"))

    def to_onnx(self, parameters: Mapping[str, Any] | None = None) -> Any:
        """A copy of the ONNX model with these weights, each in the dtype of the model's own.

        Args:
            parameters: relations or arrays by name, such as those that training gives; those left out stay.

        Raises:
            SchemaError: a name is of no parameter, or its relation of another shape.
        """
        onnx = _onnx_module()
        arrays = self.replaced(parameters)
        written = type(self._proto)()
        written.CopyFrom(self._proto)
        tensors = {tensor.name: tensor for tensor in written.graph.initializer}
        for name, array in arrays.items():
            own = self.parameters[name].dtype
            tensors[name].CopyFrom(onnx.numpy_helper.from_array(array.astype(own), name))
        return written


def gemm(
    input: Relation,
    other: Relation,
    bias: Any = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Relation:
    """The sum alpha·A·B + beta·C, with A and B transposed as asked.

    Example:
        >>> import tra
        >>> gemm(tra.from_array([[1.0, 2.0]]), tra.from_array([[3.0, 4.0]]), alpha=2.0, transB=1).compute()
        array([[22.]])
    """
    product = (input.T if transA else input) @ (other.T if transB else other)
    scaled = product if alpha == 1 else product * alpha
    result: Relation = scaled if bias is None else scaled + (bias if beta == 1 else bias * beta)
    return result


def layer_normalization(
    input: Relation,
    weight: Relation,
    bias: Relation | None = None,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Relation:
    """Layer normalisation over the last axis, in the dtype of the rows.

    Example:
        >>> import tra
        >>> rows, weight = tra.from_array([[1.0, 3.0]]), tra.from_array([1.0, 2.0])
        >>> layer_normalization(rows, weight, epsilon=0.0).compute()
        array([[-1.,  2.]])

    Raises:
        SchemaError: it is over more axes.
    """
    if axis not in (-1, input.ndim - 1):
        raise SchemaError(f"LayerNormalization is over the last axis, here {input.ndim - 1}; got {axis}")
    return layer_norm(input, input.shape[-1:], weight, bias, epsilon)


def dropout(input: Relation, ratio: Any = None, training_mode: Any = False, seed: Any = None) -> Relation:
    """The input itself.

    Example:
        >>> import tra
        >>> dropout(tra.from_array([1.0], name="x"), 0.5)
        x[i:1] of 1 float64

    Raises:
        SchemaError: it is to drop elements.
    """
    if not isinstance(training_mode, bool) or training_mode:
        raise SchemaError("Dropout is supported in inference only: its training_mode is a constant, false")
    return input


def flatten(input: Relation, axis: int = 1) -> Relation:
    """A tensor [n, d] as it is.

    Example:
        >>> import tra
        >>> flatten(tra.from_array([[1.0]], name="x"))
        x[i:1, j:1] of 1×1 float64

    Raises:
        SchemaError: it joins or adds axes.
    """
    if input.ndim != 2 or axis not in (1, -1):
        raise SchemaError(f"Flatten is supported for rows [n, d] with axis=1; got axis={axis} of {input!r}")
    return input


def _along(function: Function) -> Function:
    """A function along an axis that ONNX calls so: the last one when it is left out."""

    def applied(input: Relation, axis: int = -1) -> Any:
        return function(input, axis)

    return applied


def _transpose(input: Relation, perm: Sequence[int] | None = None) -> Relation:
    return input.transpose(*(perm or ()))


_SAME = (
    "add",
    "sub",
    "mul",
    "div",
    "pow",
    "matmul",
    "relu",
    "tanh",
    "sigmoid",
    "exp",
    "log",
    "sqrt",
    "abs",
    "neg",
)
_NAMES = {"matmul": "MatMul"}

#: Operators of ONNX; attributes are arguments by name.
OPERATORS: MappingProxyType[str, Function] = MappingProxyType({
    "Gemm": gemm, "LayerNormalization": layer_normalization, "Dropout": dropout, "Flatten": flatten,
    "Softmax": _along(FUNCTIONS["softmax"]), "LogSoftmax": _along(FUNCTIONS["log_softmax"]),
    "Identity": identity, "Transpose": _transpose,
    **{_NAMES.get(name, name.capitalize()): FUNCTIONS[name] for name in _SAME},
})  # fmt: skip


def _onnx_module() -> ModuleType:
    """The onnx package.

    Raises:
        CatalogError: it is not installed.
    """
    try:
        return import_module("onnx")
    except ImportError as error:
        raise CatalogError(
            "ONNX files need the package onnx: pip install 'tra-engine[onnx]', or '.[onnx]' in a checkout"
        ) from error


def _load(model: Any) -> Any:
    onnx = _onnx_module()
    if isinstance(model, onnx.ModelProto):
        return model
    try:
        return onnx.load(model)
    except Exception as error:  # protobuf has errors of its own
        raise CatalogError(f"cannot read {str(model)!r} as an ONNX model: {error}") from error


def _array(tensor: Any) -> Any:
    array = _onnx_module().numpy_helper.to_array(tensor)
    if array.dtype.kind not in "biuf":
        raise SchemaError(
            f"{tensor.name!r} is of {array.dtype}, which NumPy has no numbers of; convert it first"
        )
    return array


def _constant(array: Any, name: str) -> Any:
    """What no training changes: a scalar as a number."""
    return from_array(array, name=name) if array.ndim else array.item()


def _only(names: Sequence[str], what: str) -> str:
    if len(names) != 1:
        raise SchemaError(f"a model has one {what}; this one has {len(names)}: {', '.join(names)}")
    return names[0]


def _step(node: Any, weights: Mapping[str, Any]) -> Step:
    """A node as a step.

    Raises:
        SchemaError: it is not supported.
    """
    onnx = _onnx_module()
    place = f"node {node.name or node.output[0]!r} ({node.op_type})"
    settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Constant" and list(settings) == ["value"]:
        constant = _constant(_array(settings["value"]), node.output[0])
        return Step(node.output[0], place, identity, (constant,))
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
        raise SchemaError(
            f"{place} is not supported{near_name(node.op_type, OPERATORS)}\n"
            f"  operators that are: Constant, {', '.join(OPERATORS)}"
        )
    if len(list(filter(None, node.output))) > 1:
        raise SchemaError(f"{place} is supported with its first output only; it has {', '.join(node.output)}")
    arguments = [(Weight(n) if n in weights else Result(n)) if n else None for n in node.input]
    return Step(node.output[0], place, OPERATORS[node.op_type], tuple(arguments), settings)
