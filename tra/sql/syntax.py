"""The syntax tree of query text: what was written, before any name is looked up.

Every node is frozen and carries the `Span` of its text, which takes no part in comparison: two texts with
equal trees say the same. There is one closed union per syntactic class, read with ``match``: `Statement`,
`Query`, `Expr` (the index form), `KeyExpr` and `TileExpr`. This module shows them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tra.sql.generated import (
    Axis,
    Constant,
    Domain,
    Iota,
    Layout,
    LinkTerm,
    Live,
    LiveBox,
    LiveKeys,
    Random,
    Range,
)
from tra.sql.learning import (
    Batch,
    Checkpoint,
    Drawn,
    Gradient,
    Initialize,
    Recipe,
    Setting,
    Train,
)
from tra.sql.leaves import Integer, Literal, LiteralValue, Name, Node, Option, Text
from tra.sql.problems import MAX_HEIGHT, NOWHERE, Span
from tra.sql.relational import (
    And,
    Concat,
    Cut,
    Equality,
    Join,
    KeyBinary,
    KeyCompare,
    KeyExpr,
    KeyItem,
    KeyNegate,
    KeyRef,
    Not,
    Or,
    Query,
    ReKey,
    Retile,
    Select,
    Stack,
    Table,
    TableRef,
    Tile,
    TileCall,
    TileExpr,
    TileRef,
    Window,
    Windowed,
)

__all__ = [
    # leaves
    "MAX_HEIGHT",
    "NOWHERE",
    "Span",
    "Node",
    "Name",
    "Integer",
    "Text",
    "Literal",
    "LiteralValue",
    "Option",
    # the index form
    "Expr",
    "Tensor",
    "Call",
    "Negate",
    "Binary",
    "Compare",
    "Gradient",
    # keys, predicates and tiles of a SELECT
    "KeyExpr",
    "KeyRef",
    "KeyNegate",
    "KeyBinary",
    "KeyCompare",
    "And",
    "Or",
    "Not",
    "TileExpr",
    "TileRef",
    "TileCall",
    # queries
    "Query",
    "Table",
    "Select",
    "KeyItem",
    "TableRef",
    "Join",
    "Equality",
    "Tile",
    "Concat",
    "Stack",
    "ReKey",
    "Retile",
    "Cut",
    "Window",
    "Windowed",
    "Layout",
    "Domain",
    "Axis",
    "LinkTerm",
    "Live",
    "LiveBox",
    "LiveKeys",
    "Range",
    "Constant",
    "Iota",
    "Random",
    # learning
    "Drawn",
    "Recipe",
    "Setting",
    "Batch",
    "Checkpoint",
    # statements
    "Statement",
    "Load",
    "Initialize",
    "Let",
    "View",
    "Hint",
    "Train",
    "Explain",
    "Show",
    "Save",
    "Run",
]

# --- the index form -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tensor(Node):
    """``A[i, j]``; `indices` is None for a bare name."""

    name: Name
    indices: tuple[Name, ...] | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """``RELU(x)`` or, with indices that a reduction binds, ``ARGMIN[x](D[q, x])``."""

    function: Name
    indices: tuple[Name, ...] | None
    arguments: tuple[Expr, ...]
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """``-x``."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`operator` is one of ``+ - * / ^``."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """`operator` is one of ``= <> < <= > >=``."""

    operator: str
    left: Expr
    right: Expr


# A Literal here is a number, and not negative: `-1` is Negate(Literal(1)).
Expr: TypeAlias = Literal | Tensor | Call | Negate | Binary | Compare | Gradient


# --- statements -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load(Node):
    """``LOAD name(keys) FROM path TILE (sizes)``; keys and sizes are None where they are not written."""

    name: Name
    keys: tuple[Name, ...] | None
    path: Text
    sizes: tuple[Integer, ...] | None = None


@dataclass(frozen=True, slots=True)
class Let(Node):
    """``LET name[indices] = value``; `indices` is None where there are no brackets."""

    name: Name
    indices: tuple[Name, ...] | None
    value: Expr


@dataclass(frozen=True, slots=True)
class View(Node):
    """``CREATE VIEW name AS query``."""

    name: Name
    query: Query


@dataclass(frozen=True, slots=True)
class Hint(Node):
    """``HINT name 'strategy' SPLIT (keys)``, of which one may be left out; None in `split` is ``*``."""

    name: Name
    strategy: Text | None
    split: tuple[Name | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Explain(Node):
    """``EXPLAIN query`` or ``EXPLAIN ANALYZE query``, or the same of a training."""

    query: Query | Train
    analyze: bool = False


@dataclass(frozen=True, slots=True)
class Show(Node):
    """``SHOW query``."""

    query: Query


@dataclass(frozen=True, slots=True)
class Save(Node):
    """``SAVE name TO path``."""

    name: Name
    path: Text


@dataclass(frozen=True, slots=True)
class Run(Node):
    """A query as a statement: its relation becomes the result."""

    query: Query


Statement: TypeAlias = Load | Initialize | Let | View | Hint | Train | Explain | Show | Save | Run
