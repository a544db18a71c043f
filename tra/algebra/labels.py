"""Tensors whose axes carry labels: taking diagonals, checking extents, making cuts match."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from tra.algebra.kernel import kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.key_function import Op, Var
from tra.algebra.nodes import Expr, shown
from tra.algebra.operators import filter_keys, rekey, transform
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import axis_key, recut, squeeze, whole_form
from tra.errors import SchemaError

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


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

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], keys=("i", "j"), tile=1)
        >>> diagonal = labelled(A.expr, ("a", "a"))
        >>> diagonal.labels, str(diagonal.type)
        (('a',), '[i:2] of 1/2 float64')

    Raises:
        SchemaError: the number of labels is not the number of axes, or the relation is no whole tensor.
    """
    whole = whole_form(expr)
    if len(labels) != len(whole.type.axes):
        raise SchemaError(
            f"{len(labels)} indices ({', '.join(labels)}) for a tensor of {len(whole.type.axes)} axes: "
            f"{shown(expr)}"
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
    letters = [LETTERS[first if p == second else p] for p in range(len(axes))]
    spec = f"{''.join(letters)}->{''.join(letters[p] for p in rest)}"
    by = kernel("diag") if spec == "aa->a" else einsum_kernel(spec)
    return Labelled(transform(expr, by), tuple(operand.labels[p] for p in rest))


def check_extents(operands: Sequence[Labelled]) -> dict[str, int]:
    """The extent of every label.

    Example:
        >>> import tra
        >>> check_extents([labelled(tra.from_array([[1.0, 2.0]]).expr, ("a", "b"))])
        {'a': 1, 'b': 2}

    Raises:
        SchemaError: a label stands for two extents; both operands are shown.
    """
    extents: dict[str, tuple[int, Expr]] = {}
    for operand in operands:
        for label in operand.labels:
            extent = operand.extent(label)
            if extents.setdefault(label, (extent, operand.expr))[0] != extent:
                raise SchemaError(
                    f"index {label} has extent {extents[label][0]} in one operand and {extent} in another\n"
                    f"  {shown(extents[label][1])}\n  {shown(operand.expr)}"
                )
    return {label: extent for label, (extent, _) in extents.items()}


def match_cuts(operands: Sequence[Labelled]) -> list[Labelled]:
    """The operands with equal cuts along equal labels; the largest tensor that is cut keeps its own.

    Example:
        >>> import tra
        >>> long, short = (tra.from_array([[1.0] * 6] * n, keys=("i", "j"), tile=n) for n in (3, 1))
        >>> matched = match_cuts([labelled(long.expr, ("a", "b")), labelled(short.expr, ("c", "b"))])
        >>> [str(operand.type) for operand in matched]
        ['[i:1, j:2] of 3×3/6 float64', '[i:1, j:2] of 1×3/6 float64']
    """
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


def drop_ones(operand: Labelled, labels: Collection[str]) -> Labelled:
    """The operand without its axes of extent 1 under these labels.

    Example:
        >>> import tra
        >>> A = labelled(tra.from_array([[1.0, 2.0]], keys=("i", "j"), tile=1).expr, ("a", "b"))
        >>> dropped = drop_ones(A, ["a", "b"])
        >>> dropped.labels, str(dropped.type)
        (('b',), '[j:2] of 1/2 float64')
    """
    expr, rest = operand.expr, list(operand.labels)
    for label in operand.labels:
        if label in labels and operand.extent(label) == 1:
            expr = squeeze(expr, rest.index(label))
            rest.remove(label)
    return Labelled(expr, tuple(rest))
