"""Tensors whose axes carry labels: what einsum, arithmetic and the index form are made of.

Operands meet on equal labels. Their tiles are made to match first (the larger tensor keeps its cut), then
one Join pairs them; labels that end are folded by an Aggregate. Only operators of the algebra come out.
"""

from __future__ import annotations

from collections.abc import Sequence

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.labels import LETTERS, Labelled, check_extents, drop_ones, labelled, match_cuts
from tra.algebra.nodes import Expr
from tra.algebra.operators import aggregate, join, transform
from tra.algebra.whole_tensor import axis_key, axis_order, fresh_name, reorder, transpose, uncut


def join_on_labels(left: Labelled, right: Labelled, by: Kernel, labels: Sequence[str]) -> Labelled:
    """Joins operands of equal cuts on the keys of their common labels; `labels` name the result's axes.

    Example:
        >>> import tra
        >>> A = labelled(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, ("a", "b"))
        >>> b = labelled(tra.from_array([1.0] * 4, keys="k", tile=2).expr, ("b",))
        >>> join_on_labels(A, b, kernel("mul"), ("a", "b")).expr.on
        (('k', 'k'),)
    """
    on = [(left.key(c), right.key(c)) for c in left.labels if c in right.labels and left.key(c) is not None]
    return Labelled(join(left.expr, right.expr, on, by), tuple(labels))


def contract_pair(left: Labelled, right: Labelled, keep: Sequence[str]) -> Labelled:
    """Σ over the labels not in `keep` of the product of two operands: one Join, one Aggregate.

    The axes of the result are those of `keep`, in that order.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> both = labelled(A.expr, ("i", "k")), labelled(A.expr, ("j", "k"))
        >>> result = contract_pair(*both, keep=["i", "j"])
        >>> result.labels, str(result.type)
        (('i', 'j'), '[i:3, i_2:3] of 2/6×2/6 float64')
    """
    left, right = (_sum_alone(a, b, keep) for a, b in ((left, right), (right, left)))
    left, right = match_cuts([left, right])
    out = [c for c in keep if c in left.labels or c in right.labels]
    letters = {c: LETTERS[p] for p, c in enumerate(dict.fromkeys([*left.labels, *right.labels]))}
    spec = (
        ",".join("".join(letters[c] for c in o.labels) for o in (left, right))
        + "->"
        + "".join(letters[c] for c in out)
    )
    product = join_on_labels(left, right, _product_kernel(spec, left, right, out), out)
    keys = [key for c in out if (key := product.key(c)) is not None]
    if len(keys) < len(product.type.keys):
        return Labelled(aggregate(product.expr, keys, "add"), tuple(out))
    return Labelled(axis_order(product.expr), tuple(out))


def _product_kernel(spec: str, left: Labelled, right: Labelled, out: Sequence[str]) -> Kernel:
    """The contraction kernel; `mul` where it is an element-wise product that broadcasts from the right."""
    longest = max(left.labels, right.labels, key=len)
    if tuple(out) == longest and all(
        longest[len(longest) - len(o.labels) :] == o.labels for o in (left, right)
    ):
        return kernel("mul")
    return einsum_kernel(spec)


def _sum_alone(operand: Labelled, other: Labelled, keep: Sequence[str]) -> Labelled:
    alone = [c for c in operand.labels if c not in other.labels and c not in keep]
    return sum_labels(operand, alone) if alone else operand


def sum_labels(operand: Labelled, labels: Sequence[str]) -> Labelled:
    """Σ over some labels of one operand; the dtype stays, as in `numpy.einsum`.

    Example:
        >>> import tra
        >>> A = labelled(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, ("a", "b"))
        >>> sum_labels(A, ["a"]).labels, str(sum_labels(A, ["a"]).type)
        (('b',), '[k:2] of 2/4 float64')
    """
    rest = tuple(c for c in operand.labels if c not in labels)
    letters = {c: LETTERS[p] for p, c in enumerate(operand.labels)}
    spec = f"{''.join(letters.values())}->{''.join(letters[c] for c in rest)}"
    summed = transform(operand.expr, einsum_kernel(spec))
    return _fold(operand, summed, labels, rest, "add")


def reduce_labels(operand: Labelled, labels: Sequence[str], tile_kernel: str, fold: str) -> Labelled:
    """Reduces some labels with a kernel along the axis of each tile, then folds the tiles.

    Example:
        >>> import tra
        >>> A = labelled(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, ("a", "b"))
        >>> str(reduce_labels(A, ["b"], "reduce_max", "max").type)
        '[i:3] of 2/6 float64'
    """
    expr, rest = operand.expr, list(operand.labels)
    for label in labels:
        expr = transform(expr, kernel(tile_kernel, axis=rest.index(label) - len(rest)))
        rest.remove(label)
    return _fold(operand, expr, labels, tuple(rest), fold)


