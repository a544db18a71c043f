"""Links of axes to keys when keys disappear (rule E) or are replaced (ReKey)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from tra.algebra.key_function import KeyFunction, Opaque, apply, plain_shift
from tra.algebra.live import is_empty, is_listable, is_uniform, live_keys, max_offset, ranges
from tra.algebra.types import Axis, Key, KeyArray, RelType, as_link
from tra.errors import SchemaError

Form: TypeAlias = tuple[dict[str, int], int]  # coefficients by key name, and a constant


def unlinked(size: int) -> Axis:
    """An axis that no key cuts.

    Example:
        >>> unlinked(7)
        Axis(size=7, link=(), extent=7)
    """
    return Axis(size, (), size)


def with_constant(axis: Axis, coefs: Mapping[str, int], constant: int) -> Axis:
    """The axis with offset ``Σ coefs·key + constant``; the constant moves into the extent.

    Example:
        >>> with_constant(Axis(4, (("i", 1),), 10), {"j": 1}, 2)  # i is now j + 2
        Axis(size=4, link=(('j', 1),), extent=2)
    """
    extent = max(axis.extent - axis.size * constant, 0)
    link = as_link(coefs)
    return Axis(axis.size, link, extent) if link else unlinked(min(axis.size, extent))


def single_values(type_: RelType) -> dict[str, int]:
    """The keys that have one live value, and that value.

    Example:
        >>> from dataclasses import replace
        >>> from tra.algebra.types import Box
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i", "j"), 2)
        >>> single_values(replace(A, live=Box(((2, 3), (0, 2)))))
        {'i': 2}
    """
    spans = zip(type_.names, ranges(type_), strict=True)
    return {name: low for name, (low, high) in spans if high - low == 1}


def eliminate(axis: Axis, place: int, gone: set[str], type_: RelType) -> Axis:
    """The axis when the keys in `gone` disappear (rule E): single values are put in, full tiles need none.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((6, 5), "f8", ("i", "j"), 2)
        >>> eliminate(A.axes[0], 0, {"i"}, A)
        Axis(size=2, link=(), extent=2)
        >>> eliminate(A.axes[1], 1, {"j"}, A)
        Traceback (most recent call last):
        tra.errors.SchemaError: the last tile along axis 1 is 1 of 2: concat or retile first
          [i:3, j:3] of 2/6×2/5 float64
          hint: key j disappears, but says how long the tiles are

    Raises:
        SchemaError: the lengths of the tiles differ along it, so that the key is needed.
    """
    if not gone & {name for name, _ in axis.link}:
        return axis
    if is_empty(type_):
        return with_constant(axis, {k: c for k, c in axis.link if k not in gone}, 0)
    fixed = {name: value for name, value in single_values(type_).items() if name in gone}
    coefs = {name: coef for name, coef in axis.link if name not in fixed}
    constant = sum(coef * fixed[name] for name, coef in axis.link if name in fixed)
    if not gone & set(coefs):
        return with_constant(axis, coefs, constant)
    if is_uniform(axis, type_):
        return unlinked(axis.size)
    last = axis.extent - axis.size * max_offset(axis, type_)
    needed = ", ".join(sorted(gone & set(coefs)))
    raise SchemaError(
        f"the last tile along axis {place} is {last} of {axis.size}: concat or retile first\n"
        f"  {type_}\n  hint: key {needed} disappears, but says how long the tiles are"
    )


def rekeyed(type_: RelType, function: KeyFunction, keys: Sequence[Key]) -> tuple[Axis, ...]:
    """The axes after a ReKey to `keys`, each offset written as a positive linear form of them.

    Example:
        >>> from tra.algebra.key_function import trace
        >>> from tra.algebra.sources import tensor_type
        >>> function = trace(lambda i: (i // 2, i % 2), ("i",))
        >>> rekeyed(tensor_type((5,), "f8", ("i",), 2), function, [Key("p", 2), Key("q", 2)])
        (Axis(size=2, link=(('p', 2), ('q', 1)), extent=5),)

    Raises:
        SchemaError: an offset is no such form and the tiles differ in length.
    """
    return tuple(
        _rekeyed_axis(type_, axis, place, function, keys) if axis.link else axis
        for place, axis in enumerate(type_.axes)
    )


def _rekeyed_axis(type_: RelType, axis: Axis, place: int, function: KeyFunction, keys: Sequence[Key]) -> Axis:
    names = tuple(key.name for key in keys)
    form = _substituted(axis, function, names, single_values(type_)) or _fitted(axis, type_, function, names)
    if form is not None and all(coef >= 0 for coef in form[0].values()):
        moved = with_constant(axis, *form)
        domains = {key.name: key.domain for key in keys}
        top = sum(coef * (domains[name] - 1) for name, coef in moved.link)
        return Axis(moved.size, moved.link, min(moved.extent, moved.size * (top + 1)))
    if is_uniform(axis, type_):
        return unlinked(axis.size)
    raise SchemaError(
        f"after this rekey the keys ({', '.join(names)}) do not say how long the tiles of {type_} are along "
        f"axis {place}: concat or retile first"
    )


def _substituted(
    axis: Axis, function: KeyFunction, names: Sequence[str], fixed: Mapping[str, int]
) -> Form | None:
    """The offset with each old key written as a new one plus a constant, or as the one value it has."""
    if isinstance(function, Opaque):
        return None
    shown: dict[str, tuple[str, int]] = {}
    for new, expr in zip(names, function, strict=True):
        shift = plain_shift(expr)
        if shift is not None:
            shown.setdefault(shift[0], (new, shift[1]))
    coefs: dict[str, int] = {}
    constant = 0
    for name, coef in axis.link:
        if name in shown:
            new, shift_by = shown[name]
            coefs[new] = coefs.get(new, 0) + coef
            constant -= coef * shift_by
        elif name in fixed:
            constant += coef * fixed[name]
        else:
            return None
    return coefs, constant


def _fitted(axis: Axis, type_: RelType, function: KeyFunction, names: Sequence[str]) -> Form | None:
    """The offset as a linear form of the new keys, found on some live keys and checked on all of them."""
    if not is_listable(type_):
        return None
    old = live_keys(type_)
    if not len(old):
        return {}, 0
    new = apply(function, type_.names, old)
    offset = np.broadcast_to(np.asarray(axis.offset(type_.columns(old)), dtype=np.int64), (len(old),))
    for form in _candidates(new, offset):
        if np.array_equal(new @ form[:-1] + form[-1], offset):
            return {name: int(c) for name, c in zip(names, form[:-1], strict=True) if c}, int(form[-1])
    return None


def _candidates(new: KeyArray, offset: KeyArray) -> Iterator[KeyArray]:
    """Linear forms to try (coefficients, then the constant), simplest first: one key, then all keys."""
    rows = _sample(new)
    steps, rises = new[rows] - new[0], offset[rows] - offset[0]
    for columns in ([], *([c] for c in range(new.shape[1])), _independent(steps)):
        form = np.zeros(new.shape[1] + 1, dtype=np.int64)
        if columns:
            found = np.linalg.lstsq(
                steps[:, columns].astype(np.float64), rises.astype(np.float64), rcond=None
            )
            form[columns] = np.rint(found[0]).astype(np.int64)
        form[-1] = offset[0] - new[0] @ form[:-1]
        yield form


def _sample(keys: KeyArray, n: int = 2048) -> KeyArray:
    """Rows that show how each column varies: some spread evenly, some at random, and the extremes."""
    spread = np.linspace(0, len(keys) - 1, num=min(len(keys), n)).astype(np.int64)
    chosen = np.random.default_rng(0).integers(len(keys), size=min(len(keys), n))
    ends = [*keys.argmin(axis=0), *keys.argmax(axis=0)]
    return np.unique(np.concatenate([spread, chosen, np.array(ends, dtype=np.int64)]))


def _independent(steps: KeyArray) -> list[int]:
    """Columns that are linearly independent, the first ones where there is a choice."""
    columns: list[int] = []
    for column in range(steps.shape[1]):
        if np.linalg.matrix_rank(steps[:, [*columns, column]].astype(np.float64)) > len(columns):
            columns.append(column)
    return columns
