"""Optimizers and learning-rate schedules from text: ``ADAM(rate = COSINE(0.1, 1000), clip = 1.0)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from tra.algebra import optimizers, schedules
from tra.algebra.habits import near_argument
from tra.algebra.optimizers import Optimizer
from tra.errors import near_name
from tra.sql import syntax as s
from tra.sql.problems import Problem
from tra.sql.scope import at

OPTIMIZERS: Mapping[str, type[Any]] = {
    "sgd": optimizers.SGD, "adam": optimizers.Adam, "adamw": optimizers.AdamW,
}  # fmt: skip
SCHEDULES: Mapping[str, type[Any]] = {
    "constant": schedules.Constant,
    "step": schedules.Step,
    "exponential": schedules.Exponential,
    "cosine": schedules.Cosine,
    "warmup": schedules.Warmup,
}


def bind_optimizer(recipe: s.Recipe) -> Optimizer:
    """The optimizer that is written.

    Raises:
        Problem: there is no such optimizer or setting, or a value is not legal.

    Example:
        >>> rate = s.Setting(s.Name("rate"), s.Literal(0.1))
        >>> bind_optimizer(s.Recipe(s.Name("sgd"), (rate,)))
        SGD(rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0, clip=None)
    """
    found: Optimizer = _made(recipe, OPTIMIZERS, "optimizer")
    return found


def _made(recipe: s.Recipe, kinds: Mapping[str, type[Any]], what: str) -> Any:
    """An object of the class that a recipe names, with its settings."""
    name = recipe.name.text
    if name not in kinds:
        names = [other.upper() for other in kinds]
        near = near_name(name.upper(), names)
        raise Problem(recipe.name.span, f"no {what} {name.upper()}{near}", f"there is {', '.join(names)}")
    kind = kinds[name]
    given = _settings(recipe, kind)
    missing = [field.name for field in fields(kind) if field.default is MISSING and field.name not in given]
    if missing:
        raise Problem(recipe.span, f"{name.upper()} needs {' and '.join(missing)}", _legal(recipe, kind))
    values = {key: _value(setting) for key, setting in given.items()}
    with at(recipe.span):
        return kind(**values)


def _settings(recipe: s.Recipe, kind: type[Any]) -> dict[str, s.Setting]:
    """The settings by name; those without one are in the order of the class."""
    owner = recipe.name.text.upper()
    names = [field.name for field in fields(kind)]
    given: dict[str, s.Setting] = {}
    for place, setting in enumerate(recipe.settings):
        if setting.name is None and place >= len(names):
            raise Problem(setting.span, f"{owner} has no more settings", _legal(recipe, kind))
        name = names[place] if setting.name is None else setting.name.text
        if name not in names:
            message = f"{owner} has no setting {name}{near_argument(name, names)}"
            raise Problem(setting.span, message, _legal(recipe, kind))
        if name in given:
            raise Problem(setting.span, f"{name} is given twice")
        given[name] = setting
    return given


def _legal(recipe: s.Recipe, kind: type[Any]) -> str:
    return f"{recipe.name.text.upper()}({', '.join(field.name for field in fields(kind))})"


def _value(setting: s.Setting) -> Any:
    if isinstance(setting.value, s.Recipe):
        return _made(setting.value, SCHEDULES, "schedule")
    return setting.value.value
