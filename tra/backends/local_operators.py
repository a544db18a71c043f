"""The local operators on the tiles of one site: what a stage is made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np

from tra.algebra import key_function
from tra.algebra.image import check_image
from tra.algebra.kernel import Kernel
from tra.algebra.kernels.canonical import Blocked
from tra.algebra.key_function import KeyExpr, KeyFunction, Opaque
from tra.algebra.types import KeyArray, RelType, Tile
from tra.backends.balanced_fold import fold_balanced
from tra.backends.kernel_calls import accumulate, call, map_tiles
from tra.backends.ordered_products import ordered_sums
from tra.backends.pairs import On, Pairs, pairs_of
from tra.backends.places import places_of
from tra.backends.threads import parallel
from tra.backends.tiles import Tiles, no_tiles
from tra.errors import SchemaError

SMALL_PAIR = 1 << 12  # bytes of a tile below which all products of a contraction are made in batches


def map_local(
    tiles: Tiles, old: RelType, function: KeyFunction | None, kernels: Sequence[Kernel], arity: int
) -> Tiles:
    """λᴸ: new keys (`arity` of them), and each tile through the kernels in turn.

    Example:
        >>> from tra.algebra.key_function import Const, Op, Var
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> old = tensor_type((2,), "f8", ("i",), 1)
        >>> half = Tiles(np.array([[0]]), [np.ones(1)])
        >>> moved = map_local(half, old, (Op("+", Var("i"), Const(3)),), [kernel("neg")], 1)
        >>> [(key, tile.tolist()) for key, tile in moved]
        [((3,), [-1.0])]
    """
    arrays = tiles.arrays
    for kernel in kernels:
        arrays = map_tiles(kernel, [arrays]) if arrays else []
    if function is None:
        return Tiles(tiles.keys, arrays, is_sorted=True)
    if not arrays:
        return no_tiles(arity)
    keys = key_function.apply(function, old.names, tiles.keys)
    check_image(tiles.keys, keys)
    return Tiles(keys, arrays)


def filter_local(tiles: Tiles, old: RelType, predicate: KeyExpr | Opaque) -> Tiles:
    """σᴸ: the tiles whose key satisfies the predicate.

    Example:
        >>> from tra.algebra.key_function import Const, Op, Var
        >>> from tra.algebra.sources import tensor_type
        >>> tiles = Tiles(np.array([[0], [1]]), [np.zeros(1), np.ones(1)])
        >>> filter_local(tiles, tensor_type((2,), "f8", ("i",), 1), Op(">", Var("i"), Const(0))).keys.tolist()
        [[1]]
    """
    return tiles.rows(np.flatnonzero(key_function.holds(predicate, old.names, tiles.keys)))


def groups_of(keys: KeyArray) -> tuple[KeyArray, list[KeyArray]]:
    """Distinct keys in order, and for each the rows that have it, in their order.

    Example:
        >>> keys, rows = groups_of(np.array([[4], [2], [4]]))
        >>> keys.tolist(), [found.tolist() for found in rows]
        ([[2], [4]], [[1], [0, 2]])
    """
    if not len(keys):
        return keys, []
    if not keys.shape[1]:
        return keys[:1], [np.arange(len(keys))]
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    first = np.flatnonzero(np.concatenate([[True], np.any(ordered[1:] != ordered[:-1], axis=1)]))
    return ordered[first], np.split(order, first[1:])


def aggregate_local(tiles: Tiles, old: RelType, by: Sequence[str], kernel: Kernel) -> Tiles:
    """Σᴸ: folds the tiles that agree on `by`, in the order of their keys.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> tiles = Tiles(np.array([[0], [1]]), [np.ones(1), np.ones(1)])
        >>> aggregate_local(tiles, tensor_type((2,), "f8", ("i",), 1), (), kernel("add")).arrays[0].tolist()
        [2.0]
    """
    keys, groups = groups_of(tiles.keys[:, [old.names.index(name) for name in by]])
    if all(len(rows) == 1 for rows in groups):
        return Tiles(keys, [tiles.arrays[rows[0]] for rows in groups], is_sorted=True)
    folded = parallel(lambda rows: _fold(kernel, [tiles.arrays[r] for r in rows.tolist()]), groups)
    return Tiles(keys, folded, is_sorted=True)


def _fold(kernel: Kernel, arrays: Sequence[Tile]) -> Tile:
    """Left to right; the running total is our own, so a ufunc may write into it.

    What is not associative to the last bit is folded by a balanced tree, which has whole subtrees that other
    sites may fold.
    """
    if len(arrays) == 1:
        return arrays[0]
    if not kernel.laws.associative:
        return fold_balanced(partial(call, kernel), arrays)
    total = _own(call(kernel, arrays[0], arrays[1]), arrays[:2])
    for array in arrays[2:]:
        total = accumulate(kernel, total, array)
    return total


def _own(result: Tile, operands: Sequence[Tile]) -> Tile:
    """A kernel's result in memory of its own, even where the kernel returned an operand or a view of one."""
    shared = result.base is not None or any(np.may_share_memory(result, operand) for operand in operands)
    return result.copy() if shared else result


