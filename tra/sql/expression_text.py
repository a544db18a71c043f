"""Canonical text of expressions, with no more parentheses than the tree needs."""

from __future__ import annotations

import math
import re

from tra.errors import QueryError
from tra.sql import syntax as s
from tra.sql.parser import name_pattern

# How tightly an expression binds; one that binds less than its place asks for is put in parentheses.
_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(9)
# Of each operator: how tightly it binds, and what its left and its right side must.
_BINDING = {
    "+": (_SUM, _SUM, _PRODUCT),
    "-": (_SUM, _SUM, _PRODUCT),
    "*": (_PRODUCT, _PRODUCT, _UNARY),
    "/": (_PRODUCT, _PRODUCT, _UNARY),
    "%": (_PRODUCT, _PRODUCT, _UNARY),
    "^": (_POWER, _ATOM, _UNARY),
}


# --- leaves ---------------------------------------------------------------------------------------


def name_text(name: s.Name) -> str:
    """A name, in double quotes where it is reserved or no word.

    Example:
        >>> name_text(s.Name("W1")), name_text(s.Name("select")), name_text(s.Name("layer 1"))
        ('W1', '"select"', '"layer 1"')
    """
    if re.fullmatch(name_pattern(), name.text):
        return name.text
    if not name.text or "\n" in name.text:
        raise QueryError(f"{name.text!r} cannot be written as a name: it is empty or has a line break")
    return '"' + name.text.replace('"', '""') + '"'


def key_name_text(name: s.Name) -> str:
    """A key's name in a SELECT, where a bare ``tile`` is the tile.

    Example:
        >>> key_name_text(s.Name("i")), key_name_text(s.Name("tile"))
        ('i', '"tile"')
    """
    return f'"{name.text}"' if re.fullmatch("tile", name.text, re.IGNORECASE) else name_text(name)


def names_text(names: tuple[s.Name, ...]) -> str:
    """Names with commas between them.

    Example:
        >>> names_text((s.Name("i"), s.Name("from")))
        'i, "from"'
    """
    return ", ".join(map(name_text, names))


def function_text(name: s.Name) -> str:
    """A function's name, in upper case where it is the same function.

    Example:
        >>> function_text(s.Name("relu")), function_text(s.Name("größe"))
        ('RELU', 'größe')
    """
    if name.text.lower() == "where":
        return "WHERE"
    if name.text.lower() == "grad":  # without quotes it would begin a gradient
        return f'"{name.text}"'
    return name_text(s.Name(name.text.upper())) if name.text.isascii() else name_text(name)


def string_text(value: str) -> str:
    """A string in single quotes.

    Example:
        >>> string_text("it's")
        "'it''s'"
    """
    if "\n" in value:
        raise QueryError(f"{value!r} cannot be written as a string: it has a line break")
    return "'" + value.replace("'", "''") + "'"


def literal_text(value: s.LiteralValue) -> str:
    """A constant.

    Example:
        >>> literal_text((1, -0.5, True, "it's", 2j, 1 - 2j, float("inf"), (0,)))
        "(1, -0.5, TRUE, 'it''s', 2.0j, 1.0 - 2.0j, INF, (0,))"
    """
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return repr(value).upper() if not math.isfinite(value) else repr(value)
        case complex():
            return _complex_text(value)
        case str():
            return string_text(value)
        case tuple():
            items = ", ".join(map(literal_text, value))
            return f"({items},)" if len(value) == 1 else f"({items})"


def _complex_text(value: complex) -> str:
    if not math.isfinite(value.imag):
        raise QueryError(f"{value} cannot be written: its imaginary part is not finite")
    sign = math.copysign(1.0, value.imag)
    size = f"{abs(value.imag)!r}j"
    if repr(value.real) == "0.0":
        return size if sign > 0 else f"-{size}"
    return f"{literal_text(value.real)} {'+' if sign > 0 else '-'} {size}"


def _calls(function: s.Name, arguments: list[str], options: tuple[s.Option, ...], indices: str = "") -> str:
    named = [f"{name_text(option.name)} => {literal_text(option.value.value)}" for option in options]
    return f"{function_text(function)}{indices}({', '.join(arguments + named)})"


def _minus(operand: str) -> str:
    # Two signs in a row would begin a comment.
    return f"-({operand})" if operand.startswith("-") else f"-{operand}"


def _within(text: str, binds: int, asked: int) -> str:
    return f"({text})" if binds < asked else text


# --- the index form -------------------------------------------------------------------------------


