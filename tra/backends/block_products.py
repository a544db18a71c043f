"""Products of blocks: sums of products over whole blocks, by panels that threads share.

A product of tiles that is summed over the key they share is the product of the tensors that they are cut
from, so that BLAS sees matrices as large as a site has them, reads them where they lie, and writes where the
result belongs. Each panel of the result is computed by one thread with a BLAS of one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise, product
from math import prod
from typing import TypeAlias

import numpy as np

from tra.algebra.join_type import joined_names
from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.types import RelType, Tile
from tra.algebra.whole_kernels import pairs_alike
from tra.backends.block import Block, Ranges, are_disjoint, cuts_of, spans_one, window_of
from tra.backends.kernel_calls import call, call_into
from tra.backends.threads import THREADS, parallel
from tra.backends.tiles import Tiles, bounds
from tra.optimizer.plan import LocalContract, LocalJoin

GRAIN = 64  # rows or columns of a panel are a multiple: thin edges would change the bits of a product
LEAST = 1 << 21  # multiplications that are worth a thread
TALL = 1 << 10  # rows of a panel: BLAS packs the other operand anew for each
PARTS = 8  # of a long sum
LONG = 1 << 15  # terms of a sum that is cut, where a result is too small for the threads
MERGED = 1 << 20  # bytes of a tile up to which tiles are copied together before they are multiplied

On: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Law:
    """How a product of blocks goes.

    Attributes:
        left, right: for each key of the operand its place among the joined keys.
        gone: joined keys that are summed over.
        kept: for each key of the result its place among the joined keys.
        matrix: how one matrix product does it all, or None where none does.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    gone: tuple[int, ...]
    kept: tuple[int, ...]
    matrix: Matrix | None


@dataclass(frozen=True)
class Matrix:
    """The axes of each operand as one matrix product has them.

    Attributes:
        left: axes of the left operand, those of the result first, then those summed over.
        right: axes of the right operand, those summed over first.
        n_inner: how many axes are summed over.
        is_swapped: the result begins with the right operand's axes.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    n_inner: int
    is_swapped: bool


@lru_cache(maxsize=1024)
def law_of(node: LocalContract | LocalJoin) -> Law | None:
    """How a node's product goes on blocks, or None where it depends on how tensors are cut."""
    left, right = node.left.type, node.right.type
    if not node.kernel.laws.contraction or None in (cuts_of(left), cuts_of(right), cuts_of(node.type)):
        return None
    if not pairs_alike(left, right, node.on, node.kernel):
        return None
    names = joined_names(left, right, node.on)
    theirs = {name for _, name in node.on}
    joined = [*left.names, *(names[n] for n in right.names if n not in theirs)]
    summed = _summed(node.kernel, left, right, names)
    by = node.by if isinstance(node, LocalContract) else tuple(joined)
    if set(joined) - set(by) != summed or (isinstance(node, LocalContract) and node.fold != ADD):
        return None
    place = {name: p for p, name in enumerate(joined)}
    return Law(
        left=tuple(place[name] for name in left.names),
        right=tuple(place[names[name]] for name in right.names),
        gone=tuple(place[name] for name in sorted(summed)),
        kept=tuple(place[name] for name in by),
        matrix=_matrix(node.kernel, left, right),
    )


def _summed(kernel: Kernel, left: RelType, right: RelType, names: dict[str, str]) -> set[str]:
    """Joined keys that cut axes which the kernel sums over."""
    found = set()
    for dims, type_, called in zip(kernel.signature.inputs, (left, right), ({}, names), strict=True):
        axes = type_.axes[len(type_.axes) - len(dims) :]
        for dim, axis in zip(dims, axes, strict=True):
            if dim not in kernel.signature.output:
                found |= {called.get(name, name) for name, _ in axis.link}
    return found


def _matrix(kernel: Kernel, left: RelType, right: RelType) -> Matrix | None:
    one, other = kernel.signature.inputs
    if len(one) != len(left.axes) or len(other) != len(right.axes):
        return None  # loop dimensions
    output, shared = kernel.signature.output, [d for d in one if d in other]
    rows, columns = ([d for d in output if d in dims and d not in shared] for dims in (one, other))
    whole = len(rows) + len(shared) == len(one) and len(columns) + len(shared) == len(other)
    if not whole or list(output) not in ([*rows, *columns], [*columns, *rows]) or not shared:
        return None
    return Matrix(
        left=tuple(one.index(d) for d in (*rows, *shared)),
        right=tuple(other.index(d) for d in (*shared, *columns)),
        n_inner=len(shared),
        is_swapped=list(output) != [*rows, *columns],
    )


