"""Statements and queries to relations: the syntax tree with its names looked up.

`index_form` binds LET, `select_form` SELECT, `generated_form` what is generated; here are the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from tra.algebra.counted import counted
from tra.algebra.nodes import Cut, Expr, Window
from tra.algebra.operators import concat, stack, tile
from tra.algebra.relation import Relation
from tra.algebra.retiling import retile
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import current_cuts, fresh_name
from tra.backends.storage import open_source
from tra.sql import syntax as s
from tra.sql.generated_form import bind_generated
from tra.sql.index_form import bind_let
from tra.sql.initialize_form import bind_initialize
from tra.sql.problems import Problem
from tra.sql.scope import Scope, at
from tra.sql.select_form import bind_rekey, bind_select


def define(statement: s.Load | s.Initialize | s.Let | s.View, scope: Scope, base: Path | None = None) -> None:
    """Binds a statement that gives a name.

    Args:
        statement: the statement.
        scope: the names so far, and then this one.
        base: the folder that relative paths start from; the working directory when left out.

    Raises:
        Problem: a name is not known, a file not there, or the algebra refuses what is asked.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> scope = Scope({"x": [1.0, 2.0]})
        >>> define(parse_text("LET y[i] = 2 * x[i]")[0], scope)
        >>> scope.relations["y"]
        [i:1] of 2 float64
    """
    name = statement.name.text
    match statement:
        case s.Load():
            scope.define(name, _load(statement, base))
        case s.Initialize():
            scope.define(name, bind_initialize(statement))
        case s.View(query=s.Table(name=other)) if other.text in scope.numbers:
            scope.define_number(name, scope.numbers[other.text])
        case s.View(query=query):
            scope.define(name, bind_query(query, scope))
        case s.Let():
            value = bind_let(statement, scope)
            with at(statement.value.span):
                if isinstance(value, Relation):
                    scope.define(name, value)
                else:
                    scope.define_number(name, value)
        case _:
            assert_never(statement)


def _load(load: s.Load, base: Path | None) -> Relation:
    keys = None if load.keys is None else [key.text for key in load.keys]
    sizes = None if load.sizes is None else [size.value for size in load.sizes]
    with at(load.path.span, schema=load.span):
        source, tiles = open_source(load.path.value, keys, sizes, load.name.text, base)
    return Relation(source, {source.id: tiles})


def bind_query(query: s.Query, scope: Scope) -> Relation:
    """The relation of a query.

    Raises:
        Problem: a name is not known, or the algebra refuses what is asked.

    Example:
        >>> import tra
        >>> from tra.sql.parser import parse_text
        >>> (statement,) = parse_text("SELECT A.i, SUM(A.tile) FROM A GROUP BY A.i")
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], keys=("i", "j"), tile=1)
        >>> bind_query(statement.query, Scope({"A": A}))
        [i:2] of 1/2×1 float64
    """
    if isinstance(query, s.Table):
        return scope.find(query.name)
    return scope.relation(_bind(query, scope))


def _bind(query: s.Query, scope: Scope) -> Expr:
    """The expression of a query."""
    match query:
        case s.Table(name):
            return scope.find(name).expr
        case s.Select():
            return bind_select(query, lambda part: _bind(part, scope))
        case s.Tile(operand, axis, size, key):
            child = _bind(operand, scope)
            with at(query.span):
                return tile(child, axis.value, size.value, key.text)
        case s.Concat(operand, key, axis):
            child = _bind(operand, scope)
            with at(query.span):
                return concat(child, key.text, axis.value)
        case s.Stack(operands, key):
            parts = [_bind(operand, scope) for operand in operands]
            with at(query.span):
                return stack(parts, key.text)
        case s.ReKey(operand):
            return bind_rekey(query, _bind(operand, scope))
        case s.Retile():
            return _retile(query, scope)
        case s.Constant() | s.Iota() | s.Random():
            return bind_generated(query)
        case _:
            assert_never(query)


# --- retile ----------------------------------------------------------------------------------------


def _retile(query: s.Retile, scope: Scope) -> Expr:
    operands = [_bind(operand.query, scope) for operand in query.operands]
    rank = len(operands[0].type.axes)
    windows = [_windows(w, operand.type) for w, operand in zip(query.operands, operands, strict=True)]
    if len(query.cuts) != rank:
        raise Problem(
            query.span,
            f"{counted(len(query.cuts), 'size')} for {counted(rank, 'axis', 'axes')} of {operands[0].type}",
            "write one per axis, and * for an axis in one piece",
        )
    along = query.along.value
    if not -max(rank, 1) <= along < max(rank, 1):
        raise Problem(query.along.span, f"there is no axis {along}: {operands[0].type} has {rank}")
    cuts = _cuts(query.cuts, operands[0].type)
    with at(query.span):
        return retile(operands, cuts, windows, along % max(rank, 1))


def _windows(operand: s.Windowed, type_: RelType) -> list[Window]:
    """A window for each axis of an operand."""
    written: Sequence[s.Window | None] = operand.windows or ()
    if operand.windows is None:
        written = [None] * len(type_.axes)
    if len(written) != len(type_.axes):
        raise Problem(
            operand.span,
            f"{counted(len(written), 'window')} for {counted(len(type_.axes), 'axis', 'axes')} of {type_}",
            "write one per axis, and * for everything along an axis",
        )
    return [_window(window, axis.extent) for window, axis in zip(written, type_.axes, strict=True)]


def _window(window: s.Window | None, extent: int) -> Window:
    if window is None:
        return Window(0, 1, extent)
    start, stop, step = window.start.value, window.stop.value, window.step.value
    if step == 0:
        raise Problem(window.span, "a step of 0 goes nowhere")
    places = range(start, stop, step)
    if places and not (0 <= places[0] < extent and 0 <= places[-1] < extent):
        raise Problem(
            window.span,
            f"the places {places[0]} to {places[-1]} are not all within an extent of {extent}",
            "start:stop:step is as in Python's range; nothing is counted from the end",
        )
    return Window(start, step, len(places))


def _cuts(written: Sequence[s.Cut], type_: RelType) -> list[Cut]:
    """How each axis is cut anew; a key that is not named is the one that cuts the axis now, or k0, k1, …."""
    current = current_cuts(type_)
    taken = {*type_.names, *(cut.key.text for cut in written if cut.key)}
    cuts = []
    for place, (cut, old) in enumerate(zip(written, current, strict=True)):
        if cut.size is None:
            cuts.append(Cut())
            continue
        if cut.size.value < 1:
            raise Problem(cut.span, "a tile size is at least 1")
        name = cut.key.text if cut.key else old.key or fresh_name(f"k{place}", taken)
        taken.add(name)
        cuts.append(Cut(cut.size.value, name))
    return cuts
