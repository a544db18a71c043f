"""The gradient that every sum of products has, read from its signature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tra.algebra.kernel import Kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.labels import LETTERS
from tra.algebra.tilewise import Tilewise, conj, do, is_constant

Builder: TypeAlias = Callable[[Sequence[Any], Tilewise, Tilewise], Sequence[Any]]


def contraction_gradient(by: Kernel) -> Builder:
    """The gradient that a sum of products has: the adjoint contracted with the other operand.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> x, y = Tilewise(2.0), Tilewise(3.0)
        >>> [g.value for g in contraction_gradient(kernel("mul"))([x, y], x * y, Tilewise(1.0))]
        [3.0, 2.0]
    """
    dims = [*by.signature.inputs, by.signature.output]
    letters = dict(zip(dict.fromkeys(d for group in dims for d in group), LETTERS, strict=False))
    *own, output = ("".join(letters[d] for d in group) for group in dims)

    def build(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
        if len(inputs) == 1:
            return (_contracted(z, output, None, "", inputs[0], own[0]),)
        x, y = inputs
        return (
            _contracted(z, output, conj(y), own[1], x, own[0]),
            _contracted(z, output, conj(x), own[0], y, own[1]),
        )

    return build


def _contracted(z: Tilewise, output: str, other: Any, others: str, mine: Any, own: str) -> Any:
    """Z times the other operand, with the axes of this one; an axis that neither has gets one element."""
    distinct = "".join(dict.fromkeys(own))
    found = "".join(c for c in distinct if c in output + others)
    if other is None:
        value = z if is_constant(z) or output == found else einsum_kernel(f"{output}->{found}")(z)
    elif not (output or others):
        value = z * other
    else:
        value = einsum_kernel(f"{output},{others}->{found}")(z, other)
    value = value if is_constant(value) else _with_axes(value, found, distinct)
    return value if distinct == own else _on_diagonal(value, found, mine, own, distinct)


def _with_axes(value: Any, found: str, wanted: str) -> Any:
    """Axes of one element where labels are missing."""
    for place, label in enumerate(wanted):
        if label not in found:
            n = sum(c in found or wanted.index(c) < place for c in wanted) + 1
            value = do("expand_dims", value, axis=place - n)
    return value


def _on_diagonal(value: Any, found: str, mine: Any, own: str, distinct: str) -> Any:
    """Zeros off the diagonal of repeated labels; on it the value at full length, as long as the operand's."""
    if any(own.count(label) > 1 and label not in found for label in distinct):
        value = do("right", einsum_kernel(f"{own}->{distinct}")(mine), value)
    return do("embed", value, spec=f"{distinct}->{own}")
