"""Generated relations from text: constants, places along an axis, random numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tra.algebra.distributions import check_constant, check_random
from tra.algebra.live import MAX_LISTED, full_box, unique_keys
from tra.algebra.nodes import Constant, Expr, Iota, Maker, Random
from tra.algebra.operators import generated
from tra.algebra.types import Axis, Box, Key, KeyArray, KeySet, Live, RelType, as_link, check_size
from tra.errors import near_name
from tra.sql import syntax as s
from tra.sql.generated_text import component_text
from tra.sql.problems import Problem
from tra.sql.scope import at

_KINDS = "biufc"
_DTYPES = ("bool", "int64", "int32", "uint8", "float64", "float32", "float16", "complex128", "complex64")
_PAIR = re.compile(r"pair\((.+), (.+)\)")


def bind_generated(query: s.Constant | s.Iota | s.Random) -> Expr:
    """The expression of a generated relation.

    Raises:
        Problem: its keys, axes or dtype do not fit together.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> (statement,) = parse_text("IOTA (i: 3) AXES (10 BY i TO 25) ALONG 0 TYPE int64")
        >>> print(bind_generated(statement.query).type)
        [i:3] of 10/25 int64
    """
    type_ = _type(query)
    with at(query.span):
        return generated(type_, _maker(query))


def _maker(query: s.Constant | s.Iota | s.Random) -> Maker:
    match query:
        case s.Constant(value=s.Literal(value)):
            with at(query.value.span):
                check_constant(value, dtype_of(query.dtype))
            return Constant(value)
        case s.Iota(axis=axis):
            return Iota(axis.value)
        case s.Random(distribution=name, parameters=parameters, seed=seed):
            return random_maker(name, parameters, seed.value, dtype_of(query.dtype))


def random_maker(name: s.Name, parameters: Sequence[s.Literal], seed: int, dtype: np.dtype[Any]) -> Random:
    """What draws the elements of a relation from a distribution.

    Raises:
        Problem: other than two real numbers are given, or the distribution or the seed is none.

    Example:
        >>> random_maker(s.Name("uniform"), [s.Literal(0), s.Literal(0.5)], 7, np.dtype("f8"))
        Random(distribution='uniform', parameters=(0, 0.5), seed=7)
    """
    given = [parameter.value for parameter in parameters]
    match given:
        case [int() | float() as first, int() | float() as second]:
            maker = Random(name.text, (first, second), seed)
            with at(name.span):
                check_random(maker, dtype)
            return maker
    hint = "UNIFORM(low, high), NORMAL(mean, deviation)"
    raise Problem(name.span, f"{name.text.upper()} takes two numbers", hint)


def _type(query: s.Constant | s.Iota | s.Random) -> RelType:
    keys: list[Key] = []
    for domain in query.layout.domains:
        if any(domain.key.text == key.name for key in keys):
            raise Problem(domain.span, f"two keys are called {domain.key.text}")
        with at(domain.span):
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
    reach = axis.size.value * (last + 1)
    with at(axis.span):
        check_size(reach, "the reach of an axis")
        return Axis(axis.size.value, link, reach if axis.extent is None else axis.extent.value)


# --- live keys -------------------------------------------------------------------------------------


def _live(live: s.Live, type_: RelType) -> Live:
    if isinstance(live, s.LiveBox):
        return Box(_ranges(live.ranges, live, type_))
    boxes = [_ranges(key, live, type_) for key in live.keys]
    if sum(prod(max(high - low, 0) for low, high in box) for box in boxes) > MAX_LISTED:
        raise Problem(live.span, f"more than {MAX_LISTED:,} keys are listed")
    none = np.zeros((0, len(type_.keys)), dtype=np.int64)
    return KeySet(unique_keys(np.concatenate([none, *map(_members, boxes)])))


def _members(box: tuple[s.Range, ...]) -> KeyArray:
    """The keys in a box, one per row."""
    sizes = tuple(max(high - low, 0) for low, high in box)
    grid = np.indices(sizes, dtype=np.int64).reshape(len(box), prod(sizes)).T
    return grid + np.array([low for low, _ in box], dtype=np.int64)


def _ranges(written: Sequence[int | s.Range], live: s.Live, type_: RelType) -> tuple[s.Range, ...]:
    """A key or box as ranges, one per key of the relation."""
    found = tuple((c, c + 1) if isinstance(c, int) else c for c in written)
    shown = f"({', '.join(map(component_text, written))})"
    keys = f"the keys ({', '.join(map(str, type_.keys))})"
    if len(found) != len(type_.keys):
        raise Problem(live.span, f"{shown} does not fit {keys}")
    for (_, high), key in zip(found, type_.keys, strict=True):
        if high > key.domain:
            raise Problem(live.span, f"{shown} does not lie in {keys}")
    return found


# --- dtypes ----------------------------------------------------------------------------------------


def dtype_of(name: s.Name) -> np.dtype[Any]:
    """The dtype of a name; a pair of value and index is called ``"pair(float64, int64)"``.

    Raises:
        Problem: it is no dtype of booleans or numbers.

    Example:
        >>> dtype_of(s.Name("float32"))
        dtype('float32')
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
