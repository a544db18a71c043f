"""Tile sizes from the cuts, for tensors whose user left them open.

Sites are cut at borders of tiles. A tensor whose tiles are too few, or whose number is no multiple of the
sites', would leave sites with less to do, or with nothing. Where a query speaks of whole tensors its tiles
are nobody's business: open sources are cut into a multiple of the sites, and the query is built again over
them. Where it speaks of keys, or meets tensors that are cut, everything stays as written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import ceil, prod

from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.key_function import Var
from tra.algebra.live import required
from tra.algebra.nodes import Aggregate, Concat, Expr, Join, ReKey, Source, Transform, postorder
from tra.algebra.operators import aggregate, concat, join, rekey
from tra.algebra.operators import transform as transform_
from tra.algebra.types import Axis, Box, Key, RelType
from tra.algebra.whole_kernels import leaves_cuts, loose_keys, pairs_alike
from tra.errors import TraError

MIN_TILE = 64  # elements along an axis: below, a tile is not worth a kernel call


def with_chosen_tiles(roots: tuple[Expr, ...], open_: Collection[str], n_sites: int) -> tuple[Expr, ...]:
    """The query over open sources that are cut for a number of sites; as it is where that cannot be.

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
    if n_sites == 1 or not open_:
        return roots
    nodes = list(postorder(*roots))
    given = [node for node in nodes if isinstance(node, Source) and node.id in open_]
    made: dict[str, Expr] = {node.digest: _cut(node, n_sites) for node in given}
    if all(made[node.digest].type == node.type for node in given):
        return roots
    try:
        for node in nodes:
            if node.digest not in made:
                again = _again(node, [made[child.digest] for child in node.children])
                if again is None:
                    return roots
                made[node.digest] = again
    except TraError:
        return roots  # the new tiles do not meet others
    same = all(made[r.digest].type.shape == r.type.shape and not loose_keys(r.type) for r in roots)
    return tuple(made[root.digest] for root in roots) if same else roots


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


def _cut(source: Source, n_sites: int) -> Source:
    return replace(source, type=cut_for_sites(source.type, n_sites))


def cut_for_sites(type_: RelType, n_sites: int, fixed: Collection[RelType] = ()) -> RelType:
    """The type of a tensor cut so that all sites have as much of it, where tiles stay large enough.

    Args:
        type_: the tensor, as its tiles were before: one key cuts an axis.
        n_sites: how many sites there are; every key's frontier becomes a multiple of them.
        fixed: tensors whose tiles are what they are. An axis that is as long as one of theirs, and cut alike,
            stays: where the two meet, other tiles would have to be cut anew.

    Example:
        >>> from tra.algebra.tensor_type import tensor_type
        >>> h, W = tensor_type((1000,), "f4", ("h",)), tensor_type((300, 1000), "f4", ("d", "h"))
        >>> str(cut_for_sites(h, 4)), str(cut_for_sites(h, 4, fixed=[W]))
        ('[h:4] of 250/1000 float32', '[h:1] of 1000 float32')
    """
    if n_sites == 1:
        return type_
    met = {(axis.extent, axis.size) for other in fixed for axis in other.axes}
    open_ = [bool(axis.link) and (axis.extent, axis.size) not in met for axis in type_.axes]
    axes = tuple(
        replace(axis, size=_size(axis, n_sites)) if is_open else axis
        for axis, is_open in zip(type_.axes, open_, strict=True)
    )
    domains = {axis.link[0][0]: axis.n_tiles for axis in axes if axis.link}
    keys = tuple(Key(key.name, domains.get(key.name, key.domain)) for key in type_.keys)
    return required(RelType(keys, axes, type_.dtype, Box(())))


def _size(axis: Axis, n_sites: int) -> int:
    wanted = -(-axis.n_tiles // n_sites) * n_sites
    size = -(-axis.extent // wanted)
    return size if size >= MIN_TILE else axis.size


def _again(node: Expr, children: list[Expr]) -> Expr | None:
    """The node over new operands, or None where what it means depends on how tensors are cut."""
    match node:
        case Source():
            return node
        case Aggregate(by=by, kernel=kernel):
            return aggregate(children[0], by, kernel) if _folds_sums(node) else None
        case Join(on=on, kernel=kernel, truncate=False) if _pairs_alike(node):
            return join(children[0], children[1], on, kernel)
        case Transform(kernel=kernel) if _leaves_cuts(kernel, node.child.type):
            return transform_(children[0], kernel)
        case Concat(key=key, axis=axis):
            return concat(children[0], key, axis)
        case ReKey(keys=keys, function=tuple(function)) if all(isinstance(part, Var) for part in function):
            return rekey(children[0], function, keys)
        case _:
            return None


def _folds_sums(node: Aggregate) -> bool:
    """Claims that the fold adds up what kernels summed tile by tile, and nothing else."""
    gone = set(node.child.type.names) - set(node.by)
    return node.kernel == ADD and gone == loose_keys(node.child.type)


def _leaves_cuts(kernel: Kernel, type_: RelType) -> bool:
    return not loose_keys(type_) and leaves_cuts(kernel, type_)


def _pairs_alike(node: Join) -> bool:
    left, right = node.left.type, node.right.type
    return not (loose_keys(left) or loose_keys(right)) and pairs_alike(left, right, node.on, node.kernel)
