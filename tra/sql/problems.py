"""Spans of text, and what is wrong at one: raised where the text is not at hand, worded by `carets`."""

from dataclasses import dataclass

from tra.errors import QueryError

MAX_HEIGHT = 200


@dataclass(frozen=True, slots=True)
class Span:
    """The characters ``text[start:end]``."""

    start: int
    end: int


NOWHERE = Span(0, 0)


class Problem(QueryError):
    """A mistake at a span of the text that is being read.

    Attributes:
        span: where it is.
        message: what is wrong.
        hint: what would be right, where that can be said.
    """

    def __init__(self, span: Span, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.span = span
        self.message = message
        self.hint = hint


def too_deep(span: Span) -> Problem:
    """What to raise where brackets, operators or queries nest deeper than any walk over them could follow.

    Example:
        >>> too_deep(Span(0, 1)).message
        'this nests more than 200 deep'
    """
    return Problem(
        span, f"this nests more than {MAX_HEIGHT} deep", "name a part of it with LET or CREATE VIEW"
    )
