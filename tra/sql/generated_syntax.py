"""What to write for generated relations, dtypes and constants."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from tra.algebra.live import full_box
from tra.algebra.nodes import Constant, Generated, Iota, Random
from tra.algebra.types import Axis, Box, KeySet, RelType
from tra.errors import QueryError
from tra.sql import syntax as s


def generated_syntax(node: Generated) -> s.Constant | s.Iota | s.Random:
    """What to write for a generated relation.

    Raises:
        QueryError: a number in it cannot be written, or its keys are known only when it runs.

    Example:
        >>> from tra.sql.generated_text import generated_text
        >>> type_ = RelType((), (Axis(5, (), 5),), np.dtype("int64"), Box(()))
        >>> generated_text(generated_syntax(Generated(type_, Iota(0))))
        'IOTA () AXES (5) ALONG 0 TYPE int64'
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

    Example:
        >>> literal((1, -2.0))
        Literal(value=(1, -2.0))
    """
    if not _has_text(value):
        raise QueryError(
            f"{value!r} is a {type(value).__name__}, which query text cannot say: use numbers and strings"
        )
    return s.Literal(value)


def _has_text(value: Any) -> bool:
    if isinstance(value, np.generic):
        return False
    return (
        all(map(_has_text, value))
        if type(value) is tuple
        else isinstance(value, bool | int | float | complex | str)
    )


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
            return s.LiveKeys(tuple(_runs(keys.tolist())))
        case Box(ranges=ranges):
            return s.LiveBox(ranges)
        case _:
            raise QueryError(f"the keys of {type_} are known only when it runs, and text cannot list them")


def _runs(keys: list[list[int]]) -> Iterator[tuple[int | s.Range, ...]]:
    """Sorted keys, where those that follow each other in their last component are one.

    Example:
        >>> list(_runs([[0, 1], [0, 2], [0, 3], [0, 5], [1, 6]]))
        [(0, (1, 4)), (0, 5), (1, 6)]
    """
    for _, group in groupby(
        enumerate(keys), lambda item: (item[1][:-1], [k - item[0] for k in item[1][-1:]])
    ):
        members = [key for _, key in group]
        first, last = members[0], members[-1]
        yield tuple(first) if len(members) == 1 else (*first[:-1], (first[-1], last[-1] + 1))


def dtype_name(dtype: np.dtype[Any]) -> s.Name:
    """What to write for a dtype.

    Example:
        >>> dtype_name(np.dtype("f4")).text, dtype_name(np.dtype([("value", "f8"), ("index", "i8")])).text
        ('float32', 'pair(float64, int64)')
    """
    if dtype.names == ("value", "index"):
        return s.Name(f"pair({dtype[0]}, {dtype[1]})")
    return s.Name(str(dtype))
