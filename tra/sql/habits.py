"""Habits from other languages: what is written elsewhere, and what to write here."""

from __future__ import annotations

_BOTH = {
    "==": "equality is written =",
    "=<": "at most is written <=",
    "=>": "at least is written >=",
    "/*": "comments begin with --",
    ":=": "LET assigns with =",
    "#": "comments begin with --",
    "@": "a matrix product is SUM(A[i, k] * B[k, j]), in a SELECT SUM(MATMUL(A.tile, B.tile))",
    **dict.fromkeys("‘’“”", "quotes are straight: 'text', \"name\""),
    "−": "the minus sign is the hyphen -",
    "×": "products are written *",
    "²": "a square is written ^ 2",
}
_IN_LET = {
    **dict.fromkeys(("&", "&&", "AND"), "conditions on elements are joined by LOGICAL_AND(a, b)"),
    **dict.fromkeys(("|", "||", "OR"), "conditions on elements are joined by LOGICAL_OR(a, b)"),
    **dict.fromkeys(("!", "~", "NOT"), "a condition on elements is negated by LOGICAL_NOT(a)"),
    "%": "the remainder is MOD(a, b)",
    "**": "a power is written ^",
    "//": "the floor of a quotient is FLOOR_DIV(a, b); comments begin with --",
    ".": "a tensor is written with its indices, such as A[i, j]",
}
_IN_QUERY = {
    **dict.fromkeys(("&", "&&"), "conditions are joined by AND"),
    **dict.fromkeys(("|", "||"), "conditions are joined by OR"),
    **dict.fromkeys(("!", "~"), "a condition is negated by NOT, inequality is <>"),
    **dict.fromkeys(("^", "**"), "keys have no powers: write i * i"),
    "//": "/ between keys is the floor division; comments begin with --",
    "IN": "several keys are i = 1 OR i = 2",
    "BETWEEN": "a range of keys is i >= 1 AND i <= 2",
    "USING": "the keys to join on are written out: ON A.j = B.j",
    **dict.fromkeys(
        ("INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL"),
        "a join is FROM A JOIN B ON A.j = B.j, or FROM A, B where all tiles are paired",
    ),
    **dict.fromkeys(("ORDER", "LIMIT"), "tiles have no order; WHERE picks them by their keys"),
}


def habit(written: str, is_let: bool) -> str | None:
    """What to write for a sign or word of another language, within a LET or elsewhere.

    Example:
        >>> habit("&&", is_let=False), habit("&&", is_let=True)
        ('conditions are joined by AND', 'conditions on elements are joined by LOGICAL_AND(a, b)')
        >>> habit("+", is_let=True)
    """
    own = _IN_LET if is_let else _IN_QUERY
    return own.get(written.upper()) or _BOTH.get(written)
