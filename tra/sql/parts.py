"""What the builders of the tree share: pieces with spans, and the lists made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from lark import Token

from tra.sql import syntax as s


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a node that is no node itself, with its span."""

    value: Any
    span: s.Span


Kids: TypeAlias = list[Any]  # of Token, Node, Part, and None for what is optional and absent


def span_of(kids: Kids) -> s.Span:
    """From the start of the first piece that is there to the end of the last.

    Example:
        >>> span_of([None, s.Name("a", span=s.Span(4, 5)), s.Name("b", span=s.Span(7, 8))])
        Span(start=4, end=8)
    """
    first, last = kids[0], kids[-1]
    if first is None or last is None:
        return span_of([kid for kid in kids if kid is not None])
    start = first.start_pos or 0 if isinstance(first, Token) else first.span.start
    end = last.end_pos or 0 if isinstance(last, Token) else last.span.end
    return s.Span(start, end)


def value_of(part: Part | None) -> Any:
    """The value of an optional piece, None where it is absent.

    Example:
        >>> value_of(Part(3, s.NOWHERE)), value_of(None)
        (3, None)
    """
    return None if part is None else part.value


def nodes_of(kids: Kids) -> tuple[Any, ...]:
    """The nodes of a list: without commas, brackets and what is absent.

    Example:
        >>> nodes_of([s.Name("a"), Token("COMMA", ","), s.Name("b"), None])
        (Name(text='a'), Name(text='b'))
    """
    return tuple(kid for kid in kids if isinstance(kid, s.Node))


def text_of(string: Token) -> s.Text:
    """The text of a STRING token.

    Example:
        >>> text_of(Token("STRING", "'it''s'", start_pos=0, end_pos=7))
        Text(value="it's")
    """
    return s.Text(string[1:-1].replace("''", "'"), span=span_of([string]))


def function_name(name: s.Name | Token) -> s.Name:
    """Functions are the same in any case; only ASCII letters have an undisputed one. A token is a keyword.

    Example:
        >>> function_name(s.Name("ReLU")), function_name(s.Name("Größe"))
        (Name(text='relu'), Name(text='Größe'))
    """
    if isinstance(name, Token):
        return s.Name(name.lower(), span=span_of([name]))
    return replace(name, text=name.text.lower()) if name.text.isascii() else name