def product_of(node: LocalContract | LocalJoin, left: Tiles, right: Tiles) -> Tiles | None:
    """The product of two relations by blocks, or None where they do not lie in blocks."""
    law = law_of(node)
    if law is None:
        return None
    ours, theirs = _blocks(left, node.left.type), _blocks(right, node.right.type)
    found = _terms(law, ours, theirs)
    if found is None:
        merged = [_merged(t, node_.type) for t, node_ in ((left, node.left), (right, node.right))]
        found = _terms(law, *merged)
    if not found:
        return None
    return Tiles.of([_sum(node, law, box, terms) for box, terms in found.items()])


def _blocks(tiles: Tiles, type_: RelType) -> list[Block]:
    """The blocks of a relation; small tiles are copied together."""
    if tiles.blocks is not None:
        return list(tiles.blocks)
    is_small = tiles.nbytes <= MERGED * len(tiles)
    return _merged(tiles, type_) if is_small else []


def _merged(tiles: Tiles, type_: RelType) -> list[Block]:
    """All of a relation as one block, where no tile is missing."""
    cuts, box = cuts_of(type_), bounds(tiles)
    block = tiles.block(type_, box) if cuts is not None and spans_one(cuts, box) else None
    return [] if block is None else [block]


Term: TypeAlias = tuple[Tile, Tile]


def _terms(law: Law, left: Sequence[Block], right: Sequence[Block]) -> dict[Ranges, list[Term]] | None:
    """What is multiplied for each block of the result, in the order of the keys summed over.

    None where the blocks do not line up, so that they would have to be cut against each other.
    """
    found: dict[Ranges, dict[Ranges, Term]] = {}
    for one, other in product(left, right):
        joint = _joint(law, one, other)
        if joint is None:
            continue
        out, inner = (tuple(joint[place] for place in places) for places in (law.kept, law.gone))
        mine = one.within(tuple(joint[place] for place in law.left))
        theirs = other.within(tuple(joint[place] for place in law.right))
        assert mine is not None and theirs is not None
        if inner in found.setdefault(out, {}):
            return None  # parts of one sum
        found[out][inner] = (mine.array, theirs.array)
    inners = (list(terms) for terms in found.values())
    if not are_disjoint(list(found)) or not all(are_disjoint(boxes) for boxes in inners):
        return None
    return {out: [terms[inner] for inner in sorted(terms)] for out, terms in found.items()}


def _joint(law: Law, one: Block, other: Block) -> Ranges | None:
    """The ranges of the joined keys that both blocks have."""
    spans: dict[int, tuple[int, int]] = dict(zip(law.left, one.box, strict=True))
    for place, (low, high) in zip(law.right, other.box, strict=True):
        mine = spans.get(place, (low, high))
        spans[place] = (max(low, mine[0]), min(high, mine[1]))
        if spans[place][0] >= spans[place][1]:
            return None
    return tuple(spans[place] for place in range(len(spans)))


def _sum(node: LocalContract | LocalJoin, law: Law, box: Ranges, terms: Sequence[Term]) -> Block:
    """One block of the result."""
    shape = tuple(window.stop - window.start for window in window_of(node.type, box))
    out = np.empty(shape, node.type.dtype)
    if law.matrix is not None:
        sum_of_products(
            [_as_matrices(law.matrix, x, y) for x, y in terms], _as_matrix(law.matrix, out, terms)
        )
    else:
        _sum_of_calls(node.kernel, terms, out)
    cuts = cuts_of(node.type)
    assert cuts is not None
    return Block(box, out, cuts, is_fresh=True)


def _as_matrices(matrix: Matrix, x: Tile, y: Tile) -> Term:
    """Both operands as matrices, the one that gives the rows first."""
    split = x.ndim - matrix.n_inner
    x, y = x.transpose(matrix.left), y.transpose(matrix.right)
    n_inner = prod(x.shape[split:])
    rows = x.reshape(prod(x.shape[:split]), n_inner)
    columns = y.reshape(n_inner, prod(y.shape[matrix.n_inner :]))
    return (columns.T, rows.T) if matrix.is_swapped else (rows, columns)


def _as_matrix(matrix: Matrix, out: Tile, terms: Sequence[Term]) -> Tile:
    x, y = terms[0]
    of_first = (y if matrix.is_swapped else x).ndim - matrix.n_inner
    return out.reshape(prod(out.shape[:of_first]), prod(out.shape[of_first:]))


