"""Which keys and axes a sum of products goes over, and as which matrices BLAS can have it.

A product of tiles that is summed over the key they share is the product of the tensors that they are cut
from: `block_products` and `sparse_products` run it on whole blocks, or on pairs of tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from tra.algebra.join_type import joined_names, keys_joined
from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.live import required
from tra.algebra.types import RelType, Tile
from tra.algebra.whole_kernels import pairs_alike
from tra.backends.block import cuts_of
from tra.backends.panel_products import Pair
from tra.optimizer.plan import LocalContract, LocalJoin


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


@lru_cache(maxsize=512)
def block_product(node: LocalContract | LocalJoin) -> BlockProduct | None:
    """How a node's product goes on blocks, or None where it depends on how tensors are cut, or has holes."""
    is_whole = isinstance(node, LocalContract) and node.only is not None
    result = required(node.type) if is_whole else node.type
    if None in (cuts_of(node.left.type), cuts_of(node.right.type), cuts_of(result)):
        return None
    return whole_product(node)


@lru_cache(maxsize=512)
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


@lru_cache(maxsize=512)
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
    laws = node.kernel.laws
    if not laws.contraction or laws.as_cut or (isinstance(node, LocalContract) and node.fold != ADD):
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
