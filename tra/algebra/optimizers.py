"""Optimizers: how parameters follow from gradients, as algebra.

An update is a query like any other: its expressions are made once, with the number of the step as data, and
are planned and run by the same engine. Tiles of a parameter, of its gradient and of what the optimizer
remembers meet by their keys, so that each new parameter has exactly the type of the old one, holes included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tra.algebra.entry_point import entry_point
from tra.algebra.parameter_tiles import Factor, clipped, each, matched, scaled, with_literal, zeros
from tra.algebra.relation import Operand, Relation
from tra.algebra.schedules import ABOVE_ZERO, Schedule, checked, checked_rate, rate_at, scalar_relation
from tra.algebra.types import AtMost
from tra.errors import SchemaError, near_name

Named = dict[str, Relation]


class Optimizer:
    """What all optimizers do: clip gradients, and move each parameter with what is remembered of it.

    Attributes:
        rate: the learning rate, or a schedule: a function of the step.
        weight_decay: how strongly parameters are drawn to zero.
        clip: the largest norm that all gradients have together, or None.
    """

    rate: float | Schedule
    weight_decay: float
    clip: float | None

    @property
    def remembers(self) -> tuple[str, ...]:
        """The names of the relations kept between steps, for each parameter."""
        return ()

    def start(self, parameters: Mapping[str, Relation]) -> Named:
        """What is remembered before the first step: zeros of the types of the parameters.

        Args:
            parameters: relations of floats, by name.

        Returns:
            Relations by names such as "W.velocity"; none where the optimizer remembers nothing.

        Example:
            >>> import tra
            >>> Adam().start({"W": tra.from_array([[1.0] * 4] * 6, tile=4)})
            {'W.mean': [i:2, j:1] of 4/6×4 float64, 'W.square': [i:2, j:1] of 4/6×4 float64}

        Raises:
            SchemaError: a parameter is not of floats, or its keys are not known before it is run.
        """
        _check_parameters(parameters)
        return {
            f"{name}.{part}": zeros(parameter.expr.type)
            for name, parameter in parameters.items()
            for part in self.remembers
        }

    def update(
        self,
        parameters: Mapping[str, Relation],
        gradients: Mapping[str, Relation],
        state: Mapping[str, Relation],
        step: Operand,
    ) -> tuple[Named, Named]:
        """The parameters after one more step, and what is remembered then; each of the type it had.

        Args:
            parameters: relations of floats, by name.
            gradients: a gradient for each parameter, of its shape; one that is cut otherwise is cut anew.
            state: what `start` or the update before gave.
            step: how many steps were done before, a scalar: 0 at first.

        Example:
            >>> import tra
            >>> W, gradient = tra.from_array([1.0, 2.0], tile=1), tra.from_array([1.0, -1.0], tile=1)
            >>> SGD(0.5).update({"W": W}, {"W": gradient}, {}, 0)[0]["W"].compute()
            array([0.5, 2.5])

        Raises:
            SchemaError: a gradient or state is missing or of another shape, or a parameter is not of floats.
        """
        _check_parameters(parameters)
        wanted = [f"{name}.{part}" for name in parameters for part in self.remembers]
        _check_names(gradients, list(parameters), "gradient")
        _check_names(state, wanted, "state")
        aligned = {
            name: matched(gradients[name], p, f"the gradient of {name}") for name, p in parameters.items()
        }
        if self.clip is not None:
            aligned = clipped(aligned, self.clip)
        now = scalar_relation(step, "the step")
        moved: Named = {}
        kept: Named = {}
        for name, parameter in parameters.items():
            places = [f"{name}.{part}" for part in self.remembers]
            memory = [matched(state[place], parameter, place) for place in places]
            moved[name], memory = self._moved(parameter, aligned[name], memory, now)
            kept |= zip(places, memory, strict=True)
        return moved, kept

    def _moved(
        self, parameter: Relation, gradient: Relation, memory: Sequence[Relation], step: Relation
    ) -> tuple[Relation, list[Relation]]:
        """One parameter after a step, and what is remembered of it."""
        raise NotImplementedError

    def _check_common(self) -> None:
        checked_rate(self)
        checked(self, "weight_decay")
        if self.clip is not None:
            checked(self, "clip", low=ABOVE_ZERO, otherwise=", or None")


@entry_point
@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay where asked for: p ← p − rate · g.

    Momentum follows v ← momentum · v + g instead of g, and Nesterov's g + momentum · v. Weight decay adds
    weight_decay · p to the gradient.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013,
    as in `torch.optim.SGD` without dampening.

    Example:
        >>> import tra
        >>> W, gradient, rule = tra.from_array([1.0]), tra.from_array([2.0]), SGD(0.25, momentum=0.5)
        >>> moved, kept = rule.update({"W": W}, {"W": gradient}, rule.start({"W": W}), 0)
        >>> moved, kept = rule.update(moved, {"W": gradient}, kept, 1)
        >>> moved["W"].compute(), kept["W.velocity"].compute()
        (array([-0.25]), array([3.]))

    Raises:
        SchemaError: a setting is out of its range; names the value and what is legal.
    """

    rate: float | Schedule
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        self._check_common()
        checked(self, "momentum", below=1.0)
        if not isinstance(self.nesterov, bool):
            raise SchemaError(f"SGD: nesterov is True or False; got nesterov={self.nesterov!r}")
        if self.nesterov and not self.momentum:
            raise SchemaError("SGD: nesterov looks ahead along a momentum above 0; got momentum=0.0")

    @property
    def remembers(self) -> tuple[str, ...]:
        """The velocity, where there is momentum."""
        return ("velocity",) if self.momentum else ()

    def _moved(
        self, parameter: Relation, gradient: Relation, memory: Sequence[Relation], step: Relation
    ) -> tuple[Relation, list[Relation]]:
        gradient = _decayed(gradient, parameter, self.weight_decay)
        kept = [each("add", scaled(velocity, self.momentum), gradient) for velocity in memory]
        for velocity in kept:
            ahead = scaled(velocity, self.momentum)
            gradient = each("add", gradient, ahead) if self.nesterov else velocity
        return each("sub", parameter, scaled(gradient, rate_at(self.rate, step))), kept


