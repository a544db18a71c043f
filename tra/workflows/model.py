"""A feed-forward network as a query: its parameters are relations, its layers steps from values to values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tra.algebra import current
from tra.algebra.relation import Relation, as_relation
from tra.algebra.types import Tile
from tra.errors import SchemaError, TraError, near_name


@dataclass(frozen=True)
class Result:
    """Stands for what a step gives, or for the input."""

    name: str


@dataclass(frozen=True)
class Weight:
    """Stands for a parameter."""

    name: str


@dataclass(frozen=True)
class Step:
    """One operation of a network.

    Attributes:
        name: of its result.
        place: where it stands in the model that it was read from, for messages.
        function: what it does, from relations and numbers to a relation.
        arguments: `Result`, `Weight`, or values as they are.
        options: arguments by name.
        overwrites: the first argument becomes the result, under all its names.
    """

    name: str
    place: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    overwrites: bool = False

    def __post_init__(self) -> None:
        """Checks that the function takes the arguments.

        Raises:
            SchemaError: it does not.
        """
        try:
            inspect.signature(self.function).bind(*self.arguments, **self.options)
        except TypeError as error:
            raise SchemaError(f"{self.place} is supported, but not called so: {error}") from None


class Model:
    """A network read from another library, as an expression over its parameters.

    Attributes:
        parameters: the relations that training changes, by name.
        frozen: the relations that it does not change.

    Example:
        >>> import tra
        >>> from tra.workflows.layers import linear, relu
        >>> W = tra.from_array([[1.0, -1.0]], name="W")
        >>> steps = [Step("a", "layer 0", linear, (Result("x"), Weight("W"))),
        ...          Step("b", "layer 1", relu, (Result("a"),))]
        >>> model = Model({"W": W}, {}, steps, "x", "b")
        >>> model
        Model(W[i:1, j:1] of 1×2 float64)
        >>> model([[3.0, 1.0], [1.0, 3.0]]).compute()
        array([[2.],
               [0.]])
        >>> model([[3.0, 1.0]], {"W": W * 10}).compute()
        array([[20.]])
    """

    def __init__(
        self,
        parameters: Mapping[str, Relation],
        frozen: Mapping[str, Relation],
        steps: Sequence[Step],
        given: str,
        result: str,
    ) -> None:
        self.parameters = dict(parameters)
        self.frozen = dict(frozen)
        self._steps = tuple(steps)
        self._given = given
        self._result = result

    def __call__(self, x: Any, parameters: Mapping[str, Any] | None = None) -> Relation:
        """The network applied to rows.

        Args:
            x: the rows [n, d], a relation or an array.
            parameters: relations or arrays that stand in for parameters of the model, by name.

        Raises:
            SchemaError: a parameter is unknown or of another shape, or `x` does not fit a layer.
        """
        weights = self.weights(parameters)
        values: dict[str, Any] = {self._given: _operand(x)}
        for step in self._steps:
            _run(step, values, weights)
        result: Relation = values[self._result]
        return result

    def weights(self, parameters: Mapping[str, Any] | None = None) -> dict[str, Relation]:
        """All parameters by name, some of them replaced.

        Raises:
            SchemaError: a name is of no parameter, or its relation of another shape.
        """
        if parameters is not None and not isinstance(parameters, Mapping):
            raise SchemaError(f"weights are given by name, as training.parameters are; got {parameters!r}")
        own = {**self.parameters, **self.frozen}
        given = {name: _operand(value) for name, value in (parameters or {}).items()}
        for name, relation in given.items():
            if name not in own:
                raise SchemaError(
                    f"the model has no parameter {name!r}{near_name(name, own)}; it has {', '.join(own)}"
                )
            if relation.shape != own[name].shape:
                raise SchemaError(
                    f"parameter {name!r} has shape {own[name].shape}; got {relation!r}, of {relation.shape}"
                )
        return {**own, **given}

    def replaced(self, parameters: Mapping[str, Any] | None) -> dict[str, Tile]:
        """The arrays of the parameters that are given, computed together.

        Raises:
            SchemaError: a name is of no parameter, or its relation of another shape.
        """
        weights, given = self.weights(parameters), list(parameters or {})
        arrays = current.current().compute(*(weights[name] for name in given)) if given else ()
        return dict(zip(given, arrays, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parameters.values()))})"


def _operand(value: Any) -> Relation:
    """A relation or an array; one of PyTorch without its gradient, which NumPy refuses to read."""
    return as_relation(value.detach() if hasattr(value, "detach") else value)


def _run(step: Step, values: dict[str, Any], weights: Mapping[str, Relation]) -> None:
    """Adds the result of a step to the values."""

    def value(argument: Any) -> Any:
        match argument:
            case Result(name):
                return values[name]
            case Weight(name):
                return weights[name]
            case tuple() | list():
                return tuple(map(value, argument))
        return argument

    arguments = [value(argument) for argument in step.arguments]
    options = {name: value(argument) for name, argument in step.options.items()}
    try:
        values[step.name] = step.function(*arguments, **options)
    except TraError as error:
        raise type(error)(f"{step.place}: {error}") from error
    if step.overwrites:
        _overwrite(values, arguments[0] if arguments else options["input"], values[step.name])


def _overwrite(values: dict[str, Any], old: Any, new: Any) -> None:
    """Puts one value in the place of another; those that are the same tensor are the same object."""
    for name in [name for name, value in values.items() if value is old]:
        values[name] = new
