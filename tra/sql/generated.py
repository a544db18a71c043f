"""The syntax tree of generated relations: constants, places along an axis, random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tra.sql.leaves import Integer, Literal, Name, Node


@dataclass(frozen=True, slots=True)
class Domain(Node):
    """``i: 3``."""

    key: Name
    size: Integer


@dataclass(frozen=True, slots=True)
class LinkTerm(Node):
    """``3*i``; a bare ``i`` has coefficient 1."""

    key: Name
    coefficient: int = 1


@dataclass(frozen=True, slots=True)
class Axis(Node):
    """``size BY link TO extent``; without BY the link is empty, without TO the extent is None."""

    size: Integer
    link: tuple[LinkTerm, ...] = ()
    extent: Integer | None = None


Range: TypeAlias = tuple[int, int]  # ``0:3``, the numbers from the first up to the second, without it


@dataclass(frozen=True, slots=True)
class LiveKeys(Node):
    """``KEYS ((0, 0), (1, 2:5))``: these keys have a tile, and no others."""

    keys: tuple[tuple[int | Range, ...], ...]


@dataclass(frozen=True, slots=True)
class LiveBox(Node):
    """``KEYS (0:3, 1:4)``: the keys in these ranges have a tile."""

    ranges: tuple[Range, ...]


Live: TypeAlias = LiveKeys | LiveBox


@dataclass(frozen=True, slots=True)
class Layout(Node):
    """``(i: 3, j: 4) AXES (10 BY i TO 25, 7)``: the keys and the tile axes of what is generated."""

    domains: tuple[Domain, ...]
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """``CONSTANT layout VALUE value TYPE dtype KEYS live``; `live` is None when all keys are present."""

    layout: Layout
    value: Literal
    dtype: Name
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class Iota(Node):
    """``IOTA layout ALONG axis TYPE dtype KEYS live``."""

    layout: Layout
    axis: Integer
    dtype: Name
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class Random(Node):
    """``RANDOM layout NORMAL(0, 1) SEED seed TYPE dtype KEYS live``; `distribution` is a function's name."""

    layout: Layout
    distribution: Name
    parameters: tuple[Literal, ...]
    seed: Integer
    dtype: Name
    live: Live | None = None
