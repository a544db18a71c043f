"""Products of sums written as sums of products: Σ (q − x) M (q − x) = qMq − qMx − xMq + xMx.

Each product is a contraction over fewer labels than the whole, which is what makes nearest neighbours a few
matrix products. What is won in work is paid for in digits where the sums cancel: a distance of nearly equal
points may come out a little below zero. So that it is offered for integers, and for other numbers only where
the user tolerates the rounding, said as a part of the largest product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.live import is_dense
from tra.algebra.nodes import Expr, Join, Transform
from tra.algebra.operators import join, transform
from tra.algebra.types import RelType
from tra.errors import KernelError, SchemaError
from tra.optimizer.cost import CostModel
from tra.optimizer.network import Network, Term, Tree
from tra.optimizer.orders import label_sizes, ranked_trees
from tra.optimizer.products import finished, summed, write_terms

MAX_PRODUCTS = 8


@dataclass(frozen=True)
class Scaled:
    """A term with a factor before it."""

    coefficient: float
    term: Term


def expanded(network: Network, type_: RelType, model: CostModel) -> Expr | None:
    """The network with its sums multiplied out, or None where nothing is a sum.

    Applies when: all operands are dense, the factors are ±1, and every label that is summed stands in every
    product; `rounding` says what it costs.

    Example:
        >>> import numpy as np, tra
        >>> from tra.optimizer.network import read_network
        >>> q = tra.from_array(np.ones((3, 2)), keys=("q", "i"), name="q")
        >>> x = tra.from_array(np.ones((4, 2)), keys=("x", "i"), name="x")
        >>> far = tra.einsum("qxi,qxi->qx", q[:, None] - x[None], q[:, None] - x[None])
        >>> expanded(read_network(far.expr, lambda node: False), far.expr.type, CostModel()) is None
        False
    """
    sums = [list(_summands(term, network)) for term in network.terms]
    n_products = prod(map(len, sums))
    if not 1 < n_products <= MAX_PRODUCTS:
        return None
    try:
        total = _total(network, [_product(network, chosen, model) for chosen in product(*sums)])
        made = finished(total, network, type_) if total is not None else None
    except (SchemaError, KernelError):
        return None
    return made if made is not None and made.type == type_ else None


def rounding(network: Network) -> float:
    """How much the result may be off once sums are multiplied out, as a part of the largest product.

    Example:
        >>> import tra
        >>> from tra.optimizer.network import read_network
        >>> A, B = (tra.from_array([[1.0] * 50] * 50, name=name) for name in "AB")
        >>> rounding(read_network(((A - B) @ B).expr, lambda node: False)) < 1e-12
        True
    """
    dtype = network.terms[0].expr.type.dtype
    if dtype.kind not in "fc":
        return 0.0  # integers wrap alike on both sides
    keys, axes = label_sizes(network)
    length = prod(s for c, s in keys.items() if c not in network.keys)
    length *= prod(s for c, s in axes.items() if c not in network.axes)
    n_products = prod(len(list(_summands(term, network))) for term in network.terms)
    return n_products * length * float(np.finfo(dtype).eps)


def _summands(term: Term, network: Network) -> Iterator[Scaled]:
    """The term itself, or the operands of the sum that it is."""
    match term.expr:
        case Join(left=left, right=right, kernel=by) if _is_sum(term.expr, by):
            lt, rt = left.type, right.type
            joined = {theirs: mine for mine, theirs in term.expr.on}
            free = iter(term.keys[len(lt.keys) :])
            of = dict(zip(lt.names, term.keys, strict=False))
            right_keys = [of[joined[name]] if name in joined else next(free) for name in rt.names]
            one, other = by.laws.coefficients
            yield Scaled(one, _operand(left, of.values(), term))
            yield Scaled(other, _operand(right, right_keys, term))
        case _:
            yield Scaled(1.0, term)


def _is_sum(node: Join, by: Kernel) -> bool:
    signs = by.laws.coefficients
    dense = is_dense(node.left.type) and is_dense(node.right.type)
    same = node.left.type.dtype == node.right.type.dtype == node.type.dtype
    return len(signs) == 2 and all(abs(c) == 1 for c in signs) and dense and same and not node.truncate


def _operand(expr: Expr, keys: Iterable[int], term: Term) -> Term:
    """One operand of a sum; axes that it was stretched along are dropped again."""
    labels = list(term.axes[len(term.axes) - len(expr.type.axes) :])
    wide = term.expr.type.axes[len(term.axes) - len(labels) :]
    gone = [a.size == 1 != b.size for a, b in zip(expr.type.axes, wide, strict=True)]
    while isinstance(expr, Transform) and (axis := _new_axis(expr)) is not None:
        place = len(labels) + axis
        if not gone[place]:
            break
        expr = expr.child
        del labels[place], gone[place]
    stretched = iter(range(-1, -len(labels) - 1, -1))  # labels of their own, summed as soon as they are met
    names = [next(stretched) if g else c for g, c in zip(gone, labels, strict=True)]
    return Term(expr, tuple(keys), tuple(names))


def _new_axis(node: Transform) -> int | None:
    """Where, from the end, a transform adds an axis of length one; None for one that does anything else."""
    law, same = node.kernel.signature, node.type.dtype == node.child.type.dtype
    added = node.kernel.laws.reshapes and same and law.output == ("1", *law.inputs[0])
    return -len(law.output) if added else None


def _product(network: Network, chosen: Sequence[Scaled], model: CostModel) -> Scaled | None:
    """One product, contracted in its own best order; None where it lacks a label that is summed."""
    here = [{c for s in chosen for c in labels(s.term)} for labels in (_keys, _axes)]
    for labels, own, result in zip((_keys, _axes), here, (network.keys, network.axes), strict=True):
        everything = {c for term in network.terms for c in labels(term)}
        if (everything - set(result)) - own:
            return None
    keys = tuple(c for c in network.keys if c in here[0])
    axes = tuple(c for c in network.axes if c in here[1])
    part = replace(network, terms=tuple(s.term for s in chosen), keys=keys, axes=axes)
    return Scaled(prod(s.coefficient for s in chosen), write_terms(part, _tree(part, model)))


def _keys(term: Term) -> tuple[int, ...]:
    return term.keys


def _axes(term: Term) -> tuple[int, ...]:
    return term.axes


def _tree(network: Network, model: CostModel) -> Tree:
    ranked, _ = ranked_trees(network, model)
    tree: Tree = 0
    for place in range(1, len(network.terms)):
        tree = (tree, place)
    return ranked[0].tree if ranked else tree


def _total(network: Network, products: Sequence[Scaled | None]) -> Term | None:
    """The sum of all products, those with a factor of 1 first."""
    if any(found is None for found in products):
        return None
    known = sorted((found for found in products if found is not None), key=lambda s: -s.coefficient)
    if known[0].coefficient != 1:
        return None
    total = known[0].term
    for scaled in known[1:]:
        total = _added(network, total, scaled.term, "add" if scaled.coefficient > 0 else "sub")
    return total


def _added(network: Network, left: Term, right: Term, by: str) -> Term:
    """Adds two terms; each is stretched along the labels that it lacks."""
    axes = tuple(c for c in network.axes if c in left.axes or c in right.axes)
    one, other = (_stretched(term, axes) for term in (left, right))
    on = [(left.key_name(c), right.key_name(c)) for c in left.keys if c in right.keys]
    keys = (*left.keys, *(c for c in right.keys if c not in left.keys))
    return Term(join(one, other, on, kernel(by)), keys, axes)


def _stretched(term: Term, order: Sequence[int]) -> Expr:
    present = tuple(c for c in order if c in term.axes)
    expr = summed(term, term.keys, present).expr
    after = order[order.index(present[0]) :] if present else ()
    for place, label in enumerate(after):
        if label not in present:
            rank = len(expr.type.axes)
            expr = transform(expr, kernel("expand_dims", axis=place - rank - 1))
    return expr
