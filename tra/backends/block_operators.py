"""Local operators on blocks: those that leave elements where they are, or move whole axes.

Each gives None where it would have to look at tiles; `local_operators` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tra.algebra import key_function
from tra.algebra.kernel import Kernel
from tra.algebra.types import Tile
from tra.algebra.whole_kernels import leaves_cuts
from tra.backends.block import Block, Ranges, are_disjoint, cuts_of, spans_one
from tra.backends.block_products import product_of
from tra.backends.element_chains import key_order
from tra.backends.kernel_calls import call, call_into
from tra.backends.pieces import PIECE, Piece, each_piece, part
from tra.backends.threads import THREADS, parallel
from tra.backends.tiles import Tiles
from tra.optimizer.plan import (
    LocalAggregate,
    LocalConcat,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    LocalStack,
    LocalTile,
    Plan,
)

LEAST_ROWS = 64  # for a thread: NumPy adds up a row alone in another order than one of several


def run_on_blocks(node: Plan, inputs: Sequence[Tiles]) -> Tiles | None:
    """The result of a local operator whose operands lie in blocks, or None where it needs tiles.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> node = LocalFilter(A.type, A.placement, A, key_function.Const(1))
        >>> both = Tiles.of([Block(((0, 2), (0, 2)), np.eye(4), ((0, 2), (1, 2)))])
        >>> run_on_blocks(node, [both]) is both
        True
    """
    match node:
        case LocalJoin() | LocalContract():
            return product_of(node, inputs[0], inputs[1])
        case LocalStack():
            return _stacked(node, inputs)
    blocks = inputs[0].blocks
    if blocks is None:
        return None
    match node:
        case LocalMap():
            return _mapped(node, blocks)
        case LocalFilter():
            return _filtered(node, inputs[0])
        case LocalAggregate():
            return _added(node, blocks)
        case LocalTile():
            return _tiled(node, blocks)
        case LocalConcat():
            return _glued(node, blocks)
    return None


def _mapped(node: LocalMap, blocks: Sequence[Block]) -> Tiles | None:
    cuts, order = cuts_of(node.type), key_order(node)
    if cuts is None or order is None or not _are_whole(node):
        return None
    made = []
    for block in blocks:
        box = tuple(block.box[place] for place in order)
        if not spans_one(cuts, box):
            return None
        array = block.array
        for kernel in node.kernels:
            array = _by_threads(kernel, array)
        is_new = array.base is None and array is not block.array
        made.append(Block(box, array, cuts, is_new or (block.is_fresh and array is block.array)))
    return Tiles.of(made)


def _by_threads(kernel: Kernel, array: Tile) -> Tile:
    """A kernel's result, some rows on each thread where the kernel looks at rows and they lie together."""
    core, n_rows = kernel.signature.inputs[0], array.shape[0] if array.ndim else 0
    n_parts = min(THREADS.get(), n_rows // LEAST_ROWS, array.nbytes // PIECE)
    if n_parts < 2 or not 0 < len(core) < array.ndim or _moves(kernel) or not array.flags.c_contiguous:
        return call(kernel, array)
    edges = [n * n_rows // n_parts for n in range(n_parts + 1)]
    return np.concatenate(parallel(lambda rows: call(kernel, array[slice(*rows)]), list(pairwise(edges))))


def _are_whole(node: LocalMap) -> bool:
    """Claims that the kernels do to a block what they do to its tiles."""
    if any(kernel.laws.as_cut or (kernel.user and not kernel.batched) for kernel in node.kernels):
        return False
    first, rest = node.kernels[:1], node.kernels[1:]
    moves = all(kernel.laws.elementwise or _moves(kernel) for kernel in rest)
    return moves and all(leaves_cuts(kernel, node.child.type) for kernel in first)


def _moves(kernel: Kernel) -> bool:
    dims = kernel.signature.inputs[0]
    return kernel.laws.contraction and len(set(dims)) == len(dims)


def _filtered(node: LocalFilter, tiles: Tiles) -> Tiles | None:
    kept = key_function.holds(node.predicate, node.child.type.names, tiles.keys)
    if np.all(kept):
        return tiles
    keys = tiles.keys[kept]
    if not len(keys) or cuts_of(node.type) is None:
        return None
    box = tuple((int(column.min()), int(column.max()) + 1) for column in keys.T)
    part = tiles.within(box)
    return part if part.blocks and len(part) == len(keys) else None


def _added(node: LocalAggregate, blocks: Sequence[Block]) -> Tiles | None:
    """Folds blocks of equal keys, in the order of the keys that go."""
    names, cuts = node.child.type.names, cuts_of(node.type)
    kept = [names.index(name) for name in node.by]
    gone = [place for place in range(len(names)) if place not in kept]
    spread = any(block.box[place][1] - block.box[place][0] != 1 for block in blocks for place in gone)
    laws = node.kernel.laws
    if cuts is None or spread or node.kernel.user or not (laws.elementwise and laws.associative):
        return None
    groups: dict[Ranges, list[Block]] = {}
    for block in sorted(blocks, key=lambda block: tuple(block.box[place] for place in gone)):
        groups.setdefault(tuple(block.box[place] for place in kept), []).append(block)
    shapes = [{block.array.shape for block in group} for group in groups.values()]
    if not are_disjoint(list(groups)) or any(len(found) > 1 for found in shapes):
        return None
    made = []
    for box, group in groups.items():
        array = fold([block.array for block in group], node.kernel, node.type.dtype)
        made.append(Block(box, array, cuts, len(group) > 1))
    return Tiles.of(made)


def fold(arrays: Sequence[Tile], kernel: Kernel, dtype: np.dtype[Any]) -> Tile:
    """Arrays of one shape folded left to right, piece by piece; one alone as it is.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> fold([np.ones(2)] * 3, kernel("add"), np.dtype("f8")).tolist()
        [3.0, 3.0]
    """
    if len(arrays) == 1:
        return arrays[0]
    total = np.empty(arrays[0].shape, dtype)

    def piece(place: Piece) -> None:
        first, *rest = (part(array, place) for array in arrays)
        for array in rest:
            first = call_into(part(total, place), kernel, first, array)

    each_piece(piece, total, in_one_pass=len(arrays) == 2)
    return total


def _tiled(node: LocalTile, blocks: Sequence[Block]) -> Tiles | None:
    cuts = cuts_of(node.type)
    n_tiles = node.type.axes[node.axis].n_tiles
    if cuts is None or n_tiles < 1:
        return None
    return Tiles.of([Block((*b.box, (0, n_tiles)), b.array, cuts, b.is_fresh) for b in blocks])


def _glued(node: LocalConcat, blocks: Sequence[Block]) -> Tiles | None:
    old, cuts = node.child.type, cuts_of(node.type)
    place, axis = old.names.index(node.key), old.axes[node.axis]
    whole = (0, axis.n_tiles)
    if cuts is None or any(b.cuts[place] != (node.axis, axis.size) or b.box[place] != whole for b in blocks):
        return None
    boxes = [(*b.box[:place], *b.box[place + 1 :]) for b in blocks]
    return Tiles.of([Block(box, b.array, cuts, b.is_fresh) for box, b in zip(boxes, blocks, strict=True)])


def _stacked(node: LocalStack, inputs: Sequence[Tiles]) -> Tiles | None:
    cuts = cuts_of(node.type)
    if cuts is None or any(tiles.blocks is None for tiles in inputs):
        return None
    return Tiles.of(
        [
            Block(((number, number + 1), *block.box), block.array, cuts)
            for number, tiles in enumerate(inputs)
            for block in tiles.blocks or ()
        ]
    )
