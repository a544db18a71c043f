"""The seven operators of the algebra as methods, and the two ways to lay a tensor out anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from tra.algebra import arithmetic, operators, whole_tensor
from tra.algebra.arguments import given_function, given_integer, given_kernel, given_list, key_names
from tra.algebra.entry_point import entry_point
from tra.algebra.handle import Handle
from tra.algebra.kernel import Kernel
from tra.algebra.kernel import kernel as find_kernel
from tra.algebra.type_rules import KeyRef
from tra.errors import KernelError, SchemaError, near_name


@entry_point
class OperatorMethods(Handle):
    """Σ, ⋈, ReKey, σ, λ, Tile, Concat; a key may be given by name or by position.

    Source: Yuan et al., PVLDB 14(8), 2021, section 2.
    """

    def aggregate(self, by: Sequence[KeyRef] | KeyRef = (), kernel: str | Kernel = "add") -> Self:
        """Σ: folds the tiles that agree on the keys `by` with an associative, commutative kernel.

        Example:
            The worked example of the paper: column sums of tiles.

            >>> import tra
            >>> tiles = {(0, 0): [[1, 2], [3, 4]], (0, 1): [[5, 6], [7, 8]],
            ...          (1, 0): [[9, 10], [11, 12]], (1, 1): [[13, 14], [15, 16]]}
            >>> A = tra.from_tiles(tiles, keys=("i", "j"))
            >>> {k: t.tolist() for k, t in A.aggregate(by="j", kernel="add").tiles().items()}
            {(0,): [[10, 12], [14, 16]], (1,): [[18, 20], [22, 24]]}

        Raises:
            SchemaError: unknown key, or ragged tiles lose the key that says their length.
            KernelError: the kernel is not associative and commutative, or changes the dtype.
        """
        fold = given_kernel(kernel, "aggregate")
        return self._on(operators.aggregate(self.expr, given_list(by), fold))

    def join(
        self,
        other: Handle,
        on: Any = (),
        kernel: str | Kernel = "mul",
        *,
        truncate: bool = False,
        **params: Any,
    ) -> Self:
        """⋈: pairs the tiles whose keys agree on `on` and applies a kernel to each pair.

        Args:
            other: the right relation.
            on: a key name, several, ``{left: right}`` or pairs; empty for all pairs.
            kernel: a kernel of two operands.
            truncate: joins the common part of unequal domains, as the paper does; otherwise an error.
            **params: parameters of the kernel, when a name is given.

        Example:
            >>> import tra
            >>> tiles = {(0, 0): [[1, 2], [3, 4]], (0, 1): [[5, 6], [7, 8]],
            ...          (1, 0): [[9, 10], [11, 12]], (1, 1): [[13, 14], [15, 16]]}
            >>> A = tra.from_tiles(tiles, keys=("i", "j"))
            >>> AA = A.join(A, on=[("j", "i")], kernel="matmul").aggregate(by=(0, 2), kernel="add")
            >>> {k: t.tolist() for k, t in AA.tiles().items()}
            {(0, 0): [[118, 132], [166, 188]], (0, 1): [[174, 188], [254, 276]],
             (1, 0): [[310, 356], [358, 412]], (1, 1): [[494, 540], [574, 628]]}
            >>> AAt = A.join(A, on="j", kernel="einsum", spec="ab,cb->ac").aggregate(by=("i", "i_2"))
            >>> AAt.tiles()[0, 0].tolist()
            [[66, 94], [94, 138]]

        Raises:
            SchemaError: unknown key, domains that differ, or an operand that is no relation.
            KernelError: the tiles or the parameters do not fit the kernel.
        """
        if not isinstance(other, Handle):
            raise SchemaError(f"join takes a relation, got {type(other).__name__}; tra.from_array makes one")
        by = _bound(kernel, "join", params, ("on", "kernel", "truncate"))
        return self._with(other, operators.join(self.expr, other.expr, on, by, truncate=truncate))

    def rekey(self, function: Callable[..., Any], keys: Sequence[str] | str) -> Self:
        """ReKey: replaces each key by a function of it; keys stay unique and non-negative.

        Example:
            >>> import numpy as np, tra
            >>> A = tra.from_array(np.eye(4), keys=("i", "j"), tile=(2, 2))
            >>> A.rekey(lambda i, j: (j, i), keys=("j", "i"))
            [j:2, i:2] of 2/4×2/4 float64

        Raises:
            SchemaError: two keys collide (the message names both), or ragged tiles lose their key.
        """
        traced = given_function(function, "rekey", self.keys)
        return self._on(operators.rekey(self.expr, traced, key_names(keys)))

    def filter(self, predicate: Callable[..., Any]) -> Self:
        """σ: keeps the tuples whose key satisfies the predicate; the rest become holes.

        Example:
            The diagonal of the paper's worked example.

            >>> import tra
            >>> tiles = {(0, 0): [[1, 2], [3, 4]], (0, 1): [[5, 6], [7, 8]],
            ...          (1, 0): [[9, 10], [11, 12]], (1, 1): [[13, 14], [15, 16]]}
            >>> A = tra.from_tiles(tiles, keys=("i", "j"))
            >>> D = A.filter(lambda i, j: i == j).rekey(lambda i, j: i, keys="i").transform("diag")
            >>> {k: t.tolist() for k, t in D.tiles().items()}
            {(0,): [1, 4], (1,): [13, 16]}

        Raises:
            SchemaError: the predicate takes other keys, or fails on one.
        """
        return self._on(operators.filter_keys(self.expr, given_function(predicate, "filter", self.keys)))

    def transform(self, kernel: str | Kernel, **params: Any) -> Self:
        """λ: applies a kernel to each tile.

        Args:
            kernel: a kernel of one operand.
            **params: parameters of the kernel, when a name is given.

        Example:
            >>> import tra
            >>> tra.from_array([-1.0, 2.0]).transform("relu").compute()
            array([0., 2.])
            >>> tra.from_array([-1.0, 2.0]).transform("scale", by=3).compute()
            array([-3.,  6.])

        Raises:
            KernelError: unknown kernel, or tiles or parameters that do not fit.
        """
        return self._on(operators.transform(self.expr, _bound(kernel, "transform", params)))

    def tile(self, axis: int, size: int, key: str) -> Self:
        """Tile: cuts each tile along an axis; the piece number becomes the last key.

        Example:
            Re-blocking, as in the paper's worked example: Tile, and Concat back.

            >>> import tra
            >>> tiles = {0: [[1, 2, 5, 6], [3, 4, 7, 8]], 1: [[9, 10, 13, 14], [11, 12, 15, 16]]}
            >>> B = tra.from_tiles(tiles, keys="i")
            >>> {k: t.tolist() for k, t in B.tile(axis=1, size=2, key="j").tiles().items()}
            {(0, 0): [[1, 2], [3, 4]], (0, 1): [[5, 6], [7, 8]],
             (1, 0): [[9, 10], [11, 12]], (1, 1): [[13, 14], [15, 16]]}
            >>> {k: t.tolist() for k, t in B.tile(1, 2, "j").concat(key="j", axis=1).tiles().items()}
            {(0,): [[1, 2, 5, 6], [3, 4, 7, 8]], (1,): [[9, 10, 13, 14], [11, 12, 15, 16]]}

        Raises:
            SchemaError: the key exists, or the axis is cut already and `size` does not divide its tiles.
        """
        return self._on(operators.tile(self.expr, axis, given_integer(size, "a tile size"), key))

    def concat(self, key: KeyRef, axis: int) -> Self:
        """Concat: glues the tiles along an axis in the order of a key; the key disappears (see `tile`).

        Example:
            >>> import tra
            >>> A = tra.from_array([1.0, 2.0, 3.0], keys="i", tile=2)
            >>> A.concat("i", axis=0)
            [] of 3 float64

        Raises:
            SchemaError: a tile is missing (its key is named), or the axis is cut by other keys.
        """
        return self._on(operators.concat(self.expr, key, axis))

    def retile(self, *sizes: int | Sequence[int | None] | None) -> Self:
        """The same tensor cut into tiles of other sizes, one per axis; None leaves an axis in one piece.

        Example:
            >>> import numpy as np, tra
            >>> tra.from_array(np.ones((10, 6)), tile=(4, 6), name="A").retile(5, 3)
            [i:2, j:2] of 5/10×3/6 float64

        Raises:
            SchemaError: holes, another number of sizes than axes, or a size below 1.
        """
        return self._on(whole_tensor.retiled(self.expr, whole_tensor.unpacked(sizes)))

    def fill(self, value: float = 0) -> Self:
        """The dense relation, with `value` in the holes.

        Example:
            >>> import tra
            >>> tra.from_tiles({(1,): [5.0, 6.0]}, keys=("i",)).fill(0).compute()
            array([0., 0., 5., 6.])

        Raises:
            SchemaError: the dtype has no such value.
        """
        return self._on(arithmetic.fill(self.expr, value))


def _bound(kernel: str | Kernel, what: str, params: Mapping[str, Any], own: Sequence[str] = ()) -> Kernel:
    """A kernel with its parameters, bound here: below, a parameter may be called as an argument is.

    Raises:
        KernelError: it does not take these parameters, one of which may be meant to be an argument, of `own`.
    """
    given = given_kernel(kernel, what)
    try:
        return find_kernel(given, **params)
    except KernelError as error:
        near = next(filter(None, (near_name(name, own) for name in params)), "")
        raise KernelError(f"{error}{near}") from None