def _fold(
    operand: Labelled, reduced: Expr, gone: Sequence[str], rest: tuple[str, ...], fold: str
) -> Labelled:
    gone_keys = {operand.key(c) for c in gone}
    keys = [name for name in reduced.type.names if name not in gone_keys]
    expr = aggregate(reduced, keys, fold) if len(keys) < len(reduced.type.keys) else reduced
    return Labelled(expr, rest)


def elementwise(by: Kernel, left: Labelled, right: Labelled, order: Sequence[str] | None = None) -> Labelled:
    """Applies a kernel to matching elements; a label that one side lacks, or has with extent 1, broadcasts.

    Example:
        >>> import tra
        >>> q = labelled(tra.from_array([1.0] * 4, keys="q", tile=2).expr, ("a",))
        >>> x = labelled(tra.from_array([1.0] * 6, keys="x", tile=3).expr, ("b",))
        >>> str(elementwise(kernel("sub"), q, x).type)
        '[q:2, x:2] of 2/4×3/6 float64'

    Raises:
        SchemaError: extents differ and neither is 1.
    """
    out = tuple(order) if order is not None else merged_order(left.labels, right.labels)
    left, right = _as_ones(left, right), _as_ones(right, left)
    check_extents([left, right])
    left, right = match_cuts([left, right])
    left, right = (_spread(operand, out) for operand in (left, right))
    result = join_on_labels(left, right, by, out)
    return Labelled(axis_order(result.expr), result.labels)


def _as_ones(operand: Labelled, other: Labelled) -> Labelled:
    """Relabels axes of extent 1 that meet a longer one: in one piece, they broadcast within each tile."""
    expr, labels = operand.expr, list(operand.labels)
    for place, label in enumerate(operand.labels):
        if label in other.labels and operand.extent(label) == 1 != other.extent(label):
            expr = uncut(expr, place)
            labels[place] = f"1:{label}"
    return Labelled(expr, tuple(labels))


def _spread(operand: Labelled, order: Sequence[str]) -> Labelled:
    """The axes in the given order, with one of length 1 for each label missing after the first present."""
    has = {label.removeprefix("1:"): label for label in operand.labels}
    present = [has[c] for c in order if c in has]
    expr = transpose(operand.expr, [operand.labels.index(c) for c in present]) if present else operand.expr
    needed = order[order.index(present[0].removeprefix("1:")) :] if present else []
    labels = list(present)
    for place, label in enumerate(needed):
        if label not in has:
            expr = transform(expr, kernel("expand_dims", axis=place - len(labels) - 1))
            labels.insert(place, f"1:{label}")
    return Labelled(expr, tuple(labels))


def merged_order(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    """One order of all labels that keeps both orders where it can.

    Example:
        >>> merged_order(("q", "i"), ("x", "i"))
        ('q', 'x', 'i')
    """
    merged: list[str] = []
    rest = list(right)
    for label in left:
        if label in rest:
            at = rest.index(label)
            merged += [c for c in rest[:at] if c not in left]
            rest = rest[at + 1 :]
        merged.append(label)
    return (*merged, *(c for c in rest if c not in merged))


def transposed(operand: Labelled, order: Sequence[str]) -> Labelled:
    """The same tensor with its axes in the order of the labels given.

    Example:
        >>> import tra
        >>> A = labelled(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, ("a", "b"))
        >>> str(transposed(A, ("b", "a")).type)
        '[k:2, i:3] of 2/4×2/6 float64'
    """
    return Labelled(transpose(operand.expr, [operand.labels.index(c) for c in order]), tuple(order))


def renamed_keys(operand: Labelled, names: Sequence[str]) -> Expr:
    """The relation with the key of each axis called by `names`; a name that is taken gets a suffix.

    Example:
        >>> import tra
        >>> A = labelled(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, ("a", "b"))
        >>> renamed_keys(A, ["row", "row"]).type.names
        ('row', 'row_2')
    """
    type_ = operand.type
    wanted: dict[str, str] = {}
    for place, name in enumerate(names):
        key = axis_key(type_, place)
        if key is not None:
            wanted[key] = fresh_name(name, wanted.values())
    return reorder(operand.expr, type_.names, wanted)


__all__ = [
    "Labelled", "check_extents", "contract_pair", "drop_ones", "elementwise",
    "join_on_labels", "labelled", "match_cuts", "merged_order", "reduce_labels", "renamed_keys", "sum_labels",
    "transposed",
]  # fmt: skip
