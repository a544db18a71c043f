"""Words syntax errors: what was found, what may stand there, and what was probably meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass, field
from difflib import get_close_matches

from lark import Token

from tra.sql.habits import habit
from tra.sql.lookalikes import plain
from tra.sql.numerals import span_of_token
from tra.sql.problems import Problem, Span
from tra.sql.vocabulary import (
    DISTRIBUTIONS,
    KEYWORDS,
    QUERY_STARTS,
    RESERVED,
    STATEMENT_STARTS,
    STATEMENTS,
    expected,
)

_CLOSES = {"RPAR": "LPAR", "RSQB": "LSQB"}
# Operators, and the functions that do the same to tiles.
_OPERATORS = {
    "PLUS": "ADD", "MINUS": "SUB", "STAR": "MUL", "SLASH": "DIV", "CIRCUMFLEX": "POW", "PERCENT": "MOD",
}  # fmt: skip
_LONGEST_SHOWN = 30
# What an expression begins with that is no name, and what follows a name in one.
_BEGIN = ("INT", "FLOAT", "IMAGINARY", "MINUS", "LPAR", "SELECT")
_FOLLOW = (*_OPERATORS, "LPAR", "LSQB", "DOT", "COMPARATOR", "EQUAL")

# Two tokens in a row of which the second is too much.
_PAIRS = {
    ("EQUAL", "SELECT"): "a query is named by CREATE VIEW name AS SELECT ...",
    ("LSQB", "RSQB"): "what has no indices is written without brackets",
    ("SEMICOLON", "SEMICOLON"): "remove the second",
    ("SELECT", "STAR"): "name the keys and the tile: SELECT A.i, A.j, A.tile FROM A",
}


@dataclass
class Situation:
    """What was read before a mistake.

    Attributes:
        first: the first token of the statement.
        last: the newest token.
        before: the token before it.
        brackets: the opening brackets that are not closed yet.
    """

    first: Token | None = None
    last: Token | None = None
    before: Token | None = None
    brackets: list[Token] = field(default_factory=list)

    @property
    def is_let(self) -> bool:
        """Claims that the statement is a LET."""
        return self.first is not None and self.first.type == "LET"

    @property
    def is_initialize(self) -> bool:
        """Claims that the statement is an INITIALIZE."""
        return self.first is not None and self.first.type == "INITIALIZE"

    def read(self, token: Token) -> None:
        """Takes in the next token."""
        kind = token.type
        if self.last is None or self.last.type == "SEMICOLON":
            self.first = token
        self.before, self.last = self.last, token
        if kind == "LPAR" or kind == "LSQB":
            self.brackets.append(token)
        elif kind in _CLOSES and self.brackets and self.brackets[-1].type == _CLOSES[kind]:
            self.brackets.pop()


def unexpected_token(token: Token, accepts: Set[str], situation: Situation) -> Problem:
    """The problem that `token` may not stand where it does.

    Example:
        >>> problem = unexpected_token(Token("NAME", "FRM"), {"FROM"}, Situation())
        >>> problem.message, problem.hint
        ("expected FROM, found 'FRM'", 'did you mean FROM?')
    """
    misspelt = _unknown_start(token, accepts, situation)
    if misspelt:
        return misspelt
    span = span_of_token(token)
    found = f"'{_shortened(token)}'"
    if token.type == "$END":
        end = span_of_token(situation.last).end if situation.last else 0
        span, found = Span(end, end), "the end of the text"
    elif token.type in ("STRING", "QUOTED"):
        found = _shortened(token)
    hint = _near_keyword(token, accepts) or _hint(token, accepts, situation)
    after = situation.last.type if situation.last else ""
    return Problem(span, f"expected {expected(accepts, after)}, found {found}", hint)


def unexpected_character(text: str, position: int, accepts: Set[str], situation: Situation) -> Problem:
    """The problem that no token at all begins at `position`.

    Example:
        >>> problem = unexpected_character("a @ b", 2, {"SEMICOLON", "$END"}, Situation())
        >>> problem.message, problem.span
        ("expected ';', found '@'", Span(start=2, end=3))
    """
    char = text[position]
    line = text[position : position + 1000].split("\n", 1)[0]
    if char == "'":
        return Problem(Span(position, position + len(line)), "this string is not closed: a ' is missing")
    if line.startswith('""'):
        return Problem(Span(position, position + 2), "a name between double quotes cannot be empty")
    if char == '"':
        return Problem(Span(position, position + len(line)), 'this name is not closed: a " is missing')
    number = re.match(r"\.?[0-9][\w.]*", line)
    if number:
        return Problem(
            Span(position, position + number.end()),
            f"'{_shortened(number.group())}' is no number",
            "a product is written with *, such as 3 * x" if number.group().isalnum() else None,
        )
    sign = (re.match(r"&&|\|\|", line) or [char])[0]
    is_shown = char.isprintable() and not unicodedata.combining(char)
    shown = f"'{sign}'" if is_shown else f"U+{ord(char):04X}"
    span = Span(position, position + len(sign))
    return Problem(span, f"expected {expected(accepts)}, found {shown}", habit(sign, situation.is_let))


def _unknown_start(token: Token, accepts: Set[str], situation: Situation) -> Problem | None:
    """The problem of a statement or query whose first word was taken for a relation's name."""
    word, before = situation.last, situation.before
    if word is None or word.type != "NAME" or token.type in (*STATEMENT_STARTS, "RPAR", "$END"):
        return None
    starts_statement = word is situation.first
    if not starts_statement and (before is None or before.type not in ("LPAR", "AS", "EXPLAIN", "SHOW")):
        return None
    starts = (*STATEMENT_STARTS, *QUERY_STARTS) if starts_statement else (*QUERY_STARTS, "ANALYZE")
    near = _nearest(word, starts)
    if near:
        what = "statement" if starts_statement else "query"
        return Problem(span_of_token(word), f"'{word}' begins no {what}", f"did you mean {near}?")
    if not starts_statement:
        return None
    hint = f"LET {word} ..." if token.type in ("EQUAL", "LSQB") else f"a statement is {STATEMENTS}"
    return Problem(span_of_token(word), f"'{_shortened(word)}' begins no statement", hint)


