"""The order in which products of several tensors are multiplied where bits must not depend on a plan.

It is the one of fewest multiplications, which follows from extents alone: whatever the tiles, the sites, and
whoever else takes a product on the way. So (A·B)·v is A·(B·v), and the search has no order to choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count
from math import prod
from typing import TypeAlias

from tra.algebra.kernels.elementwise import ADD
from tra.algebra.key_function import Var
from tra.algebra.labelled import contract_pair, transposed
from tra.algebra.labels import Labelled
from tra.algebra.live import is_dense
from tra.algebra.nodes import Aggregate, Expr, Join, ReKey, Retile, Transform
from tra.algebra.retiling import full_windows, retile
from tra.algebra.types import RelType
from tra.algebra.whole_kernels import loose_keys, pairs_alike
from tra.algebra.whole_tensor import current_cuts, is_whole_form, reorder, whole_form
from tra.errors import SchemaError
from tra.optimizer.network import Tree
from tra.optimizer.regions import exchanged
from tra.optimizer.reproducible.regions import is_product

MOST = 8  # tensors of one product; of more every order would take long to look at
DEEP = 60  # nodes under each other: more than so few tensors have
Labels: TypeAlias = tuple[str, ...]


def in_canonical_order(roots: Sequence[Expr]) -> tuple[Expr, ...]:
    """The query with products of three and more tensors in the order of fewest multiplications.

    Example:
        >>> import tra
        >>> from tra.algebra.nodes import postorder
        >>> A, B = (tra.from_array([[1.0] * 50] * 50, tile=20, name=name) for name in "AB")
        >>> v = tra.from_array([1.0] * 50, tile=10, name="v")
        >>> found, = in_canonical_order([(A @ B @ v).expr])
        >>> [node.type.shape for node in postorder(found) if isinstance(node, Aggregate)]
        [(50,), (50,)]
    """
    chosen: dict[str, Expr] = {}
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.digest in seen:
            continue
        seen.add(node.digest)
        factors = _factors(node)
        if factors is None:
            waiting += node.children
            continue
        waiting += [leaf.expr for leaf in factors.leaves]
        made = _reordered(node, factors)
        if made is not None:
            chosen[node.digest] = made
    return exchanged(roots, chosen)


@dataclass
class _Factors:
    """A product of whole tensors.

    Attributes:
        leaves: the tensors, and the label of each axis.
        output: the labels of the result.
        tree: the order as written.
    """

    output: Labels
    leaves: list[Labelled] = field(default_factory=list)
    tree: Tree = 0

    def extents(self) -> dict[str, int]:
        """How long each label is."""
        return {label: leaf.extent(label) for leaf in self.leaves for label in leaf.labels}


def _factors(root: Expr) -> _Factors | None:
    """The tensors that a node is the product of; None where it is none of whole tensors."""
    if _product(root) is None or not is_whole_form(root.type):
        return None
    names = (f"l{n}" for n in count())
    found = _Factors(tuple(next(names) for _ in root.type.axes))
    try:
        found.tree = _read(root, found.output, names, found.leaves)
    except SchemaError:  # a factor has tiles of tiles
        return None
    alike = len({leaf.type.dtype for leaf in found.leaves}) == 1
    plain = all(len(set(leaf.labels)) == len(leaf.labels) for leaf in found.leaves)
    return found if alike and plain else None


def _read(node: Expr, labels: Labels, names: Iterator[str], leaves: list[Labelled], depth: int = 0) -> Tree:
    """Takes a node apart whose axes have these labels."""
    depth += 1
    match node:
        case Retile(operands=(child,), windows=(windows,)) if windows == full_windows(child.type):
            return _read(child, labels, names, leaves, depth)
        case ReKey(child=child, function=tuple(function)) if _renames(child, function):
            return _read(child, labels, names, leaves, depth)
        case Transform(child=child, kernel=by) if by.name == "transpose" and len(labels) == len(
            by.signature.output
        ):
            known = dict(zip(by.signature.output, labels, strict=True))
            return _read(child, tuple(known[dim] for dim in by.signature.inputs[0]), names, leaves, depth)
    join = _product(node) if depth < DEEP else None
    if join is None:
        leaves.append(Labelled(whole_form(node), labels))
        return len(leaves) - 1
    known = dict(zip(join.kernel.signature.output, labels, strict=True))
    inputs = join.kernel.signature.inputs
    known |= {dim: next(names) for dim in dict.fromkeys((*inputs[0], *inputs[1])) if dim not in known}
    one, other = (tuple(known[dim] for dim in dims) for dims in inputs)
    left = _read(join.left, one, names, leaves, depth)
    return left, _read(join.right, other, names, leaves, depth)


def _renames(child: Expr, function: Sequence[object]) -> bool:
    """Claims that keys only change places and names."""
    names = [part.name for part in function if isinstance(part, Var)]
    return len(names) == len(function) and sorted(names) == sorted(child.type.names)


def _product(node: Expr) -> Join | None:
    """The join of a product of two whole tensors, with or without the fold of its tiles."""
    join = node.child if isinstance(node, Aggregate) and node.kernel == ADD else node
    if not isinstance(join, Join) or not is_product(join) or join.truncate:
        return None
    gone = set(join.type.names) - set(node.type.names)
    sides = (join.left.type, join.right.type)
    cores = zip(sides, join.kernel.signature.inputs, strict=True)
    plain = all(is_dense(side) and not loose_keys(side) for side in sides)
    fits = plain and all(len(side.axes) == len(core) for side, core in cores)
    is_whole = fits and gone == loose_keys(join.type) and pairs_alike(*sides, join.on, join.kernel)
    return join if is_whole else None


def _reordered(node: Expr, factors: _Factors) -> Expr | None:
    """The product in the order of fewest multiplications; None where that is the order as written."""
    n = len(factors.leaves)
    if not 3 <= n <= MOST:
        return None
    tree = _best(factors)
    if _work(tree, factors) >= _work(factors.tree, factors):
        return None
    made = transposed(_written(tree, factors), factors.output).expr
    return _as(made, node.type)


# -- orders -----------------------------------------------------------------------------------------


def _members(tree: Tree) -> frozenset[int]:
    return frozenset([tree]) if isinstance(tree, int) else _members(tree[0]) | _members(tree[1])


def _kept(members: frozenset[int], factors: _Factors) -> list[str]:
    """The labels that a product of some tensors keeps: of the result, or of the others."""
    others = {c for n, leaf in enumerate(factors.leaves) if n not in members for c in leaf.labels}
    here = dict.fromkeys(c for n in sorted(members) for c in factors.leaves[n].labels)
    return [c for c in here if c in others or c in factors.output]


def _pair_work(one: frozenset[int], other: frozenset[int], factors: _Factors) -> int:
    """The multiplications of one product."""
    extents = factors.extents()
    return prod(extents[c] for c in {*_kept(one, factors), *_kept(other, factors)})


def _work(tree: Tree, factors: _Factors) -> int:
    """The multiplications of all products of a tree."""
    if isinstance(tree, int):
        return 0
    here = _pair_work(_members(tree[0]), _members(tree[1]), factors)
    return here + _work(tree[0], factors) + _work(tree[1], factors)


def _best(factors: _Factors) -> Tree:
    """The tree of least work; of equal ones the first in an order of their own."""
    n = len(factors.leaves)
    best: dict[frozenset[int], tuple[int, Tree]] = {frozenset([leaf]): (0, leaf) for leaf in range(n)}
    for size in range(2, n + 1):
        for members in map(frozenset, combinations(range(n), size)):
            best[members] = min(_splits(members, best, factors), key=lambda found: found[0])
    return best[frozenset(range(n))][1]


def _splits(
    members: frozenset[int], best: Mapping[frozenset[int], tuple[int, Tree]], factors: _Factors
) -> Iterator[tuple[int, Tree]]:
    first, *rest = sorted(members)
    for size in range(len(rest)):
        for some in combinations(rest, size):
            one, other = frozenset((first, *some)), members - {first, *some}
            work = best[one][0] + best[other][0] + _pair_work(one, other, factors)
            yield work, (best[one][1], best[other][1])


# -- writing ----------------------------------------------------------------------------------------


def _written(tree: Tree, factors: _Factors) -> Labelled:
    """The product in the order of a tree."""
    if isinstance(tree, int):
        return factors.leaves[tree]
    one, other = (_written(side, factors) for side in tree)
    kept = _kept(_members(tree), factors)
    whole = len(_members(tree)) == len(factors.leaves)
    return contract_pair(one, other, list(factors.output) if whole else kept)


def _as(expr: Expr, type_: RelType) -> Expr:
    """A whole tensor with the keys and tiles of a type."""
    return expr if expr.type == type_ else reorder(retile([expr], current_cuts(type_)), list(type_.names))
