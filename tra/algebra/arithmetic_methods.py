"""The operators of Python on relations: ``A + B``, ``1.0 / A``, ``A > 0``, ``A @ B``."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np

from tra.algebra import arithmetic
from tra.algebra.arithmetic import SCALARS, Scalar
from tra.algebra.einsum import einsum_expr
from tra.algebra.handle import Handle, is_operand, side_of
from tra.algebra.kernel import kernel
from tra.algebra.ufuncs import OPERATORS, refuse, ufunc_kernel
from tra.errors import KernelError, SchemaError


class ArithmeticMethods(Handle):
    """Operators aligned by position and broadcast as in NumPy; the other side is a number or any array."""

    def __add__(self, other: Any) -> Self:
        return self._combine("add", other)

    def __radd__(self, other: Any) -> Self:
        return self._combine("add", other, reflected=True)

    def __sub__(self, other: Any) -> Self:
        return self._combine("sub", other)

    def __rsub__(self, other: Any) -> Self:
        return self._combine("sub", other, reflected=True)

    def __mul__(self, other: Any) -> Self:
        return self._combine("mul", other)

    def __rmul__(self, other: Any) -> Self:
        return self._combine("mul", other, reflected=True)

    def __truediv__(self, other: Any) -> Self:
        return self._combine("div", other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._combine("div", other, reflected=True)

    def __floordiv__(self, other: Any) -> Self:
        return self._combine("floor_div", other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._combine("floor_div", other, reflected=True)

    def __mod__(self, other: Any) -> Self:
        return self._combine("mod", other)

    def __rmod__(self, other: Any) -> Self:
        return self._combine("mod", other, reflected=True)

    def __pow__(self, other: Any) -> Self:
        return self._combine("pow", other)

    def __rpow__(self, other: Any) -> Self:
        return self._combine("pow", other, reflected=True)

    def __and__(self, other: Any) -> Self:
        return self._logical("logical_and", other)

    def __rand__(self, other: Any) -> Self:
        return self._logical("logical_and", other, reflected=True)

    def __or__(self, other: Any) -> Self:
        return self._logical("logical_or", other)

    def __ror__(self, other: Any) -> Self:
        return self._logical("logical_or", other, reflected=True)

    def __xor__(self, other: Any) -> Self:
        return self._logical("logical_xor", other)

    def __rxor__(self, other: Any) -> Self:
        return self._logical("logical_xor", other, reflected=True)

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._combine("eq", other)

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return self._combine("ne", other)

    def __lt__(self, other: Any) -> Self:
        return self._combine("lt", other)

    def __le__(self, other: Any) -> Self:
        return self._combine("le", other)

    def __gt__(self, other: Any) -> Self:
        return self._combine("gt", other)

    def __ge__(self, other: Any) -> Self:
        return self._combine("ge", other)

    __hash__ = object.__hash__

    def __matmul__(self, other: Any) -> Self:
        return self._multiply(other, reflected=False)

    def __rmatmul__(self, other: Any) -> Self:
        return self._multiply(other, reflected=True)

    def __pos__(self) -> Self:
        return self

    def __neg__(self) -> Self:
        return self._on(arithmetic.unary(kernel("neg"), self.expr))

    def __abs__(self) -> Self:
        return self._on(arithmetic.unary(kernel("abs"), self.expr))

    def __invert__(self) -> Self:
        _check_truth("~", self)
        return self._on(arithmetic.unary(kernel("logical_not"), self.expr))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Self:
        """NumPy hands over: ``np.ones(3) * A`` and ``np.exp(A)`` are relations."""
        name = ufunc_kernel(ufunc)
        operator = OPERATORS.get(ufunc.__name__)
        if method != "__call__" or settings or (name is None and operator is None):
            refuse(ufunc, method, settings)
        if len(inputs) == 1:
            return ~self if ufunc is np.invert else self._on(arithmetic.unary(kernel(str(name)), self.expr))
        reflected = not isinstance(inputs[0], Handle)
        mine, other = inputs[::-1] if reflected else inputs
        if operator is not None:
            result: Self = getattr(mine, f"__{'r' * reflected}{operator}__")(other)
        else:
            result = mine._combine(str(name), other, reflected=reflected)
        if result is NotImplemented:
            raise KernelError(
                f"numpy.{ufunc.__name__} takes relations, arrays and numbers; got {type(other).__name__}"
            )
        return result

    def _logical(self, by: str, other: Any, *, reflected: bool = False) -> Self:
        """Python's operators on bits, which are of truth values here."""
        if is_operand(other):
            other = other if isinstance(other, SCALARS) else self._of(other)
            _check_truth(_BITWISE[by], self, other)
        return self._combine(by, other, reflected=reflected)

    def _combine(self, by: str, other: Any, *, reflected: bool = False) -> Self:
        """A binary kernel with another operand, which stands on the left when `reflected`."""
        if not is_operand(other):
            return cast(Self, NotImplemented)
        operand = other if isinstance(other, SCALARS) else self._of(other)
        sides = (side_of(operand), self.expr) if reflected else (self.expr, side_of(operand))
        expr = arithmetic.binary(by, *sides)
        return self._with(operand, expr) if isinstance(operand, Handle) else self._on(expr)

    def _multiply(self, other: Any, *, reflected: bool) -> Self:
        """The matrix product with another operand, which stands on the left when `reflected`."""
        if not is_operand(other):
            return cast(Self, NotImplemented)
        operand = self._of(other)
        left, right = (operand, self) if reflected else (self, operand)
        _check_inner(left, right)
        equation = f"{_term(left.ndim, 'i', 'j')},{_term(right.ndim, 'j', 'k')}->"
        dots = "..." if max(left.ndim, right.ndim) > 2 else ""
        rows, columns = "i" if left.ndim > 1 else "", "k" if right.ndim > 1 else ""
        return left._with(right, einsum_expr(f"{equation}{dots}{rows}{columns}", left.expr, right.expr))


_BITWISE = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}


def _check_truth(symbol: str, *operands: Handle | Scalar) -> None:
    for operand in operands:
        dtype = operand.dtype if isinstance(operand, (Handle, np.generic)) else np.dtype(type(operand))
        if dtype != np.bool_:
            raise KernelError(
                f"{symbol} takes truth values, got {dtype}; compare first, as in (A > 0) {symbol} (B > 0)"
            )


def _check_inner(left: Handle, right: Handle) -> None:
    if not left.ndim or not right.ndim:
        raise SchemaError("matmul takes tensors of at least one axis; use * for scalars")
    inner = (left.shape[-1], right.shape[-2] if right.ndim > 1 else right.shape[0])
    if inner[0] != inner[1]:
        raise SchemaError(
            f"matmul of shapes {left.shape} and {right.shape}: the inner extents {inner[0]} and {inner[1]} "
            f"differ\n"
            f"  left  {left}\n  right {right}"
        )


def _term(rank: int, rows: str, columns: str) -> str:
    if rank == 1:
        return "j"
    return f"...{rows}{columns}" if rank > 2 else f"{rows}{columns}"
