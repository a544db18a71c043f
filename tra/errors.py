"""Every error the engine raises on purpose.

All of them derive from `TraError`; most also derive from the Python error a NumPy user would expect,
so that ``except ValueError`` keeps working.
"""

import sys
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


class TraError(Exception):
    """Base of all errors of the engine."""


class SchemaError(TraError, ValueError):
    """Keys, frontiers, axes or holes of relations do not fit the operator."""


class KernelError(TraError, TypeError):
    """A kernel is unknown, or does not fit the tiles it is given."""


class ArgumentError(TraError, TypeError):
    """A function has no argument of this name, or lacks one; the message shows how it is called."""


class CatalogError(TraError, KeyError):
    """A name, a file or a tile is not there, or cannot be read."""

    def __str__(self) -> str:
        """The plain message: KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class PlanError(TraError, RuntimeError):
    """No plan can be made or run: missing workers, unknown sizes, wrong settings."""


class MemoryLimitError(TraError, MemoryError):
    """Every plan exceeds the memory limit; the message names the smallest limit that would do.

    Attributes:
        would_do: that limit, in bytes; `sys.maxsize` where none is known.

    Example:
        >>> MemoryLimitError("no plan fits; memory_limit=800 would do", 800).would_do
        800
    """

    def __init__(self, message: str, would_do: int = sys.maxsize) -> None:
        super().__init__(message)
        self.would_do = would_do


class NotFiniteError(TraError, ArithmeticError):
    """A loss is infinite or no number; the message names the step and the first such operator."""


class QueryError(TraError, ValueError):
    """Query text is wrong; the message shows the line with a caret under the span."""


def near_name(name: str, names: Iterable[str]) -> str:
    """Suggests the closest of `names`, as the tail of a message.

    Example:
        >>> near_name("matmull", ["matmul", "add"])
        "; did you mean 'matmul'?"
        >>> near_name("zeros", ["errors"])
        ''
    """
    names = list(names)
    lowered = {other.lower(): other for other in names}
    found = [lowered[other] for other in get_close_matches(name.lower(), list(lowered))]
    same = [lowered[name.lower()]] if name.lower() in lowered else []
    close = [*same, *get_close_matches(name, names), *found]
    near = next((other for other in close if _is_misspelt(name.lower(), other.lower())), None)
    return f"; did you mean {near!r}?" if near is not None else ""


def _is_misspelt(written: str, meant: str) -> bool:
    """Claims that one may be the other; few misspell how a word begins, so that others must be more alike."""
    if written[:1] == meant[:1]:
        return SequenceMatcher(None, meant, written).ratio() > 0.65
    return meant in written or written in meant or SequenceMatcher(None, meant, written).ratio() >= 0.75
