"""Which keys of its operands a window of a node's result is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tra.algebra.join_type import joined_names
from tra.algebra.key_function import Opaque, Var, variables
from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Retile,
    Source,
    Stack,
    Tile,
    Transform,
    Window,
)
from tra.algebra.retiling import offsets_along
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import axis_key
from tra.optimizer.window_type import NotWindowedError, Ranges


def below(node: Expr, box: Ranges, folded: Mapping[str, tuple[int, int]]) -> Sequence[Ranges | None]:
    """The keys wanted of each operand of a node; None of one that is not needed.

    Args:
        node: an operator.
        box: the keys wanted of its result.
        folded: for an aggregate, the ranges of keys to fold over; all of a key it says nothing of.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> below(A.sum(axis=1).expr, ((1, 3),), {"k": (0, 1)})
        [((1, 3), (0, 1))]

    Raises:
        NotWindowedError: what is wanted are no boxes of keys.
    """
    at = dict(zip(node.type.names, box, strict=True))
    match node:
        case Source() | Generated():
            return ()
        case Aggregate(child=child):
            return [_box(child.type, {**folded, **at})]
        case Join(left=left, right=right, on=on):
            names = joined_names(left.type, right.type, on)
            theirs = {name: at[names[name]] for name in right.type.names}
            return [_box(left.type, at), _box(right.type, theirs)]
        case ReKey(child=child):
            return [_box(child.type, _under_rekey(node, at))]
        case Filter(child=child) | Transform(child=child):
            return [_box(child.type, at)]
        case Tile(child=child, key=key):
            return [_box(child.type, _but(node, at, key))]
        case Concat(child=child):
            return [_box(child.type, at)]
        case Stack(operands=operands, key=key):
            low, high = at[key]
            some = range(low, high)
            return [_box(o.type, at) if n in some else None for n, o in enumerate(operands)]
        case Retile():
            return [part and part[0] for part in retiled(node, box)]


def _box(type_: RelType, at: Mapping[str, tuple[int, int]]) -> Ranges:
    """The ranges by name; all of a key that has none."""
    return tuple(at.get(key.name, (0, key.domain)) for key in type_.keys)


def _but(node: Expr, at: Mapping[str, tuple[int, int]], key: str) -> dict[str, tuple[int, int]]:
    """The ranges without that of a key which is wanted whole."""
    if at[key] != (0, node.type.domain(key)):
        raise NotWindowedError(f"key {key} of {node.type} numbers pieces of tiles")
    return {name: range_ for name, range_ in at.items() if name != key}


def _under_rekey(node: ReKey, at: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The ranges of an operand's keys: of those that only get another name or place."""
    cut = [name for name in node.keys if at[name] != (0, node.type.domain(name))]
    if not cut:
        return {}
    if isinstance(node.function, Opaque):
        raise NotWindowedError("a key function is opaque")
    uses = [name for part in node.function for name in variables(part)]
    found = {}
    for name, part in zip(node.keys, node.function, strict=True):
        if name in cut:
            if not isinstance(part, Var) or uses.count(part.name) > 1:
                raise NotWindowedError(f"key {name} of {node.type} is computed")
            found[part.name] = at[name]
    return found


def retiled(node: Retile, box: Ranges) -> list[tuple[Ranges, tuple[Window, ...]] | None]:
    """For each operand of a Retile its keys wanted and the windows of elements in them; None for one without.

    Example:
        >>> import tra
        >>> A = tra.from_array([float(n) for n in range(100)], tile=10)
        >>> [(keys, list(windows)) for keys, windows in retiled(A[42:47].expr, ((0, 1),))]
        [(((4, 5),), [Window(start=2, step=1, count=5)])]
    """
    at = dict(zip(node.type.names, box, strict=True))
    spans = []
    for cut, axis in zip(node.cuts, node.type.axes, strict=True):
        low, high = at[cut.key] if cut.key else (0, 1)
        spans.append((low * axis.size, min(high * axis.size, axis.extent)))
    starts = offsets_along(node.windows, node.along)
    return [
        _operand(operand.type, at, spans, windows, node.along, start)
        for operand, windows, start in zip(node.operands, node.windows, starts, strict=True)
    ]


def _operand(
    type_: RelType,
    at: Mapping[str, tuple[int, int]],
    spans: Sequence[tuple[int, int]],
    windows: Sequence[Window],
    along: int,
    start: int,
) -> tuple[Ranges, tuple[Window, ...]] | None:
    """What is wanted of one operand of a Retile whose result is wanted in spans of elements."""
    free = {key.name for key in type_.keys} - type_.linked
    keys = {name: at[name] for name in free}
    found = []
    for place, (window, axis) in enumerate(zip(windows, type_.axes, strict=True)):
        before = start if place == along else 0
        low, high = (min(max(end - before, 0), window.count) for end in spans[place])
        if low >= high:
            return None
        first, last = window.start + window.step * low, window.start + window.step * (high - 1)
        name = axis_key(type_, place)
        offset = 0
        if name is not None:
            one, other = sorted((first, last))
            keys[name] = (one // axis.size, other // axis.size + 1)
            offset = keys[name][0] * axis.size
        found.append(Window(first - offset, window.step, high - low))
    return _box(type_, keys), tuple(found)
