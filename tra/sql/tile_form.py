"""Tile expressions to joins and transforms."""

from __future__ import annotations

from tra.algebra.counted import counted
from tra.algebra.kernel import Kernel
from tra.algebra.nodes import Expr
from tra.algebra.operators import join, joined_names, transform
from tra.errors import TraError
from tra.sql import syntax as s
from tra.sql.kernel_form import aggregation, find_kernel, with_literals
from tra.sql.problems import Problem
from tra.sql.scope import at
from tra.sql.tables import Equation, Part, Tables


def bind_tile(tile: s.TileExpr, tables: Tables) -> Part:
    """The tables that a tile expression needs, joined as its tree says.

    Raises:
        Problem: a table or kernel is not known, or the algebra refuses what is asked.

    Example:
        >>> import tra
        >>> from tra.sql.parser import parse_text
        >>> (statement,) = parse_text("SELECT MATMUL(A.tile, B.tile) FROM A JOIN B ON A.j = B.j")
        >>> A, B = (tra.from_array([[1.0]], keys=keys).expr for keys in [("i", "j"), ("j", "k")])
        >>> tables = Tables(statement.query, lambda table: A if table.name.text == "A" else B)
        >>> str(bind_tile(statement.query.tile, tables).expr.type)
        '[i:1, j:1, k:1] of 1×1 float64'
    """
    match tile:
        case s.TileRef():
            return tables.tile(tile)
        case s.TileCall():
            return _call(tile, tables)
        case s.Literal():
            raise Problem(tile.span, "a number stands where a tile should", "such as A.tile")


def apply_to(expr: Expr, call: s.TileCall) -> Expr:
    """A call with one tile, applied to what that tile stands for.

    Example:
        >>> import tra
        >>> x = tra.from_array([1.0, 2.0], keys=("i",)).expr
        >>> apply_to(x, s.TileCall(s.Name("exp"), (s.TileRef(None),))).kernel.name
        'exp'
    """
    by = _kernel(call, 1)
    with at(call.span):
        return transform(expr, by)


def tiles_of(call: s.TileCall) -> list[s.TileExpr]:
    """The arguments that are no constants.

    Example:
        >>> tiles_of(s.TileCall(s.Name("sub"), (s.Literal(1.0), s.TileRef(s.Name("A")))))
        [TileRef(table=Name(text='A'))]
    """
    return [argument for argument in call.arguments if not isinstance(argument, s.Literal)]


def _call(call: s.TileCall, tables: Tables) -> Part:
    if aggregation(call) is not None:
        raise Problem(
            call.span,
            "only functions of one tile may stand around an aggregation",
            "name it first: CREATE VIEW name AS SELECT ... GROUP BY ...",
        )
    by = _kernel(call, len(tiles_of(call)))
    parts = [bind_tile(tile, tables) for tile in tiles_of(call)]
    if len(parts) == 2:
        return _joined(parts[0], parts[1], by, call, tables)
    with at(call.span):
        return Part(parts[0].tables, transform(parts[0].expr, by), parts[0].names)


def _kernel(call: s.TileCall, n_tiles: int) -> Kernel:
    """The kernel of a call, which must take what it is given: one tile or two, and constants."""
    by, name = find_kernel(call.function, call.options), call.function.text.upper()
    if by.arity != len(call.arguments):
        raise Problem(call.span, f"{name} takes {counted(by.arity, 'argument')}, {len(call.arguments)} given")
    if n_tiles > 2:
        hint = "WHERE(c, a, b) is CHOOSE(c, PAIR(a, b))" if by.name == "where" else None
        raise Problem(call.span, f"{name} takes {n_tiles} tiles, and a join pairs two", hint)
    literals = {p: a.value for p, a in enumerate(call.arguments) if isinstance(a, s.Literal)}
    return with_literals(by, literals, call)


def _joined(left: Part, right: Part, by: Kernel, call: s.TileCall, tables: Tables) -> Part:
    met = [on for equation in tables.equations if (on := _between(equation, left, right))]
    shared = [pair for pair in left.names.items() if pair[0] in right.names]
    pairs = [(left.names[one], right.names[other]) for one, other, _ in met]
    pairs = list(dict.fromkeys([*pairs, *((name, right.names[column]) for column, name in shared)]))
    truncate = _truncates(left, right, tables)
    try:
        with at(call.span, schema=_hull([span for *_, span in met]) if met else None):
            expr = join(left.expr, right.expr, pairs, by, truncate=truncate)
    except Problem as problem:
        filtered = _paired_by_where(left, right, pairs, by, tables)
        raise filtered or problem from problem.__cause__
    renamed = joined_names(left.expr.type, right.expr.type, pairs)
    names = {column: renamed[name] for column, name in right.names.items()}
    return Part(left.tables | right.tables, expr, {**names, **left.names})


def _paired_by_where(
    left: Part, right: Part, pairs: list[tuple[str, str]], by: Kernel, tables: Tables
) -> Problem | None:
    """The problem that equalities stand in WHERE, where the two parts would fit if they stood after ON."""
    met = [on for equation in tables.filtered if (on := _between(equation, left, right))]
    if not met:
        return None
    try:
        join(left.expr, right.expr, [*pairs, *((left.names[a], right.names[b]) for a, b, _ in met)], by)
    except TraError:
        return None
    table = tables.name(max(number for one, other, _ in met for number, _ in (one, other)))
    written = " AND ".join(f"{tables.key_text(one)} = {tables.key_text(other)}" for one, other, _ in met)
    return Problem(
        met[0][2],
        "the comma pairs all tiles, before WHERE is asked, and these do not fit",
        f"pair them by their keys: FROM ... JOIN {table} ON {written}",
    )


def _between(
    equation: Equation, left: Part, right: Part
) -> tuple[tuple[int, str], tuple[int, str], s.Span] | None:
    """The columns of an equality that relates the two parts: the one on the left first."""
    for one, other in ((equation.left, equation.right), (equation.right, equation.left)):
        if one in left.names and other in right.names:
            return one, other, equation.span
    return None


def _hull(spans: list[s.Span]) -> s.Span:
    return s.Span(min(span.start for span in spans), max(span.end for span in spans))


def _truncates(left: Part, right: Part, tables: Tables) -> bool:
    """Claims that a table joined with TRUNCATE meets one before it here."""
    return any(
        number in mine and min(other) < number
        for number in tables.truncated
        for mine, other in ((left.tables, right.tables), (right.tables, left.tables))
    )