def expr_text(expr: s.Expr, asked: int = _COMPARISON) -> str:
    """An expression of the index form, where what binds less than `asked` is put in parentheses.

    Example:
        >>> a, b = s.Tensor(s.Name("a")), s.Tensor(s.Name("b"), (s.Name("i"),))
        >>> expr_text(s.Binary("*", s.Binary("+", a, b), s.Negate(b)))
        '(a + b[i]) * -b[i]'
    """
    match expr:
        case s.Literal(value):
            return _amount_text(value)
        case s.Tensor(name, indices):
            return name_text(name) + bracketed(indices)
        case s.Gradient(loss, wrt, indices):
            return f"GRAD({name_text(loss)}, {name_text(wrt)}){bracketed(indices)}"
        case s.Call(function, indices, arguments, options):
            given = [expr_text(argument) for argument in arguments]
            return _calls(function, given, options, bracketed(indices))
        case s.Negate(operand):
            return _within(_minus(expr_text(operand, _UNARY)), _UNARY, asked)
        case s.Binary(operator, left, right):
            binds, on_left, on_right = _BINDING[operator]
            text = f"{expr_text(left, on_left)} {operator} {expr_text(right, on_right)}"
            return _within(text, binds, asked)
        case s.Compare(operator, left, right):
            text = f"{expr_text(left, _SUM)} {operator} {expr_text(right, _SUM)}"
            return _within(text, _COMPARISON, asked)


def bracketed(indices: tuple[s.Name, ...] | None) -> str:
    """Indices in brackets, nothing for None.

    Example:
        >>> bracketed((s.Name("i"), s.Name("j"))), bracketed(None)
        ('[i, j]', '')
    """
    return "" if indices is None else f"[{names_text(indices)}]"


def _amount_text(value: s.LiteralValue) -> str:
    if isinstance(value, bool | str | tuple) or not math.isfinite(abs(value)):
        raise QueryError(f"{literal_text(value)} is no number of the index form")
    text = literal_text(value)
    return f"({text})" if text.startswith("-") or " " in text else text


# --- keys, conditions and tiles -------------------------------------------------------------------


def key_text(key: s.KeyExpr, asked: int = _SUM) -> str:
    """A key expression, where what binds less than `asked` is put in parentheses.

    Example:
        >>> i, j = s.KeyRef(s.Name("A"), s.Name("i")), s.KeyRef(None, s.Name("j"))
        >>> key_text(s.KeyBinary("-", i, s.KeyBinary("-", j, s.Integer(1))))
        'A.i - (j - 1)'
    """
    match key:
        case s.Integer(value):
            return str(value) if value >= 0 else f"({value})"
        case s.KeyRef(None, name):
            return key_name_text(name)
        case s.KeyRef(s.Name() as table, name):
            return f"{name_text(table)}.{key_name_text(name)}"
        case s.KeyNegate(operand):
            return _within(_minus(key_text(operand, _UNARY)), _UNARY, asked)
        case s.KeyBinary(operator, left, right):
            binds, on_left, on_right = _BINDING[operator]
            return _within(f"{key_text(left, on_left)} {operator} {key_text(right, on_right)}", binds, asked)
        case s.KeyCompare(operator, left, right):
            return _within(f"{key_text(left)} {operator} {key_text(right)}", _COMPARISON, asked)
        case s.Not(operand):
            return _within(f"NOT {key_text(operand, _NOT)}", _NOT, asked)
        case s.And(operands):
            return _within(" AND ".join([key_text(p, _NOT) for p in operands]), _AND, asked)
        case s.Or(operands):
            return _within(" OR ".join([key_text(p, _AND) for p in operands]), _OR, asked)
    raise AssertionError(key)


def condition_text(condition: s.KeyExpr) -> str:
    """A condition on keys.

    Example:
        >>> p = s.KeyCompare("=", s.KeyRef(None, s.Name("i")), s.Integer(0))
        >>> condition_text(s.And((p, s.Or((p, s.Not(p))))))
        'i = 0 AND (i = 0 OR NOT i = 0)'
    """
    return key_text(condition, _OR)


def tile_text(tile: s.TileExpr) -> str:
    """A tile expression.

    Example:
        >>> tile_text(s.TileCall(s.Name("add"), (s.TileRef(s.Name("A")), s.Literal(1.0))))
        'ADD(A.tile, 1.0)'
    """
    match tile:
        case s.Literal(value):
            return literal_text(value)
        case s.TileRef(None):
            return "tile"
        case s.TileRef(s.Name() as table):
            return f"{name_text(table)}.tile"
        case s.TileCall(function, arguments, options):
            return _calls(function, [tile_text(argument) for argument in arguments], options)
    raise AssertionError(tile)
