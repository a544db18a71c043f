"""Generated relations to and from text: constants, places along an axis, random numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tra.algebra.live import full_box, unique_keys
from tra.algebra.nodes import Constant, Expr, Generated, Iota, Maker, Random
from tra.algebra.operators import generated
from tra.algebra.types import Axis, Box, Key, KeySet, Live, RelType, as_link
from tra.errors import QueryError, near_name
from tra.sql import syntax as s
from tra.sql.problems import Problem
from tra.sql.scope import at

_KINDS = "biufc"
_DTYPES = ("bool", "int64", "int32", "uint8", "float64", "float32", "float16", "complex128", "complex64")
_PAIR = re.compile(r"pair\((.+), (.+)\)")


def bind_generated(query: s.Constant | s.Iota | s.Random) -> Expr:
    """The expression of a generated relation.

    Raises:
        Problem: its keys, axes or dtype do not fit together.
    """
    type_ = _type(query)
    with at(query.span):
        return generated(type_, _maker(query))


def _maker(query: s.Constant | s.Iota | s.Random) -> Maker:
    match query:
        case s.Constant(value=s.Literal(value)):
            _check_value(query.value, dtype_of(query.dtype))
            return Constant(value)
        case s.Iota(axis=axis):
            return Iota(axis.value)
        case s.Random(distribution=name, parameters=(s.Literal(first), s.Literal(second))) if isinstance(
            first, int | float
        ) and isinstance(second, int | float):
            return Random(name.text, (first, second), query.seed.value)
        case s.Random(distribution=name):
            raise Problem(name.span, f"{name.text.upper()} takes two numbers", "UNIFORM(low, high), NORMAL(mean, deviation)")


def _check_value(written: s.Literal, dtype: np.dtype[Any]) -> None:
    try:
        np.full((), written.value, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise Problem(written.span, f"this is no value of dtype {dtype}: {error}") from error


def _type(query: s.Constant | s.Iota | s.Random) -> RelType:
    keys: list[Key] = []
    for domain in query.layout.domains:
        if any(domain.key.text == key.name for key in keys):
            raise Problem(domain.span, f"two keys are called {domain.key.text}")
        keys.append(Key(domain.key.text, domain.size.value))
    axes = tuple(_axis(axis, keys) for axis in query.layout.axes)
    type_ = RelType(tuple(keys), axes, dtype_of(query.dtype), Box(()))
    live = full_box(type_) if query.live is None else _live(query.live, type_)
    return RelType(type_.keys, axes, type_.dtype, live)


def _axis(axis: s.Axis, keys: list[Key]) -> Axis:
    domains = {key.name: key.domain for key in keys}
    last = 0
    for term in axis.link:
        if term.key.text not in domains:
            near = near_name(term.key.text, domains)
            raise Problem(term.span, f"no key {term.key.text} cuts this axis{near}")
        last += term.coefficient * max(domains[term.key.text] - 1, 0)
    link = as_link({term.key.text: term.coefficient for term in axis.link})
    extent = axis.size.value * (last + 1) if axis.extent is None else axis.extent.value
    return Axis(axis.size.value, link, extent)


def _live(live: s.Live, type_: RelType) -> Live:
    width = len(type_.keys)
    rows = live.keys if isinstance(live, s.LiveKeys) else live.ranges
    if isinstance(live, s.LiveBox):
        if len(rows) != width or any(high > d for (_, high), d in zip(rows, type_.domains, strict=True)):
            raise Problem(live.span, f"these ranges do not fit the keys {_keys_text(type_)}")
        return Box(live.ranges)
    wrong = next((r for r in rows if len(r) != width or any(k >= d for k, d in zip(r, type_.domains, strict=True))), None)
    if wrong is not None:
        raise Problem(live.span, f"{wrong} does not fit the keys {_keys_text(type_)}")
    return KeySet(unique_keys(np.array(rows, dtype=np.int64).reshape(len(rows), width)))


def _keys_text(type_: RelType) -> str:
    return f"({', '.join(map(str, type_.keys))})"


# --- dtypes ----------------------------------------------------------------------------------------


def dtype_of(name: s.Name) -> np.dtype[Any]:
    """The dtype of a name; a pair of value and index is called ``"pair(float64, int64)"``.

    Raises:
        Problem: it is no dtype of booleans or numbers.
    """
    pair = _PAIR.fullmatch(name.text)
    if pair:
        parts = [dtype_of(s.Name(text, span=name.span)) for text in pair.groups()]
        return np.dtype([("value", parts[0]), ("index", parts[1])])
    try:
        found = np.dtype(name.text)
    except Exception:  # NumPy reads more than names here, and fails in many ways
        found = np.dtype(object)
    if found.kind not in _KINDS:
        near = near_name(name.text, _DTYPES)
        raise Problem(name.span, f"{name.text} is no dtype{near}", f"such as {', '.join(_DTYPES)}")
    return found


def dtype_name(dtype: np.dtype[Any]) -> s.Name:
    """What to write for a dtype.

    Example:
        >>> dtype_name(np.dtype("f4")).text, dtype_name(np.dtype([("value", "f8"), ("index", "i8")])).text
        ('float32', 'pair(float64, int64)')
    """
    if dtype.names == ("value", "index"):
        return s.Name(f"pair({dtype[0]}, {dtype[1]})")
    return s.Name(str(dtype))


# --- to text ---------------------------------------------------------------------------------------


def generated_syntax(node: Generated) -> s.Constant | s.Iota | s.Random:
    """What to write for a generated relation.

    Raises:
        QueryError: a number in it cannot be written, or its keys are known only when it runs.
    """
    layout, dtype, live = _layout(node.type), dtype_name(node.type.dtype), _live_syntax(node.type)
    match node.maker:
        case Constant(value):
            return s.Constant(layout, literal(value), dtype, live)
        case Iota(axis):
            return s.Iota(layout, s.Integer(axis), dtype, live)
        case Random(distribution, parameters, seed):
            drawn = tuple(literal(parameter) for parameter in parameters)
            return s.Random(layout, s.Name(distribution), drawn, s.Integer(seed), dtype, live)


def literal(value: Any) -> s.Literal:
    """A constant as it is written.

    Raises:
        QueryError: it is nothing that text can say.
    """
    if not _has_text(value):
        raise QueryError(f"{value!r} is a {type(value).__name__}, which query text cannot say: use plain numbers and strings")
    return s.Literal(value)


def _has_text(value: Any) -> bool:
    if isinstance(value, np.generic):
        return False
    return all(map(_has_text, value)) if type(value) is tuple else isinstance(value, bool | int | float | complex | str)


def _layout(type_: RelType) -> s.Layout:
    domains = tuple(s.Domain(s.Name(key.name), s.Integer(key.domain)) for key in type_.keys)
    return s.Layout(domains, tuple(map(_axis_syntax, type_.axes)))


def _axis_syntax(axis: Axis) -> s.Axis:
    link = tuple(s.LinkTerm(s.Name(name), coefficient) for name, coefficient in axis.link)
    plain = not link and axis.extent == axis.size
    return s.Axis(s.Integer(axis.size), link, None if plain else s.Integer(axis.extent))


def _live_syntax(type_: RelType) -> s.Live | None:
    if type_.live == full_box(type_):
        return None
    match type_.live:
        case KeySet(keys=keys):
            return s.LiveKeys(tuple(tuple(key) for key in keys.tolist()))
        case Box(ranges=ranges):
            return s.LiveBox(ranges)
        case _:
            raise QueryError(f"the keys of {type_} are known only when it runs, and text cannot list them")