@entry_point
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: p ← p − rate · m̂ / (√v̂ + eps), from running means m of gradients and v of their squares.

    m̂ = m / (1 − beta1^t) and v̂ = v / (1 − beta2^t) undo that both begin with zeros. Weight decay adds
    weight_decay · p to the gradient.

    Source: Kingma and Ba, "Adam", ICLR 2015, as in `torch.optim.Adam`.

    Example:
        >>> import tra
        >>> W, gradient = tra.from_array([1.0, 1.0]), tra.from_array([3.0, -0.1])
        >>> moved, _ = Adam(0.25).update({"W": W}, {"W": gradient}, Adam(0.25).start({"W": W}), 0)
        >>> moved["W"].compute().round(6)
        array([0.75, 1.25])

    Raises:
        SchemaError: a setting is out of its range; names the value and what is legal.
    """

    rate: float | Schedule = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        self._check_common()
        checked(self, "beta1", below=1.0)
        checked(self, "beta2", below=1.0)
        checked(self, "eps")

    @property
    def remembers(self) -> tuple[str, ...]:
        """The running means of gradients and of their squares."""
        return ("mean", "square")

    def _moved(
        self, parameter: Relation, gradient: Relation, memory: Sequence[Relation], step: Relation
    ) -> tuple[Relation, list[Relation]]:
        rate = rate_at(self.rate, step)
        parameter, gradient = self._drawn(parameter, gradient, rate)
        mean, square = self._averaged(gradient, *memory)
        t = step + 1.0
        root = scaled(square.transform("sqrt"), 1.0 / (1.0 - self.beta2**t).transform("sqrt"))
        direction = each("div", mean, with_literal("add", root, self.eps))
        return each("sub", parameter, scaled(direction, rate / (1.0 - self.beta1**t))), [mean, square]

    def _averaged(self, gradient: Relation, mean: Relation, square: Relation) -> tuple[Relation, Relation]:
        """Both running means after one more gradient."""
        change = scaled(each("sub", gradient, mean), 1.0 - self.beta1)
        squared = scaled(gradient.transform("square"), 1.0 - self.beta2)
        return each("add", mean, change), each("add", scaled(square, self.beta2), squared)

    def _drawn(self, parameter: Relation, gradient: Relation, rate: Factor) -> tuple[Relation, Relation]:
        """The parameter and the gradient with weight decay in one of them."""
        return parameter, _decayed(gradient, parameter, self.weight_decay)


@entry_point
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay acts on the parameter itself: p ← (1 − rate · weight_decay) · p first.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, as in
    `torch.optim.AdamW`.

    Example:
        >>> import tra
        >>> W, gradient, rule = tra.from_array([8.0]), tra.from_array([0.0]), AdamW(0.25, weight_decay=0.5)
        >>> rule.update({"W": W}, {"W": gradient}, rule.start({"W": W}), 0)[0]["W"].compute()
        array([7.])

    Raises:
        SchemaError: a setting is out of its range; names the value and what is legal.
    """

    weight_decay: float = 0.01

    def _drawn(self, parameter: Relation, gradient: Relation, rate: Factor) -> tuple[Relation, Relation]:
        if not self.weight_decay:
            return parameter, gradient
        return scaled(parameter, 1.0 - rate * self.weight_decay), gradient


def _check_parameters(parameters: Mapping[str, Relation]) -> None:
    """Checks that parameters are floats with keys that are known.

    Raises:
        SchemaError: names the parameter.
    """
    for name, parameter in parameters.items():
        if parameter.dtype.kind != "f":
            hint = f"hint: {name}.astype('float32') has a dtype that can follow a gradient"
            raise SchemaError(f"parameters are of floats; {name} is {parameter}\n  {hint}")
        if isinstance(parameter.expr.type.live, AtMost):
            hint = f"hint: {name}.fill(0) has a tile at every key"
            raise SchemaError(f"the keys of {name}, {parameter}, are known only when it runs\n  {hint}")


def _check_names(given: Mapping[str, Relation], wanted: Sequence[str], what: str) -> None:
    """Checks that there is something of every name.

    Raises:
        SchemaError: names what is missing, and a near name.
    """
    for name in wanted:
        if name not in given:
            raise SchemaError(f"there is no {what} {name!r}{near_name(name, given)}")


def _decayed(gradient: Relation, parameter: Relation, weight_decay: float) -> Relation:
    """The gradient of the loss and of weight_decay · ‖p‖² / 2."""
    return each("add", gradient, scaled(parameter, weight_decay)) if weight_decay else gradient


__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
