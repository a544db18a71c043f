"""Tensors whose axes carry labels: what einsum, arithmetic and the index form are made of.

Operands meet on equal labels. Their tiles are made to match first (the larger tensor keeps its cut), then
one Join pairs them; labels that end are folded by an Aggregate. Only operators of the algebra come out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.key_function import Op, Var
from tra.algebra.nodes import Expr
from tra.algebra.operators import aggregate, filter_keys, join, rekey, transform
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import (
    axis_key,
    axis_order,
    fresh_name,
    recut,
    reorder,
    squeeze,
    transpose,
    uncut,
    whole_form,
)
from tra.errors import SchemaError

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Labelled:
    """A whole tensor and one label per axis; labels of different tensors that agree mean the same index."""

    expr: Expr
    labels: tuple[str, ...]

    @property
    def type(self) -> RelType:
        """The type of the relation."""
        return self.expr.type

    def extent(self, label: str) -> int:
        """The extent along a label."""
        return self.type.axes[self.labels.index(label)].extent

    def key(self, label: str) -> str | None:
        """The key that cuts the axis of a label, or None."""
        return axis_key(self.type, self.labels.index(label))


def labelled(expr: Expr, labels: Sequence[str]) -> Labelled:
    """Labels the axes of a relation; a label given twice takes the diagonal.

    Raises:
        SchemaError: the number of labels is not the number of axes, or the relation is no whole tensor.
    """
    whole = whole_form(expr)
    if len(labels) != len(whole.type.axes):
        raise SchemaError(
            f"{len(labels)} indices ({', '.join(labels)}) for a tensor of {len(whole.type.axes)} axes: "
            f"{expr.type}"
        )
    operand = Labelled(whole, tuple(labels))
    while len(set(operand.labels)) < len(operand.labels):
        operand = _diagonal(operand)
    return operand


def _diagonal(operand: Labelled) -> Labelled:
    label = next(c for c in operand.labels if operand.labels.count(c) > 1)
    first, second = [p for p, c in enumerate(operand.labels) if c == label][:2]
    axes = operand.type.axes
    if axes[first].extent != axes[second].extent:
        raise SchemaError(
            f"index {label} stands for extents {axes[first].extent} and {axes[second].extent} of "
            f"{operand.type}"
        )
    expr = operand.expr
    if axis_key(expr.type, first) or axis_key(expr.type, second):
        size = (axes[first] if axis_key(expr.type, first) else axes[second]).size
        expr = recut(expr, {first: size, second: size})
        one, other = axis_key(expr.type, first), axis_key(expr.type, second)
        assert one and other
        names = [name for name in expr.type.names if name != other]
        expr = rekey(filter_keys(expr, Op("==", Var(one), Var(other))), tuple(map(Var, names)), names)
    rest = [p for p in range(len(axes)) if p != second]
    letters = [_LETTERS[first if p == second else p] for p in range(len(axes))]
    spec = f"{''.join(letters)}->{''.join(letters[p] for p in rest)}"
    by = kernel("diag") if spec == "aa->a" else einsum_kernel(spec)
    return Labelled(transform(expr, by), tuple(operand.labels[p] for p in rest))


def check_extents(operands: Sequence[Labelled]) -> dict[str, int]:
    """The extent of every label.

    Raises:
        SchemaError: a label stands for two extents; both operands are shown.
    """
    extents: dict[str, tuple[int, RelType]] = {}
    for operand in operands:
        for label in operand.labels:
            extent = operand.extent(label)
            if extents.setdefault(label, (extent, operand.type))[0] != extent:
                raise SchemaError(
                    f"index {label} has extent {extents[label][0]} in one operand and {extent} in another\n"
                    f"  {extents[label][1]}\n  {operand.type}"
                )
    return {label: extent for label, (extent, _) in extents.items()}


def match_cuts(operands: Sequence[Labelled]) -> list[Labelled]:
    """The operands with equal cuts along equal labels; the largest tensor that is cut keeps its own."""
    sizes: dict[str, int] = {}
    names: dict[str, str] = {}
    for operand in sorted(operands, key=lambda o: -prod(o.type.shape)):
        for place, label in enumerate(operand.labels):
            name = axis_key(operand.type, place)
            if name is not None and label not in sizes:
                sizes[label], names[label] = operand.type.axes[place].size, name
    matched = []
    for operand in operands:
        wanted = {p: sizes[c] for p, c in enumerate(operand.labels) if c in sizes}
        fresh = {p: names[c] for p, c in enumerate(operand.labels) if c in names}
        matched.append(Labelled(recut(operand.expr, wanted, fresh), operand.labels))
    return matched


def join_on_labels(left: Labelled, right: Labelled, by: Kernel, labels: Sequence[str]) -> Labelled:
    """Joins operands of equal cuts on the keys of their common labels; `labels` name the result's axes."""
    on = [(left.key(c), right.key(c)) for c in left.labels if c in right.labels and left.key(c) is not None]
    return Labelled(join(left.expr, right.expr, on, by), tuple(labels))


def contract_pair(left: Labelled, right: Labelled, keep: Sequence[str]) -> Labelled:
    """Σ over the labels not in `keep` of the product of two operands: one Join, one Aggregate.

    The axes of the result are those of `keep`, in that order.
    """
    left, right = (_sum_alone(a, b, keep) for a, b in ((left, right), (right, left)))
    left, right = match_cuts([left, right])
    out = [c for c in keep if c in left.labels or c in right.labels]
    letters = {c: _LETTERS[p] for p, c in enumerate(dict.fromkeys([*left.labels, *right.labels]))}
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
    """Σ over some labels of one operand; the dtype stays, as in `numpy.einsum`."""
    rest = tuple(c for c in operand.labels if c not in labels)
    letters = {c: _LETTERS[p] for p, c in enumerate(operand.labels)}
    spec = f"{''.join(letters.values())}->{''.join(letters[c] for c in rest)}"
    summed = transform(operand.expr, einsum_kernel(spec))
    return _fold(operand, summed, labels, rest, "add")


def reduce_labels(operand: Labelled, labels: Sequence[str], tile_kernel: str, fold: str) -> Labelled:
    """Reduces some labels with a kernel along the axis of each tile, then folds the tiles."""
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


def drop_ones(operand: Labelled, labels: Collection[str]) -> Labelled:
    """The operand without its axes of extent 1 under these labels."""
    expr, rest = operand.expr, list(operand.labels)
    for label in operand.labels:
        if label in labels and operand.extent(label) == 1:
            expr = squeeze(expr, rest.index(label))
            rest.remove(label)
    return Labelled(expr, tuple(rest))


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
    """The same tensor with its axes in the order of the labels given."""
    return Labelled(transpose(operand.expr, [operand.labels.index(c) for c in order]), tuple(order))


def renamed_keys(operand: Labelled, names: Sequence[str]) -> Expr:
    """The relation with the key of each axis called by `names`; a name that is taken gets a suffix."""
    type_ = operand.type
    wanted: dict[str, str] = {}
    for place, name in enumerate(names):
        key = axis_key(type_, place)
        if key is not None:
            wanted[key] = fresh_name(name, wanted.values())
    return reorder(operand.expr, type_.names, wanted)


def in_one_piece(operand: Labelled, label: str) -> Labelled:
    """The tensor with the axis of a label in one piece."""
    return Labelled(uncut(operand.expr, operand.labels.index(label)), operand.labels)
