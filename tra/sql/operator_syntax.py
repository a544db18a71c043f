"""What to write for operators that SELECT cannot say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tra.algebra.key_function import Opaque
from tra.algebra.nodes import Concat, Cut, Expr, ReKey, Retile, Stack, Tile, Window
from tra.algebra.retiling import full_windows
from tra.errors import QueryError
from tra.sql import syntax as s
from tra.sql.key_form import key_syntax


def tile_syntax(node: Tile, operand: s.Table) -> s.Tile:
    """A Tile."""
    return s.Tile(operand, s.Integer(node.axis), s.Integer(node.size), s.Name(node.key))


def concat_syntax(node: Concat, operand: s.Table) -> s.Concat:
    """A Concat."""
    return s.Concat(operand, s.Name(node.key), s.Integer(node.axis))


def stack_syntax(node: Stack, operands: Sequence[s.Table]) -> s.Stack:
    """A Stack."""
    return s.Stack(tuple(operands), s.Name(node.key))


def rekey_syntax(node: ReKey, operand: s.Table) -> s.ReKey:
    """A ReKey, also of keys by themselves.

    Raises:
        QueryError: its function could not be traced.
    """
    return s.ReKey(operand, key_items(node, lambda name: s.KeyRef(operand.name, s.Name(name))))


def key_items(node: ReKey, reference: Callable[[str], s.KeyRef]) -> tuple[s.KeyItem, ...]:
    """The keys that a ReKey gives, each with its name where it is not clear.

    Raises:
        QueryError: its function could not be traced.
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
    """The error that a function of keys cannot be printed."""
    return QueryError(
        f"{what} has no text: its function could not be traced; write it with arithmetic and comparisons "
        "of keys, with & and | and ~ for and, or and not"
    )


def retile_syntax(node: Retile, operands: Sequence[s.Table]) -> s.Retile:
    """A Retile: windows only where they leave something out."""
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
