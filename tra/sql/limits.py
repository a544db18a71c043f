"""How long and how deep a text may be: found while its words are read, before anything grows with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lark import Token

from tra.sql.numerals import span_of_token
from tra.sql.problems import MAX_HEIGHT, Problem, too_deep

MAX_CHARACTERS = 10_000_000
MAX_TOKENS = 50_000  # about half a second
MAX_TOKENS_WITH_KEYS = 250_000  # where the rest is in lists of keys, which are read faster
MAX_ENTRIES = 1000
MAX_NAME = 500
MAX_STRING = 10_000
# What waits for its right end: a level of a legal tree leaves at most ten entries on the parser's stack.
_MAX_WAITING = 20 * MAX_HEIGHT
_LONGEST = {"NAME": MAX_NAME, "QUOTED": MAX_NAME, "STRING": MAX_STRING}
_WHAT = {"NAME": "name", "QUOTED": "name", "STRING": "string"}


@dataclass
class Limits:
    """Counts what was read.

    Example:
        >>> limits = Limits()
        >>> limits.read(Token("NAME", "x" * 501), 0)
        Traceback (most recent call last):
        tra.sql.problems.Problem: a name of 501 characters: at most 500 are read
    """

    n_tokens: int = 0
    n_in_keys: int = 0
    entries: list[int] = field(default_factory=lambda: [0])  # of the statement, and of each open bracket
    keys_at: int | None = None  # the depth at which a list of keys is open
    last: str = ""

    def read(self, token: Token, n_waiting: int) -> None:
        """Takes in the next token; `n_waiting` parts of the text wait for their end.

        Raises:
            Problem: it is one too many, or too long.
        """
        self.n_tokens += 1
        self.n_in_keys += self.keys_at is not None
        if len(token) > _LONGEST.get(token.type, len(token)):
            what, most = _WHAT[token.type], _LONGEST[token.type]
            raise Problem(
                span_of_token(token), f"a {what} of {len(token)} characters: at most {most} are read"
            )
        self._nest(token)
        if len(self.entries) > MAX_HEIGHT + 1 or n_waiting > _MAX_WAITING:
            raise too_deep(span_of_token(token))
        if self.n_tokens - self.n_in_keys > MAX_TOKENS:
            raise Problem(span_of_token(token), f"more than {MAX_TOKENS:,} words and signs")
        if self.n_tokens > MAX_TOKENS_WITH_KEYS:
            raise Problem(span_of_token(token), f"more than {MAX_TOKENS_WITH_KEYS:,} words and signs")
        self.last = token.type

    def _nest(self, token: Token) -> None:
        """Counts brackets, and what is listed in each."""
        match token.type:
            case "SEMICOLON":
                self.entries, self.keys_at = [0], None
            case "LPAR" | "LSQB":
                self.entries.append(0)
                if self.last == "KEYS" and self.keys_at is None:
                    self.keys_at = len(self.entries)
            case "RPAR" | "RSQB" if len(self.entries) > 1:
                if self.keys_at == len(self.entries):
                    self.keys_at = None
                self.entries.pop()
            case "COMMA" | "JOIN" if self.keys_at is None:
                self.entries[-1] += 1
                if self.entries[-1] >= MAX_ENTRIES:
                    raise Problem(span_of_token(token), f"more than {MAX_ENTRIES:,} entries of one list")
            case _:
                pass
