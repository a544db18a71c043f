"""Cutting whole tensors anew: retile, slice, concatenate — one node, because one exchange does them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

from tra.algebra.live import full_box, hole_text, is_dense, is_empty
from tra.algebra.nodes import Cut, Expr, Retile, Window
from tra.algebra.signature import describe
from tra.algebra.type_rules import distinct
from tra.algebra.types import AtMost, Axis, Box, Key, RelType
from tra.errors import SchemaError


@lru_cache(maxsize=1024)
def check_whole(type_: RelType, what: str) -> None:
    """Checks that the relation is a whole tensor: dense, no key in two axes, links that are plain positions.

    Example:
        >>> from dataclasses import replace
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5,), "f8", ("i",), 2)
        >>> check_whole(replace(A, live=Box(((1, 3),))), "compute")
        Traceback (most recent call last):
        tra.errors.SchemaError: compute needs a dense relation: ... has no tile at key (0,); ...

    Raises:
        SchemaError: names the missing key, the key in two axes, or the axis whose link is no chain.
    """
    check_links(type_, what)
    if not isinstance(type_.live, AtMost) and not is_dense(type_):
        raise SchemaError(f"{what} needs a dense relation: {hole_text(type_)}; fill the holes with .fill(0)")
    if is_empty(type_):
        raise SchemaError(f"{what} needs a whole tensor: {type_} has no tiles at all")


def check_links(type_: RelType, what: str) -> None:
    """Checks that the keys say where each tile lies in one tensor.

    Example:
        >>> import numpy as np
        >>> axis = Axis(2, (("i", 1),), 4)
        >>> check_links(RelType((Key("i", 2),), (axis, axis), np.dtype("f8"), Box(((0, 2),))), "compute")
        Traceback (most recent call last):
        tra.errors.SchemaError: compute needs a whole tensor: key i of ... cuts both axis 0 and axis 1

    Raises:
        SchemaError: names the key in two axes, or the axis whose link is no mixed-radix chain.
    """
    seen: dict[str, int] = {}
    for place, axis in enumerate(type_.axes):
        for name, _ in axis.link:
            if name in seen:
                raise SchemaError(
                    f"{what} needs a whole tensor: key {name} of {type_} cuts both axis {seen[name]} and "
                    f"axis {place}"
                )
            seen[name] = place
        if not is_chain(axis, type_):
            raise SchemaError(
                f"{what} needs a whole tensor: the tiles of {type_} overlap or leave gaps along axis "
                f"{place}, which is {describe(axis)}"
            )


def is_chain(axis: Axis, type_: RelType) -> bool:
    """Claims that the offsets along the axis are counted without gap or overlap by its keys.

    Example:
        >>> import numpy as np
        >>> type_ = RelType((Key("i", 2), Key("j", 3)), (), np.dtype("f8"), Box(((0, 2), (0, 3))))
        >>> [is_chain(Axis(4, (("i", n), ("j", 1)), 24), type_) for n in (2, 3)]
        [False, True]
    """
    reach = 1
    for name, coef in sorted(axis.link, key=lambda item: item[1]):
        if type_.domain(name) == 1:
            continue
        if coef != reach:
            return False
        reach *= type_.domain(name)
    return reach >= axis.n_tiles


def full_windows(type_: RelType) -> tuple[Window, ...]:
    """Every element along every axis.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> full_windows(tensor_type((5,), "f8"))
        (Window(start=0, step=1, count=5),)
    """
    return tuple(Window(0, 1, axis.extent) for axis in type_.axes)


def retile(
    operands: Sequence[Expr],
    cuts: Sequence[Cut],
    windows: Sequence[Sequence[Window]] | None = None,
    along: int = 0,
) -> Expr:
    """Windows of whole tensors, laid end to end along an axis and cut anew.

    Args:
        operands: one relation, or several to concatenate; equal keys that cut no axis, and equal dtypes.
        cuts: tile size and key name for each axis; ``Cut()`` leaves an axis in one piece.
        windows: for each operand the window along each axis; everything when left out.
        along: the axis along which several operands follow each other.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0] * 10, keys="i", tile=4)
        >>> str(retile([A.expr, A.expr], [Cut(5, "i")]).type)
        '[i:4] of 5/20 float64'

    Raises:
        SchemaError: an operand is no whole tensor, or the operands do not fit together.
    """
    if not operands:
        raise SchemaError("retile needs at least one relation")
    for operand in operands:
        check_whole(operand.type, "retile")
    shown = tuple(tuple(w) for w in windows) if windows else tuple(full_windows(o.type) for o in operands)
    first = operands[0].type
    _check_operands([o.type for o in operands], shown, along)
    extents = [w.count for w in shown[0]]
    if extents:
        extents[along] = sum(w[along].count for w in shown)
    keys, axes = _cut_type(first, cuts, extents)
    distinct([k.name for k in keys], "retile")
    result = RelType(keys, axes, first.dtype, Box(()))
    return Retile(replace(result, live=full_box(result)), tuple(operands), along, shown, tuple(cuts))


def _check_operands(types: Sequence[RelType], windows: Sequence[Sequence[Window]], along: int) -> None:
    first = types[0]
    for type_, window in zip(types, windows, strict=True):
        if (free_keys(type_), len(type_.axes), type_.dtype) != (
            free_keys(first),
            len(first.axes),
            first.dtype,
        ):
            raise SchemaError(f"cannot lay these end to end\n  first {first}\n  other {type_}")
        for place, (mine, theirs) in enumerate(zip(window, windows[0], strict=True)):
            if place != along and mine.count != theirs.count:
                raise SchemaError(
                    f"cannot concatenate along axis {along}: along axis {place} the extents are "
                    f"{theirs.count} and {mine.count}\n  first {first}\n  other {type_}"
                )


def free_keys(type_: RelType) -> tuple[Key, ...]:
    """The keys that cut no axis.

    Example:
        >>> import tra
        >>> free_keys(tra.from_tiles({n: [[1.0]] for n in range(3)}, keys="n").expr.type)
        (Key(name='n', domain=3),)
    """
    return tuple(k for k in type_.keys if k.name not in type_.linked)


def _cut_type(
    first: RelType, cuts: Sequence[Cut], extents: Sequence[int]
) -> tuple[tuple[Key, ...], tuple[Axis, ...]]:
    """Keys keep their place: that of an axis stands where the first key that cut it stood, new ones last."""
    if len(cuts) != len(first.axes):
        raise SchemaError(
            f"retile takes one tile size per axis: {first} has {len(first.axes)} axes, got {len(cuts)} sizes"
        )
    slots: dict[str, Key] = {}
    new: list[Key] = []
    axes: list[Axis] = []
    for old, cut, extent in zip(first.axes, cuts, extents, strict=True):
        axes.append(cut_axis(cut, extent))
        if cut.key is None:
            continue
        key = Key(cut.key, axes[-1].n_tiles)
        if old.link:
            slots[next(name for name in first.names if name in dict(old.link))] = key
        else:
            new.append(key)
    kept = [slots.get(k.name, k) for k in first.keys if k.name not in first.linked or k.name in slots]
    return (*kept, *new), tuple(axes)


def cut_axis(cut: Cut, extent: int) -> Axis:
    """An axis of the whole tensor under a cut.

    Example:
        >>> cut_axis(Cut(4, "i"), 10), cut_axis(Cut(), 10)
        (Axis(size=4, link=(('i', 1),), extent=10), Axis(size=10, link=(), extent=10))

    Raises:
        SchemaError: the tile size is not positive.
    """
    if cut.size is None or cut.key is None:
        return Axis(extent, (), extent)
    if cut.size < 1:
        raise SchemaError(f"a tile size is at least 1; got {cut.size}")
    return Axis(min(cut.size, extent), ((cut.key, 1),), extent)


def offsets_along(windows: Sequence[Sequence[Window]], along: int) -> list[int]:
    """Where each operand begins along the axis of concatenation.

    Example:
        >>> offsets_along([[Window(0, 1, 3)], [Window(0, 2, 5)]], 0)
        [0, 3]
    """
    counts = [w[along].count if w else 0 for w in windows]
    return [0, *accumulate(counts)][:-1]
