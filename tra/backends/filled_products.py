"""Products of relations with few holes: these are filled with zeros, and all is one product of blocks."""

from __future__ import annotations

from math import inf, isfinite, prod

import numpy as np

from tra.algebra.density import volume
from tra.algebra.live import required
from tra.algebra.types import KeyArray, RelType
from tra.backends.block import Block, Ranges, empty_block, spans_one
from tra.backends.block import cuts_of as block_cuts
from tra.backends.block_products import block_sum
from tra.backends.product_axes import BlockProduct, whole_product
from tra.backends.product_rates import copy_seconds, product_seconds
from tra.backends.tiles import Tiles, bounds
from tra.optimizer.plan import LocalContract, Plan

MOST = 3.0  # times their bytes that operands may grow to


def filled_seconds(node: LocalContract, left: Tiles, right: Tiles) -> float:
    """About how long the product takes one thread with all holes filled; infinite where it cannot be done.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles(np.array([[0, 0], [1, 0], [1, 1]]), [np.eye(2)] * 3)
        >>> filled_seconds(node, tiles, tiles) < inf
        True
    """
    how = whole_product(node)
    boxes = None if how is None or how.matrix is None else _boxes(how, left, right)
    if how is None or boxes is None:
        return inf
    n_bytes = 0
    for part, tiles, box in zip((node.left, node.right), (left, right), boxes, strict=True):
        whole = volume(box) * prod(part.type.tile_shape) * part.type.dtype.itemsize
        if whole > MOST * tiles.nbytes or not spans_one(_cuts(part.type), box):
            return inf
        n_bytes += 2 * whole
    spans = dict(zip((*how.left, *how.right), (*boxes[0], *boxes[1]), strict=True))
    if not spans_one(_cuts(node.type), tuple(spans[place] for place in how.kept)):
        return inf
    return product_seconds(node, volume(tuple(spans.values()))) + copy_seconds(n_bytes)


def filled_product(node: LocalContract, left: Tiles, right: Tiles, keys: KeyArray) -> Tiles | None:
    """The product by blocks with zeros in the holes; None where an operand has numbers that are not finite.

    Args:
        node: the product.
        left: one operand.
        right: the other.
        keys: the keys of the result that have a tile.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles(np.array([[0, 0], [1, 1]]), [np.eye(2) * 3] * 2)
        >>> [(key, tile[0].tolist()) for key, tile in filled_product(node, tiles, tiles, tiles.keys)]
        [((0, 0), [9.0, 0.0]), ((1, 1), [9.0, 0.0])]
    """
    how = whole_product(node)
    assert how is not None
    boxes = _boxes(how, left, right)
    assert boxes is not None
    ours, theirs = _filled(node.left, left, boxes[0]), _filled(node.right, right, boxes[1])
    if ours is None or theirs is None:
        return None
    spans = dict(zip((*how.left, *how.right), (*boxes[0], *boxes[1]), strict=True))
    out = block_sum(node, how, tuple(spans[p] for p in how.kept), [(ours.array, theirs.array)])
    return _those(out, keys, block_cuts(node.type) is not None)


def _cuts(type_: RelType) -> tuple[tuple[int, int] | None, ...]:
    cuts = block_cuts(required(type_))
    assert cuts is not None
    return cuts


def _boxes(how: BlockProduct, left: Tiles, right: Tiles) -> tuple[Ranges, Ranges] | None:
    """The ranges of keys that take part; those of joined keys are what both have."""
    spans: dict[int, tuple[int, int]] = {}
    for places, tiles in ((how.left, left), (how.right, right)):
        for place, (low, high) in zip(places, bounds(tiles), strict=True):
            before = spans.get(place, (low, high))
            spans[place] = (max(low, before[0]), min(high, before[1]))
    if any(high <= low for low, high in spans.values()):
        return None
    one, other = (tuple(spans[place] for place in places) for places in (how.left, how.right))
    return one, other


def _filled(part: Plan, tiles: Tiles, box: Ranges) -> Block | None:
    """The tiles in a box as one block, zeros where there are none; None where numbers are not finite.

    Zeros are as good as absent where they meet numbers, but 0·∞ is no number.
    """
    whole = required(part.type)
    block = tiles.block(whole, box) if tiles.blocks is not None else None
    if block is None:
        block = empty_block(whole, box)
        inside = tiles.within(box)
        rows = {tuple(key): array for key, array in inside}
        for key, place in zip(block.keys().tolist(), block.tiles(), strict=True):
            place[...] = rows.get(tuple(key), 0)
    if block.array.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            total = block.array.sum()
        if not isfinite(abs(total)):
            return None
    return block


def _those(block: Block, keys: KeyArray, may_lie: bool) -> Tiles:
    """The tiles of a block at some keys; in the block, where they are all and the result may lie in one."""
    if may_lie and volume(block.box) == len(keys):
        return Tiles.of([block])
    lows = np.array([low for low, _ in block.box], dtype=np.int64)
    shape = tuple(high - low for low, high in block.box)
    rows = np.ravel_multi_index(tuple((keys - lows).T), shape).tolist()
    tiles = block.tiles()
    return Tiles(keys, [tiles[row] for row in rows], is_sorted=True)