def sum_of_products(terms: Sequence[Term], out: Tile) -> None:
    """Writes the sum of some matrix products, panel by panel.

    Example:
        >>> out = np.empty((2, 2))
        >>> sum_of_products([(np.eye(2), np.ones((2, 2)))] * 2, out)
        >>> out.tolist()
        [[2.0, 2.0], [2.0, 2.0]]
    """
    if out.size <= GRAIN * GRAIN:
        short = [part for term in terms for part in _shortened(*term)]
        partials = parallel(lambda term: np.matmul(*term), short)
        out[...] = reduce(np.add, partials)
        return

    def panel(place: tuple[slice, slice]) -> None:
        rows, columns = place
        target = out[place]
        np.matmul(terms[0][0][rows], terms[0][1][:, columns], out=target)
        partial = np.empty_like(target) if len(terms) > 1 else None
        for x, y in terms[1:]:
            np.add(target, np.matmul(x[rows], y[:, columns], out=partial), out=target)

    parallel(panel, _panels(out.shape, terms[0][0].shape[1]))


def _shortened(x: Tile, y: Tile) -> list[Term]:
    """A product as a sum of shorter ones, for a result that is too small to be shared by threads.

    Where it is cut depends on sizes alone, so that the sum has the same bits whatever the threads.
    """
    n_parts = max(min(x.shape[1] // LONG, PARTS), 1)
    edges = [n * x.shape[1] // n_parts for n in range(n_parts + 1)]
    return [(x[:, low:high], y[low:high]) for low, high in pairwise(edges)]


def _panels(shape: tuple[int, int], n_inner: int) -> list[tuple[slice, slice]]:
    """Panels of a result for the threads, two for each: rows first, since they lie together in memory.

    Panels that run at the same time are of different rows: pages of new memory are cleared when they are
    first written to, and two threads in one page would both clear it.
    """
    threads, work = THREADS.get(), shape[0] * shape[1] * n_inner
    if threads < 2 or work < LEAST:
        return [(slice(None), slice(None))]
    wanted = min(2 * threads, work // LEAST + 1)
    n_rows = max(min(wanted, shape[0] // TALL), min(threads, shape[0] // GRAIN), 1)
    n_columns = max(min(wanted // n_rows, shape[1] // GRAIN), 1)
    rows, columns = (_ranges(n, parts) for n, parts in zip(shape, (n_rows, n_columns), strict=True))
    return [(row, column) for column in columns for row in rows]


def _ranges(length: int, parts: int) -> list[slice]:
    """A length in even parts whose edges are multiples of the grain."""
    edges = sorted({*(round(n * length / parts / GRAIN) * GRAIN for n in range(parts)), length})
    return [slice(low, high) for low, high in pairwise(edges)] if length else [slice(0, 0)]


def _sum_of_calls(kernel: Kernel, terms: Sequence[Term], out: Tile) -> None:
    """Writes the sum of the kernel's results, cut for the threads along the first axis that operands have."""
    dims = _labels(kernel, [operand.ndim for operand in terms[0]])
    axis = int(np.argmax(out.shape)) if out.ndim else 0
    label = dims[-1][axis] if out.ndim else None
    places = [d.index(label) if label in d else None for d in dims[:-1]]
    parts = 2 * THREADS.get() if out.nbytes > MERGED and label in (*dims[0], *dims[1]) else 1

    def piece(taken: slice) -> None:
        target = out[(slice(None),) * axis + (taken,)] if out.ndim else out
        for number, term in enumerate(terms):
            cut = [_taken(tile, place, taken) for tile, place in zip(term, places, strict=True)]
            if number:
                np.add(target, call(kernel, *cut), out=target)
            else:
                call_into(target, kernel, *cut)

    parallel(piece, _ranges(out.shape[axis], parts) if parts > 1 else [slice(None)])


def _taken(tile: Tile, axis: int | None, taken: slice) -> Tile:
    """The part of an operand along an axis; all of it where it lacks the axis or has it at length one."""
    if axis is None or tile.shape[axis] == 1:
        return tile
    return tile[(slice(None),) * axis + (taken,)]


def _labels(kernel: Kernel, ranks: Sequence[int]) -> list[list[str | int]]:
    """Labels of the axes of both operands and of the result: loops by number from the right, then names."""
    loops = [rank - len(dims) for rank, dims in zip(ranks, kernel.signature.inputs, strict=True)]
    groups = zip((*loops, max(loops)), (*kernel.signature.inputs, kernel.signature.output), strict=True)
    return [[*range(-n, 0), *dims] for n, dims in groups]
