"""Functions of elements in the index form: kernels that take one element of each argument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from tra.algebra.arithmetic import binary, cast, unary
from tra.algebra.counted import counted
from tra.algebra.kernel import Kernel, bind_literal, kernel
from tra.algebra.labelled import Labelled, elementwise, merged_order, renamed_keys, transposed
from tra.algebra.live import hole_text, is_dense
from tra.errors import SchemaError
from tra.sql import syntax as s
from tra.sql.kernel_form import find_kernel
from tra.sql.number_form import evaluated
from tra.sql.problems import Problem
from tra.sql.scope import Number, at

Value: TypeAlias = Labelled | Number


def element_kernel(call: s.Call, also: Iterable[str]) -> Kernel:
    """The kernel of a call, which takes elements and not whole tiles.

    Args:
        call: the call.
        also: functions of the index form that are no kernels.

    Raises:
        Problem: there is no such kernel, or it works on whole tiles.

    Example:
        >>> call = s.Call(s.Name("relu"), None, (s.Tensor(s.Name("x")),))
        >>> element_kernel(call, also=()).name
        'relu'
    """
    by = find_kernel(call.function, call.options, also)
    name = call.function.text.upper()
    if any(by.signature.inputs) or len(by.signature.output) > 1:
        raise Problem(
            call.function.span,
            f"{name} {by.signature} works on the axes of a tile, and the index form on elements",
            f"use it in a SELECT: {name}(A.tile)",
        )
    if call.indices is not None:
        raise Problem(call.indices[0].span, f"{name} works element by element and takes no indices")
    if by.arity != len(call.arguments):
        raise Problem(call.span, f"{name} takes {counted(by.arity, 'argument')}, {len(call.arguments)} given")
    return by


def apply_to_elements(
    by: Kernel, values: Sequence[Value], left: Sequence[str], call: s.Expr, new: Sequence[str] = ()
) -> Value:
    """A kernel applied to matching elements of tensors and numbers.

    Args:
        by: the kernel.
        values: its arguments.
        left: the indices on the left of the LET, whose order the result keeps where it can.
        call: what is written.
        new: the indices on the left that nothing on the right has.

    Raises:
        Problem: the tensors do not fit together.

    Example:
        >>> import tra
        >>> x, y = (Labelled(tra.from_array([1.0, 2.0]).expr, (label,)) for label in "ij")
        >>> apply_to_elements(kernel("add"), [x, y], ("j", "i"), s.Literal(0)).labels
        ('j', 'i')
        >>> apply_to_elements(kernel("add"), [2, 3], (), s.Literal(0))
        5
    """
    numbers = {place: value for place, value in enumerate(values) if not isinstance(value, Labelled)}
    tensors = [value for value in values if isinstance(value, Labelled)]
    if not tensors:
        return evaluated(by, list(numbers.values()), call.span)
    with at(call.span):
        for place, number in numbers.items():
            by = bind_literal(by, place, number)
        match tensors:
            case [one]:
                return Labelled(unary(by, one.expr), one.labels + _new_label(by, call, new))
            case [one, other]:
                return pairwise(by, one, other, left)
            case [condition, chosen, other] if by.name == "where":
                return _where(condition, chosen, other, left)
    raise Problem(call.span, f"{by.name} takes {len(tensors)} tensors, and a join pairs two")


def _new_label(by: Kernel, call: s.Expr, new: Sequence[str]) -> tuple[str, ...]:
    """The index of the axis that a kernel adds: the one on the left that nothing else has."""
    if not by.signature.output:
        return ()
    if len(new) != 1:
        there = f"there is {', '.join(new)}" if new else "there is none"
        raise Problem(
            call.span, f"{by.name.upper()} adds an axis: one index on the left must stand for it alone", there
        )
    return (new[0],)


def pairwise(by: Kernel, one: Labelled, other: Labelled, left: Sequence[str]) -> Labelled:
    """A kernel of two operands, which meet on their common labels.

    Raises:
        SchemaError: extents differ, or an operand has holes that the kernel cannot skip.

    Example:
        >>> import tra
        >>> x, y = (Labelled(tra.from_array([1.0, 2.0], keys=(key,)).expr, (key,)) for key in "ij")
        >>> print(pairwise(kernel("mul"), x, y, left=("j", "i")).type)
        [j:1, i:1] of 2×2 float64
    """
    order = _order(one, other, left)
    holed = {place for place, operand in enumerate((one, other)) if not is_dense(operand.type)}
    if not holed:
        return elementwise(by, one, other, order)
    if set(one.labels) == set(other.labels):
        one, other = transposed(one, order), transposed(other, order)
        renamed = renamed_keys(other, [one.key(c) or c for c in order])
        return Labelled(binary(by, one.expr, renamed), order)
    if by.laws.linear >= holed:
        return elementwise(by, one, other, order)
    holes = hole_text((one, other)[min(holed)].type)
    raise SchemaError(f"{by} needs a dense relation: {holes}; fill the holes with .fill(0)")


def _order(one: Labelled, other: Labelled, left: Sequence[str]) -> tuple[str, ...]:
    labels = {*one.labels, *other.labels}
    if labels <= set(left):
        return tuple(c for c in left if c in labels)
    return merged_order(one.labels, other.labels)


def _where(condition: Labelled, chosen: Labelled, other: Labelled, left: Sequence[str]) -> Labelled:
    """Three tensors meet in two joins: the pair of the values first, as in `tra.where`."""
    pair = pairwise(kernel("pair"), chosen, other, left)
    picked = pairwise(kernel("choose"), condition, pair, left)
    return Labelled(cast(picked.expr, np.result_type(pair.type.dtype[0], pair.type.dtype[1])), picked.labels)
