"""Canonical text of queries: on one line where that fits, else a clause to a line."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from tra.sql import syntax as s
from tra.sql.expression_text import (
    condition_text,
    key_name_text,
    key_text,
    name_text,
    tile_text,
)
from tra.sql.generated_text import generated_text

INDENT = "  "

# A clause is text and the queries within it, which stand in parentheses.
Clause: TypeAlias = list["str | s.Query"]


def query_lines(query: s.Query, room: int) -> list[str]:
    r"""The lines of a query, none longer than `room` where its clauses allow.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> (statement,) = parse_text("select A.i, relu(A.tile) from (tile A axis 0 size 2 key ii) as A")
        >>> print("\n".join(query_lines(statement.query, room=40)))
        SELECT A.i, RELU(A.tile) AS tile
        FROM (TILE A AXIS 0 SIZE 2 KEY ii) AS A
    """
    flat = _on_one_line(query)
    if len(flat) <= room:
        return [flat]
    lines = []
    for clause in _clauses(query):
        line = _flat(clause)
        lines += [line] if len(line) <= room else _broken(clause, room)
    return lines


def _flat(clause: Clause) -> str:
    return "".join([piece if isinstance(piece, str) else f"({_on_one_line(piece)})" for piece in clause])


def _on_one_line(query: s.Query) -> str:
    return " ".join([_flat(clause) for clause in _clauses(query)])


def _broken(clause: Clause, room: int) -> list[str]:
    """A clause with every query within it on lines of its own."""
    lines, line = [], ""
    for piece in clause:
        if isinstance(piece, str):
            line += piece
        else:
            lines.append(line + "(")
            lines += [INDENT + inner for inner in query_lines(piece, room - len(INDENT))]
            line = ")"
    return [*lines, line]


def _clauses(query: s.Query) -> list[Clause]:
    match query:
        case s.Table(name):
            return [[name_text(name)]]
        case s.Select():
            return _select(query)
        case s.Tile(operand, axis, size, key):
            rest = f" AXIS {axis.value} SIZE {size.value} KEY {name_text(key)}"
            return [["TILE ", _source(operand), rest]]
        case s.Concat(operand, key, axis):
            return [["CONCAT ", _source(operand), f" KEY {name_text(key)} AXIS {axis.value}"]]
        case s.Stack(operands, key):
            return [["STACK (", *_separated(operands), f") KEY {name_text(key)}"]]
        case s.ReKey(operand, keys):
            return [["REKEY ", _source(operand), f" TO ({', '.join(map(_key_item, keys))})"]]
        case s.Retile():
            return _retile(query)
        case s.Constant() | s.Iota() | s.Random():
            return [[generated_text(query)]]
        case _:
            assert_never(query)


def _source(query: s.Query) -> str | s.Query:
    """An operand as a piece of a clause: a name needs no parentheses."""
    return name_text(query.name) if isinstance(query, s.Table) else query


def _separated(operands: tuple[s.Query, ...]) -> Clause:
    return [piece for operand in operands for piece in (", ", _source(operand))][1:]


# --- SELECT ---------------------------------------------------------------------------------------


def _select(select: s.Select) -> list[Clause]:
    items = [_key_item(item) for item in select.keys]
    suffix = "" if isinstance(select.tile, s.TileRef) else " AS tile"
    items.append(tile_text(select.tile) + suffix)
    clauses: list[Clause] = [[f"SELECT {', '.join(items)}"], ["FROM ", *_table(select.source)]]
    for join in select.joins:
        truncate = " TRUNCATE" if join.truncate else ""
        if join.on:
            on = " AND ".join(map(_equality, join.on))
            clauses.append(["JOIN ", *_table(join.table), f" ON {on}{truncate}"])
        else:
            clauses[-1] += [", ", *_table(join.table), truncate]
    if select.where is not None:
        clauses.append([f"WHERE {condition_text(select.where)}"])
    if select.group_by:
        clauses.append([f"GROUP BY {', '.join(map(key_text, select.group_by))}"])
    return clauses


def _key_item(item: s.KeyItem) -> str:
    alias = "" if item.alias is None else f" AS {key_name_text(item.alias)}"
    return key_text(item.value) + alias


def _table(table: s.TableRef) -> Clause:
    alias = "" if table.alias is None else f" AS {name_text(table.alias)}"
    return [_source(table.query), alias]


def _equality(equality: s.Equality) -> str:
    return f"{key_text(equality.left)} = {key_text(equality.right)}"


# --- retile ---------------------------------------------------------------------------------------


def _retile(retile: s.Retile) -> list[Clause]:
    operands = [_windowed(operand) for operand in retile.operands]
    shown = operands[0]
    if len(operands) > 1:
        listed = [piece for operand in operands for piece in (", ", *operand)][1:]
        shown = ["(", *listed, ")"]
    along = f" ALONG {retile.along.value}" if retile.along.value else ""
    return [["RETILE ", *shown, f"{along} TO ({', '.join(map(_cut, retile.cuts))})"]]


def _windowed(operand: s.Windowed) -> Clause:
    if operand.windows is None:
        return [_source(operand.query)]
    return [_source(operand.query), f"[{', '.join(map(_window, operand.windows))}]"]


def _window(window: s.Window | None) -> str:
    if window is None:
        return "*"
    step = f":{window.step.value}" if window.step.value != 1 else ""
    return f"{window.start.value}:{window.stop.value}{step}"


def _cut(cut: s.Cut) -> str:
    if cut.size is None:
        return "*"
    return f"{cut.size.value} BY {name_text(cut.key)}" if cut.key else str(cut.size.value)


def sizes_text(sizes: tuple[s.Integer, ...]) -> str:
    """Sizes in parentheses.

    Example:
        >>> sizes_text((s.Integer(2), s.Integer(3)))
        '(2, 3)'
    """
    return f"({', '.join([str(size.value) for size in sizes])})"
