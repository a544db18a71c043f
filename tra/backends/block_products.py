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

from tra.algebra.join_type import joined_names, keys_joined
from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.live import n_live, required
from tra.algebra.types import RelType, Tile
from tra.algebra.whole_kernels import pairs_alike
from tra.backends.block import Block, Ranges, are_disjoint, cuts_of, empty_block, spans_one
from tra.backends.panel_products import Pair, add_products, sum_of_calls, sum_of_products
from tra.backends.tiles import Tiles, bounds
from tra.optimizer.plan import LocalContract, LocalJoin

WANTED = 0.7  # of a result, that is worth a product of whole blocks
MERGED = 1 << 20  # bytes of a tile up to which tiles are copied together before they are multiplied


@dataclass(frozen=True)
class BlockProduct:
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
def block_product(node: LocalContract | LocalJoin) -> BlockProduct | None:
    """How a node's product goes on blocks, or None where it depends on how tensors are cut, or has holes."""
    is_whole = isinstance(node, LocalContract) and node.only is not None
    result = required(node.type) if is_whole else node.type
    if None in (cuts_of(node.left.type), cuts_of(node.right.type), cuts_of(result)):
        return None
    return whole_product(node)


@lru_cache(maxsize=1024)
def whole_product(node: LocalContract | LocalJoin) -> BlockProduct | None:
    """How a node's product would go on blocks if no tile were missing; None where it would not.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> whole_product(node).gone
        (1,)
    """
    left, right = node.left.type, node.right.type
    if None in (cuts_of(required(left)), cuts_of(required(right)), cuts_of(required(node.type))):
        return None
    how = tile_product(node)
    if how is None or not pairs_alike(left, right, node.on, node.kernel):
        return None
    summed = _summed(node.kernel, left, right, joined_names(left, right, node.on))
    names = keys_joined(left, right, node.on)
    return how if {names[place] for place in how.gone} == summed else None


