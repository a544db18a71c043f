"""Products of blocks: sums of products over whole blocks, by panels that threads share.

BLAS sees matrices as large as a site has them (`product_axes`), reads them where they lie, and writes where
the result belongs; see `panel_products`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from tra.algebra.live import n_live, required
from tra.algebra.types import RelType
from tra.backends.block import Block, Ranges, are_disjoint, cuts_of, empty_block, spans_one
from tra.backends.panel_products import Pair, add_products, sum_of_calls, sum_of_products
from tra.backends.product_axes import BlockProduct, as_matrices, as_matrix, block_product
from tra.backends.tiles import Tiles, bounds
from tra.optimizer.plan import LocalContract, LocalJoin

WANTED = 0.7  # of a result, that is worth a product of whole blocks
MERGED = 1 << 20  # bytes of a tile up to which tiles are copied together before they are multiplied


def product_of(node: LocalContract | LocalJoin, left: Tiles, right: Tiles) -> Tiles | None:
    """The product of two relations by blocks, or None where they do not lie in blocks.

    Example:
        >>> import numpy as np
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
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
        >>> from tra.algebra.kernels.elementwise import ADD
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
