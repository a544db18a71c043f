"""The base of the handle users hold: an expression, the data of its sources, and what is known of both."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from tra.algebra.arithmetic import SCALARS, Scalar
from tra.algebra.habits import python_habit, synonym
from tra.algebra.live import frontier
from tra.algebra.nodes import Expr, name_of, shown
from tra.algebra.registry import is_registered
from tra.algebra.relation_picture import relation_picture
from tra.algebra.sources import TileSource, array_source
from tra.algebra.types import TileKey
from tra.algebra.volume import n_bytes
from tra.errors import near_name


class Handle:
    """An expression with the data of its sources; nothing here reads data."""

    __iter__ = None

    def __init__(self, expr: Expr, sources: Mapping[str, TileSource]) -> None:
        self.expr = expr
        self.sources = sources

    @property
    def keys(self) -> tuple[str, ...]:
        """The key names, in order."""
        return self.expr.type.names

    @property
    def frontier(self) -> TileKey:
        """One past the largest live key, per component."""
        return frontier(self.expr.type)

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """The shape of a full tile, in elements."""
        return self.expr.type.tile_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole tensor: domains of the keys that cut no axis, then the extents."""
        return self.expr.type.shape

    @property
    def ndim(self) -> int:
        """The rank of the whole tensor."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self.expr.type.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all live tiles."""
        return n_bytes(self.expr.type)

    if not TYPE_CHECKING:  # checkers know the attributes that there are

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_") or hasattr(type(self), name):  # an attribute that failed says why itself
                object.__getattribute__(self, name)
            raise AttributeError(f"a relation has no attribute {name!r}{_meant(name, type(self))}")

    def __repr__(self) -> str:
        return shown(self.expr)

    def _repr_html_(self) -> str:
        return relation_picture(name_of(self.expr), self.expr.type)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar relation has no length")
        return self.shape[0]

    def __bool__(self) -> NoReturn:
        raise TypeError("a relation is lazy and has no truth value; call .compute() first: bool(A.compute())")

    def __float__(self) -> NoReturn:
        self._refuse_number("float")

    def __int__(self) -> NoReturn:
        self._refuse_number("int")

    def __complex__(self) -> NoReturn:
        self._refuse_number("complex")

    def _refuse_number(self, wanted: str) -> NoReturn:
        if self.shape:
            place = ", ".join("0" * self.ndim)
            hint = f"it has shape {self.shape}; one element is {wanted}(A[{place}].compute())"
        else:
            hint = f"call .compute() first: {wanted}(A.compute())"
        raise TypeError(f"a relation is lazy and no number; {hint}")

    def _on(self, expr: Expr) -> Self:
        """Another expression over the same sources."""
        return type(self)(expr, self.sources)

    def _with(self, other: Handle, expr: Expr) -> Self:
        """An expression over the sources of both."""
        return type(self)(expr, {**self.sources, **other.sources})

    @classmethod
    def _of(cls, value: Any) -> Self:
        """A relation as it is; an array (NumPy, dask, zarr, anything array-like) as one in memory."""
        if isinstance(value, Handle):
            return value if isinstance(value, cls) else cls(value.expr, value.sources)
        source, data = array_source(value, None, None, None)
        return cls(source, {source.id: data})


@lru_cache(maxsize=256)  # libraries ask again and again for what they may use
def _meant(name: str, owner: type) -> str:
    """What was probably meant by an attribute that relations do not have."""
    ours = synonym(name)
    if ours != name and hasattr(owner, ours):
        return f"; did you mean {ours!r}?"
    habit = python_habit(name)
    if habit is None and is_registered(ours):
        habit = f"write tra.{ours}(A)"
    public = (other for other in dir(owner) if not other.startswith("_"))
    return near_name(name, public) if habit is None else f"; {habit}"


def is_operand(value: object) -> bool:
    """Claims that a relation can be combined with the value: a relation, a number, an array, nested lists.

    Example:
        >>> is_operand(2), is_operand(np.ones(3)), is_operand([1, 2]), is_operand("two")
        (True, True, True, False)
    """
    return isinstance(value, (Handle, list, tuple, *SCALARS)) or (
        hasattr(value, "shape") and hasattr(value, "dtype")
    )


def side_of(value: Handle | Scalar) -> Expr | Scalar:
    """What an operand is in an expression: a scalar as it is.

    Example:
        >>> import tra
        >>> side_of(2.5), side_of(tra.from_array([1.0, 2.0], tile=1)).type.names
        (2.5, ('i',))
    """
    return value.expr if isinstance(value, Handle) else value
