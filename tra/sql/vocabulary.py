"""Users' words for the terminals of ``grammar.lark``: what may stand at a place, in a phrase."""

from collections.abc import Set
from typing import NamedTuple

_RESERVED_STARTS = ("LOAD", "LET", "CREATE", "HINT", "EXPLAIN", "SHOW", "SAVE")
STATEMENT_STARTS = (*_RESERVED_STARTS, "INITIALIZE", "TRAIN")
QUERY_STARTS = ("SELECT", "TILE", "CONCAT", "STACK", "REKEY", "RETILE", "CONSTANT", "IOTA", "RANDOM")
RESERVED = (*_RESERVED_STARTS, "SELECT", "FROM", "JOIN", "ON", "WHERE", "GROUP", "AS", "AND", "OR", "NOT")
_CLAUSES = (
    "VIEW",
    "ANALYZE",
    "BY",
    "TO",
    "AXIS",
    "SIZE",
    "KEY",
    "TRUNCATE",
    "AXES",
    "VALUE",
    "ALONG",
    "SEED",
    "TYPE",
    "KEYS",
    "SPLIT",
    "MINIMIZE",
    "USING",
    "FOR",
    "EPOCHS",
    "BATCH",
    "CHECKPOINT",
    "EVERY",
    "REPORT",
    "GRAD",
)
_UNRESERVED = ("INITIALIZE", "TRAIN", *QUERY_STARTS[1:], *_CLAUSES, "INF", "NAN", "TRUE", "FALSE")
KEYWORDS = (*RESERVED, *_UNRESERVED)

DISTRIBUTIONS = "UNIFORM(low, high), NORMAL(mean, deviation), ZEROS"
STATEMENTS = "LOAD, INITIALIZE, LET, CREATE VIEW, HINT, TRAIN, EXPLAIN, SHOW, SAVE or a query"

_SIGNS = {
    "COMMA": ",",
    "DOT": ".",
    "COLON": ":",
    "PLUS": "+",
    "MINUS": "-",
    "STAR": "*",
    "SLASH": "/",
    "PERCENT": "%",
    "CIRCUMFLEX": "^",
    "EQUAL": "=",
    "ARROW": "=>",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "SEMICOLON": ";",
}
_NAMES = frozenset(("NAME", "QUOTED", *_UNRESERVED))
_NUMBERS = frozenset(("INT", "FLOAT", "IMAGINARY", "INF", "NAN"))
_LITERALS = _NUMBERS | {"STRING", "TRUE", "FALSE", "MINUS", "LPAR"}
_CALLS = _NAMES | _LITERALS | {"WHERE"}  # a function may be called so
_OPERATORS = frozenset(("PLUS", "MINUS", "STAR", "SLASH", "PERCENT", "CIRCUMFLEX", "EQUAL", "COMPARATOR"))


class _Phrase(NamedTuple):
    """Words that stand for all of `terminals` where all of `signature` may stand."""

    signature: frozenset[str]
    words: str
    terminals: frozenset[str]


# Where any key expression begins, TILE may stand too, as a table's name: only an item may be the tile itself.
_ITEM = _Phrase(frozenset({"NAME", "INT", "MINUS", "TILE"}), "a key or tile expression", _CALLS)
# The first that fits takes its terminals away from the later ones.
_PHRASES = (
    _Phrase(
        frozenset({"LET"}), f"a statement ({STATEMENTS})", _NAMES | {*STATEMENT_STARTS, "SELECT", "LPAR"}
    ),
    _Phrase(frozenset({"SELECT"}), "a query", _NAMES | {"SELECT", "LPAR"}),
    _Phrase(frozenset({"STRING", "NAME"}), "a tile expression or a literal", _CALLS),
    _Phrase(frozenset({"STRING", "FLOAT"}), "a literal", _LITERALS),
    _Phrase(frozenset({"NOT"}), "a condition on keys", _NAMES | {"NOT", "INT", "LPAR", "MINUS"}),
    _Phrase(frozenset({"NAME", "FLOAT"}), "an expression", _CALLS),
    _Phrase(frozenset({"NAME", "INT", "MINUS"}), "a key expression", _NAMES | _LITERALS),
    _Phrase(frozenset({"NAME", "WHERE"}), "a distribution", _NAMES | {"WHERE"}),  # named like a function
    _Phrase(frozenset({"NAME"}), "a name", _NAMES),
    _Phrase(frozenset({"FLOAT"}), "a number", _NUMBERS),
    _Phrase(frozenset({"IMAGINARY"}), "an imaginary number such as 2.0j", _NUMBERS),
    _Phrase(frozenset({"INT"}), "a whole number", frozenset({"INT", "MINUS"})),
    _Phrase(frozenset({"STRING"}), "a string in single quotes", frozenset({"STRING"})),
    _Phrase(frozenset({"STAR"}), "an operator", _OPERATORS),
    _Phrase(frozenset({"COMPARATOR"}), "a comparison", _OPERATORS),
    _Phrase(frozenset({"SEMICOLON"}), "';'", frozenset({"SEMICOLON", "$END"})),
)


def expected(accepts: Set[str], after: str = "") -> str:
    """What may stand at a place where the parser accepts these terminals, after a terminal.

    Example:
        >>> expected({"NAME", "QUOTED", "RPAR"})
        "a name or ')'"
        >>> expected({"FROM", "AS", "COMMA", "STAR", "PLUS"})
        "an operator, FROM, AS or ','"
    """
    rest = set(accepts)
    if after in ("SELECT", "COMMA") and rest >= _ITEM.signature:
        return _ITEM.words
    words = []
    for phrase in _PHRASES:
        if phrase.signature <= rest:
            words.append(phrase.words)
            rest -= phrase.terminals
    words += [word for word in KEYWORDS if word in rest]
    words += [f"'{sign}'" for terminal, sign in _SIGNS.items() if terminal in rest]
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
