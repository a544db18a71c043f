"""Which training a checkpoint is of: what is written of it, and in what another one differs, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from tra.backends.recipe import Recipe

_QUERY, _DATA, _OPTIMIZER = "query", "the data", "optimizer"
_IN_QUERY = (_OPTIMIZER,)  # part of the query, which is compared: its settings say in what that differs
_SHOWN = 8  # characters of a digest


def description(recipe: Recipe, query: str, data: str) -> dict[str, Any]:
    """What a training is, as a checkpoint keeps it.

    Args:
        recipe: what is trained, and how.
        query: a digest of a step.
        data: a digest of what it reads.

    Example:
        >>> import tra
        >>> from tra.backends.recipe import checked_recipe
        >>> recipe = checked_recipe(lambda p: p["w"] * p["w"], {"w": 1.0}, tra.SGD(rate=0.25), seed=3)
        >>> about = description(recipe, "5c25", "7a01")
        >>> about["parameters"], about["seed"], about["optimizer"]["rate"]
        ({'w': '() float64'}, 3, '0.25')
    """
    return {
        "parameters": {name: f"{r.shape} {r.dtype}" for name, r in recipe.parameters.items()},
        "examples": recipe.n_rows,
        "batch": recipe.batch,
        "seed": recipe.seed,
        _QUERY: query,
        _DATA: data,
        _OPTIMIZER: {_OPTIMIZER: type(recipe.using).__name__, **_settings(recipe.using)},
    }


def _settings(owner: Any) -> dict[str, str]:
    """The settings of an optimizer or a schedule, in words that are the same in every process."""
    if not is_dataclass(owner):
        return {}
    return {field.name: _in_words(getattr(owner, field.name)) for field in fields(owner)}


def _in_words(value: Any) -> str:
    if is_dataclass(value):
        settings = ", ".join(f"{name}={shown}" for name, shown in _settings(value).items())
        return f"{type(value).__name__}({settings})"
    return "a function" if callable(value) else repr(value)  # the repr of a function is its address


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """In what two trainings differ, a line for each; nothing where one goes on from the other.

    Example:
        >>> slow, fast = ({"optimizer": "SGD", "rate": rate} for rate in ("0.01", "0.02"))
        >>> differences({"seed": 1, "query": "5c25", "optimizer": slow},
        ...             {"seed": 2, "query": "6db7", "optimizer": fast})
        ['seed: 1 there, 2 here', 'rate: 0.01 there, 0.02 here']

    Raises:
        KeyError: something is not said of the other training.
    """
    differing = [name for name in here if name not in _IN_QUERY and there[name] != here[name]]
    return [line for name in differing for line in _WORDS.get(name, _plain)(name, there, here)]


def _plain(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}: {there[name]} there, {here[name]} here"


def _each(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """What differs of several things by name."""
    old, new = there.get(name, {}), here.get(name, {})
    for part in dict.fromkeys((*old, *new)):
        if old.get(part) != new.get(part):
            yield f"{part}: {old.get(part, 'nothing')} there, {new.get(part, 'nothing')} here"


def _query(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """The settings of the optimizer where they differ; else it is the loss, which no words are kept of."""
    settings = list(_each(_OPTIMIZER, there, here))
    digests = f"{there[name][:_SHOWN]}… there, {here[name][:_SHOWN]}… here"
    yield from settings or [f"the loss, or a function in the optimizer, is another: {digests}"]


def _values(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}: other values, {there[name][:_SHOWN]}… there, {here[name][:_SHOWN]}… here"


_WORDS: Mapping[str, Callable[[str, Mapping[str, Any], Mapping[str, Any]], Iterator[str]]] = {
    "parameters": _each,
    _QUERY: _query,
    _DATA: _values,
}
