"""A query for a window of its result: the same operators, over windows of what it reads.

Keys of a window count from zero, so that it is cut among sites as a whole relation is, and windows of one
size are one query.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from tra.algebra.density import within
from tra.algebra.join_type import joined_names
from tra.algebra.key_function import Const, KeyExpr, Op, Opaque, Var, substitute, variables
from tra.algebra.live import live_keys, ranges
from tra.algebra.makers import Constant
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
    postorder,
)
from tra.algebra.operators import aggregate, concat, filter_keys, generated, join, rekey, stack, transform
from tra.algebra.operators import tile as tile_
from tra.algebra.retiling import check_whole, offsets_along, retile
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, RelType, TileKey
from tra.algebra.whole_tensor import axis_key, current_cuts
from tra.errors import TraError

Ranges: TypeAlias = tuple[tuple[int, int], ...]
Folds: TypeAlias = Mapping[str, Mapping[str, tuple[int, int]]]


class NotWindowedError(Exception):
    """Windows of a result are not made of windows of what it reads."""


@dataclass(frozen=True)
class Leaf:
    """A window of something that is read.

    Attributes:
        base: what of.
        first: the key in it that is the window's first.
        type: the window.
    """

    base: Source | Generated
    first: TileKey
    type: RelType


@dataclass(frozen=True)
class Windowed:
    """A query for a window.

    Attributes:
        expr: the query; its keys count from the first of the window.
        leaves: the windows that it reads, by source id.
    """

    expr: Expr
    leaves: Mapping[str, Leaf] = field(default_factory=dict)


def whole_box(type_: RelType) -> Ranges:
    """All keys of a relation's domains.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> whole_box(tensor_type((5, 4), "f8", ("i", "j"), 2))
        ((0, 3), (0, 2))
    """
    return tuple((0, domain) for domain in type_.domains)


def windowed(root: Expr, box: Ranges, stored: Collection[str] = (), folds: Folds | None = None) -> Windowed:
    """The query for the tiles of a result in a box of keys.

    Args:
        root: the query.
        box: a range of each of its keys.
        stored: ids of sources that lie on the sites: windows are cut out of them there.
        folds: for aggregates, by digest, the ranges of keys to fold over; all where it says nothing.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> B = tra.from_array([[1.0] * 2] * 4, keys=("k", "j"), tile=2)
        >>> found = windowed((A @ B).expr, ((1, 3), (0, 1)))
        >>> str(found.expr.type), [leaf.first for leaf in found.leaves.values()]
        ('[i:2, j:1] of 2/4×2 float64', [(1, 0)])

    Raises:
        NotWindowedError: that is not a query over windows of what it reads.
    """
    return _Windows(frozenset(stored), folds or {}).of(root, box)


@lru_cache(maxsize=1024)
def sliced(root: Expr, fixed: frozenset[str] = frozenset()) -> Windowed | None:
    """The query with windows in the place of what it reads and takes slices of; None where there are none.

    Args:
        root: the query.
        fixed: ids of sources that are left alone.

    Example:
        >>> import tra
        >>> A = tra.from_array([float(n) for n in range(100)], tile=10)
        >>> found = sliced((A[42:47] + 1).expr)
        >>> [(leaf.first, str(leaf.type)) for leaf in found.leaves.values()]
        [((4,), '[i:1] of 10 float64')]
    """
    nodes = [node for node in postorder(root) if isinstance(node, Retile)]
    open_ = {node.digest for node in nodes if any(_is_open(child, fixed) for child in node.operands)}
    if not open_:
        return None
    windows = _Windows(fixed, {}, slices=frozenset(open_))
    try:
        found = windows.of(root, whole_box(root.type))
    except NotWindowedError:
        return None
    return found if found.leaves else None


def _is_open(node: Expr, fixed: frozenset[str]) -> bool:
    return isinstance(node, Generated) or (isinstance(node, Source) and node.id not in fixed)


class _Windows:
    """What a query is made of when a window is wanted: demands from the top, nodes from below."""

    def __init__(self, stored: frozenset[str], folds: Folds, slices: frozenset[str] = frozenset()) -> None:
        self.stored, self.folds, self.slices = stored, folds, slices
        self.leaves: dict[str, Leaf] = {}
        self.made: dict[tuple[str, Ranges], Expr] = {}

    def of(self, root: Expr, box: Ranges) -> Windowed:
        nodes = list(postorder(root))
        changed = self._changed(nodes)
        wanted: dict[str, dict[Ranges, None]] = {root.digest: {box: None}}
        for node in reversed(nodes):
            for part in wanted.get(node.digest, {}):
                if not self._is_whole(node, part, changed):
                    for child, of_child in zip(node.children, self._below(node, part), strict=True):
                        if of_child is not None:
                            wanted.setdefault(child.digest, {})[of_child] = None
        for node in nodes:
            for part in wanted.get(node.digest, {}):
                self.made[node.digest, part] = (
                    node if self._is_whole(node, part, changed) else self._again(node, part)
                )
        return Windowed(self.made[root.digest, box], self.leaves)

    def _changed(self, nodes: Sequence[Expr]) -> set[str]:
        """Digests of nodes at or above a fold over a part of its keys, or a slice of what is read."""
        found: set[str] = {*self.folds, *self.slices}
        for node in nodes:
            if any(child.digest in found for child in node.children):
                found.add(node.digest)
        return found

    def _is_whole(self, node: Expr, box: Ranges, changed: set[str]) -> bool:
        return box == whole_box(node.type) and node.digest not in changed

    # -- from the top ------------------------------------------------------------------------------

    def _below(self, node: Expr, box: Ranges) -> Sequence[Ranges | None]:
        """The keys wanted of each operand; None of one that is not needed."""
        at = dict(zip(node.type.names, box, strict=True))
        match node:
            case Source() | Generated():
                return ()
            case Aggregate(child=child):
                return [_box(child.type, {**self.folds.get(node.digest, {}), **at})]
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
                return [part and part[0] for part in _retiled(node, box)]

    # -- from below --------------------------------------------------------------------------------

    def _again(self, node: Expr, box: Ranges) -> Expr:
        """A node over windows of its operands."""
        if isinstance(node, Source | Generated):
            return self._leaf(node, box)
        below = zip(node.children, self._below(node, box), strict=True)
        operands = [self.made[child.digest, part] for child, part in below if part is not None]
        try:
            made = _over(node, box, operands)
        except TraError as error:
            raise NotWindowedError(str(error)) from error
        if made.type.names != node.type.names or made.type.domains != tuple(b - a for a, b in box):
            raise NotWindowedError(f"a window of {node.type} would be {made.type}")
        return made

    def _leaf(self, node: Source | Generated, box: Ranges) -> Expr:
        if isinstance(node, Source) and node.id in self.stored:
            return _cut_out(node, box)
        type_ = window_type(node.type, box)
        if isinstance(node, Generated) and isinstance(node.maker, Constant):
            return generated(type_, node.maker)
        first = tuple(low for low, _ in box)
        name = node.name if isinstance(node, Source) else "generated"
        base = node.id if isinstance(node, Source) else f"generated {node.digest}"
        # where windows of several queries meet they are told apart by their place, else they are numbered
        id_ = f"{base} window {box if self.slices else len(self.leaves)}"
        self.leaves[id_] = Leaf(node, first, type_)
        version = node.version if isinstance(node, Source) else "0"
        return Source(type_, id_, version, name)


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


def _retiled(node: Retile, box: Ranges) -> list[tuple[Ranges, tuple[Window, ...]] | None]:
    """For each operand its keys wanted and the windows of elements in them; None for one without any."""
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


def _over(node: Expr, box: Ranges, operands: Sequence[Expr]) -> Expr:
    """The node over other operands."""
    match node:
        case Aggregate(by=by, kernel=kernel):
            return aggregate(operands[0], by, kernel)
        case Join(on=on, kernel=kernel, truncate=truncate):
            return join(operands[0], operands[1], on, kernel, truncate=truncate)
        case ReKey(keys=keys, function=function):
            return rekey(operands[0], function, keys)
        case Filter(predicate=predicate):
            return filter_keys(operands[0], _shifted(node, predicate, box))
        case Transform(kernel=kernel):
            return transform(operands[0], kernel)
        case Tile(axis=axis, size=size, key=key):
            return tile_(operands[0], axis, size, key)
        case Concat(key=key, axis=axis):
            return concat(operands[0], key, axis)
        case Stack(key=key):
            return stack(operands, key)
        case Retile(cuts=cuts, along=along):
            windows = [part[1] for part in _retiled(node, box) if part is not None]
            return retile(operands, cuts, windows, along)
    raise AssertionError(f"{node!r} has no operands")


def _shifted(node: Filter, predicate: KeyExpr | Opaque, box: Ranges) -> KeyExpr | Opaque:
    """A predicate of the keys as they were."""
    moved = {name: low for name, (low, _) in zip(node.type.names, box, strict=True) if low}
    if not moved:
        return predicate
    if isinstance(predicate, Opaque):
        raise NotWindowedError("a predicate is opaque")
    return substitute(predicate, {name: Op("+", Var(name), Const(low)) for name, low in moved.items()})


def _cut_out(node: Source, box: Ranges) -> Expr:
    """A window of a whole tensor that lies on the sites."""
    type_ = node.type
    try:
        check_whole(type_, "a window")
    except TraError as error:
        raise NotWindowedError(str(error)) from error
    if type_.names != tuple(axis_key(type_, p) for p, axis in enumerate(type_.axes) if axis.link):
        raise NotWindowedError(f"{type_} has keys that cut no axis")
    at = dict(zip(type_.names, box, strict=True))
    windows = []
    for place, axis in enumerate(type_.axes):
        low, high = at.get(axis_key(type_, place) or "", (0, 1))
        begin, end = low * axis.size, min(high * axis.size, axis.extent)
        windows.append(Window(begin, 1, end - begin))
    return retile([node], current_cuts(type_), [windows])


def window_type(type_: RelType, box: Ranges) -> RelType:
    """The type of a relation's tiles in a box of keys, which count from zero then.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> str(window_type(tensor_type((5, 4), "f8", ("i", "j"), 2), ((1, 3), (0, 2))))
        '[i:2, j:2] of 2/3×2/4 float64'

    Raises:
        NotWindowedError: a key that is cut counts tiles along an axis together with others, or along several.
    """
    at = {key.name: part for key, part in zip(type_.keys, box, strict=True) if part != (0, key.domain)}
    axes = tuple(_window_axis(axis, at) for axis in type_.axes)
    if any(sum(name in dict(axis.link) for axis in type_.axes) > 1 for name in at):
        raise NotWindowedError(f"a key of {type_} cuts several axes")
    keys = tuple(Key(key.name, high - low) for key, (low, high) in zip(type_.keys, box, strict=True))
    return RelType(keys, axes, type_.dtype, _window_live(type_, box))


def _window_axis(axis: Axis, at: Mapping[str, tuple[int, int]]) -> Axis:
    names = [name for name, _ in axis.link if name in at]
    if not names:
        return axis
    if len(axis.link) > 1 or axis.link[0][1] != 1:
        raise NotWindowedError(f"several keys cut an axis of {axis}")
    low, high = at[names[0]]
    extent = max(min(axis.extent, high * axis.size) - low * axis.size, 0)
    return replace(axis, extent=extent, size=min(axis.size, extent))


def _window_live(type_: RelType, box: Ranges) -> Box | KeySet | AtMost:
    if isinstance(type_.live, KeySet):
        keys = live_keys(type_)
        low, high = (([side[n] for side in box]) for n in (0, 1))
        inside = ((keys >= low) & (keys < high)).all(axis=1)
        return KeySet(keys[inside] - low)
    met = zip(ranges(type_), box, strict=True)
    cut = tuple((max(a, low) - low, max(min(b, high), max(a, low)) - low) for (a, b), (low, high) in met)
    if isinstance(type_.live, AtMost):
        return AtMost(cut, within(type_.live.count, ranges(type_), box))
    return Box(cut)
