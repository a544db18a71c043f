"""The base of all syntax nodes, and the leaves: names, integers, strings, literals and options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from tra.sql.problems import MAX_HEIGHT, NOWHERE, Span, too_deep

LiteralValue: TypeAlias = "bool | int | float | complex | str | tuple[LiteralValue, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Base of all nodes; a tree made by hand needs no spans.

    No tree is higher than `MAX_HEIGHT`, so that comparing, printing and binding may recurse over it.

    Attributes:
        span: where the node is in its text.
        height: the number of nodes from here down the longest branch.
    """

    span: Span = field(default=NOWHERE, compare=False, repr=False)
    height: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        height = 1
        for name in self.__slots__:  # of the class itself: what it adds to span and height
            value = getattr(self, name)
            for child in value if isinstance(value, tuple) else (value,):
                if isinstance(child, Node):
                    height = max(height, child.height + 1)
        if height > MAX_HEIGHT:
            raise too_deep(self.span)
        object.__setattr__(self, "height", height)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name as written, without the double quotes; function names of ASCII letters are in lower case."""

    text: str


@dataclass(frozen=True, slots=True)
class Integer(Node):
    """An integer that counts: a size, an axis, a constant key (where it is not negative)."""

    value: int


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A string in single quotes, such as a path."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A constant operand or parameter.

    Literals compare by kind and digits, so that 1, 1.0 and TRUE differ and NAN equals itself.

    Example:
        >>> Literal(1) == Literal(1.0), Literal(float("nan")) == Literal(float("nan"))
        (False, True)
    """

    value: LiteralValue

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


@dataclass(frozen=True, slots=True)
class Option(Node):
    """A named argument: ``axis => -1``."""

    name: Name
    value: Literal