@lru_cache(maxsize=1024)
def tile_product(node: LocalContract | LocalJoin) -> BlockProduct | None:
    """How a node's product goes on pairs of tiles; None where it is no sum of products.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tile_product(node).matrix
        Matrix(left=(0, 1), right=(0, 1), n_inner=1, is_swapped=False)
    """
    if not node.kernel.laws.contraction or (isinstance(node, LocalContract) and node.fold != ADD):
        return None
    left, right = node.left.type, node.right.type
    names, joined = joined_names(left, right, node.on), keys_joined(left, right, node.on)
    by = node.by if isinstance(node, LocalContract) else joined
    place = {name: p for p, name in enumerate(joined)}
    return BlockProduct(
        left=tuple(place[name] for name in left.names),
        right=tuple(place[names[name]] for name in right.names),
        gone=tuple(place[name] for name in joined if name not in by),
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
    if len(set(one)) < len(one) or len(set(other)) < len(other):
        return None  # a diagonal
    output, shared = kernel.signature.output, [d for d in one if d in other]
    if any(left.axes[one.index(d)].size != right.axes[other.index(d)].size for d in shared):
        return None  # an axis of length one, which broadcasts
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
        >>> import numpy as np
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles.of([Block(((0, 2), (0, 2)), np.eye(4) * 3, ((0, 2), (1, 2)))])
        >>> found = product_of(node, tiles, tiles)
        >>> [block.array[0].tolist() for block in found.blocks]
        [[9.0, 0.0, 0.0, 0.0]]
    """
    how = block_product(node)
    if how is None or (isinstance(node, LocalContract) and _is_masked(node)):
        return None
    ours, theirs = _blocks(left, node.left.type), _blocks(right, node.right.type)
    found = _terms(how, ours, theirs)
    if found is None:
        merged = [_merged(tiles, side.type) for tiles, side in ((left, node.left), (right, node.right))]
        found = _terms(how, *merged)
    if not found:
        return None
    made = Tiles.of([block_sum(node, how, box, terms) for box, terms in found.items()])
    # what has holes lies in no block
    return made if cuts_of(node.type) is not None else Tiles(made.keys, made.arrays, is_sorted=True)


def _is_masked(node: LocalContract) -> bool:
    """Claims that so few tiles of the result are wanted that whole blocks would be in vain."""
    return node.only is not None and len(node.only.keys) < WANTED * n_live(required(node.type))


def adds_product(node: LocalContract, left: Tiles, right: Tiles, total: Tiles) -> bool:
    """Adds a product to blocks that are nobody else's; claims that it could, and else leaves them alone.

    Example:
        >>> import numpy as np
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on = scan(), (("j", "i"),)
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), ("i", "j_2"), ADD)
        >>> tiles = Tiles.of([Block(((0, 2), (0, 2)), np.eye(4), ((0, 2), (1, 2)))])
        >>> total = product_of(node, tiles, tiles)
        >>> adds_product(node, tiles, tiles, total), total.blocks[0].array[0].tolist()
        (True, [2.0, 0.0, 0.0, 0.0])
    """
    how = block_product(node)
    if how is None or how.matrix is None or _is_masked(node):
        return False
    terms = _terms(how, _blocks(left, node.left.type), _blocks(right, node.right.type))
    there = {block.box: block.array for block in total.blocks or () if block.is_fresh}
    if not terms or not terms.keys() <= there.keys():
        return False
    for box, some in terms.items():
        add_products([as_matrices(how.matrix, x, y) for x, y in some], as_matrix(how.matrix, there[box]))
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


def _terms(
    how: BlockProduct, left: Sequence[Block], right: Sequence[Block]
) -> dict[Ranges, list[Pair]] | None:
    """What is multiplied for each block of the result, in the order of the keys summed over.

    None where the blocks do not line up, so that they would have to be cut against each other.
    """
    found: dict[Ranges, dict[Ranges, Pair]] = {}
    for one, other in product(left, right):
        joint = _joint(how, one, other)
        if joint is None:
            continue
        out, inner = (tuple(joint[place] for place in places) for places in (how.kept, how.gone))
        mine = one.within(tuple(joint[place] for place in how.left))
        theirs = other.within(tuple(joint[place] for place in how.right))
        assert mine is not None and theirs is not None
        if inner in found.setdefault(out, {}):
            return None  # parts of one sum
        found[out][inner] = (mine.array, theirs.array)
    inners = (list(terms) for terms in found.values())
    if not are_disjoint(list(found)) or not all(are_disjoint(boxes) for boxes in inners):
        return None
    return {out: [terms[inner] for inner in sorted(terms)] for out, terms in found.items()}


def _joint(how: BlockProduct, one: Block, other: Block) -> Ranges | None:
    """The ranges of the joined keys that both blocks have."""
    spans: dict[int, tuple[int, int]] = dict(zip(how.left, one.box, strict=True))
    for place, (low, high) in zip(how.right, other.box, strict=True):
        mine = spans.get(place, (low, high))
        spans[place] = (max(low, mine[0]), min(high, mine[1]))
        if spans[place][0] >= spans[place][1]:
            return None
    return tuple(spans[place] for place in range(len(spans)))


def block_sum(
    node: LocalContract | LocalJoin, how: BlockProduct, box: Ranges, terms: Sequence[Pair]
) -> Block:
    """One block of the result: a sum of products of blocks."""
    made = empty_block(required(node.type), box)
    if how.matrix is not None:
        operands = [as_matrices(how.matrix, x, y) for x, y in terms]
        sum_of_products(operands, as_matrix(how.matrix, made.array))
    else:
        sum_of_calls(node.kernel, terms, made.array)
    return made


def as_matrices(matrix: Matrix, x: Tile, y: Tile) -> Pair:
    """Both operands as matrices, the one that gives the rows first.

    Example:
        >>> import numpy as np
        >>> x, y = as_matrices(Matrix((1, 0), (0, 1), 1, is_swapped=False), np.ones((2, 3)), np.ones((2, 4)))
        >>> x.shape, y.shape
        ((3, 2), (2, 4))
    """
    rows, columns = as_rows(matrix, x), as_columns(matrix, y)
    return (columns.T, rows.T) if matrix.is_swapped else (rows, columns)


def as_rows(matrix: Matrix, x: Tile) -> Tile:
    """The left operand as a matrix whose columns are summed over.

    Example:
        >>> import numpy as np
        >>> as_rows(Matrix((1, 0), (0, 1), 1, is_swapped=False), np.ones((2, 3))).shape
        (3, 2)
    """
    split = x.ndim - matrix.n_inner
    x = x.transpose(matrix.left)
    return x.reshape(prod(x.shape[:split]), prod(x.shape[split:]))


def as_columns(matrix: Matrix, y: Tile) -> Tile:
    """The right operand as a matrix whose rows are summed over.

    Example:
        >>> import numpy as np
        >>> as_columns(Matrix((1, 0), (1, 0), 1, is_swapped=False), np.ones((2, 3))).shape
        (3, 2)
    """
    y = y.transpose(matrix.right)
    return y.reshape(prod(y.shape[: matrix.n_inner]), prod(y.shape[matrix.n_inner :]))


def as_matrix(matrix: Matrix, out: Tile) -> Tile:
    """The result as a matrix.

    Example:
        >>> import numpy as np
        >>> as_matrix(Matrix((0, 1, 2), (0, 1), 1, is_swapped=False), np.ones((2, 3, 4))).shape
        (6, 4)
    """
    of_first = len(matrix.right if matrix.is_swapped else matrix.left) - matrix.n_inner
    return out.reshape(prod(out.shape[:of_first]), prod(out.shape[of_first:]))
