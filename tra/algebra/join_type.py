"""What a join makes of the types of its operands: keys, their names, axes, live keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tra.algebra import live_rules
from tra.algebra.arguments import given_list
from tra.algebra.density import within
from tra.algebra.kernel import Kernel
from tra.algebra.kernel_result import tile_dtype
from tra.algebra.live import ranges
from tra.algebra.signature import bind_axes
from tra.algebra.type_rules import distinct, resolve_key
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, Live, RelType
from tra.errors import KernelError, SchemaError

Pairs = tuple[tuple[str, str], ...]


def join_pairs(left: RelType, right: RelType, on: Any) -> Pairs:
    """Reads `on` — a name, several names, ``{left: right}`` or pairs — as pairs of names.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A, B = tensor_type((4, 4), "f8", ("i", "j"), 2), tensor_type((4, 4), "f8", ("j", "k"), 2)
        >>> join_pairs(A, B, "j"), join_pairs(A, B, {"j": 0}), join_pairs(A, B, [("i", "k")])
        ((('j', 'j'),), (('j', 'j'),), (('i', 'k'),))

    Raises:
        SchemaError: unknown key, or a key named twice.
    """
    match on:
        case str() | int():
            items: list[Any] = [on]
        case Mapping():
            items = list(on.items())
        case _:
            items = given_list(on)
    pairs = [tuple(item) if isinstance(item, (tuple, list)) else (item, item) for item in items]
    if any(len(pair) != 2 or None in pair for pair in pairs):
        raise SchemaError(f"`on` takes key names or pairs (left, right); got {on!r}")
    named = tuple((resolve_key(left, a, "left"), resolve_key(right, b, "right")) for a, b in pairs)
    for side in zip(*named, strict=True):
        distinct(side, "join")
    return named


def keys_joined(left: RelType, right: RelType, on: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The keys of a join by the names it gives them: the left ones, then those of the right not joined.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((4, 4), "f8", ("i", "j"), 2)
        >>> keys_joined(A, A, [("j", "i")])
        ('i', 'j', 'j_2')
    """
    names, theirs = joined_names(left, right, on), {name for _, name in on}
    return (*left.names, *(names[name] for name in right.names if name not in theirs))


