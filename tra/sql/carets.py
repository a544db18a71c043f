"""Errors that show the line they are about, with a caret under the span."""

import unicodedata

from tra.errors import QueryError
from tra.sql.lookalikes import lookalike_hint
from tra.sql.problems import Span

TAB = " " * 4
WINDOW = 96  # columns of a long line that are shown
LONGEST = 2000  # characters of a line of a message


def caret_error(
    text: str, span: Span, message: str, hint: str | None = None, origin: str = "<query>"
) -> QueryError:
    r"""Words an error at `span` of `text`: ``origin:line:column: message``, the line, the caret, the hint.

    A message of several lines goes on below the caret. Lines and columns count characters from 1. A span
    over several lines is underlined to the end of its first; an empty one gets a single caret, also just
    past the end of the text.

    Example:
        >>> print(caret_error("SHOW C;\nSHOW D;", Span(13, 14), "no relation D", hint="there is C"))
        <query>:2:6: no relation D
          SHOW D;
               ^
          hint: there is C
    """
    start = min(max(span.start, 0), len(text))
    first = text.rfind("\n", 0, start) + 1
    line_number = text.count("\n", 0, start) + 1
    shown, caret = _excerpt(text, first, start, max(span.end, start))
    headline, *rest = map(_shortened, message.split("\n"))
    lines = [f"{origin}:{line_number}:{start - first + 1}: {headline}", f"  {shown}", f"  {caret}"]
    lines += [line if line.startswith("  ") else f"  {line}" for line in rest]
    marked = lookalike_hint(text[start : min(max(span.end, start + 1), start + WINDOW)])
    lines += [f"  hint: {_shortened(each)}" for each in (hint, marked) if each]
    return QueryError("\n".join(line.rstrip() for line in lines))


def _shortened(line: str) -> str:
    """A line of a message: what is printable, and of much the beginning and the end."""
    printable = _printable(line)
    return (
        printable if len(line) <= LONGEST else f"{printable[: LONGEST // 2]} … {printable[-LONGEST // 2 :]}"
    )


def _excerpt(text: str, first: int, start: int, end: int) -> tuple[str, str]:
    """The line that begins at `first`, cut to a window around `start`, and the underline below it."""
    last = text.find("\n", first)
    last = len(text) if last < 0 else last
    if last > first and text[last - 1] == "\r" and last - 1 >= start:
        last -= 1
    left = first if last - first <= WINDOW else max(first, start - WINDOW // 2)
    right = min(last, left + WINDOW)
    before = ("…" if left > first else "") + _printable(text[left:start])
    marked = _printable(text[start : max(start, min(end, right))])
    after = _printable(text[max(start, min(end, right)) : right]) + ("…" if right < last else "")
    underline = "^" + "~" * (_width(marked) - 1)
    return before + marked + after, " " * _width(before) + underline


def _printable(text: str) -> str:
    """`text` with tabs as spaces, and what has no glyph of its own as a replacement character."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text.replace("\t", TAB))


def _width(text: str) -> int:
    """Columns that printable text takes on a terminal: none for marks that combine, two for wide letters."""
    return sum(0 if _combines(char) else 2 if _is_wide(char) else 1 for char in text)


def _combines(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me")


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in ("W", "F")
