"""Sums of products written as expressions: pairwise contractions in the order of a tree.

What comes out are joins, aggregations and the kernels of einsum; a label that no later term needs is summed
as early as it can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.labels import LETTERS
from tra.algebra.nodes import Expr
from tra.algebra.operators import aggregate, join, transform
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import reorder
from tra.errors import KernelError, SchemaError
from tra.optimizer.network import Network, Term, Tree


def write_network(network: Network, tree: Tree, type_: RelType) -> Expr | None:
    """The network as pairwise contractions in the order of a tree, or None where tiles do not allow it.

    Args:
        network: the terms and the result.
        tree: which terms are multiplied first.
        type_: the type that the result must have, names of keys included.

    Example:
        >>> import tra
        >>> from tra.optimizer.network import read_network
        >>> A, B, v = (tra.from_array(a, name=n) for a, n in (([[1.0]], "A"), ([[2.0]], "B"), ([3.0], "v")))
        >>> written = (A @ B @ v).expr
        >>> other = write_network(read_network(written, lambda node: False), (0, (1, 2)), written.type)
        >>> other == (A @ (B @ v)).expr
        True
    """
    try:
        made = finished(write_terms(network, tree), network, type_)
    except (SchemaError, KernelError):
        return None
    return made if made.type == type_ else None


def write_terms(network: Network, tree: Tree) -> Term:
    """The contraction of all terms in the order of a tree.

    Example:
        >>> import tra
        >>> from tra.optimizer.network import read_network
        >>> A, B = (tra.from_array([[1.0] * 4] * 6, tile=2, name=name) for name in "AB")
        >>> network = read_network((A @ B.T).expr, lambda node: False)
        >>> str(write_terms(network, (0, 1)).expr.type)
        '[i:3, i_2:3] of 2/6×2/6 float64'

    Raises:
        SchemaError: tiles of unequal lengths would have to be summed.
        KernelError: tiles have unequal lengths along a label.
    """
    return _write(network, tree, _needed(network))


def finished(term: Term, network: Network, type_: RelType) -> Expr:
    """The result in the order of keys and axes that the network asks for, keys called as in the type.

    Example:
        >>> import tra
        >>> from tra.optimizer.network import read_network
        >>> A, B = (tra.from_array([[1.0] * 4] * 6, tile=2, name=name) for name in "AB")
        >>> network = read_network((A @ B.T).expr, lambda node: False)
        >>> whole = write_terms(network, (0, 1))
        >>> finished(whole, network, (A @ B.T).expr.type).type == (A @ B.T).expr.type
        True

    Raises:
        SchemaError: tiles of unequal lengths would have to be summed.
    """
    term = summed(term, network.keys, network.axes)
    order = [term.key_name(label) for label in network.keys]
    return reorder(term.expr, order, dict(zip(order, type_.names, strict=True)))


def _needed(network: Network) -> tuple[dict[int, int], dict[int, int]]:
    """In how many terms, the result counted as one, each label of keys and of axes stands."""
    keys: dict[int, int] = {}
    axes: dict[int, int] = {}
    parts = [(part.keys, part.axes) for part in network.terms]
    for of_keys, of_axes in (*parts, (network.keys, network.axes)):
        for counts, labels in ((keys, of_keys), (axes, of_axes)):
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
    return keys, axes


def _write(network: Network, tree: Tree, count: tuple[dict[int, int], dict[int, int]]) -> Term:
    members = _leaves(tree)
    inside = _needed(replace(network, terms=tuple(network.terms[m] for m in members), keys=(), axes=()))
    keys, axes = (
        {label for label in used if total[label] > used[label]}
        for used, total in zip(inside, count, strict=True)
    )
    if isinstance(tree, int):
        term = network.terms[tree]
        kept = [tuple(c for c in own if c in keep) for own, keep in ((term.keys, keys), (term.axes, axes))]
        return summed(term, *kept)
    left, right = _write(network, tree[0], count), _write(network, tree[1], count)
    if len(members) == len(network.terms):
        return multiplied(left, right, network.keys, network.axes, network.kernels)
    both_keys, both_axes = dict.fromkeys((*left.keys, *right.keys)), dict.fromkeys((*left.axes, *right.axes))
    kept_keys, kept_axes = [c for c in both_keys if c in keys], [c for c in both_axes if c in axes]
    return multiplied(left, right, kept_keys, kept_axes, network.kernels)


def _leaves(tree: Tree) -> tuple[int, ...]:
    return (tree,) if isinstance(tree, int) else (*_leaves(tree[0]), *_leaves(tree[1]))


def summed(term: Term, keys: Sequence[int], axes: Sequence[int]) -> Term:
    """The term with these labels in this order along its axes; all others are summed.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, tile=2, name="A")
        >>> rows = summed(Term(A.expr, (0, 1), (2, 3)), keys=[0], axes=[2])
        >>> str(rows.expr.type)
        '[i:3] of 2/6 float64'

    Raises:
        SchemaError: tiles of unequal lengths would have to be summed.
    """
    expr = term.expr
    if tuple(axes) != term.axes:
        expr = transform(expr, _layout_kernel(term.axes, axes))
    if set(keys) != set(term.keys):
        expr = aggregate(expr, [term.key_name(label) for label in keys], ADD)
        return Term(expr, tuple(keys), tuple(axes))
    return Term(expr, term.keys, tuple(axes))


def _layout_kernel(old: Sequence[int], new: Sequence[int]) -> Kernel:
    if set(old) == set(new):
        return kernel("transpose", axes=tuple(old.index(label) for label in new))
    letters = _letters([old])
    return einsum_kernel(f"{_word(old, letters)}->{_word(new, letters)}")


def multiplied(
    left: Term, right: Term, keys: Sequence[int], axes: Sequence[int], kernels: Mapping[str, Kernel]
) -> Term:
    """The contraction of two terms to these labels, in this order: one Join, and one Aggregate if keys end.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 4] * 4, tile=2, name=name) for name in "AB")
        >>> left, right = Term(A.expr, (0, 1), (10, 11)), Term(B.expr, (1, 2), (11, 12))
        >>> str(multiplied(left, right, keys=[0, 2], axes=[10, 12], kernels={}).expr.type)
        '[i:2, j_2:2] of 2/4×2/4 float64'

    Raises:
        SchemaError: the tiles do not meet.
        KernelError: the tiles have unequal lengths along a label.
    """
    on = [(left.key_name(label), right.key_name(label)) for label in left.keys if label in right.keys]
    by = _product_kernel(left.axes, right.axes, axes, kernels)
    product = join(left.expr, right.expr, on, by)
    made = Term(product, (*left.keys, *(c for c in right.keys if c not in left.keys)), tuple(axes))
    if set(keys) == set(made.keys):
        return made
    return Term(aggregate(product, [made.key_name(c) for c in keys], ADD), tuple(keys), tuple(axes))


def _product_kernel(
    left: tuple[int, ...], right: tuple[int, ...], out: Sequence[int], kernels: Mapping[str, Kernel]
) -> Kernel:
    longest = max(left, right, key=len)
    if tuple(out) == longest and all(longest[len(longest) - len(o) :] == o for o in (left, right)):
        return kernel("mul")
    letters = _letters([left, right])
    spec = f"{_word(left, letters)},{_word(right, letters)}->{_word(out, letters)}"
    return kernels.get(spec) or einsum_kernel(spec)


def _letters(groups: Sequence[Sequence[int]]) -> dict[int, str]:
    return {c: LETTERS[p] for p, c in enumerate(dict.fromkeys(c for group in groups for c in group))}


def _word(labels: Sequence[int], letters: dict[int, str]) -> str:
    return "".join(letters[label] for label in labels)
