"""The syntax tree of what is learned: parameters, gradients and trainings."""

from __future__ import annotations

from dataclasses import dataclass

from tra.sql.generated import Domain
from tra.sql.leaves import Integer, Literal, Name, Node, Text


@dataclass(frozen=True, slots=True)
class Gradient(Node):
    """``GRAD(loss, W1)[d, h]``; `indices` is None for what is written bare."""

    loss: Name
    wrt: Name
    indices: tuple[Name, ...] | None = None


@dataclass(frozen=True, slots=True)
class Drawn(Node):
    """``UNIFORM(-0.1, 0.1)`` or ``ZEROS``; `distribution` is a function's name."""

    distribution: Name
    parameters: tuple[Literal, ...] = ()


@dataclass(frozen=True, slots=True)
class Initialize(Node):
    """``INITIALIZE name(d: 64, h: 48) drawn SEED seed TYPE dtype TILE (sizes)``; None where not written."""

    name: Name
    axes: tuple[Domain, ...]
    drawn: Drawn
    seed: Integer | None = None
    dtype: Name | None = None
    sizes: tuple[Integer, ...] | None = None


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """``rate = 0.1``, or ``0.1`` alone where `name` is None."""

    name: Name | None
    value: Literal | Recipe


@dataclass(frozen=True, slots=True)
class Recipe(Node):
    """An optimizer or a schedule with its settings, ``ADAM(rate = 0.01)``; `name` is in lower case."""

    name: Name
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch(Node):
    """``BATCH n BY 256``."""

    index: Name
    size: Integer


@dataclass(frozen=True, slots=True)
class Checkpoint(Node):
    """``CHECKPOINT TO 'folder' EVERY 5 EPOCHS``; `every` is None where it is not written."""

    folder: Text
    every: Integer | None = None


@dataclass(frozen=True, slots=True)
class Train(Node):
    """``TRAIN names MINIMIZE loss USING using FOR epochs EPOCHS`` and what may follow."""

    names: tuple[Name, ...]
    loss: Name
    using: Recipe
    epochs: Integer
    batch: Batch | None = None
    seed: Integer | None = None
    checkpoint: Checkpoint | None = None
    report: tuple[Name, ...] = ()
