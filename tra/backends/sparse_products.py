"""Products of relations with holes: work for the pairs of tiles that there are, and for no others.

Pairs are found by sorting keys. For each tile of the result its products are added up by one thread, where
the result belongs. Large tiles are multiplied where they lie. Of small ones a call of its own would cost more
than their product: those of one result are copied on top of each other, so that BLAS does them, and their
sum, in one call. Where hardly any tile is missing, holes are filled with zeros and all is one product:
whichever takes least time by the formulas of `product_rates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from tra.algebra.key_arrays import codes
from tra.algebra.live_rules import matches
from tra.algebra.types import KeyArray, Tile
from tra.backends.filled_products import filled_product, filled_seconds
from tra.backends.panel_products import Pair
from tra.backends.places import places_of
from tra.backends.product_axes import BlockProduct, Matrix, as_columns, as_matrix, as_rows, tile_product
from tra.backends.product_rates import CALL, copy_seconds, product_seconds
from tra.backends.threads import THREADS, parallel
from tra.backends.tiles import Tiles, no_tiles
from tra.optimizer.plan import LocalContract

SMALL = 1 << 13  # bytes of a tile up to which tiles are copied side by side
RUN = 256  # products that are added up by one thread
CHUNKS = 8  # pieces of the work for each thread, so that all end together


@dataclass(frozen=True)
class Pairs:
    """Rows of matching tiles, those of one result tile together, in the order of the keys summed over.

    Attributes:
        left: rows of the left operand.
        right: rows of the right operand.
        starts: where the pairs of each result tile begin, and the end of all.
        keys: the keys of the result, in order.
    """

    left: KeyArray
    right: KeyArray
    starts: KeyArray
    keys: KeyArray


def sparse_product(node: LocalContract, left: Tiles, right: Tiles) -> Tiles | None:
    """A product that is summed, from the pairs of tiles there are; None where it is no matrix product.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles(np.array([[0, 1], [1, 0]]), [np.eye(2), np.eye(2) * 3])
        >>> [(key, tile[0].tolist()) for key, tile in sparse_product(node, tiles, tiles)]
        [((0, 0), [3.0, 0.0]), ((1, 1), [3.0, 0.0])]
    """
    how = tile_product(node)
    if how is None or how.matrix is None:
        return None
    pairs = pairs_of(node, how, left, right)
    if not len(pairs.keys):
        return no_tiles(len(node.by))
    if filled_seconds(node, left, right) < _seconds(node, left, right, pairs):
        filled = filled_product(node, left, right, pairs.keys)
        if filled is not None:
            return filled
    return _one_by_one(node, how.matrix, left, right, pairs)


def pairs_of(node: LocalContract, how: BlockProduct, left: Tiles, right: Tiles) -> Pairs:
    """The matching pairs of two operands.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles(np.array([[0, 0], [0, 1], [1, 0]]), [np.eye(2)] * 3)
        >>> found = pairs_of(node, tile_product(node), tiles, tiles)
        >>> found.left.tolist(), found.right.tolist(), found.starts.tolist(), found.keys.tolist()
        ([0, 1, 0, 2, 2], [0, 2, 1, 0, 1], [0, 2, 3, 4, 5], [[0, 0], [0, 1], [1, 0], [1, 1]])
    """
    found = _matching(node, how, left, right)
    theirs = {node.right.type.names.index(name) for _, name in node.on}
    rest = [place for place in range(right.arity) if place not in theirs]
    joined = np.concatenate([left.keys[found[0]], right.keys[found[1]][:, rest]], axis=1)
    kept, gone = (_codes(joined[:, places]) for places in (how.kept, how.gone))
    order = np.lexsort((gone, kept))
    ordered = kept[order]
    first = np.flatnonzero(np.concatenate([[True] * bool(len(kept)), ordered[1:] != ordered[:-1]]))
    keys = joined[order[first]][:, how.kept]
    return Pairs(found[0][order], found[1][order], np.append(first, len(kept)), keys)


def _matching(node: LocalContract, how: BlockProduct, left: Tiles, right: Tiles) -> tuple[KeyArray, KeyArray]:
    """Rows of matching tiles; where few results are wanted, of those that these need.

    Each key wanted is matched with the left tiles that it needs, and these with the right ones, so that no
    more pairs are listed than are multiplied.
    """
    if node.only is None or not {*how.left, *how.kept} >= {*how.right}:
        on = [(node.left.type.names.index(a), node.right.type.names.index(b)) for a, b in node.on]
        found = matches(left.keys, right.keys, on)
        assert found is not None
        return found
    shared = [(place, how.left.index(joined)) for place, joined in enumerate(how.kept) if joined in how.left]
    wanted = matches(node.only.keys, left.keys, shared)
    assert wanted is not None
    joined = np.zeros((len(wanted[0]), max(*how.left, *how.right, 0) + 1), dtype=np.int64)
    joined[:, list(how.kept)] = node.only.keys[wanted[0]]
    joined[:, list(how.left)] = left.keys[wanted[1]]
    found = matches(joined[:, list(how.right)], right.keys, [(n, n) for n in range(right.arity)])
    assert found is not None
    return wanted[1][found[0]], found[1]


def _codes(keys: KeyArray) -> KeyArray:
    return codes(keys, tuple(int(column.max(initial=0)) + 1 for column in keys.T))


def _seconds(node: LocalContract, left: Tiles, right: Tiles, pairs: Pairs) -> float:
    """About how long all pairs take one thread."""
    n_pairs, n_results = len(pairs.left), len(pairs.keys)
    sizes = [prod(type_.tile_shape) * type_.dtype.itemsize for type_ in (node.left.type, node.right.type)]
    each = product_seconds(node)
    if max(sizes) <= SMALL:
        return n_pairs * (each + copy_seconds(sum(sizes))) + 3 * CALL * n_results
    added = prod(node.type.tile_shape) * node.type.dtype.itemsize
    return n_pairs * (each + CALL) + (n_pairs - n_results) * (CALL + copy_seconds(added))


def _one_by_one(node: LocalContract, matrix: Matrix, left: Tiles, right: Tiles, pairs: Pairs) -> Tiles:
    """Each tile of the result by itself."""
    xs, ys = (
        [as_rows(matrix, tile) for tile in left.arrays],
        [as_columns(matrix, tile) for tile in right.arrays],
    )
    x_rows, y_rows = pairs.left, pairs.right
    if matrix.is_swapped:
        xs, ys, x_rows, y_rows = [y.T for y in ys], [x.T for x in xs], y_rows, x_rows
    found, targets = places_of(node.type, pairs.keys)
    outs = [as_matrix(matrix, target) for target in targets]
    small = max(array.nbytes for array in (*xs, *ys)) <= SMALL
    packs = (_Pack(xs, transposed=True), _Pack(ys)) if small else None
    starts, results = _runs(pairs.starts)
    is_first = np.concatenate([[True], results[1:] != results[:-1]]).tolist()
    sums = [outs[r] if first else np.empty_like(outs[r]) for r, first in zip(results, is_first, strict=True)]

    def fill(numbers: range) -> None:
        spare = None
        for number in numbers:
            span = slice(*starts[number : number + 2].tolist())
            one, other = x_rows[span], y_rows[span]
            if packs is not None and packs[0].has(one) and packs[1].has(other):
                np.matmul(packs[0].together(one).T, packs[1].together(other), out=sums[number])
            else:
                terms = [(xs[a], ys[b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
                spare = _add_up(terms, sums[number], spare)

    parallel(fill, _chunks(starts))
    for result, first, partial in zip(results.tolist(), is_first, sums, strict=True):
        if not first:
            np.add(outs[result], partial, out=outs[result])
    return found


def _runs(starts: KeyArray) -> tuple[KeyArray, KeyArray]:
    """Long sums in runs, so that threads can share them: where each run begins, and its result.

    Where a sum is cut depends on its length alone, so that it has the same bits whatever the threads.
    """
    n_runs = -(-np.diff(starts) // RUN)
    results = np.repeat(np.arange(len(n_runs)), n_runs)
    within = np.arange(len(results)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    return np.append(starts[results] + within * RUN, starts[-1]), results


def _add_up(terms: Sequence[Pair], out: Tile, spare: Tile | None) -> Tile | None:
    """Writes a sum of products; takes and gives back memory for one of them."""
    np.matmul(*terms[0], out=out)
    for x, y in terms[1:]:
        if spare is None or spare.shape != out.shape:
            spare = np.empty(out.shape, out.dtype)
        np.add(out, np.matmul(x, y, out=spare), out=out)
    return spare


class _Pack:
    """Small matrices of one shape in one array, from which some are taken to stand on top of each other."""

    def __init__(self, matrices: Sequence[Tile], transposed: bool = False) -> None:
        shape = max(matrix.shape for matrix in matrices)
        alike = [number for number, matrix in enumerate(matrices) if matrix.shape == shape]
        self.places = np.full(len(matrices), -1, dtype=np.int64)
        self.places[alike] = np.arange(len(alike))
        self.stack = np.stack([matrices[n].T if transposed else matrices[n] for n in alike])

    def has(self, rows: KeyArray) -> bool:
        """Claims that all of these are of the shape."""
        return bool((self.places[rows] >= 0).all())

    def together(self, rows: KeyArray) -> Tile:
        """Copies of these, one on top of the other."""
        taken = self.stack.take(self.places[rows], axis=0)
        return taken.reshape(taken.shape[0] * taken.shape[1], taken.shape[2])


def _chunks(starts: KeyArray) -> list[range]:
    """Results in runs of about equal numbers of pairs."""
    n = max(min(CHUNKS * THREADS.get(), len(starts) - 1), 1)
    edges = np.searchsorted(starts, np.linspace(0, starts[-1], n + 1)).tolist()
    return [range(low, high) for low, high in pairwise(sorted({*edges})) if high > low]