def _joined(left: Tiles, right: Tiles, pairs: Pairs, kernel: Kernel) -> list[Tile]:
    operands = (
        [left.arrays[row] for row in pairs.left.tolist()],
        [right.arrays[row] for row in pairs.right.tolist()],
    )
    return map_tiles(kernel, operands)


def join_local(left: Tiles, right: Tiles, lt: RelType, rt: RelType, on: On, kernel: Kernel) -> Tiles:
    """⋈ᴸ: the kernel on each pair of tiles whose keys agree.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> t = tensor_type((2,), "f8", ("i",), 1)
        >>> tiles = Tiles(np.array([[0], [1]]), [np.ones(1), np.ones(1)])
        >>> len(join_local(tiles, tiles, t, t, [("i", "i")], kernel("mul")))
        2
        >>> join_local(tiles, tiles, t, t, [], kernel("mul")).keys.tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    pairs = pairs_of(left, right, lt, rt, on)
    if not len(pairs.keys):
        return no_tiles(pairs.keys.shape[1])
    return Tiles(pairs.keys, _joined(left, right, pairs, kernel))


def contract_local(
    left: Tiles,
    right: Tiles,
    lt: RelType,
    rt: RelType,
    joined: Sequence[str],
    on: On,
    kernel: Kernel,
    by: Sequence[str],
    fold: Kernel,
    type_: RelType,
) -> Tiles:
    """Σᴸ∘⋈ᴸ of a type: for each result tile, pairs in the order of the joined keys, folded as they come.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.sources import tensor_type
        >>> t = tensor_type((2,), "f8", ("i",), 1)
        >>> tiles = Tiles(np.array([[0], [1]]), [np.full(1, 2.0), np.full(1, 3.0)])
        >>> mul, add, made = kernel("mul"), kernel("add"), tensor_type((1,), "f8", (), ())
        >>> contract_local(tiles, tiles, t, t, ["i"], [("i", "i")], mul, (), add, made).arrays
        [array([13.])]
    """
    pairs = pairs_of(left, right, lt, rt, on).sorted()
    if not len(pairs.keys):
        return no_tiles(len(by))
    keys, groups = groups_of(pairs.keys[:, [list(joined).index(name) for name in by]])
    if _is_small(left, right) and len(pairs.keys) > len(groups):
        products = _joined(left, right, pairs, kernel)
        folded = [_fold(fold, [products[row] for row in rows.tolist()]) for rows in groups]
        return Tiles(keys, folded, is_sorted=True)
    sides: Sequence[Sequence[Tile]] = (left.arrays, right.arrays)
    if len(pairs.keys) > max(len(left), len(right)):  # else each is taken once, into memory used again
        sides = _laid_out(kernel, *sides)
    lefts, rights = sides

    def operands_of(rows: KeyArray) -> list[tuple[Tile, Tile]]:
        taken = zip(pairs.left[rows].tolist(), pairs.right[rows].tolist(), strict=True)
        return [(lefts[a], rights[b]) for a, b in taken]

    if fold.laws.ordered:
        made, places = places_of(type_, keys)
        ordered_sums(kernel, fold, [operands_of(rows) for rows in groups], places)
        return made

    def one(rows: KeyArray) -> Tile:
        terms = operands_of(rows)
        total = call(kernel, *terms[0])
        if len(terms) > 1:
            total = _own(total, terms[0])
        for pair in terms[1:]:
            total = accumulate(fold, total, call(kernel, *pair))
        return total

    return Tiles(keys, parallel(one, groups), is_sorted=True)


def _laid_out(kernel: Kernel, *operands: Sequence[Tile]) -> Sequence[Sequence[Tile]]:
    """Operands as a kernel wants them to lie, which it would else see to for each pair."""
    if not isinstance(kernel.function, Blocked):
        return operands
    layout = kernel.function.layout(chain.from_iterable(operands))
    return [parallel(layout, arrays) for arrays in operands]


def _is_small(left: Tiles, right: Tiles) -> bool:
    """Claims that tiles are so small that batching them beats folding as they come."""
    return max((a.nbytes for tiles in (left, right) for a in tiles.arrays), default=0) <= SMALL_PAIR


def tile_local(tiles: Tiles, new: RelType, axis: int, size: int) -> Tiles:
    """Cuts each tile along an axis; pieces past the end do not exist.

    Example:
        >>> import tra
        >>> A = tra.from_array(np.arange(3.0), keys=()).tile(0, 2, "k")
        >>> whole = Tiles(np.zeros((1, 0), dtype=np.int64), [np.arange(3.0)])
        >>> [(key, tile.tolist()) for key, tile in tile_local(whole, A.expr.type, 0, 2)]
        [((0,), [0.0, 1.0]), ((1,), [2.0])]
    """
    keys, arrays = [], []
    for key, tile in tiles:
        for number in range(new.keys[-1].domain):
            piece = tile[(slice(None),) * axis + (slice(number * size, (number + 1) * size),)]
            if piece.shape[axis] or not new.axes[axis].size:
                keys.append((*key, number))
                arrays.append(piece)
    return Tiles(np.array(keys, dtype=np.int64).reshape(len(keys), len(new.keys)), arrays, is_sorted=True)


def concat_local(tiles: Tiles, old: RelType, key: str, axis: int, new: RelType) -> Tiles:
    """Glues tiles along an axis in the order of a key.

    Example:
        >>> import tra
        >>> A = tra.from_array(np.arange(3.0), keys=("i",), tile=2)
        >>> parts = Tiles(np.array([[0], [1]]), [np.array([0.0, 1.0]), np.array([2.0])])
        >>> concat_local(parts, A.expr.type, "i", 0, A.concat("i", 0).expr.type).arrays[0].tolist()
        [0.0, 1.0, 2.0]

    Raises:
        SchemaError: a tile is missing, which was not known before the run.
    """
    position = old.names.index(key)
    rest = [p for p in range(len(old.keys)) if p != position]
    keys, groups = groups_of(tiles.keys[:, rest])
    glued = parallel(lambda rows: np.concatenate([tiles.arrays[r] for r in rows.tolist()], axis=axis), groups)
    lengths = new.tile_lengths(keys)[:, axis]
    for row, (tile, length) in enumerate(zip(glued, lengths.tolist(), strict=True)):
        if tile.shape[axis] != length:
            at = tuple(keys[row].tolist())
            raise SchemaError(
                f"concat over {key} needs a dense relation: of the tiles at {at} some are missing; "
                "fill the holes with .fill(0)"
            )
    return Tiles(keys, glued, is_sorted=True)


def stack_local(operands: Sequence[Tiles]) -> Tiles:
    """Disjoint union under a new first key.

    Example:
        >>> tiles = Tiles(np.array([[5]]), [np.ones(1)])
        >>> stack_local([tiles, tiles]).keys.tolist()
        [[0, 5], [1, 5]]
    """
    keys = [np.insert(tiles.keys, 0, number, axis=1) for number, tiles in enumerate(operands)]
    return Tiles(np.concatenate(keys), [a for tiles in operands for a in tiles.arrays], is_sorted=True)
