"""A PyTorch module as steps: torch.fx traces it, and every node of the trace is looked up in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tra.algebra.relation import Relation, from_array
from tra.errors import SchemaError, near_name
from tra.workflows.layers import FUNCTIONS, LAYERS
from tra.workflows.model import Result, Step, Weight

_FREE = ("torch", "_operator", "operator", "builtins")  # modules of functions that have a table
_ALIASES = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div"}


@dataclass
class Graph:
    """What a trace gives.

    Attributes:
        steps: in the order in which they run.
        given: the name of the input.
        result: the name of the last result.
        constants: relations that are neither parameters nor results, by name.
    """

    steps: list[Step] = field(default_factory=list)
    given: str = ""
    result: str = ""
    constants: dict[str, Relation] = field(default_factory=dict)


def read_graph(module: Any, names: Mapping[str, str]) -> Graph:
    """The steps of a module.

    Args:
        module: in evaluation; tracing may leave constants on it.
        names: the name of the relation of each parameter, by every name that PyTorch has for it.

    Raises:
        SchemaError: it cannot be traced, or does what is not supported.
    """
    graph = Graph()
    for node in _trace(module).nodes:
        _Reader(module, names, graph).read(node)
    return graph


def array_of(tensor: Any, name: str) -> Any:
    """The numbers of a tensor.

    Raises:
        SchemaError: NumPy has no such dtype, or the tensor has no numbers yet.
    """
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError, ValueError, AttributeError) as error:
        raise SchemaError(
            f"cannot read {name!r}: {error}; convert it first, as module.float() does"
        ) from error


def _trace(module: Any) -> Any:
    from torch import fx  # torch is optional

    _check_hooks(module, "the module", type(module).__name__)
    try:
        return fx.Tracer().trace(module)
    except Exception as error:  # whatever `forward` does with placeholders for numbers
        raise SchemaError(
            f"cannot trace {type(module).__name__}: {str(error) or type(error).__name__}\n"
            "  hint: from_torch takes modules that torch.fx can trace, whose operations do not depend on the "
            "numbers in tensors: no `if` on a tensor, no loop over one"
        ) from error


def _check_hooks(layer: Any, place: str, kind: str) -> None:
    """Hooks would be lost: a trace does not see those of layers and of the module itself."""
    if layer._forward_hooks or layer._forward_pre_hooks:
        raise SchemaError(f"{place} ({kind}) has forward hooks, which do not become relations; remove them")


@dataclass
class _Reader:
    """Adds nodes of a trace to a graph."""

    module: Any
    names: Mapping[str, str]
    graph: Graph

    def read(self, node: Any) -> None:
        match node.op:
            case "placeholder":
                self._input(node)
            case "output":
                self._output(node)
            case "get_attr":
                self._add(node, _same, (self._tensor(node.target),), {})
            case "call_module":
                self._layer(node)
            case "call_method":
                self._call(node, node.target, f"x.{node.target}")
            case _:
                self._function(node)

    def _input(self, node: Any) -> None:
        """The first input is the rows; others keep their defaults."""
        if not self.graph.given and not node.target.startswith("*"):
            self.graph.given = node.name
        elif node.args:
            self._add(node, _same, (node.args[0],), {})
        else:
            kind = type(self.module).__name__
            raise SchemaError(f"a model takes one input; {kind}.forward has another, {node.target}")

    def _output(self, node: Any) -> None:
        if not hasattr(node.args[0], "op"):
            kind = type(self.module).__name__
            raise SchemaError(f"a model gives one tensor; {kind}.forward returns {node.args[0]!r}")
        self.graph.result = node.args[0].name

    def _layer(self, node: Any) -> None:
        layer = self.module.get_submodule(node.target)
        kind = type(layer).__name__
        place = f"layer {node.target!r} ({kind})"
        if kind not in LAYERS or not type(layer).__module__.startswith("torch.nn.modules."):
            raise SchemaError(
                f"{place} of {type(self.module).__name__} is not supported{near_name(kind, LAYERS)}\n"
                f"  layers that are: {', '.join(LAYERS)}"
            )
        _check_hooks(layer, f"layer {node.target!r}", kind)
        function, attributes = LAYERS[kind]
        settings = {name: self._setting(layer, node.target, name) for name in attributes}
        self._add(node, function, node.args, {**node.kwargs, **settings}, place)

    def _setting(self, layer: Any, path: str, name: str) -> Any:
        """An attribute of a layer: a parameter, or a value as it is."""
        value = getattr(layer, name)
        return self._tensor(f"{path}.{name}") if hasattr(value, "detach") else value

    def _tensor(self, path: str) -> Any:
        """A parameter, or a constant: a scalar as a number, which is weak in PyTorch too."""
        if path in self.names:
            return Weight(self.names[path])
        array = array_of(_attribute(self.module, path), path)
        if not array.shape:
            return array.item()
        if path in self.names.values():
            raise SchemaError(
                f"a parameter has the name of a constant of the module, {path!r}; choose another"
            )
        self.graph.constants[path] = from_array(array.copy(), name=path)
        return Weight(path)

    def _function(self, node: Any) -> None:
        origin = str(getattr(node.target, "__module__", None)).split(".")[0]
        name = getattr(node.target, "__name__", str(node.target))
        self._call(node, name if origin in _FREE else "", f"{origin}.{name}")

    def _call(self, node: Any, name: str, shown: str) -> None:
        owner = _owner(node)
        plain = name.removesuffix("_") if not name.startswith("_") else name
        place = f"{shown} in {owner or type(self.module).__name__}"
        plain = _ALIASES.get(plain, plain)
        if plain not in FUNCTIONS:
            raise SchemaError(
                f"{place} is not supported (node {node.name!r} of the trace){near_name(plain, FUNCTIONS)}\n"
                f"  functions and methods that are: {', '.join(FUNCTIONS)}"
            )
        in_place = plain != name
        self._add(node, FUNCTIONS[plain], node.args, dict(node.kwargs), place, in_place)

    def _add(
        self,
        node: Any,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: Mapping[str, Any],
        place: str = "",
        in_place: bool = False,
    ) -> None:
        taken = {name: _reference(value) for name, value in options.items()}
        step = Step(
            node.name, place, function, _reference(tuple(arguments)), taken,
            overwrites=in_place or bool(options.get("inplace")),
        )  # fmt: skip
        self.graph.steps.append(step)


def _same(value: Any) -> Any:
    return value


def _reference(value: Any) -> Any:
    """An argument of a node with other nodes by name."""
    if hasattr(value, "op") and hasattr(value, "name"):
        return Result(value.name)
    if isinstance(value, (tuple, list)):
        return tuple(_reference(item) for item in value)
    return value


def _owner(node: Any) -> str:
    """The module whose `forward` made a node; "" where it is the outermost."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return f"layer {stack[-1][0]!r} ({getattr(stack[-1][1], '__name__', stack[-1][1])})" if stack else ""


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module
