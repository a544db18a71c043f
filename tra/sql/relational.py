"""The syntax tree of queries: SELECT with its key and tile expressions, and what SELECT cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tra.sql.generated import Constant, Iota, Random
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


@dataclass(frozen=True, slots=True)
class KeyCompare(Node):
    """`operator` is one of ``= <> < <= > >=``."""

    operator: str
    left: KeyExpr
    right: KeyExpr


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of two or more; an And within is one that was in parentheses."""

    operands: tuple[KeyExpr, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Any of two or more; an Or within is one that was in parentheses."""

    operands: tuple[KeyExpr, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    """``NOT p``."""

    operand: KeyExpr


# A condition is 1 where it holds and 0 elsewhere, and any number but 0 holds: one class serves for both.
KeyExpr: TypeAlias = Integer | KeyRef | KeyNegate | KeyBinary | KeyCompare | And | Or | Not


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


_ZERO, _ONE = Integer(0), Integer(1)

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
    """``JOIN table ON equality AND ...``; no equalities: the cross join ``, table``.

    `truncate` is written TRUNCATE at the end: keys that only one of them may have are left out.
    """

    table: TableRef
    on: tuple[Equality, ...] = ()
    truncate: bool = False


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``SELECT keys, tile FROM source joins WHERE where GROUP BY group_by``.

    The tile may stand anywhere among the items; `group_by` is empty where there is no GROUP BY.
    """

    keys: tuple[KeyItem, ...]
    tile: TileRef | TileCall
    source: TableRef
    joins: tuple[Join, ...] = ()
    where: KeyExpr | None = None
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
class ReKey(Node):
    """``REKEY operand TO (key, ...)``; what a SELECT of keys says too, unless they stay as they are."""

    operand: Query
    keys: tuple[KeyItem, ...]


@dataclass(frozen=True, slots=True)
class Cut(Node):
    """``10 BY i``: tile size and key of an axis; the key may be left out. No size: ``*``, in one piece."""

    size: Integer | None = None
    key: Name | None = None


@dataclass(frozen=True, slots=True)
class Window(Node):
    """``start:stop:step`` along an axis, as in Python's `range`; a step of 1 may be left out."""

    start: Integer
    stop: Integer
    step: Integer = _ONE


@dataclass(frozen=True, slots=True)
class Windowed(Node):
    """``operand[window, ...]``, one window per axis; None, written ``*``, is everything along it."""

    query: Query
    windows: tuple[Window | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Retile(Node):
    """``RETILE operand TO (cut, ...)``, one cut per axis; ``RETILE (operand, ...) ALONG axis TO (...)``."""

    operands: tuple[Windowed, ...]
    cuts: tuple[Cut, ...]
    along: Integer = _ZERO


Query: TypeAlias = Table | Select | Tile | Concat | Stack | ReKey | Retile | Constant | Iota | Random
