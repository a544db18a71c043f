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
            return (_contracted(z, output, None, "", own[0]),)
        x, y = inputs
        return (
            _contracted(z, output, conj(y), own[1], own[0]),
            _contracted(z, output, conj(x), own[0], own[1]),
        )

    return build


def _contracted(z: Tilewise, output: str, other: Any, others: str, own: str) -> Any:
    """Z times the other operand, with the axes of this one; an axis that neither has gets one element."""
    distinct = "".join(dict.fromkeys(own))
    found = "".join(c for c in distinct if c in output + others)
    if other is None:
        value = z if is_constant(z) or output == found else einsum_kernel(f"{output}->{found}")(z)
    elif not (output or others):
        value = z * other
    else:
        value = einsum_kernel(f"{output},{others}->{found}")(z, other)
    for place, label in enumerate(distinct):
        if label not in found and not is_constant(value):
            n = sum(c in found or distinct.index(c) < place for c in distinct) + 1
            value = do("expand_dims", value, axis=place - n)
    return value if distinct == own else do("embed", value, spec=f"{distinct}->{own}")
