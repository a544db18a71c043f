"""Queries over tensors whose user left the tile sizes open, in tiles that suit the sites.

Sites are cut at borders of tiles. A tensor whose tiles are too few, or whose number is no multiple of the
sites', would leave sites with less to do, or with nothing; one of very many small tiles costs what is done
for each. Where a query speaks of whole tensors its tiles are nobody's business: open sources are cut anew,
and the query is built again over them. Sources stay as written whose part of the query speaks of keys, or
meets tensors that are cut.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import ceil, prod

from tra.algebra.live import is_dense
from tra.algebra.nodes import Cut, Expr, Generated, Retile, Source, Tile, postorder
from tra.algebra.operators import tile
from tra.algebra.retiling import full_windows, retile
from tra.algebra.types import RelType
from tra.algebra.whole_kernels import loose_keys
from tra.algebra.whole_tensor import is_whole_form
from tra.errors import TraError
from tra.optimizer.tile_sizes import AxisClass, axis_class, chosen_sizes, lengths, resized
from tra.optimizer.whole_operators import over, whole_axes

_MAX_TRIES = 16  # parts of a query that cannot be cut anew, before all of it stays


def with_chosen_tiles(roots: tuple[Expr, ...], open_: Collection[str], n_sites: int) -> tuple[Expr, ...]:
    """The query over open sources that are cut for a number of sites, as far as that can be.

    Args:
        roots: the results.
        open_: ids of sources whose tile sizes were left out.
        n_sites: how many sites there are.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 1200] * 1200, name=name) for name in "AB")
        >>> product, = with_chosen_tiles(((A @ B).expr,), {A.expr.id, B.expr.id}, 4)
        >>> str((A @ B).expr.type), str(product.type)
        ('[i:2, j:2] of 600/1200×600/1200 float64', '[i:4, j:4] of 300/1200×300/1200 float64')
    """
    if not open_:
        return roots
    nodes = list(postorder(*roots))
    given = [node for node in nodes if isinstance(node, Source) and node.id in open_]
    if not given:
        return roots
    whole = {axis_class(axis) for node in nodes for axis in whole_axes(node) if axis.n_tiles == 1}
    sizes = {c: size for c, size in chosen_sizes(nodes, n_sites).items() if c not in whole}
    if not any(axis_class(axis) in sizes for node in given for axis in node.type.axes if axis.link):
        return roots
    return _Rebuilt(nodes, given, sizes).results(roots)


def parts_within(roots: tuple[Expr, ...], open_: Collection[str], most: int | None) -> int:
    """Into how many parts axes are cut so that tiles of open sources have no more bytes than are asked for.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 1200] * 1200)
        >>> [parts_within((A.expr,), {A.expr.id}, most) for most in (None, 10**7, 10**6)]
        [1, 1, 4]
    """
    parts = 1
    for node in postorder(*roots):
        if most is not None and isinstance(node, Source) and node.id in open_:
            axes = [axis for axis in node.type.axes if axis.link]
            size = node.type.dtype.itemsize * prod(min(axis.size, axis.extent) for axis in node.type.axes)
            if size > most and axes:
                finer = (size / most) ** (1 / len(axes))
                parts = max(parts, *(ceil(axis.n_tiles * finer) for axis in axes))
    return parts


class _Rebuilt:
    """A query that is built again over sources in other tiles.

    Leaves that may be cut are bits of a number, and each node has those that are below it. Where a node
    cannot be built over new operands, what lies below stays as written, and so does, in its turn, what meets
    it.
    """

    def __init__(self, nodes: list[Expr], given: Sequence[Source], sizes: dict[AxisClass, int]) -> None:
        self.nodes, self.sizes = nodes, sizes
        self.lengths = {axis.size for node in given for axis in node.type.axes}
        leaves = [*given, *(node for node in nodes if isinstance(node, Generated) and _is_plain(node.type))]
        self.below = {node.digest: 1 << place for place, node in enumerate(leaves)}
        for node in nodes:
            for child in node.children:
                below = self.below.get(child.digest, 0)
                self.below[node.digest] = self.below.get(node.digest, 0) | below
        self.sources = (1 << len(given)) - 1
        self.fixed = 0
        self.wanted = self._wanted(given)
        self.made: dict[str, Expr] = {}

    def results(self, roots: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The results over new operands, or as written where nothing can be cut."""
        for _ in range(_MAX_TRIES):
            stuck = self._build() or self._changed(roots)
            if not stuck:
                return tuple(self.made[root.digest] for root in roots)
            self.fixed |= stuck
            if self.fixed & self.sources == self.sources:
                break
            kept = self.made.items()
            self.made = {digest: made for digest, made in kept if not self.below.get(digest, 0) & stuck}
        return roots

    def _build(self) -> int:
        """Builds the query; what is below the node that it cannot build, or nothing."""
        for node in self.nodes:
            if node.digest not in self.made:
                made = self._node(node)
                if made is None:
                    return self.below[node.digest]
                self.made[node.digest] = made
        return 0

    def _changed(self, roots: Sequence[Expr]) -> int:
        """What is below the first result that would be another tensor."""
        for root in roots:
            made = self.made[root.digest]
            is_same = made == root or (made.type.shape == root.type.shape and not loose_keys(root.type))
            if not is_same:
                return self.below[root.digest]
        return 0

    def _node(self, node: Expr) -> Expr | None:
        if not self.below.get(node.digest, 0) & ~self.fixed:
            return node
        children = [self.made[child.digest] for child in node.children]
        if children and all(made == child for made, child in zip(children, node.children, strict=True)):
            return node
        try:
            return self._again(node, children)
        except TraError:
            return None  # the new tiles do not meet others

    def _again(self, node: Expr, children: list[Expr]) -> Expr | None:
        """The node over new operands, or None where what it means depends on how tensors are cut."""
        match node:
            case Source() | Generated():
                sizes = self.wanted.get(node.digest) or lengths(node.type, self.sizes)
                return replace(node, type=resized(node.type, sizes))
            case Retile(windows=windows, along=along) if self._is_open(node):
                return retile(children, self._cuts(node), windows, along)
            case Tile(axis=axis, size=size, key=key) if self._is_length(size, node.type.axes[axis].extent):
                return tile(children[0], axis, self.sizes.get(axis_class(node.type.axes[axis]), size), key)
            case _:
                return over(node, children)

    def _is_open(self, node: Retile) -> bool:
        """Claims that a tensor is cut anew to meet open ones, and not as a user says."""
        axes = zip(node.cuts, node.type.axes, strict=True)
        return not loose_keys(node.type) and all(
            cut.size is None or self._is_length(cut.size, axis.extent) for cut, axis in axes
        )

    def _is_length(self, size: int, extent: int) -> bool:
        return size in self.lengths or size >= extent

    def _cuts(self, node: Retile) -> list[Cut]:
        axes = zip(node.cuts, node.type.axes, strict=True)
        return [
            replace(cut, size=self.sizes.get(axis_class(a), cut.size)) if cut.key else cut for cut, a in axes
        ]

    def _wanted(self, given: Sequence[Source]) -> dict[str, list[int]]:
        """The tiles of sources that are needed in one cut only, which is not their own."""
        users: dict[str, list[Expr]] = {source.digest: [] for source in given}
        for node in self.nodes:
            for child in node.children:
                if child.digest in users:
                    users[child.digest].append(node)
        found = {}
        for source in given:
            cuts = {self._only_cut(user) for user in users[source.digest]}
            only = cuts.pop() if len(cuts) == 1 else ()
            if only and _cuts_alike(source.type, only):
                pairs = zip(only, source.type.axes, strict=True)
                found[source.digest] = [cut.size or axis.size for cut, axis in pairs]
        return found

    def _only_cut(self, node: Expr) -> tuple[Cut, ...]:
        """The cuts of a node that is its one operand in other tiles; of others none."""
        match node:
            case Retile(operands=(child,), windows=(windows,)) if windows == full_windows(child.type):
                return tuple(self._cuts(node)) if self._is_open(node) else ()
        return ()


def _cuts_alike(type_: RelType, cuts: tuple[Cut, ...]) -> bool:
    """Claims that cuts are of the axes that are cut already, and of no others."""
    return all(bool(cut.key) == bool(axis.link) for cut, axis in zip(cuts, type_.axes, strict=True))


def _is_plain(type_: RelType) -> bool:
    return bool(type_.axes) and is_whole_form(type_) and is_dense(type_)
