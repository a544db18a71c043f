"""The sums of a query: where numbers are added, and so where the order of a run could change bits.

A sum is read as a network of one or two operands with the labels that end. Products of elements are no part
of a sum: they are rounded one by one, wherever they are computed, and added up then. So what is rounded
depends on the query alone, not on how its tensors are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tra.algebra.kernels.elementwise import ADD
from tra.algebra.nodes import Aggregate, Expr, Join, ReKey, Transform
from tra.errors import PlanError
from tra.optimizer.network import Network, read_network
from tra.optimizer.regions import exchanged

Write = Callable[[Expr, Network], "Expr | None"]


def with_sums(roots: Sequence[Expr], write: Write, folds_layouts: bool = True) -> tuple[Expr, ...]:
    """The query with each of its sums of floating-point numbers written anew.

    Args:
        roots: the results.
        write: gives a sum as another expression of the same type, or None to leave it.
        folds_layouts: transposes of operands are part of a sum; else they are made first.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], name="A")
        >>> found = []
        >>> same = with_sums([(A @ A).sum().expr], lambda node, network: found.append(len(network.terms)))
        >>> found, same == ((A @ A).sum().expr,)
        ([1, 2], True)

    Raises:
        PlanError: a sum along a diagonal.
    """
    chosen: dict[str, Expr] = {}
    seen: set[str] = set()
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        if node.digest in seen:
            continue
        seen.add(node.digest)
        network = _sum_at(node, folds_layouts)
        if network is None:
            waiting += reversed(node.children)
            continue
        waiting += [term.expr for term in reversed(network.terms)]
        made = write(node, network)
        if made is not None:
            chosen[node.digest] = made
    return exchanged(roots, chosen)


def _operands(root: Expr) -> set[str]:
    """The nodes that a sum takes, by digest.

    What is added up in one product is rounded before another sum or product takes it, and so is a product of
    elements. This must not depend on who else takes a node, nor on whether a product has several tiles that
    are folded: a result is the same whatever is computed with it, and however its operands are cut.
    """
    node, is_folded = root, True
    while True:
        match node:
            case Join() if is_product(node) and is_folded:
                return {child.digest for child in node.children}
            case Aggregate(child=child, kernel=fold) if fold == ADD and (
                node == root or not is_product(child)
            ):
                node = child
            case Transform(child=child) if _adds(node):
                node, is_folded = child, False
            case ReKey(child=child):
                node = child
            case _:
                return {node.digest}


def is_product(node: Expr) -> bool:
    """Claims that tiles are multiplied and added up, and not element by element.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], name="A")
        >>> [is_product(A.join(A, [("j", "i")], by).expr) for by in ("matmul", "mul")]
        [True, False]
    """
    return isinstance(node, Join) and node.kernel.laws.contraction and not node.kernel.laws.elementwise


def _sum_at(node: Expr, folds_layouts: bool) -> Network | None:
    """The sum of numbers that a node is, or None."""
    if node.type.dtype.kind not in "fc" or (isinstance(node, Join) and node.kernel.laws.elementwise):
        return None
    operands = _operands(node)
    if node.digest in operands:
        return None
    network = read_network(node, lambda child: child.digest in operands, folds_layouts)
    if network is None and _adds(node):
        raise PlanError(f"sums along a diagonal have no canonical order: {node!r}")
    return network if network is not None and ends(network) else None


def _adds(node: Expr) -> bool:
    """Claims that tiles are summed along some axis by the kernel itself."""
    kernel = getattr(node, "kernel", None)
    if kernel is None or isinstance(node, Aggregate) or not kernel.laws.contraction:
        return False
    return bool({dim for dims in kernel.signature.inputs for dim in dims} - set(kernel.signature.output))


def ends(network: Network) -> tuple[set[int], set[int]] | None:
    """The labels of keys and of axes that are summed over; None where there are none.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], name="A")
        >>> ends(read_network(A.T.expr, lambda node: False)) is None
        True
    """
    keys = {label for term in network.terms for label in term.keys} - set(network.keys)
    axes = {label for term in network.terms for label in term.axes} - set(network.axes)
    return (keys, axes) if keys or axes else None


def n_terms(network: Network) -> int:
    """How many numbers each element of the result is the sum of, whatever the tiles.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 6] * 4, tile=(2, 5), name="A")
        >>> n_terms(read_network((A @ A.T).expr, lambda node: False))
        6
    """
    keys, axes = ends(network) or (set(), set())
    extents: dict[tuple[str, int], int] = {}
    for term in network.terms:
        type_ = term.expr.type
        for label, axis in zip(term.axes, type_.axes, strict=True):
            if label in axes:
                extents["axis", label] = max(extents.get(("axis", label), 1), axis.extent)
        cut = {name for label, axis in zip(term.axes, type_.axes, strict=True) if label in axes
               for name, _ in axis.link}  # fmt: skip
        for label, key in zip(term.keys, type_.keys, strict=True):
            if label in keys and key.name not in cut:
                extents["key", label] = max(extents.get(("key", label), 1), key.domain)
    return prod(extents.values())
