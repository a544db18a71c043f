"""Canonical text of statements: what ``tra fmt`` writes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import assert_never

from tra.sql import syntax as s
from tra.sql.expression_text import bracketed, expr_text, name_text, names_text, string_text
from tra.sql.learning_text import initialize_text, train_lines
from tra.sql.parser import parse_text
from tra.sql.query_text import INDENT, query_lines, sizes_text

WIDTH = 100

# What a comment or a semicolon may hide in, then the two themselves.
_MARKS = re.compile(r"""'(?:[^'\n]++|'')*+'|"(?:[^"\n]++|"")*+"|(?P<comment>--[^\n]*)|(?P<end>;)""")


def format_text(text: str, origin: str = "<query>") -> str:
    """The canonical text of query text: one statement after the other, comments and blank lines kept.

    A comment stays on its line, or behind the statement that ends on its line; one inside a statement moves
    above that statement. Formatting what was formatted changes nothing.

    Raises:
        QueryError: the text is not a query.

    Example:
        >>> print(format_text("let Z[n,h]=sum(X[n,d]*W[d,h]);show Z -- done"), end="")
        LET Z[n, h] = SUM(X[n, d] * W[d, h]);
        SHOW Z;  -- done
    """
    statements = parse_text(text, origin)
    lines: list[str] = []
    last_end = None
    for piece in _pieces(text, statements):
        if last_end is not None and text.count("\n", last_end, piece.start) > 1:
            lines.append("")
        lines.append(piece.text)
        last_end = piece.end
    return "".join(f"{line}\n" for line in lines)


def format_statement(statement: s.Statement) -> str:
    """The canonical text of one statement, with its semicolon.

    Example:
        >>> format_statement(s.Save(s.Name("C"), s.Text("C.tra")))
        "SAVE C TO 'C.tra';"
    """
    match statement:
        case s.Load(name, keys, path, sizes):
            declared = "" if keys is None else f"({names_text(keys)})"
            tiling = "" if sizes is None else f" TILE {sizes_text(sizes)}"
            return f"LOAD {name_text(name)}{declared} FROM {string_text(path.value)}{tiling};"
        case s.Initialize():
            return f"{initialize_text(statement)};"
        case s.Let(name, indices, value):
            return f"LET {name_text(name)}{bracketed(indices)} = {expr_text(value)};"
        case s.View(name, query):
            return _headed(f"CREATE VIEW {name_text(name)} AS", query)
        case s.Hint(name, strategy, split):
            wanted = "" if strategy is None else f" {string_text(strategy.value)}"
            cut = "" if split is None else f" SPLIT ({_split_keys(split)})"
            return f"HINT {name_text(name)}{wanted}{cut};"
        case s.Train():
            return "\n".join(train_lines(statement, WIDTH - 1)) + ";"
        case s.Explain(query, analyze):
            return _headed("EXPLAIN ANALYZE" if analyze else "EXPLAIN", query)
        case s.Show(query):
            return _headed("SHOW", query)
        case s.Save(name, path):
            return f"SAVE {name_text(name)} TO {string_text(path.value)};"
        case s.Run(query):
            return "\n".join(query_lines(query, WIDTH - 1)) + ";"
        case _:
            assert_never(statement)


def _split_keys(keys: tuple[s.Name | None, ...]) -> str:
    return ", ".join("*" if key is None else name_text(key) for key in keys)


def _headed(head: str, query: s.Query | s.Train) -> str:
    """A statement around a query, which goes below and further in where the line would be too long."""
    lines = _lines(query, WIDTH - len(head) - 2)
    if len(lines) > 1:
        lines = [head, *(INDENT + line for line in _lines(query, WIDTH - len(INDENT) - 1))]
        return "\n".join(lines) + ";"
    return f"{head} {lines[0]};"


def _lines(query: s.Query | s.Train, room: int) -> list[str]:
    return train_lines(query, room) if isinstance(query, s.Train) else query_lines(query, room)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A statement or a comment in the new text, and where it was in the old."""

    text: str
    start: int
    end: int


def _pieces(text: str, statements: tuple[s.Statement, ...]) -> Iterator[_Piece]:
    """Statements and comments in the order of the new text."""
    marks = list(_MARKS.finditer(text))
    ends = [mark.end() for mark in marks if mark["end"]]
    comments = deque(_Piece(m["comment"].rstrip(), m.start(), m.end()) for m in marks if m["comment"])
    for statement, end, following in zip_longest(statements, ends, statements[1:]):
        yield from _until(comments, statement.span.start)
        end = end or statement.span.end
        lines = [comment.text for comment in _until(comments, end)]
        lines.append(format_statement(statement))
        behind = text.find("\n", end) + 1 or len(text)
        for comment in _until(comments, min(behind, following.span.start if following else behind)):
            lines[-1] += f"  {comment.text}"
            end = comment.end
        yield _Piece("\n".join(lines), statement.span.start, end)
    yield from comments


def _until(comments: deque[_Piece], position: int) -> Iterator[_Piece]:
    """Takes away the comments that begin before `position`."""
    while comments and comments[0].start < position:
        yield comments.popleft()
