"""The tables of a SELECT: their names, their keys, and what the keys are called once tables are joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tra.algebra.nodes import Expr
from tra.sql import syntax as s
from tra.sql.expression_text import key_name_text, name_text
from tra.sql.problems import Problem
from tra.sql.scope import unknown

Column: TypeAlias = tuple[int, str]  # the number of a table, and one of its keys


@dataclass(frozen=True)
class Part:
    """Some tables joined: their numbers, the expression, and what their keys are called in it."""

    tables: frozenset[int]
    expr: Expr
    names: Mapping[Column, str]


@dataclass(frozen=True)
class Equation:
    """An equality of ON: keys of two tables, and where it is written."""

    left: Column
    right: Column
    span: s.Span


class Tables:
    """The tables of FROM and JOIN, numbered in the order of the text.

    Attributes:
        equations: what ON says, of all joins.
        filtered: the equalities of keys of two tables in WHERE.
        truncated: the tables that are joined with TRUNCATE.
    """

    def __init__(self, select: s.Select, relation_of: Callable[[s.Query], Expr]) -> None:
        self._refs = [select.source, *(join.table for join in select.joins)]
        self._names = [_name_of(ref) for ref in self._refs]
        self._check_names()
        self._exprs = [relation_of(ref.query) for ref in self._refs]
        joins = list(enumerate(select.joins, start=1))
        self.truncated = frozenset(number for number, join in joins if join.truncate)
        self.equations = [self._equation(on, number) for number, join in joins for on in join.on]
        self.filtered = list(self._filtered(select.where))

    def _check_names(self) -> None:
        for number, name in enumerate(self._names):
            if name is not None and name in self._names[:number]:
                raise Problem(
                    self._refs[number].span,
                    f"two tables are called {name}",
                    f"give one another name, such as {name} AS {name}2",
                )

    def _equation(self, equality: s.Equality, number: int) -> Equation:
        left, right = (self._columns(ref, number) for ref in (equality.left, equality.right))
        for ref, found in ((equality.left, left), (equality.right, right)):
            if len(found) > 1:
                raise self._ambiguous(ref, found)
        if left[0][0] == right[0][0]:
            raise Problem(
                equality.span, "both keys are of the same table", "conditions on one table follow WHERE"
            )
        return Equation(left[0], right[0], equality.span)

    def _filtered(self, where: s.KeyExpr | None) -> Iterator[Equation]:
        for part in where.operands if isinstance(where, s.And) else (where,):
            match part:
                case s.KeyCompare("=", s.KeyRef() as left, s.KeyRef() as right):
                    one, other = (self._columns(ref, len(self._refs) - 1) for ref in (left, right))
                    if len(one) == len(other) == 1 and one[0][0] != other[0][0]:
                        yield Equation(one[0], other[0], part.span)

    def name(self, number: int) -> str:
        """How a table is written."""
        name = self._names[number]
        return "(...)" if name is None else name_text(s.Name(name))

    def key_text(self, column: Column) -> str:
        """How a key is written with its table."""
        return f"{self.name(column[0])}.{key_name_text(s.Name(column[1]))}"

    # --- references -------------------------------------------------------------------------------

    def column(self, ref: s.KeyRef, part: Part) -> str:
        """What the key that is referred to is called in `part`, which joins all tables.

        Raises:
            Problem: there is no such key, or several.
        """
        columns = self._columns(ref, len(self._refs) - 1)
        names = {part.names[column] for column in columns}
        if len(names) > 1:
            raise self._ambiguous(ref, columns)
        return names.pop()

    def tile(self, ref: s.TileRef) -> Part:
        """The table whose tile is referred to.

        Raises:
            Problem: there is no such table, or the tile might be that of several.
        """
        if ref.table is not None:
            number = self._number(ref.table, len(self._refs) - 1)
        elif len(self._refs) == 1:
            number = 0
        else:
            raise Problem(ref.span, "this may be the tile of several tables", f"write {self._listed('tile')}")
        expr = self._exprs[number]
        return Part(frozenset([number]), expr, {(number, name): name for name in expr.type.names})

    def check_used(self, part: Part) -> None:
        """Checks that the tile of every table is used.

        Raises:
            Problem: the tile of a table is not used.
        """
        for number, ref in enumerate(self._refs):
            if number not in part.tables:
                name = self._names[number] or "this table"
                raise Problem(
                    ref.span,
                    f"the tile of {name} is not used",
                    "LEFT(A.tile, B.tile) is the tile of A for each pair of tiles that are joined",
                )

    def _columns(self, ref: s.KeyRef, last: int) -> list[Column]:
        """The keys that a reference may mean, among tables up to the one numbered `last`."""
        if ref.table is not None:
            number = self._number(ref.table, last)
            if ref.key.text not in self._exprs[number].type.names:
                raise unknown(f"key of {ref.table.text} called", ref.key, self._exprs[number].type.names)
            return [(number, ref.key.text)]
        tables = range(last + 1)
        found = [
            (number, ref.key.text) for number in tables if ref.key.text in self._exprs[number].type.names
        ]
        if not found:
            there = dict.fromkeys(name for number in tables for name in self._exprs[number].type.names)
            raise unknown("key", ref.key, there)
        return found

    def _number(self, table: s.Name, last: int) -> int:
        names = self._names[: last + 1]
        if table.text not in names:
            raise unknown("table", table, [name for name in names if name is not None])
        return names.index(table.text)

    def _ambiguous(self, ref: s.KeyRef, columns: list[Column]) -> Problem:
        written = self._listed(ref.key.text, [number for number, _ in columns])
        return Problem(ref.span, f"{ref.key.text} is a key of several tables", f"write {written}")

    def _listed(self, what: str, numbers: list[int] | None = None) -> str:
        shown = range(len(self._names)) if numbers is None else numbers
        return " or ".join(f"{self._names[number] or 'name'}.{what}" for number in shown)


def _name_of(ref: s.TableRef) -> str | None:
    """The name a table goes by; none for a query without AS."""
    if ref.alias is not None:
        return ref.alias.text
    return ref.query.name.text if isinstance(ref.query, s.Table) else None
