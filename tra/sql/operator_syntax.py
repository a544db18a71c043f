"""What to write for operators that SELECT cannot say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tra.algebra.key_function import Opaque
from tra.algebra.nodes import Concat, Cut, Expr, ReKey, Retile, Stack, Tile, Window
from tra.algebra.retiling import full_windows
from tra.errors import QueryError
from tra.sql import syntax as s
from tra.sql.key_form import key_syntax

Operator: TypeAlias = Tile | Concat | Stack | ReKey | Retile


def operator_syntax(node: Operator, operands: Sequence[s.Table]) -> s.Query:
    """The query of one operator over operands that have names.

    Raises:
        QueryError: a function of keys could not be traced.

    Example:
        >>> import tra
        >>> from tra.sql.query_text import query_lines
        >>> columns = tra.from_array([[1.0, 2.0], [3.0, 4.0]], keys=("i", "j")).tile(1, 1, "c")
        >>> query_lines(operator_syntax(columns.expr, [s.Table(s.Name("A"))]), room=80)
        ['TILE A AXIS 1 SIZE 1 KEY c']
    """
    match node:
        case Tile():
            return s.Tile(operands[0], s.Integer(node.axis), s.Integer(node.size), s.Name(node.key))
        case Concat():
            return s.Concat(operands[0], s.Name(node.key), s.Integer(node.axis))
        case Stack():
            return s.Stack(tuple(operands), s.Name(node.key))
        case ReKey():
            table = operands[0].name
            return s.ReKey(operands[0], key_items(node, lambda name: s.KeyRef(table, s.Name(name))))
        case Retile():
            return _retile(node, operands)


def key_items(node: ReKey, reference: Callable[[str], s.KeyRef]) -> tuple[s.KeyItem, ...]:
    """The keys that a ReKey gives, each with its name where it is not clear.

    Raises:
        QueryError: its function could not be traced.

    Example:
        >>> import tra
        >>> moved = tra.from_array([1.0, 2.0], keys=("i",), tile=1).rekey(lambda i: i + 1, keys=("place",))
        >>> (item,) = key_items(moved.expr, lambda name: s.KeyRef(None, s.Name(name)))
        >>> item.alias
        Name(text='place')
    """
    if isinstance(node.function, Opaque):
        raise untraced(f"the ReKey to ({', '.join(node.keys)})")
    items = []
    for name, value in zip(node.keys, node.function, strict=True):
        written = key_syntax(value, reference)
        plain = isinstance(written, s.KeyRef) and written.key.text == name
        items.append(s.KeyItem(written, None if plain else s.Name(name)))
    return tuple(items)


def untraced(what: str) -> QueryError:
    """The error that a function of keys cannot be printed.

    Example:
        >>> print(untraced("a filter"))
        a filter has no text: its function could not be traced; write it with arithmetic and ...
    """
    return QueryError(
        f"{what} has no text: its function could not be traced; write it with arithmetic and comparisons "
        "of keys, with & and | and ~ for and, or and not"
    )


def _retile(node: Retile, operands: Sequence[s.Table]) -> s.Retile:
    """Windows only where they leave something out."""
    parts = []
    for operand, child, windows in zip(operands, node.operands, node.windows, strict=True):
        parts.append(s.Windowed(operand, _windows(child, windows)))
    return s.Retile(tuple(parts), tuple(map(_cut, node.cuts)), s.Integer(node.along))


def _windows(child: Expr, windows: Sequence[Window]) -> tuple[s.Window | None, ...] | None:
    full = full_windows(child.type)
    if tuple(windows) == full:
        return None
    return tuple(None if one == whole else _window(one) for one, whole in zip(windows, full, strict=True))


def _window(window: Window) -> s.Window:
    stop = window.start + window.count * window.step
    return s.Window(s.Integer(window.start), s.Integer(stop), s.Integer(window.step))


def _cut(cut: Cut) -> s.Cut:
    if cut.size is None or cut.key is None:
        return s.Cut()
    return s.Cut(s.Integer(cut.size), s.Name(cut.key))
