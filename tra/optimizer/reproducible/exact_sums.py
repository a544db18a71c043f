"""Sums written exactly: operands in slices, whose sums of products are integers, and one rounding at the end.

Σ(L ⋈ R) = scaled(Σ(L₀ ⋈ R₀) + 2⁻ᵇ⁻¹(Σ(L₀ ⋈ R₁) + Σ(L₁ ⋈ R₀)) + …), where Lₛ is the s-th slice of L, below the
largest magnitude of all that a sum takes of L, a Σ with max. Each of these sums is exact, so that the
optimizer may split, reorder and place them as it likes: what comes out has the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from tra.algebra.exact.slicing import Slices, pairs_of, product_error, slices_for, sum_slices
from tra.algebra.kernel import kernel
from tra.algebra.kernels.elementwise import MAX
from tra.algebra.nodes import Expr
from tra.algebra.operators import aggregate, join, transform
from tra.errors import PlanError
from tra.optimizer.network import Network, Term
from tra.optimizer.products import finished, multiplied, summed
from tra.optimizer.reproducible.regions import n_terms

LEAST_LOST = {"d": 2.0**-49, "f": 2.0**-30, "e": 2.0**-15}  # of the largest product, by the type of the sum


def exact_sum_of(node: Expr, network: Network, tolerance: float = 0.0) -> Expr:
    """A sum as an exact one.

    Args:
        node: the sum.
        network: what it is read as.
        tolerance: what a product may lose, as a part of the largest: fewer slices do where it is more.

    Example:
        >>> import tra
        >>> from tra.algebra.nodes import postorder
        >>> from tra.optimizer.network import read_network
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], name="A")
        >>> exact = exact_sum_of((A @ A).expr, read_network((A @ A).expr, lambda node: False))
        >>> sum(str(getattr(n, "kernel", "")) == "matmul" for n in postorder(exact)), str(exact.type)
        (6, '[i:1, j:1] of 2×2 float64')

    Raises:
        PlanError: numbers that have no slices, or too many of them.
    """
    slices = _slices(node, network, tolerance)
    exponents = [_exponents(term, network) for term in network.terms]
    is_factor = len(network.terms) > 1
    pieces = [
        [_slice(term, e, s, slices.bits, is_factor) for s in range(slices.number)]
        for term, e in zip(network.terms, exponents, strict=True)
    ]
    total = _carried([_place(network, pieces, pairs) for pairs in _places(pieces, slices)], slices.bits)
    scale = _aligned(exponents[0], network)
    for other in exponents[1:]:
        scale = _joined(scale, _aligned(other, network), "add")
    bits = slices.bits * len(network.terms)
    result = _joined(total, scale, "_scaled", bits=bits, dtype=str(node.type.dtype))
    return finished(result, network, node.type)


def _slices(node: Expr, network: Network, tolerance: float) -> Slices:
    code, n = node.type.dtype.char, n_terms(network)
    if code not in LEAST_LOST:
        raise PlanError(
            f"reproducible='exact' adds up numbers of float64, float32 and float16, and not {node.type.dtype}"
        )
    try:
        if len(network.terms) == 1:
            return slices_for(n, 1, sum_slices(n))
        cut = (slices_for(n, 2, number) for number in count(1))
        return next(found for found in cut if product_error(found, 1) <= max(tolerance, LEAST_LOST[code]))
    except OverflowError as error:
        raise PlanError(f"reproducible='exact': {error}") from None


def _exponents(term: Term, network: Network) -> Term:
    """The exponents of a term: its keys that stay, and its axes, those that end with length one."""
    gone = [place for place, label in enumerate(term.axes) if label not in network.axes]
    expr = transform(term.expr, kernel("_peak", rank=len(term.axes), gone=tuple(gone)))
    kept = [label for label in term.keys if label in network.keys]
    if len(kept) < len(term.keys):
        expr = aggregate(expr, [term.key_name(label) for label in kept], MAX)
    return Term(transform(expr, "_exponent"), tuple(kept), term.axes)


def _slice(term: Term, exponents: Term, number: int, bits: int, is_factor: bool) -> Term:
    on = [(term.key_name(label), exponents.key_name(label)) for label in exponents.keys]
    by = kernel("_slice", number=number, bits=bits, factor=is_factor)
    return Term(join(term.expr, exponents.expr, on, by), term.keys, term.axes)


def _places(pieces: Sequence[Sequence[Term]], slices: Slices) -> Sequence[Sequence[tuple[int, ...]]]:
    return pairs_of(slices) if len(pieces) == 2 else [[(s,)] for s in range(slices.number)]


def _place(network: Network, pieces: Sequence[Sequence[Term]], taken: Sequence[tuple[int, ...]]) -> Term:
    """The sum of all products that have one place in the result."""
    sums = [_added(network, [pieces[o][s] for o, s in enumerate(slices)]) for slices in taken]
    total = sums[0]
    for other in sums[1:]:
        total = _joined(total, other, "add")
    return total


def _added(network: Network, operands: Sequence[Term]) -> Term:
    if len(operands) == 1:
        return summed(operands[0], network.keys, network.axes)
    return multiplied(operands[0], operands[1], network.keys, network.axes, {})


def _carried(places: Sequence[Term], bits: int) -> Term:
    """All places of a result as one number, from the lowest."""
    total = places[-1]
    for place in reversed(places[:-1]):
        total = _joined(place, total, "_carry", bits=bits)
    return total


def _aligned(exponents: Term, network: Network) -> Term:
    """Exponents with the axes of the result: of length one where the operand lacks them."""
    expr, labels = exponents.expr, list(exponents.axes)
    for place in reversed(range(len(labels))):
        if labels[place] not in network.axes:
            expr = transform(expr, "squeeze", axis=place - len(labels))
            del labels[place]
    order = [labels.index(label) for label in network.axes if label in labels]
    if order != sorted(order):
        expr = transform(expr, "transpose", axes=tuple(order))
    present = [label for label in network.axes if label in labels]
    for place, label in enumerate(network.axes):
        if label not in present:
            expr = transform(expr, "expand_dims", axis=place - len(present) - 1)
            present.insert(place, label)
    return Term(expr, exponents.keys, network.axes)


def _joined(left: Term, right: Term, by: str, **params: object) -> Term:
    """Two terms of the same axes joined on the keys that both have."""
    on = [(left.key_name(label), right.key_name(label)) for label in left.keys if label in right.keys]
    keys = (*left.keys, *(label for label in right.keys if label not in left.keys))
    return Term(join(left.expr, right.expr, on, kernel(by, **params)), keys, left.axes)
