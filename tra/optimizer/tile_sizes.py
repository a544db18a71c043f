"""How large the tiles of open tensors are: enough of them for the sites, and no more than that takes.

A size is a function of an axis's extent, of its default size and of the query, so that tensors which meet
along an axis have tiles that meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil, prod
from typing import TypeAlias

from tra.algebra.live import required
from tra.algebra.nodes import Expr
from tra.algebra.types import Axis, Box, Key, RelType

MIN_TILE = 64  # elements along an axis: below, a tile is not worth a kernel call
FEW = 32  # tiles along an axis: with more, what is done for each tile begins to count
MAX_ELEMENTS = 1 << 20  # of a tile that stands for several smaller ones
AxisClass: TypeAlias = "tuple[int, int]"  # extent, and size of a tile as written


def axis_class(axis: Axis) -> AxisClass:
    """What decides how an axis is cut: its extent, and how it is cut as written."""
    return axis.extent, axis.size


def chosen_sizes(nodes: Iterable[Expr], n_sites: int) -> dict[AxisClass, int]:
    """How long tiles become along the axes of a query, where that is not what they are.

    The tiles of an axis become a multiple of the sites. Where there are more than a few they are made fewer,
    as long as no tile of the query has too many elements then: those of long vectors and tall matrices.

    Args:
        nodes: the query.
        n_sites: how many sites there are.

    Example:
        >>> import numpy as np, tra
        >>> x, A = (tra.from_array(np.broadcast_to(1.0, s)).expr for s in (500_000, (1000, 1000)))
        >>> chosen_sizes([x, A], 1), chosen_sizes([x, A], 2)
        ({(500000, 1023): 15625}, {(1000, 1000): 500, (500000, 1023): 15625})
    """
    axes: dict[AxisClass, Axis] = {}
    growth: dict[AxisClass, float] = {}
    for type_ in {node.type for node in nodes}:
        cut = [axis for axis in type_.axes if axis.link]
        axes.update((axis_class(axis), axis) for axis in cut)
        long = [axis_class(axis) for axis in cut if axis.n_tiles > FEW]
        if long:
            room = max(MAX_ELEMENTS / max(prod(type_.tile_shape), 1), 1.0) ** (1 / len(long))
            growth.update((c, min(room, growth.get(c, room))) for c in long)
    sizes = {
        c: chosen_size(axis, n_sites, growth.get(c, 1.0)) for c, axis in sorted(axes.items(), key=_first)
    }
    return {c: size for c, size in sizes.items() if size != c[1]}


def _first(item: tuple[AxisClass, Axis]) -> AxisClass:
    return item[0]


def chosen_size(axis: Axis, n_sites: int, growth: float = 1.0) -> int:
    """How long tiles become along an axis.

    Args:
        axis: the axis as it is cut by default.
        n_sites: the tiles become a multiple of these.
        growth: how many times as long they may become where there are more than a few.

    Example:
        >>> [chosen_size(Axis(1000, (("i", 1),), 100_000), n, 64.0) for n in (1, 3)]
        [3125, 3031]
    """
    fewer = min(axis.n_tiles, max(FEW, ceil(axis.n_tiles / growth)))
    wanted = -(-fewer // n_sites) * n_sites
    size = -(-axis.extent // wanted) if wanted else axis.size
    return size if size >= MIN_TILE and wanted != axis.n_tiles else axis.size


def lengths(type_: RelType, sizes: Mapping[AxisClass, int]) -> list[int]:
    """How long the tiles of a tensor become along each axis.

    Example:
        >>> from tra.algebra.tensor_type import tensor_type
        >>> lengths(tensor_type((1000, 8), "f4"), {(1000, 1000): 250})
        [250, 8]
    """
    return [sizes.get(axis_class(axis), axis.size) if axis.link else axis.size for axis in type_.axes]


def resized(type_: RelType, tile: Sequence[int]) -> RelType:
    """The type of a tensor in other tiles; one key cuts an axis.

    Example:
        >>> from tra.algebra.tensor_type import tensor_type
        >>> str(resized(tensor_type((1000, 8), "f4"), [250, 8]))
        '[i:4, j:1] of 250/1000×8 float32'
    """
    axes = tuple(replace(axis, size=size) for axis, size in zip(type_.axes, tile, strict=True))
    domains = {axis.link[0][0]: axis.n_tiles for axis in axes if axis.link}
    keys = tuple(Key(key.name, domains.get(key.name, key.domain)) for key in type_.keys)
    return required(RelType(keys, axes, type_.dtype, Box(())))


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
    met = {axis_class(axis) for other in fixed for axis in other.axes}
    open_ = [axis for axis in type_.axes if axis.link and axis_class(axis) not in met]
    return resized(type_, lengths(type_, {axis_class(axis): chosen_size(axis, n_sites) for axis in open_}))
