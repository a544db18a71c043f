"""Tiles in formulas: what the gradients of kernels are written in.

A gradient speaks of the tiles of one key: z·y, or z/(2·out). `Tilewise` stands for such tiles. Two of them
meet where the keys that both have agree (a natural join), so that a formula over the tiles of one key is an
expression over all keys; one that lacks a key is the same for each value of it. A number stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.arithmetic import SCALARS
from tra.algebra.kernel import Kernel, bind_literal, kernel
from tra.algebra.nodes import Expr, Node
from tra.algebra.operators import join, transform
from tra.errors import KernelError

Value: TypeAlias = Any  # an expression, or a number that stands everywhere
_FORMULA = "a gradient is a formula of the tiles it is given and of numbers"


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
        return Tilewise(apply(by, *map(value_of, operands)))

    def __getattr__(self, name: str) -> Any:
        hint = "" if name.startswith("_") else f"; write kernels on them, as in tra.exp(x): {_FORMULA}"
        raise AttributeError(f"the tiles in a gradient have no attribute {name!r}{hint}")

    def __bool__(self) -> bool:
        raise TypeError("tiles in a gradient have no values yet; choose with tra.where(condition, x, y)")

    def __neg__(self) -> Tilewise:
        return kernel("neg")(self)  # type: ignore[no-any-return]

    def __abs__(self) -> Tilewise:
        return do("abs", self)

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

    def __rpow__(self, other: Any) -> Tilewise:
        return _arithmetic("pow", other, self)

    def __gt__(self, other: Any) -> Tilewise:
        return _arithmetic("gt", self, other)

    def __ge__(self, other: Any) -> Tilewise:
        return _arithmetic("ge", self, other)

    def __lt__(self, other: Any) -> Tilewise:
        return _arithmetic("lt", self, other)

    def __le__(self, other: Any) -> Tilewise:
        return _arithmetic("le", self, other)

    def __matmul__(self, other: Any) -> Tilewise:
        return do("matmul", self, other)


def are_tiles(operands: Sequence[Any]) -> bool:
    """Claims that a function of the face is called inside a gradient: on tiles, or on tiles and numbers.

    Example:
        >>> are_tiles([2.0]), are_tiles([2.0, Tilewise(1.0)])
        (False, True)
    """
    return any(isinstance(operand, Tilewise) for operand in operands)


def on_tiles(by: Kernel, operands: Sequence[Any]) -> Any:
    """A kernel called inside a gradient.

    Example:
        >>> on_tiles(kernel("add"), [2.0, Tilewise(1.0)]).value
        3.0

    Raises:
        KernelError: an operand is neither tiles nor a number.
    """
    return Tilewise(apply(by, *map(value_of, operands)))


def do(name: str, *operands: Any, **params: Any) -> Tilewise:
    """A kernel by its name, on tiles and numbers.

    Example:
        >>> do("exp", 0.0).value
        1.0
    """
    return Tilewise(apply(kernel(name, **params), *map(value_of, operands)))


def conj(x: Any) -> Any:
    """The complex conjugate; what is real stays as it is.

    Example:
        >>> conj(1 + 2j), conj(3.0)
        ((1-2j), 3.0)
    """
    if not isinstance(x, Tilewise):
        return x.conjugate() if isinstance(x, complex) else x
    return do("conj", x) if x.dtype.kind == "c" else x


def is_constant(x: Any) -> bool:
    """Claims that an operand is one number for all keys and elements.

    Example:
        >>> is_constant(2.0), is_constant(Tilewise(2.0))
        (True, True)
    """
    return not isinstance(x, Tilewise) or is_number(x.value)


def value_of(operand: Any) -> Value:
    """What stands behind an operand.

    Example:
        >>> value_of(Tilewise(2.0)), value_of(2.0)
        (2.0, 2.0)

    Raises:
        KernelError: it is neither tiles nor a number.
    """
    if isinstance(operand, Tilewise):
        return operand.value
    if isinstance(operand, SCALARS):
        return operand
    raise KernelError(f"{_FORMULA}; it cannot have the {type(operand).__name__} {operand!r} in it")


def is_number(value: Value) -> bool:
    """Claims that a value is one number for all keys.

    Example:
        >>> is_number(1.0)
        True
    """
    return not isinstance(value, Node)


def _arithmetic(name: str, left: Any, right: Any) -> Tilewise:
    left, right = value_of(left), value_of(right)
    if name == "mul" and is_number(left) and not is_number(right):
        left, right = right, left
    if name == "mul" and is_number(right) and right == 1:
        return Tilewise(left)
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
    if len(operands) != by.arity:
        raise KernelError(f"{by} {by.signature} takes {by.arity} operands; got {len(operands)}")
    exprs = [operand for operand in operands if not is_number(operand)]
    if not exprs:
        with np.errstate(all="ignore"):
            return by.function(*map(np.asarray, operands)).item()
    if len(exprs) == 3 and by.name == "where":
        return apply(kernel("choose"), operands[0], apply(kernel("pair"), *operands[1:]))
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
