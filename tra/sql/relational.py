"""The syntax tree of queries: SELECT with its key and tile expressions, and what SELECT cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tra.sql.leaves import Integer, Literal, Name, Node, Option

# --- keys and tiles of a SELECT -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyRef(Node):
    """``A.i``; `table` is None for a bare ``i``."""

    table: Name | None
    key: Name


@dataclass(frozen=True, slots=True)
class KeyNegate(Node):
    """``-i``."""

    operand: KeyExpr


@dataclass(frozen=True, slots=True)
class KeyBinary(Node):
    """`operator` is one of ``+ - * / %``; ``/`` is the floor division."""

    operator: str
    left: KeyExpr
    right: KeyExpr


KeyExpr: TypeAlias = Integer | KeyRef | KeyNegate | KeyBinary


@dataclass(frozen=True, slots=True)
class KeyCompare(Node):
    """`operator` is one of ``= <> < <= > >=``."""

    operator: str
    left: KeyExpr
    right: KeyExpr


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of two or more; an And within is one that was in parentheses."""

    operands: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Any of two or more; an Or within is one that was in parentheses."""

    operands: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    """``NOT p``."""

    operand: Predicate


Predicate: TypeAlias = KeyCompare | And | Or | Not


@dataclass(frozen=True, slots=True)
class TileRef(Node):
    """``A.tile``; `table` is None for a bare ``tile``."""

    table: Name | None


@dataclass(frozen=True, slots=True)
class TileCall(Node):
    """``SOFTMAX(A.tile, axis => -1)``, an aggregation or any other kernel."""

    function: Name
    arguments: tuple[TileExpr, ...]
    options: tuple[Option, ...] = ()


# What a SELECT yields is a TileRef or a TileCall; a Literal stands among arguments only.
TileExpr: TypeAlias = TileRef | TileCall | Literal


# --- queries --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table(Node):
    """A relation by name."""

    name: Name


@dataclass(frozen=True, slots=True)
class KeyItem(Node):
    """``A.i * 3 + A.j AS k``."""

    value: KeyExpr
    alias: Name | None = None


@dataclass(frozen=True, slots=True)
class TableRef(Node):
    """``A AS a`` or ``(query) AS a``."""

    query: Query
    alias: Name | None = None


@dataclass(frozen=True, slots=True)
class Equality(Node):
    """``A.j = B.j`` after ON."""

    left: KeyRef
    right: KeyRef


@dataclass(frozen=True, slots=True)
class Join(Node):
    """``JOIN table ON equality AND ...``; no equalities: the cross join ``, table``."""

    table: TableRef
    on: tuple[Equality, ...] = ()


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``SELECT keys, tile FROM source joins WHERE where GROUP BY group_by``.

    The tile may stand anywhere among the items; `group_by` is empty where there is no GROUP BY.
    """

    keys: tuple[KeyItem, ...]
    tile: TileRef | TileCall
    source: TableRef
    joins: tuple[Join, ...] = ()
    where: Predicate | None = None
    group_by: tuple[KeyRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Tile(Node):
    """``TILE operand AXIS axis SIZE size KEY key``."""

    operand: Query
    axis: Integer
    size: Integer
    key: Name


@dataclass(frozen=True, slots=True)
class Concat(Node):
    """``CONCAT operand KEY key AXIS axis``."""

    operand: Query
    key: Name
    axis: Integer


@dataclass(frozen=True, slots=True)
class Stack(Node):
    """``STACK (operand, ...) KEY key``."""

    operands: tuple[Query, ...]
    key: Name


@dataclass(frozen=True, slots=True)
class Retile(Node):
    """``RETILE operand TO (size, ...)``, one size per axis."""

    operand: Query
    sizes: tuple[Integer, ...]


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


@dataclass(frozen=True, slots=True)
class LiveKeys(Node):
    """``KEYS ((0, 0), (1, 2))``."""

    keys: tuple[tuple[int, ...], ...]


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
    live: LiveKeys | None = None


@dataclass(frozen=True, slots=True)
class Iota(Node):
    """``IOTA layout ALONG axis TYPE dtype KEYS live``."""

    layout: Layout
    axis: Integer
    dtype: Name
    live: LiveKeys | None = None


@dataclass(frozen=True, slots=True)
class Random(Node):
    """``RANDOM layout NORMAL(0, 1) SEED seed TYPE dtype KEYS live``; `distribution` is a function's name."""

    layout: Layout
    distribution: Name
    parameters: tuple[Literal, ...]
    seed: Integer
    dtype: Name
    live: LiveKeys | None = None


Query: TypeAlias = Table | Select | Tile | Concat | Stack | Retile | Constant | Iota | Random
