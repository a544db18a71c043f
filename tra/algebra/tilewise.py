"""Tiles in formulas: what the gradients of kernels are written in.

A gradient speaks of the tiles of one key: z·y, or z/(2·out). `Tilewise` stands for such tiles. Two of them
meet where the keys that both have agree (a natural join), so that a formula over the tiles of one key is an
expression over all keys; one that lacks a key is the same for each value of it. A number stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.kernel import Kernel, bind_literal, kernel
from tra.algebra.nodes import Expr, Node
from tra.algebra.operators import join, transform
from tra.errors import KernelError

Value: TypeAlias = Any  # an expression, or a number that stands everywhere


class Tilewise:
    """Tiles by key, or one number, as an operand of kernels and arithmetic.

    Example:
        >>> import tra
        >>> x = Tilewise(tra.from_array([1.0, 2.0, 3.0], tile=2).expr)
        >>> str((2 * x + kernel("exp")(x)).value.type)
        '[i:2] of 2/3 float64'
    """

    __slots__ = ("value",)
    __array_ufunc__ = None  # NumPy's numbers leave arithmetic to us

    def __init__(self, value: Value) -> None:
        self.value = value

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the tiles, or of the number."""
        return self.value.type.dtype if isinstance(self.value, Node) else np.asarray(self.value).dtype

    def _applied_by(self, by: Kernel, operands: Sequence[Any]) -> Tilewise:
        """A kernel hands over when it is called with tiles."""
        return Tilewise(apply(by, *map(_value, operands)))

    def __neg__(self) -> Tilewise:
        return kernel("neg")(self)  # type: ignore[no-any-return]

    def __add__(self, other: Any) -> Tilewise:
        return _arithmetic("add", self, other)

    def __radd__(self, other: Any) -> Tilewise:
        return _arithmetic("add", other, self)

    def __sub__(self, other: Any) -> Tilewise:
        return _arithmetic("sub", self, other)

    def __rsub__(self, other: Any) -> Tilewise:
        return _arithmetic("sub", other, self)

    def __mul__(self, other: Any) -> Tilewise:
        return _arithmetic("mul", self, other)

    def __rmul__(self, other: Any) -> Tilewise:
        return _arithmetic("mul", self, other)  # a number stands last, as in text

    def __truediv__(self, other: Any) -> Tilewise:
        return _arithmetic("div", self, other)

    def __rtruediv__(self, other: Any) -> Tilewise:
        return _arithmetic("div", other, self)

    def __pow__(self, other: Any) -> Tilewise:
        return _arithmetic("pow", self, other)


def _value(operand: Any) -> Value:
    return operand.value if isinstance(operand, Tilewise) else operand


def is_number(value: Value) -> bool:
    """Claims that a value is one number for all keys.

    Example:
        >>> is_number(1.0)
        True
    """
    return not isinstance(value, Node)


def _arithmetic(name: str, left: Any, right: Any) -> Tilewise:
    left, right = _value(left), _value(right)
    if name == "mul" and is_number(right) and right == 1:
        return Tilewise(left)
    if name == "mul" and is_number(left) and not is_number(right):
        return _arithmetic(name, right, left)
    if name == "div" and is_number(right) and right == 1:
        return Tilewise(left)
    return Tilewise(apply(kernel(name), left, right))


def apply(by: Kernel, *operands: Value) -> Value:
    """A kernel on values: numbers become its constants, two expressions meet on the keys that both have.

    Example:
        >>> import tra
        >>> A, b = tra.from_array([[1.0] * 3] * 2, tile=2).expr, tra.from_array([1.0] * 3, "j", 2).expr
        >>> str(apply(kernel("mul"), A, b).type), apply(kernel("add"), 1.0, 2.0)
        ('[i:1, j:2] of 2×2/3 float64', 3.0)

    Raises:
        KernelError: more than two operands are expressions, or the tiles do not fit the kernel.
    """
    exprs = [operand for operand in operands if not is_number(operand)]
    if not exprs:
        return by.function(*map(np.asarray, operands)).item()
    for position, operand in enumerate(operands):
        if is_number(operand):
            by = bind_literal(by, position, operand)
    if len(exprs) > 2:
        raise KernelError(f"{by} of {len(exprs)} relations: a gradient joins two at a time")
    return transform(exprs[0], by) if len(exprs) == 1 else natural_join(exprs[0], exprs[1], by)


def natural_join(left: Expr, right: Expr, by: str | Kernel) -> Expr:
    """Pairs tiles that agree on the keys both have; left key ++ the other right keys.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 2] * 2, keys, tile=1).expr for keys in (("i", "j"), ("j", "k")))
        >>> natural_join(A, B, "mul").type.names
        ('i', 'j', 'k')
    """
    on = [name for name in left.type.names if name in right.type.names]
    differ = any(left.type.domain(name) != right.type.domain(name) for name in on)
    return join(left, right, [(name, name) for name in on], by, truncate=differ)
