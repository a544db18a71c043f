"""SELECT to operators of the algebra: join, filter, aggregate or rekey, transform, in this order.

The tree of tile expressions decides the joins: ``f(x, y)`` joins what its arguments stand for, on the
equalities of ON that relate tables of one to tables of the other. A call with one tile is a transform; those
around the aggregation, or around the outermost join, come last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tra.algebra.key_function import KeyExpr, Var, variables
from tra.algebra.nodes import Expr
from tra.algebra.operators import aggregate, filter_keys, rekey
from tra.algebra.whole_tensor import fresh_name
from tra.sql import syntax as s
from tra.sql.kernel_form import aggregation, check_function, find_kernel
from tra.sql.key_form import bind_key
from tra.sql.problems import Problem
from tra.sql.scope import at
from tra.sql.tables import Part, Tables
from tra.sql.tile_form import apply_to, bind_tile, tiles_of


def bind_rekey(query: s.ReKey, child: Expr) -> Expr:
    """The expression of a REKEY, which replaces keys even by themselves.

    Raises:
        Problem: a key is not known, two keys would collide, or a computed key has no name.

    Example:
        >>> import tra
        >>> from tra.sql.parser import parse_text
        >>> (statement,) = parse_text("REKEY x TO (i + 1 AS place)")
        >>> x = tra.from_array([1.0, 2.0, 3.0], keys=("i",), tile=(2,)).expr
        >>> bind_rekey(statement.query, x).type.names
        ('place',)
    """
    table = s.TableRef(query.operand)
    tables = Tables(s.Select((), s.TileRef(None), table), lambda _: child)
    items = _items(query.keys, tables.tile(s.TileRef(None)), tables)
    with at(query.span):
        return rekey(child, tuple(item.value for item in items), [item.name for item in items])


def bind_select(select: s.Select, relation_of: Callable[[s.Query], Expr]) -> Expr:
    """The expression of a SELECT; `relation_of` binds the queries in its FROM.

    Raises:
        Problem: a table, key or kernel is not known, or the algebra refuses what is asked.

    Example:
        >>> import tra
        >>> from tra.sql.parser import parse_text
        >>> (statement,) = parse_text("SELECT i, EXP(tile) FROM x WHERE i > 0")
        >>> x = tra.from_array([1.0, 2.0, 3.0], keys=("i",), tile=(2,)).expr
        >>> print(bind_select(statement.query, lambda table: x).type)
        [i:2] of 2/3 float64
    """
    _check_functions(select.tile)
    tables = Tables(select, relation_of)
    outer, fold, inner = _layers(select.tile)
    part = bind_tile(inner, tables)
    tables.check_used(part)
    if select.where is not None:
        part = _filtered(part, select.where, tables)
    items = _items(select.keys, part, tables)
    expr = _keyed(part, items, select) if fold is None else _folded(part, items, select, fold, tables)
    for call in reversed(outer):
        expr = apply_to(expr, call)
    return expr


def _layers(tile: s.TileRef | s.TileCall) -> tuple[list[s.TileCall], s.TileCall | None, s.TileExpr]:
    """The transforms outside, outermost first; the aggregation, if any; and the expression within."""
    outer: list[s.TileCall] = []
    inner: s.TileExpr = tile
    while isinstance(inner, s.TileCall):
        if aggregation(inner) is not None:
            return outer, inner, inner.arguments[0]
        operands = tiles_of(inner)
        if len(operands) != 1:
            break
        outer.append(inner)
        inner = operands[0]
    return outer, None, inner


def _check_functions(tile: s.TileExpr) -> None:
    """Checks that there is each function that is called: where one is not, the rest makes no sense either."""
    waiting = [tile]
    while waiting:
        call = waiting.pop()
        if isinstance(call, s.TileCall):
            check_function(call.function)
            waiting += reversed(call.arguments)


def _filtered(part: Part, where: s.KeyExpr, tables: Tables) -> Part:
    predicate = bind_key(where, lambda ref: tables.column(ref, part))
    with at(where.span):
        return replace(part, expr=filter_keys(part.expr, predicate))


# --- keys ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Item:
    """A key of the result: how it follows from the keys of the joined tables, and its name."""

    value: KeyExpr
    name: str
    written: s.KeyItem


def _items(keys: Sequence[s.KeyItem], part: Part, tables: Tables) -> list[_Item]:
    """The keys of the result. A key keeps its name; where two would collide, the later gets a suffix."""
    taken = {item.alias.text for item in keys if item.alias}
    items = []
    for written in keys:
        value = bind_key(written.value, lambda ref: tables.column(ref, part))
        if written.alias:
            name = written.alias.text
        elif isinstance(written.value, s.KeyRef):
            name = fresh_name(written.value.key.text, taken)
        else:
            raise Problem(written.span, "a computed key needs a name", "write one after it, such as AS k")
        taken.add(name)
        items.append(_Item(value, name, written))
    return items


def _keyed(part: Part, items: list[_Item], select: s.Select) -> Expr:
    if select.group_by:
        raise Problem(
            select.group_by[0].span,
            "GROUP BY without an aggregation",
            "fold the tiles of a group with SUM, MAX, MIN, PROD, ANY or ALL, such as SUM(A.tile)",
        )
    return _rekeyed(part.expr, items, select)


def _rekeyed(expr: Expr, items: list[_Item], select: s.Select) -> Expr:
    """The keys as they are asked for; nothing where they are so already."""
    names = [item.name for item in items]
    function = tuple(item.value for item in items)
    if tuple(names) == expr.type.names and function == tuple(map(Var, names)):
        return expr
    span = s.Span(items[0].written.span.start, items[-1].written.span.end) if items else select.span
    with at(span, hint=_advice(expr, items, select)):
        return rekey(expr, function, names)


def _advice(expr: Expr, items: list[_Item], select: s.Select) -> str | None:
    """What keys that are left out may want."""
    left_out = set(expr.type.names).difference(*(variables(item.value) for item in items))
    if select.group_by or not left_out:
        return None
    return "to fold the tiles that agree, write an aggregation, such as SUM(A.tile), and GROUP BY"


def _folded(part: Part, items: list[_Item], select: s.Select, fold: s.TileCall, tables: Tables) -> Expr:
    groups = [tables.column(ref, part) for ref in select.group_by]
    _check_groups(items, groups)
    plain = [item.value.name for item in items if isinstance(item.value, Var)]
    by = plain if len(plain) == len(items) else groups
    _check_selected(select, groups, items)
    name = aggregation(fold)
    assert name is not None
    with at(fold.span):
        expr = aggregate(part.expr, by, find_kernel(s.Name(name, span=fold.function.span)))
    return _rekeyed(expr, items, select)


def _check_groups(items: list[_Item], groups: list[str]) -> None:
    """Checks that all keys of the result are keys of the groups."""
    for item in items:
        if variables(item.value) - set(groups):
            raise Problem(
                item.written.value.span,
                "this key is not the same within a group",
                "keys that are selected beside an aggregation stand in GROUP BY",
            )


def _check_selected(select: s.Select, groups: list[str], items: list[_Item]) -> None:
    """Checks that all keys of the groups are in the result."""
    used = frozenset[str]().union(*(variables(item.value) for item in items))
    for name, ref in zip(groups, select.group_by, strict=True):
        if name not in used:
            raise Problem(ref.span, f"{ref.key.text} is a key of the groups and not selected")
