"""A query for a window of its result: the same operators, over windows of what it reads.

Keys of a window count from zero, so that it is cut among sites as a whole relation is, and windows of one
size are one query.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import TypeAlias

from tra.algebra.key_function import Const, KeyExpr, Op, Opaque, Var, substitute
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
from tra.algebra.retiling import check_whole, retile
from tra.algebra.types import RelType, TileKey
from tra.algebra.whole_tensor import axis_key, current_cuts
from tra.errors import TraError
from tra.optimizer.rules.registry import SLICES, Fired, normalise, rules_without
from tra.optimizer.window_below import below, retiled
from tra.optimizer.window_type import NotWindowedError, Ranges, whole_box, window_type

Folds: TypeAlias = Mapping[str, Mapping[str, tuple[int, int]]]


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


@lru_cache(maxsize=128)
def slices_below(root: Expr, without: tuple[str, ...] = ()) -> tuple[Expr, tuple[Fired, ...]]:
    """The query with slices moved towards what it reads, and the rules that did it.

    Args:
        root: the query.
        without: names of rules that are switched off.

    Example:
        >>> import tra
        >>> A = tra.from_array([float(n) for n in range(100)], tile=10)
        >>> moved, fired = slices_below((A + 1)[42:47].expr)
        >>> moved == (A[42:47] + 1).expr, [rule.name for rule in fired]
        (True, ['slice_transform_push'])
    """
    if not any(isinstance(node, Retile) for node in postorder(root)):
        return root, ()
    (moved,), fired = normalise((root,), rules_without(without, SLICES))
    return moved, fired


@lru_cache(maxsize=128)
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
        self.taken: set[str] = set()
        self.made: dict[tuple[str, Ranges], Expr] = {}

    def of(self, root: Expr, box: Ranges) -> Windowed:
        nodes = list(postorder(root))
        self.taken = {node.id for node in nodes if isinstance(node, Source)}
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

    def _below(self, node: Expr, box: Ranges) -> Sequence[Ranges | None]:
        return below(node, box, self.folds.get(node.digest, {}))

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
        leaf = Leaf(node, first, type_)
        id_ = self._id(node, box)
        assert self.leaves.setdefault(id_, leaf) == leaf
        version = node.version if isinstance(node, Source) else "0"
        return Source(type_, id_, version, name)

    def _id(self, node: Source | Generated, box: Ranges) -> str:
        # where windows of several queries meet they are told apart by what they are of and their place,
        # else they are numbered, so that windows of one size are one query
        base = node.id if isinstance(node, Source) else "generated"
        if self.slices:
            return f"{base} {node.digest} window {box}"
        free = (f"{base} window {n}" for n in count(len(self.leaves)))
        return next(id_ for id_ in free if id_ not in self.taken and id_ not in self.leaves)


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
            windows = [part[1] for part in retiled(node, box) if part is not None]
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
