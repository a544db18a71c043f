"""Small queries and plans for the examples of rules and searches."""

from __future__ import annotations

from tra.algebra.makers import Constant
from tra.algebra.nodes import Expr, Source
from tra.algebra.operators import aggregate, generated, join
from tra.algebra.sources import tensor_type
from tra.optimizer.placement import Placement
from tra.optimizer.plan import Scan
from tra.optimizer.roles import ALL, Split


def split(key: str) -> Placement:
    """Two sites, split by a key.

    Example:
        >>> str(split("i"))
        'split(i) on 2'
    """
    return Placement((2,), (Split(key),))


def everywhere() -> Placement:
    """Two sites, a copy at each.

    Example:
        >>> str(everywhere())
        'all on 2'
    """
    return Placement((2,), (ALL,))


def scan() -> Scan:
    """A 4×4 matrix of 2×2 tiles, split by rows.

    Example:
        >>> str(scan().type)
        '[i:2, j:2] of 2/4×2/4 float64'
    """
    return Scan(tensor_type((4, 4), "f8", ("i", "j"), (2, 2)), split("i"), "A", "0", "A")


def filled(value: float) -> Expr:
    """Four elements of one value, in tiles of two.

    Example:
        >>> str(filled(1.0).type)
        '[i:2] of 2/4 float64'
    """
    return generated(tensor_type((4,), "f8", ("i",), 2), Constant(value))


def product(size: int = 2) -> Expr:
    """A [i, j] times B [j, k], square matrices cut into 2×2 tiles.

    Example:
        >>> str(product(6).type)
        '[i:2, k:2] of 3/6×3/6 float64'
    """
    left, right = (
        Source(tensor_type((size, size), "f8", keys, size // 2), name, "0", name)
        for name, keys in (("A", ("i", "j")), ("B", ("j", "k")))
    )
    return aggregate(join(left, right, "j", "matmul"), ("i", "k"), "add")
