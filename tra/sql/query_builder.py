"""Builds the syntax tree of queries; `builder` adds statements and the index form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lark import Token, Transformer

from tra.sql import syntax as s
from tra.sql.numerals import integer_of
from tra.sql.parts import Kids, Part, function_name, nodes_of, span_of, value_of
from tra.sql.problems import Problem


class QueryBuilder(Transformer[Token, Any]):
    """The tree of each rule, from the trees of its parts. It has no state: all parses share one."""

    def _list(self, kids: Kids) -> Part:
        return Part(nodes_of(kids), span_of(kids))

    names = sizes = domains = axes = parameters = items = items_of_keys = cuts = by = group_by = _list

    def _inner(self, kids: Kids) -> Part:
        """A part between tokens: brackets around names, a keyword before sizes."""
        inner = next((kid.value for kid in kids if isinstance(kid, Part)), ())
        return Part(inner, span_of(kids))

    indices = load_keys = tiling = _inner

    def windows(self, kids: Kids) -> Part:
        """One window or None, which was `*`, per axis."""
        found = tuple(kid.value for kid in kids if isinstance(kid, Part))
        return Part(found, span_of(kids))

    def group(self, kids: Kids) -> Any:
        """What is in parentheses; they count as its text, so that carets underline them too."""
        return replace(kids[1], span=span_of(kids))

    # --- SELECT -----------------------------------------------------------------------------------

    def select(self, kids: Kids) -> s.Select:
        _, items, _, source, *joins, where, group_by = kids
        keys = tuple(item for item in items.value if isinstance(item, s.KeyItem))
        tiles = [item for item in items.value if not isinstance(item, s.KeyItem)]
        if not tiles:
            computed = any(not isinstance(item.value, s.KeyRef) for item in keys)
            raise Problem(
                items.span,
                "no tile among the items of SELECT",
                "add it, such as " + ("MUL(A.tile, 2.0): functions combine tiles" if computed else "A.tile"),
            )
        if len(tiles) > 1:
            raise Problem(tiles[1].span, "a second tile among the items of SELECT: there must be one")
        keys_of_groups = value_of(group_by) or ()
        return s.Select(keys, tiles[0], source, tuple(joins), where, keys_of_groups, span=span_of(kids))

    def key_item(self, kids: Kids) -> s.KeyItem:
        return s.KeyItem(*kids, span=span_of(kids))

    def key_alias(self, kids: Kids) -> s.Name:
        name: s.Name = kids[1]
        return replace(name, span=span_of(kids))

    alias = key_alias

    def misplaced_tile(self, kids: Kids) -> s.Name:
        raise Problem(
            span_of(kids), "a key cannot be renamed to tile", 'the tile itself is A.tile; a key may be "tile"'
        )

    def tile_item(self, kids: Kids) -> Any:
        return replace(kids[0], span=span_of(kids))

    def table_ref(self, kids: Kids) -> s.TableRef:
        return s.TableRef(*kids, span=span_of(kids))

    def join(self, kids: Kids) -> s.Join:
        table, *on = nodes_of(kids)
        return s.Join(table, tuple(on), kids[-1] is not None, span=span_of(kids))

    cross_join = join

    def equality(self, kids: Kids) -> s.Equality:
        left, _, right = kids
        return s.Equality(left, right, span=span_of(kids))

    def where(self, kids: Kids) -> s.KeyExpr:
        condition: s.KeyExpr = kids[1]
        return condition

    def disjunction(self, kids: Kids) -> s.Or:
        return s.Or(nodes_of(kids), span=span_of(kids))

    def conjunction(self, kids: Kids) -> s.And:
        return s.And(nodes_of(kids), span=span_of(kids))

    def invert(self, kids: Kids) -> s.Not:
        return s.Not(kids[1], span=span_of(kids))

    def key_compare(self, kids: Kids) -> s.KeyCompare:
        left, operator, right = kids
        return s.KeyCompare(operator.value, left, right, span=span_of(kids))

    def key_binary(self, kids: Kids) -> s.KeyBinary:
        left, operator, right = kids
        return s.KeyBinary(str(operator), left, right, span=span_of(kids))

    def key_negate(self, kids: Kids) -> s.KeyNegate:
        return s.KeyNegate(kids[1], span=span_of(kids))

    def key_ref(self, kids: Kids) -> s.KeyRef:
        return s.KeyRef(kids[0] if len(kids) > 1 else None, kids[-1], span=span_of(kids))

    def tile_ref(self, kids: Kids) -> s.TileRef:
        return s.TileRef(kids[0] if len(kids) > 1 else None, span=span_of(kids))

    def tile_call(self, kids: Kids) -> s.TileCall:
        name, _, part, _ = kids
        return s.TileCall(function_name(name), *part.value, span=span_of(kids))

    # --- what SELECT cannot say -------------------------------------------------------------------

    def table(self, kids: Kids) -> s.Table:
        return s.Table(kids[0], span=span_of(kids))

    def tile(self, kids: Kids) -> s.Tile:
        return s.Tile(*nodes_of(kids), span=span_of(kids))

    def concat(self, kids: Kids) -> s.Concat:
        return s.Concat(*nodes_of(kids), span=span_of(kids))

    def stack(self, kids: Kids) -> s.Stack:
        *operands, key = nodes_of(kids)
        return s.Stack(tuple(operands), key, span=span_of(kids))

    def rekey(self, kids: Kids) -> s.ReKey:
        return s.ReKey(kids[1], value_of(kids[4]) or (), span=span_of(kids))

    def retile(self, kids: Kids) -> s.Retile:
        _, operands, along, _, cuts = kids
        axis = s.Integer(0) if along is None else along
        return s.Retile(operands.value, cuts.value, axis, span=span_of(kids))

    retiled = _list

    def along(self, kids: Kids) -> s.Integer:
        axis: s.Integer = kids[1]
        return replace(axis, span=span_of(kids))

    def windowed(self, kids: Kids) -> s.Windowed:
        return s.Windowed(kids[0], value_of(kids[1]), span=span_of(kids))

    def window(self, kids: Kids) -> Part:
        span = span_of(kids)
        if len(kids) == 1:
            return Part(None, span)
        start, stop, *step = nodes_of(kids)
        return Part(s.Window(start, stop, *step, span=span), span)

    def cut(self, kids: Kids) -> s.Cut:
        if len(kids) == 1:
            return s.Cut(span=span_of(kids))
        return s.Cut(kids[0], kids[2], span=span_of(kids))

    # --- generated --------------------------------------------------------------------------------

    def constant(self, kids: Kids) -> s.Constant:
        _, layout, _, value, _, dtype, live = kids
        return s.Constant(layout, value, dtype, live, span=span_of(kids))

    def iota(self, kids: Kids) -> s.Iota:
        _, layout, axis, _, dtype, live = kids
        return s.Iota(layout, axis, dtype, live, span=span_of(kids))

    def random(self, kids: Kids) -> s.Random:
        _, layout, name, parameters, _, seed, _, dtype, live = kids
        distribution = function_name(name)
        return s.Random(layout, distribution, parameters.value, seed, dtype, live, span=span_of(kids))

    def layout(self, kids: Kids) -> s.Layout:
        domains, _, axes = kids
        return s.Layout(domains.value, axes.value, span=span_of(kids))

    def domain(self, kids: Kids) -> s.Domain:
        return s.Domain(*nodes_of(kids), span=span_of(kids))

    def axis(self, kids: Kids) -> s.Axis:
        size, link, extent = kids
        return s.Axis(size, value_of(link) or (), extent, span=span_of(kids))

    def to(self, kids: Kids) -> s.Integer:
        extent: s.Integer = kids[1]
        return replace(extent, span=span_of(kids))

    def link_term(self, kids: Kids) -> s.LinkTerm:
        coefficient, _, key = kids
        return s.LinkTerm(key, 1 if coefficient is None else coefficient.value, span=span_of(kids))

    def live(self, kids: Kids) -> s.LiveKeys:
        keys = tuple(kid.value for kid in kids if isinstance(kid, Part))
        return s.LiveKeys(keys, span=span_of(kids))

    def live_key(self, kids: Kids) -> Part:
        return Part(tuple(kid.value for kid in kids if isinstance(kid, Part)), span_of(kids))

    def component(self, kids: Kids) -> Part:
        (kid,) = kids
        return kid if isinstance(kid, Part) else Part(integer_of(kid), span_of(kids))

    def live_range(self, kids: Kids) -> Part:
        low, _, high = kids
        return Part((integer_of(low), integer_of(high)), span_of(kids))

    def live_box(self, kids: Kids) -> s.LiveBox:
        ranges = tuple(kid.value for kid in kids if isinstance(kid, Part))
        return s.LiveBox(ranges, span=span_of(kids))