def _name_first(kind: str, situation: Situation) -> str | None:
    """That SHOW, EXPLAIN and SAVE take what has a name, where an expression or a query is written there."""
    first, last = situation.first, situation.last
    if first is None or last is None or first.type not in ("SHOW", "EXPLAIN", "SAVE"):
        return None
    begins = last is first or last.type == "ANALYZE"
    follows = last.type in ("NAME", "QUOTED") and (situation.before is first or _is_analyze(situation.before))
    if not (begins and kind in _BEGIN) and not (follows and kind in _FOLLOW):
        return None
    return f"name it first, by LET x[i, j] = ... or CREATE VIEW x AS SELECT ...; then {first.upper()} x"


def _is_analyze(token: Token | None) -> bool:
    return token is not None and token.type == "ANALYZE"


def _near_keyword(token: Token, accepts: Set[str]) -> str | None:
    near = _nearest(token, [word for word in KEYWORDS if word in accepts]) if token.type == "NAME" else None
    return f"did you mean {near}?" if near else None


def _nearest(word: str, keywords: list[str] | tuple[str, ...]) -> str | None:
    """The keyword that `word` misspells."""
    if len(word) > _LONGEST_SHOWN:  # comparing takes quadratic time
        return None
    return next(iter(get_close_matches(plain(word).upper(), keywords, n=1, cutoff=0.7)), None)


def _hint(token: Token, accepts: Set[str], situation: Situation) -> str | None:
    """What a mistake of a known kind needs."""
    kind = token.type
    last = situation.last.type if situation.last else ""
    if (last, kind) in _PAIRS:
        return _PAIRS[last, kind]
    named = _name_first(kind, situation)
    if named:
        return named
    if kind == "ARROW" and "EQUAL" in accepts:
        return "a setting is given with =, such as rate = 0.1"
    known = _tile_hint(kind, last, accepts) or _habit_hint(token, accepts, situation)
    if known:
        return known
    if situation.is_initialize and accepts >= {"NAME", "WHERE"}:
        return f"a parameter begins as {DISTRIBUTIONS}"
    if accepts == {"COMMA"}:
        return "the loss and what it is taken by have names: GRAD(loss, W)"
    if kind in STATEMENT_STARTS and "SEMICOLON" in accepts:
        return "statements end with ;"
    if last == "COMMA" and kind in RESERVED:
        return "remove the comma before it"
    if kind in RESERVED and "NAME" in accepts:
        return f'{kind} is a reserved word: as a name it is written "{token}"'
    return (
        _index_hint(kind, situation)
        or _bracket_hint(kind, accepts, situation)
        or _place_hint(kind, last, accepts, situation)
    )


def _habit_hint(token: Token, accepts: Set[str], situation: Situation) -> str | None:
    """What to write for the token, or for the sign that it makes with the one before it."""
    last = situation.last
    if last is not None and last.end_pos is not None and last.end_pos == token.start_pos:
        known = habit(f"{last}{token}", situation.is_let)
        if known:
            return known
    is_word = token.type == "NAME" or token.type in RESERVED
    if is_word and not {"STAR", "FLOAT", "COMMA", "AND", "ON"} & accepts:  # a name is asked for
        return None
    return habit(token, situation.is_let) if token.type not in ("STRING", "QUOTED") else None


def _tile_hint(kind: str, last: str, accepts: Set[str]) -> str | None:
    if kind in _OPERATORS and last in ("TILE", "RPAR") and {"STAR", "NAME"}.isdisjoint(accepts):
        return f"tiles are combined by functions, such as {_OPERATORS[kind]}(A.tile, B.tile)"
    return None


def _index_hint(kind: str, situation: Situation) -> str | None:
    """What to write for a place, a range or a shift among indices."""
    is_index = situation.is_let and situation.brackets and situation.brackets[-1].type == "LSQB"
    if is_index and kind in (*_OPERATORS, "INT", "COLON"):
        return "an index is a name; a part of a tensor is RETILE A[0:2, *] TO (...)"
    return None


def _bracket_hint(kind: str, accepts: Set[str], situation: Situation) -> str | None:
    """Which bracket lacks its partner."""
    if not situation.brackets:
        return "no bracket is open here" if kind in _CLOSES else None
    bracket = situation.brackets[-1]
    closes = next(closing for closing, opening in _CLOSES.items() if opening == bracket.type)
    if kind in ("$END", "SEMICOLON", *STATEMENT_STARTS) or (kind != closes and closes in accepts):
        return f"the '{bracket}' at {bracket.line}:{bracket.column} is not closed"
    return None


def _place_hint(kind: str, last: str, accepts: Set[str], situation: Situation) -> str | None:
    if kind in ("COMPARATOR", "EQUAL") and "STAR" in accepts:
        return "conditions on keys follow WHERE" if "FROM" in accepts else "comparisons do not chain"
    if kind == "COLON" and accepts <= {"EQUAL", "LSQB"}:
        return "LET assigns with ="
    if kind == "LPAR" and situation.is_let and accepts == {"EQUAL", "LSQB"}:
        return "indices stand in brackets, such as C[i, j]"
    if accepts == {"VIEW"}:
        return "a query is named by CREATE VIEW name AS ..., also one that has a name"
    if kind == "NAME" and {"AS", "JOIN"} <= accepts:
        return "another name of a table follows AS"
    return None


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
