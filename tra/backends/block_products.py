"""Products of blocks: sums of products over whole blocks, by panels that threads share.

A product of tiles that is summed over the key they share is the product of the tensors that they are cut
from, so that BLAS sees matrices as large as a site has them, reads them where they lie, and writes where the
result belongs; see `panel_products`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from tra.algebra.join_type import joined_names
from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.types import RelType, Tile
from tra.algebra.whole_kernels import pairs_alike
from tra.backends.block import Block, Ranges, are_disjoint, cuts_of, spans_one, window_of
from tra.backends.panel_products import Term, add_products, sum_of_calls, sum_of_products
from tra.backends.tiles import Tiles, bounds
from tra.optimizer.plan import LocalContract, LocalJoin

MERGED = 1 << 20  # bytes of a tile up to which tiles are copied together before they are multiplied


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
    """The product of two relations by blocks, or None where they do not lie in blocks.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles.of([Block(((0, 2), (0, 2)), np.eye(4) * 3, ((0, 2), (1, 2)))])
        >>> found = product_of(node, tiles, tiles)
        >>> [block.array[0].tolist() for block in found.blocks]
        [[9.0, 0.0, 0.0, 0.0]]
    """
    law = law_of(node)
    if law is None:
        return None
    ours, theirs = _blocks(left, node.left.type), _blocks(right, node.right.type)
    found = _terms(law, ours, theirs)
    if found is None:
        merged = [_merged(tiles, side.type) for tiles, side in ((left, node.left), (right, node.right))]
        found = _terms(law, *merged)
    if not found:
        return None
    return Tiles.of([_sum(node, law, box, terms) for box, terms in found.items()])


def adds_product(node: LocalContract, left: Tiles, right: Tiles, total: Tiles) -> bool:
    """Adds a product to blocks that are nobody else's; claims that it could, and else leaves them alone.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles.of([Block(((0, 2), (0, 2)), np.eye(4), ((0, 2), (1, 2)))])
        >>> total = product_of(node, tiles, tiles)
        >>> adds_product(node, tiles, tiles, total), total.blocks[0].array[0].tolist()
        (True, [2.0, 0.0, 0.0, 0.0])
    """
    law = law_of(node)
    if law is None or law.matrix is None:
        return False
    terms = _terms(law, _blocks(left, node.left.type), _blocks(right, node.right.type))
    there = {block.box: block.array for block in total.blocks or () if block.is_fresh}
    if not terms or not terms.keys() <= there.keys():
        return False
    for box, some in terms.items():
        add_products(
            [_as_matrices(law.matrix, x, y) for x, y in some], _as_matrix(law.matrix, there[box], some)
        )
    return True


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
        sum_of_calls(node.kernel, terms, out)
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
