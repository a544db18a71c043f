"""The methods of NumPy on relations: transposes, slices, reductions, casts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from tra.algebra import arithmetic, indexing, reductions, whole_tensor
from tra.algebra.arithmetic_methods import ArithmeticMethods
from tra.algebra.entry_point import entry_point


@entry_point
class TensorMethods(ArithmeticMethods):
    """A relation as one tensor: its axes are the keys that cut no axis, then the tile axes at full extent."""

    @property
    def T(self) -> Self:
        """The tensor with its axes reversed; keys follow their axes.

        Example:
            >>> import numpy as np, tra
            >>> tra.from_array(np.ones((4, 6)), keys=("i", "j"), tile=(2, 3)).T
            [j:2, i:2] of 3/6×2/4 float64
        """
        return self._on(whole_tensor.transpose(self.expr))

    def transpose(self, *axes: int | Sequence[int]) -> Self:
        """The tensor with its axes permuted; reversed when none are given.

        Example:
            >>> import numpy as np, tra
            >>> tra.from_array(np.ones((2, 3, 4))).transpose(1, 2, 0).shape
            (3, 4, 2)

        Raises:
            SchemaError: the axes are no permutation, or the relation is no whole tensor.
        """
        return self._on(whole_tensor.transpose(self.expr, whole_tensor.unpacked(axes) or None))

    def __getitem__(self, index: Any) -> Self:
        return self._on(indexing.take(self.expr, index))

    def astype(self, dtype: Any) -> Self:
        """The same elements in another dtype.

        Example:
            >>> import tra
            >>> tra.from_array([1.7, -2.2]).astype("int32").compute()
            array([ 1, -2], dtype=int32)
        """
        return self._on(arithmetic.cast(self.expr, dtype))

    def sum(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The sum over some axes (all when left out); booleans and integers as int64.

        Example:
            >>> import numpy as np, tra
            >>> tra.from_array(np.arange(6).reshape(2, 3)).sum(axis=0).compute()
            array([3, 5, 7])

        Raises:
            SchemaError: an axis is not there.
        """
        return self._on(reductions.reduce(self.expr, "sum", axis, keepdims))

    def prod(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The product over some axes; booleans and integers as int64.

        Example:
            >>> import tra
            >>> tra.from_array([[2.0, 3.0], [4.0, 5.0]]).prod(axis=1).compute()
            array([ 6., 20.])

        Raises:
            SchemaError: an axis is not there, or the relation has holes.
        """
        return self._on(reductions.reduce(self.expr, "prod", axis, keepdims))

    def max(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The largest element over some axes; NaN wins, as in NumPy.

        Example:
            >>> import tra
            >>> tra.from_array([[2.0, 3.0], [4.0, 1.0]]).max(axis=1, keepdims=True).compute()
            array([[3.],
                   [4.]])

        Raises:
            SchemaError: an axis is not there or has extent 0, or the relation has holes.
        """
        return self._on(reductions.reduce(self.expr, "max", axis, keepdims))

    def min(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The smallest element over some axes; NaN wins, as in NumPy.

        Example:
            >>> import tra
            >>> tra.from_array([[2.0, 3.0], [4.0, 1.0]]).min(axis=(0, 1)).compute()
            array(1.)

        Raises:
            SchemaError: an axis is not there or has extent 0, or the relation has holes.
        """
        return self._on(reductions.reduce(self.expr, "min", axis, keepdims))

    def any(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """Whether any element over some axes is true.

        Example:
            >>> import tra
            >>> (tra.from_array([[2.0, 3.0], [4.0, 1.0]]) > 3).any(axis=1).compute()
            array([False,  True])

        Raises:
            SchemaError: an axis is not there.
        """
        return self._on(reductions.reduce(self.expr, "any", axis, keepdims))

    def all(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """Whether all elements over some axes are true.

        Example:
            >>> import tra
            >>> (tra.from_array([[2.0, 3.0], [4.0, 1.0]]) > 1).all().compute()
            array(False)

        Raises:
            SchemaError: an axis is not there, or the relation has holes.
        """
        return self._on(reductions.reduce(self.expr, "all", axis, keepdims))

    def mean(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The arithmetic mean over some axes; of booleans and integers as float64.

        Example:
            >>> import tra
            >>> tra.from_array([[2.0, 3.0], [4.0, 1.0]]).mean(axis=0).compute()
            array([3., 2.])

        Raises:
            SchemaError: an axis is not there.
        """
        return self._on(reductions.mean(self.expr, axis, keepdims))

    def var(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The population variance over some axes, in two passes.

        Example:
            >>> import tra
            >>> tra.from_array([[2.0, 4.0], [1.0, 1.0]]).var(axis=1).compute()
            array([1., 0.])

        Raises:
            SchemaError: an axis is not there, or the relation has holes.
        """
        return self._on(reductions.var(self.expr, axis, keepdims))

    def std(self, axis: reductions.Axes = None, keepdims: bool = False) -> Self:
        """The population standard deviation over some axes: the root of `var`.

        Example:
            >>> import tra
            >>> tra.from_array([[2.0, 6.0], [1.0, 1.0]]).std(axis=1).compute()
            array([2., 0.])

        Raises:
            SchemaError: an axis is not there, or the relation has holes.
        """
        return self._on(reductions.std(self.expr, axis, keepdims))

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Self:
        """The place of the smallest element; NaN first, then the lowest place, as in NumPy.

        Example:
            >>> import numpy as np, tra
            >>> tra.from_array(np.array([[3.0, 1.0, 1.0]]), tile=(1, 2)).argmin(axis=1).compute()
            array([1])

        Raises:
            SchemaError: the axis is not there or has extent 0, or the relation has holes.
        """
        return self._on(reductions.arg(self.expr, "arg_min", axis, keepdims))

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Self:
        """The place of the largest element; NaN first, then the lowest place, as in NumPy.

        Example:
            >>> import tra
            >>> tra.from_array([[3.0, 1.0], [7.0, 7.0]]).argmax().compute()
            array(2)

        Raises:
            SchemaError: the axis is not there or has extent 0, or the relation has holes.
        """
        return self._on(reductions.arg(self.expr, "arg_max", axis, keepdims))
