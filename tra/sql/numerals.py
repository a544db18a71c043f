"""The values of number tokens, which never overflow silently."""

import math

from lark import Token

from tra.sql.leaves import LiteralValue
from tra.sql.problems import Problem, Span

MAX_DIGITS = 1000


def integer_of(token: Token) -> int:
    """The value of an INT token.

    Example:
        >>> integer_of(Token("INT", "12"))
        12
    """
    return int(_checked(token))


def number_of(token: Token) -> int | float | complex:
    """The value of an INT, FLOAT, IMAGINARY, INF or NAN token.

    Example:
        >>> number_of(Token("FLOAT", "1e3")), number_of(Token("IMAGINARY", "2j"))
        (1000.0, 2j)
    """
    digits = _checked(token)
    match token.type:
        case "INT":
            return int(digits)
        case "IMAGINARY":
            return complex(0.0, _finite(token, digits[:-1]))
        case "INF":
            return math.inf
        case "NAN":
            return math.nan
        case _:
            return _finite(token, digits)


def negative(value: int | float | complex) -> int | float | complex:
    """Minus `value`, where ``-2j`` keeps the real part at 0.0 rather than -0.0.

    Example:
        >>> negative(3), negative(2j)
        (-3, -2j)
    """
    return complex(0.0, -value.imag) if isinstance(value, complex) else -value


def complex_of(real: LiteralValue, sign: Token, imaginary: Token) -> complex | None:
    """The value of ``real + imaginary``; None when the first is complex itself.

    Example:
        >>> complex_of(1.0, Token("MINUS", "-"), Token("IMAGINARY", "2j"))
        (1-2j)
    """
    if isinstance(real, complex) or not isinstance(real, int | float):
        return None
    part = _finite(imaginary, _checked(imaginary)[:-1])
    return complex(_finite(imaginary, str(real)), part if sign == "+" else -part)


def span_of_token(token: Token) -> Span:
    """Where a token is.

    Example:
        >>> span_of_token(Token("NAME", "SHOW", start_pos=3))
        Span(start=3, end=7)
    """
    start = token.start_pos or 0
    return Span(start, start + len(token))


def _checked(token: Token) -> str:
    if len(token) > MAX_DIGITS:
        raise Problem(
            span_of_token(token), f"a number of {len(token)} characters: at most {MAX_DIGITS} are read"
        )
    return str(token)


def _finite(token: Token, digits: str) -> float:
    value = float(digits)
    if math.isinf(value) and not digits.strip("-").startswith("inf"):
        raise Problem(span_of_token(token), f"{digits} is too large for a float")
    return value
