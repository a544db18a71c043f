"""Canonical text of queries: on one line where that fits, else a clause to a line."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from tra.sql import syntax as s
from tra.sql.expression_text import (
    function_text,
    key_name_text,
    key_text,
    literal_text,
    name_text,
    predicate_text,
    tile_text,
)

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
        case s.Retile(operand, sizes):
            return [["RETILE ", _source(operand), f" TO {sizes_text(sizes)}"]]
        case s.Constant() | s.Iota() | s.Random():
            return [[_generated(query)]]
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
        if join.on:
            clauses.append(["JOIN ", *_table(join.table), f" ON {' AND '.join(map(_equality, join.on))}"])
        else:
            clauses[-1] += [", ", *_table(join.table)]
    if select.where is not None:
        clauses.append([f"WHERE {predicate_text(select.where)}"])
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


# --- generated ------------------------------------------------------------------------------------


def _generated(query: s.Constant | s.Iota | s.Random) -> str:
    layout = _layout(query.layout)
    ending = f"TYPE {name_text(query.dtype)}{_live(query.live)}"
    match query:
        case s.Constant(value=value):
            return f"CONSTANT {layout} VALUE {literal_text(value.value)} {ending}"
        case s.Iota(axis=axis):
            return f"IOTA {layout} ALONG {axis.value} {ending}"
        case s.Random(distribution=name, parameters=parameters, seed=seed):
            drawn = ", ".join([literal_text(parameter.value) for parameter in parameters])
            return f"RANDOM {layout} {function_text(name)}({drawn}) SEED {seed.value} {ending}"
        case _:
            assert_never(query)


def _layout(layout: s.Layout) -> str:
    domains = ", ".join([f"{name_text(domain.key)}: {domain.size.value}" for domain in layout.domains])
    return f"({domains}) AXES ({', '.join(map(_axis, layout.axes))})"


def _axis(axis: s.Axis) -> str:
    link = f" BY {' + '.join(map(_link_term, axis.link))}" if axis.link else ""
    extent = "" if axis.extent is None else f" TO {axis.extent.value}"
    return f"{axis.size.value}{link}{extent}"


def _link_term(term: s.LinkTerm) -> str:
    return name_text(term.key) if term.coefficient == 1 else f"{term.coefficient}*{name_text(term.key)}"


def _live(live: s.LiveKeys | None) -> str:
    if live is None:
        return ""
    keys = [f"({', '.join(map(str, key))})" for key in live.keys]
    return f" KEYS ({', '.join(keys)})"


def sizes_text(sizes: tuple[s.Integer, ...]) -> str:
    """Sizes in parentheses."""
    return f"({', '.join([str(size.value) for size in sizes])})"
