"""Query text to syntax tree."""

from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from tra.errors import QueryError
from tra.sql.builder import Builder
from tra.sql.carets import caret_error
from tra.sql.diagnosis import Situation, unexpected_character, unexpected_token
from tra.sql.limits import MAX_CHARACTERS, Limits
from tra.sql.problems import Problem
from tra.sql.syntax import Statement


def parse_text(text: str, origin: str = "<query>") -> tuple[Statement, ...]:
    """Parses query text to its statements; names are not looked up.

    Args:
        text: statements, each ended by ``;``, which the last may lack.
        origin: what errors call the text, such as a file name.

    Raises:
        QueryError: the text is not a query; the message shows where and what may stand there.

    Example:
        >>> parse_text("SHOW C;")
        (Show(query=Table(name=Name(text='C'))),)
        >>> parse_text("SELCT A.i, A.tile FROM A")
        Traceback (most recent call last):
        tra.errors.QueryError: <query>:1:1: 'SELCT' begins no statement
          SELCT A.i, A.tile FROM A
          ^~~~~
          hint: did you mean SELECT?
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"{origin}: {len(text):,} characters: at most {MAX_CHARACTERS:,} are read")
    try:
        return _parse(text)
    except Problem as problem:
        raise caret_error(text, problem.span, problem.message, problem.hint, origin) from None


@cache
def name_pattern() -> str:
    """The regular expression of names that need no double quotes.

    Example:
        >>> import re
        >>> [bool(re.fullmatch(name_pattern(), word)) for word in ("W1", "tile", "select", "two words")]
        [True, True, False, False]
    """
    return _lark().get_terminal("NAME").pattern.to_regexp()


@cache
def _lark() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", keep_all_tokens=True, transformer=Builder())


def _parse(text: str) -> tuple[Statement, ...]:
    """Feeds the parser token by token, watching how deep and how long the text is."""
    cursor: Any = _lark().parse_interactive(text)  # lark leaves its methods without types
    situation, limits = Situation(), Limits()
    state = cursor.parser_state
    try:
        for token in cursor.lexer_thread.lex(cursor.parser_state):
            # Before it refuses a token the parser may reduce, and forget part of what it would have taken.
            state = cursor.parser_state.copy(deepcopy_values=False)
            cursor.feed_token(token)
            state = cursor.parser_state
            situation.read(token)
            limits.read(token, len(state.state_stack))
        state = cursor.parser_state.copy(deepcopy_values=False)
        statements: tuple[Statement, ...] = cursor.feed_eof(situation.last)
        return statements
    except UnexpectedToken as error:
        cursor.parser_state = state
        raise unexpected_token(error.token, cursor.accepts(), situation) from None
    except UnexpectedCharacters as error:
        raise unexpected_character(text, error.pos_in_stream or 0, cursor.accepts(), situation) from None
