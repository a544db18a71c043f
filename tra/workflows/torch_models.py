"""PyTorch modules as queries, and back; PyTorch is an optional package that is imported when it is used."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from tra.algebra.entry_point import entry_point
from tra.algebra.relation import from_array
from tra.errors import CatalogError, SchemaError, near_name
from tra.workflows.model import Model
from tra.workflows.torch_graph import Graph, array_of, read_graph


@entry_point
def from_torch(module: Any, example: Any = None, names: Mapping[str, str] | None = None) -> TorchModel:
    """A PyTorch module as relations, one per parameter, and the expression of its evaluation.

    Args:
        module: an `nn.Sequential`, or any module that torch.fx can trace, from rows [n, d] to rows; it is
            copied. Dropout is the identity, as in evaluation.
        example: rows to try the model on: what its relations give must be what the module gives.
        names: names of relations by PyTorch's names of parameters, which they have when left out.

    Example:
        >>> import torch, tra
        >>> model = from_torch(torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()))
        >>> model
        TorchModel(0.weight[i:1, j:1] of 1×2 float32, 0.bias[i:1] of 1 float32)
        >>> weights = {"0.weight": [[1.0, 2.0]], "0.bias": [0.5]}
        >>> model([[1.0, 1.0]], weights).compute()
        array([[3.5]])
        >>> model.to_torch(weights)[0].weight
        Parameter containing:
        tensor([[1., 2.]], requires_grad=True)

    Raises:
        SchemaError: it has a layer or an operation that is not supported, which the message names; it cannot
            be traced; or it gives other numbers for the example.
        CatalogError: PyTorch is not installed.
    """
    torch = _torch_module()
    if not isinstance(module, torch.nn.Module):
        raise SchemaError(f"from_torch takes a torch.nn.Module; got {type(module).__name__}")
    copied = copy.deepcopy(module)
    called = _names(copied, names or {})
    graph = _read(copied, called)
    model = TorchModel(copied, called, graph)
    if example is not None:
        _check_example(model, example)
    return model


class TorchModel(Model):
    """A model that came from PyTorch, and goes back.

    Attributes:
        parameters: the relations of parameters that require a gradient, by name.
        frozen: those of parameters that do not, and of buffers.
    """

    def __init__(self, module: Any, names: Mapping[str, str], graph: Graph) -> None:
        self._module = module
        self._paths = {names[path]: path for path, _ in module.named_parameters()}
        tensors = {name: module.get_parameter(path) for name, path in self._paths.items()}
        own = {name: from_array(array_of(tensor, name), name=name) for name, tensor in tensors.items()}
        trained = {name: own[name] for name, tensor in tensors.items() if tensor.requires_grad}
        frozen = {name: relation for name, relation in own.items() if name not in trained}
        super().__init__(trained, {**frozen, **graph.constants}, graph.steps, graph.given, graph.result)

    def to_torch(self, parameters: Mapping[str, Any] | None = None) -> Any:
        """A copy of the module with these weights, each in the dtype and on the device of the module's own.

        Args:
            parameters: relations or arrays by name, such as those that training gives; those left out stay.

        Raises:
            SchemaError: a name is of no parameter, or its relation of another shape.
        """
        torch = _torch_module()
        arrays = self.replaced(parameters)
        written = copy.deepcopy(self._module)
        tensors = {**dict(written.named_parameters()), **dict(written.named_buffers())}
        with torch.no_grad():
            for name, array in arrays.items():
                _tensor(tensors, self._paths.get(name, name)).copy_(torch.tensor(array))
        return written


def _tensor(tensors: Mapping[str, Any], path: str) -> Any:
    if path not in tensors:
        raise SchemaError(
            f"{path!r} is a constant that the module's forward makes: it cannot be written back"
        )
    return tensors[path]


def _torch_module() -> ModuleType:
    """The torch package.

    Raises:
        CatalogError: it is not installed.
    """
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise CatalogError(
            "modules of PyTorch need the package torch: pip install 'tra-engine[torch]', or '.[torch]' in a "
            "checkout"
        ) from error
    return torch


def _names(module: Any, names: Mapping[str, str]) -> dict[str, str]:
    """The relation of each parameter by all names that the parameter has: a shared one has several.

    Raises:
        SchemaError: a name is of no parameter, or given to two.
    """
    paths = dict(module.named_parameters(remove_duplicate=False))
    for path in names:
        if path not in paths:
            known = f"it has {', '.join(paths)}"
            raise SchemaError(f"the module has no parameter {path!r}{near_name(path, paths)}; {known}")
    first: dict[int, str] = {}
    for path in [*names, *paths]:
        first.setdefault(id(paths[path]), names.get(path, path))
    if len(set(first.values())) < len(first):
        raise SchemaError(f"two parameters would have one name: {', '.join(sorted(first.values()))}")
    return {path: first[id(tensor)] for path, tensor in paths.items()}


def _read(module: Any, names: Mapping[str, str]) -> Graph:
    """The graph of a module in evaluation, which leaves the module as it was."""
    modes = [(part, part.training) for part in module.modules()]
    attributes = set(vars(module))
    module.eval()
    try:
        return read_graph(module, names)
    finally:
        for part, training in modes:
            part.training = training
        for name in set(vars(module)) - attributes:  # constants of the trace
            delattr(module, name)


def _check_example(model: TorchModel, example: Any) -> None:
    """Asks PyTorch for the outputs of an example.

    Raises:
        SchemaError: they differ from those of the relations.
    """
    torch = _torch_module()
    rows = np.asarray(example.detach() if hasattr(example, "detach") else example)
    dtypes = {relation.dtype for relation in model.parameters.values() if relation.dtype.kind == "f"}
    rows = rows.astype(max(dtypes, key=lambda dtype: dtype.itemsize)) if dtypes else rows
    found = model(rows).compute()  # first, as its messages name the layer that rows do not fit
    with torch.no_grad():
        expected = copy.deepcopy(model._module).cpu().eval()(torch.tensor(rows)).numpy()
    tolerance = float(np.sqrt(np.finfo(expected.dtype).eps))
    scale = float(np.max(np.abs(expected), initial=0.0))
    if found.shape != expected.shape or not np.allclose(found, expected, tolerance, tolerance * scale):
        raise SchemaError(
            f"the module gives other numbers for the example than its relations: {expected.dtype} of shape "
            f"{expected.shape} there, {found.dtype} of shape {found.shape} here; its forward does what a "
            "trace does not show, such as an operation in place"
        )