def joined_names(left: RelType, right: RelType, on: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What each right key is called in a join: the left name if joined, else its own, with a suffix if taken.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((4, 4), "f8", ("i", "j"), 2)
        >>> joined_names(A, A, [("j", "i")])
        {'i': 'j', 'j': 'j_2'}
    """
    names = {theirs: mine for mine, theirs in on}
    taken = set(left.names)
    for name in right.names:
        if name in names:
            continue
        free, n = name, 2
        while free in taken or (free != name and free in right.names):
            free, n = f"{name}_{n}", n + 1
        names[name] = free
        taken.add(free)
    return names


def join_type(left: RelType, right: RelType, pairs: Pairs, combine: Kernel) -> RelType:
    """⋈: left key ++ right key without the joined ones; axes as the kernel's shape law says.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> A, B = tensor_type((4, 6), "f8", ("i", "j"), 2), tensor_type((6, 8), "f8", ("j", "k"), 2)
        >>> str(join_type(A, B, (("j", "j"),), kernel("matmul")))
        '[i:2, j:3, k:4] of 2/4×2/8 float64'

    Raises:
        KernelError: the kernel takes another number of operands, or the tiles do not fit it.
    """
    if combine.arity != 2:
        raise KernelError(
            f"cannot join with {combine}: it takes {combine.arity} operands, a join kernel takes 2"
        )
    names = joined_names(left, right, pairs)
    on_right = {theirs for _, theirs in pairs}
    keys = left.keys + tuple(Key(names[k.name], k.domain) for k in right.keys if k.name not in on_right)
    right_axes = tuple(axis.renamed(names) for axis in right.axes)
    positions = [(left.names.index(a), right.names.index(b)) for a, b in pairs]
    both = RelType(keys, left.axes + right_axes, left.dtype, live_rules.joined(left, right, positions))
    operands = (replace(both, axes=left.axes), replace(both, axes=right_axes))
    try:
        axes = bind_axes(combine.signature, operands, both, dict(combine.sizes), str(combine))
    except KernelError as error:
        raise KernelError(f"{error}\n  left  {left}\n  right {right}") from None
    dtype = tile_dtype(combine, (left.dtype, right.dtype))
    live = live_rules.kept(both, set(axes) >= {axis for axis in both.axes if axis.link})
    return live_rules.with_live(RelType(keys, axes, dtype, Box(())), live)


def truncated(left: RelType, right: RelType, pairs: Pairs) -> tuple[RelType, RelType]:
    """Both operands without the keys that the other's domain does not have: the paper's inner join.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A, B = tensor_type((9,), "f8", ("i",), 3), tensor_type((6,), "f8", ("i",), 3)
        >>> [str(side) for side in truncated(A, B, (("i", "i"),))]
        ['[i:2] of 3/6 float64', '[i:2] of 3/6 float64']
    """
    for mine, theirs in pairs:
        domain = min(left.domain(mine), right.domain(theirs))
        left, right = _cropped(left, mine, domain), _cropped(right, theirs, domain)
    return left, right


def _cropped(type_: RelType, name: str, domain: int) -> RelType:
    if type_.domain(name) == domain:
        return type_
    position = type_.names.index(name)
    keys = tuple(Key(k.name, domain) if k.name == name else k for k in type_.keys)
    tops = {k.name: k.domain - 1 for k in keys}
    axes = tuple(_clipped(axis, tops) if name in dict(axis.link) else axis for axis in type_.axes)
    if isinstance(type_.live, KeySet):
        inside = type_.live.keys[:, position] < domain
        return live_rules.with_live(
            RelType(keys, axes, type_.dtype, Box(())), KeySet(type_.live.keys[inside])
        )
    bounds = list(ranges(type_))
    bounds[position] = (min(bounds[position][0], domain), min(bounds[position][1], domain))
    live: Live = live_rules.boxed(tuple(bounds))
    if isinstance(type_.live, AtMost):
        live = AtMost(tuple(bounds), within(type_.live.count, ranges(type_), tuple(bounds)))
    return live_rules.with_live(RelType(keys, axes, type_.dtype, Box(())), live)


def _clipped(axis: Axis, tops: Mapping[str, int]) -> Axis:
    top = sum(coef * tops[name] for name, coef in axis.link)
    return Axis(axis.size, axis.link, min(axis.extent, axis.size * (top + 1)))


def check_domains(left: RelType, right: RelType, pairs: Pairs, names: tuple[str, str] = ("", "")) -> None:
    """Checks that joined keys have equal domains.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A, B = tensor_type((9,), "f8", ("i",), 3), tensor_type((6,), "f8", ("i",), 3)
        >>> check_domains(A, B, (("i", "i"),), ("A", "B"))
        Traceback (most recent call last):
        tra.errors.SchemaError: cannot join on i: left A.i has frontier 3, right B.i has frontier 2
        ...

    Raises:
        SchemaError: shows both operands, and what their extents say about the mistake.
    """
    for mine, theirs in pairs:
        if left.domain(mine) == right.domain(theirs):
            continue
        of_left, of_right = (f"{name}." if name else "" for name in names)
        raise SchemaError(
            f"cannot join on {mine}: left {of_left}{mine} has frontier {left.domain(mine)}, "
            f"right {of_right}{theirs} has frontier {right.domain(theirs)}\n"
            f"  left  {names[0]}{left}\n  right {names[1]}{right}\n"
            f"  hint: {_advice(left, right, mine, theirs, names)}"
        )


def _advice(left: RelType, right: RelType, mine: str, theirs: str, names: tuple[str, str]) -> str:
    cuts = [
        (place, axis)
        for type_, key in ((left, mine), (right, theirs))
        for place, axis in enumerate(type_.axes)
        if key in dict(axis.link)
    ]
    if len(cuts) != 2:
        return "truncate=True joins the keys that both have"
    (p, a), (q, b) = cuts
    facts = (
        f"{names[0] or 'left'}'s axis {p} has extent {a.extent} in tiles of {a.size}, "
        f"{names[1] or 'right'}'s axis {q} has {b.extent} in tiles of {b.size}"
    )
    if a.extent == b.extent:
        return f"{facts}; retile one of them with .retile(...)"
    return f"{facts}; the tensors do not match (truncate=True joins the common part)"
