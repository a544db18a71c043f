"""The handle users hold: an expression, the data its sources are bound to, and the methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tra.algebra import arithmetic, current, indexing, operators, reductions, whole_tensor
from tra.algebra.einsum import einsum_expr
from tra.algebra.kernel import Kernel, kernel
from tra.algebra.live import frontier
from tra.algebra.nodes import Cut, Expr
from tra.algebra.retiling import retile
from tra.algebra.sources import TileSource, array_source, tiles_source
from tra.algebra.types import Axis, Tile, TileKey
from tra.algebra.volume import n_bytes
from tra.errors import SchemaError

Operand = Any  # a Relation, a scalar, or anything np.asarray takes


class Relation:
    """A keyed tensor relation, lazy: methods build expressions, `compute` runs them.

    Example:
        >>> import tra
        >>> A = tra.from_array(np.arange(6.0).reshape(2, 3), keys=("i", "j"), tile=(1, 2), name="A")
        >>> A
        A[i:2, j:2] of 1/2×2/3 float64
        >>> (A @ A.T).compute()
        array([[ 5., 14.],
               [14., 50.]])
    """

    __array_priority__ = 1000
    __iter__ = None

    def __init__(self, expr: Expr, sources: Mapping[str, TileSource]) -> None:
        self.expr = expr
        self.sources = sources

    # -- what is known without reading data -------------------------------------------------------

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

    def __repr__(self) -> str:
        name = getattr(self.expr, "name", "")
        return f"{name}{self.expr.type}"

    # -- the seven operators ----------------------------------------------------------------------

    def aggregate(self, by: Sequence[operators.KeyRef] | operators.KeyRef = (), kernel: str | Kernel = "add") -> Relation:
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
            KernelError: the kernel is not associative and commutative.

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        names = [by] if isinstance(by, (str, int)) else list(by)
        return self._on(operators.aggregate(self.expr, names, kernel))

    def join(self, other: Relation, on: Any = (), kernel: str | Kernel = "mul", *, truncate: bool = False) -> Relation:
        """⋈: pairs the tiles whose keys agree on `on` and applies a kernel to each pair.

        Args:
            other: the right relation.
            on: a key name, several, ``{left: right}`` or pairs; empty for all pairs.
            kernel: a kernel of two operands.
            truncate: joins the common part of unequal domains, as the paper does; otherwise an error.

        Example:
            >>> import tra
            >>> tiles = {(0, 0): [[1, 2], [3, 4]], (0, 1): [[5, 6], [7, 8]],
            ...          (1, 0): [[9, 10], [11, 12]], (1, 1): [[13, 14], [15, 16]]}
            >>> A = tra.from_tiles(tiles, keys=("i", "j"))
            >>> AA = A.join(A, on=[("j", "i")], kernel="matmul").aggregate(by=(0, 2), kernel="add")
            >>> {k: t.tolist() for k, t in AA.tiles().items()}
            {(0, 0): [[118, 132], [166, 188]], (0, 1): [[174, 188], [254, 276]],
             (1, 0): [[310, 356], [358, 412]], (1, 1): [[494, 540], [574, 628]]}

        Raises:
            SchemaError: unknown key, or domains that differ.
            KernelError: the tiles do not fit the kernel.

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        return self._with(other, operators.join(self.expr, other.expr, on, kernel, truncate=truncate))

    def rekey(self, function: Callable[..., Any], keys: Sequence[str] | str) -> Relation:
        """ReKey: replaces each key by a function of it; keys stay unique and non-negative.

        Example:
            >>> import tra
            >>> A = tra.from_array(np.eye(4), keys=("i", "j"), tile=(2, 2))
            >>> A.rekey(lambda i, j: (j, i), keys=("j", "i")).keys
            ('j', 'i')

        Raises:
            SchemaError: two keys collide (the message names both), or ragged tiles lose their key.

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        return self._on(operators.rekey(self.expr, function, [keys] if isinstance(keys, str) else list(keys)))

    def filter(self, predicate: Callable[..., Any]) -> Relation:
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

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        return self._on(operators.filter_keys(self.expr, predicate))

    def transform(self, kernel: str | Kernel, **params: Any) -> Relation:
        """λ: applies a kernel to each tile.

        Example:
            >>> import tra
            >>> tra.from_array(np.array([-1.0, 2.0])).transform("relu").compute()
            array([0., 2.])

        Raises:
            KernelError: unknown kernel, or tiles that do not fit.

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        return self._on(operators.transform(self.expr, kernel, **params))

    def tile(self, axis: int, size: int, key: str) -> Relation:
        """Tile: cuts each tile along an axis; the piece number becomes the last key.

        Example:
            Re-blocking, as in the paper's worked example: Tile, and Concat back.

            >>> import tra
            >>> B = tra.from_tiles({(0,): [[1, 2, 5, 6], [3, 4, 7, 8]], (1,): [[9, 10, 13, 14], [11, 12, 15, 16]]},
            ...                    keys=("i",))
            >>> {k: t.tolist() for k, t in B.tile(axis=1, size=2, key="j").tiles().items()}
            {(0, 0): [[1, 2], [3, 4]], (0, 1): [[5, 6], [7, 8]],
             (1, 0): [[9, 10], [11, 12]], (1, 1): [[13, 14], [15, 16]]}
            >>> {k: t.tolist() for k, t in B.tile(1, 2, "j").concat(key="j", axis=1).tiles().items()}
            {(0,): [[1, 2, 5, 6], [3, 4, 7, 8]], (1,): [[9, 10, 13, 14], [11, 12, 15, 16]]}

        Raises:
            SchemaError: the key exists, or the axis is cut already and `size` does not divide its tiles.

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        return self._on(operators.tile(self.expr, axis, size, key))

    def concat(self, key: operators.KeyRef, axis: int) -> Relation:
        """Concat: glues the tiles along an axis in the order of a key; the key disappears (see `tile`).

        Raises:
            SchemaError: a tile is missing (its key is named), or the axis is cut by other keys.

        Source: Yuan et al., PVLDB 14(8), 2021, section 2.
        """
        return self._on(operators.concat(self.expr, key, axis))

    # -- beyond the seven -------------------------------------------------------------------------

    def retile(self, *sizes: int | None) -> Relation:
        """The same tensor cut into tiles of other sizes, one per axis; None leaves an axis in one piece.

        Example:
            >>> import tra
            >>> tra.from_array(np.ones((10, 6)), tile=(4, 6), name="A").retile(5, 3)
            [i:2, j:2] of 5/10×3/6 float64

        Raises:
            SchemaError: holes, or another number of sizes than axes.
        """
        whole = whole_tensor.whole_form(self.expr)
        names = [whole_tensor.axis_key(whole.type, p) for p in range(len(whole.type.axes))]
        taken = [n for n in names if n]
        cuts = []
        for place, size in enumerate(sizes):
            name = names[place] if place < len(names) else None
            if size is not None and name is None:
                name = whole_tensor.fresh_name(f"k{place}", taken)
                taken.append(name)
            cuts.append(Cut() if size is None else Cut(size, name))
        return self._on(whole_tensor.axis_order(retile([whole], cuts)))

    def fill(self, value: float = 0) -> Relation:
        """The dense relation, with `value` in the holes.

        Example:
            >>> import tra
            >>> tra.from_tiles({(1,): [5.0, 6.0]}, keys=("i",)).fill(0).compute()
            array([0., 0., 5., 6.])
        """
        return self._on(arithmetic.fill(self.expr, value))

    def astype(self, dtype: Any) -> Relation:
        """The same elements in another dtype."""
        return self._on(arithmetic.cast(self.expr, dtype))

    # -- NumPy sugar ------------------------------------------------------------------------------

    @property
    def T(self) -> Relation:
        """The tensor with its axes reversed."""
        return self._on(whole_tensor.transpose(self.expr))

    def transpose(self, *axes: int) -> Relation:
        """The tensor with its axes permuted; reversed when none are given.

        Example:
            >>> import tra
            >>> tra.from_array(np.ones((2, 3, 4))).transpose(1, 2, 0).shape
            (3, 4, 2)
        """
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], Sequence) else axes
        return self._on(whole_tensor.transpose(self.expr, order or None))

    def sum(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The sum over some axes (all when left out); booleans and integers as int64.

        Example:
            >>> import tra
            >>> tra.from_array(np.arange(6).reshape(2, 3)).sum(axis=0).compute()
            array([3, 5, 7])
        """
        return self._on(reductions.reduce(self.expr, "sum", axis, keepdims))

    def prod(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The product over some axes."""
        return self._on(reductions.reduce(self.expr, "prod", axis, keepdims))

    def max(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The largest element over some axes; NaN wins, as in NumPy."""
        return self._on(reductions.reduce(self.expr, "max", axis, keepdims))

    def min(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The smallest element over some axes; NaN wins, as in NumPy."""
        return self._on(reductions.reduce(self.expr, "min", axis, keepdims))

    def any(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """Whether any element is true."""
        return self._on(reductions.reduce(self.expr, "any", axis, keepdims))

    def all(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """Whether all elements are true."""
        return self._on(reductions.reduce(self.expr, "all", axis, keepdims))

    def mean(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The arithmetic mean over some axes."""
        return self._on(reductions.mean(self.expr, axis, keepdims))

    def var(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The population variance over some axes, in two passes."""
        return self._on(reductions.var(self.expr, axis, keepdims))

    def std(self, axis: reductions.Axes = None, keepdims: bool = False) -> Relation:
        """The population standard deviation over some axes."""
        return self._on(reductions.std(self.expr, axis, keepdims))

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Relation:
        """The place of the smallest element; NaN first, then the lowest place, as in NumPy.

        Example:
            >>> import tra
            >>> tra.from_array(np.array([[3.0, 1.0, 1.0]]), tile=(1, 2)).argmin(axis=1).compute()
            array([1])
        """
        return self._on(reductions.arg(self.expr, "arg_min", axis, keepdims))

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Relation:
        """The place of the largest element; NaN first, then the lowest place, as in NumPy."""
        return self._on(reductions.arg(self.expr, "arg_max", axis, keepdims))

    def __getitem__(self, index: Any) -> Relation:
        return self._on(indexing.take(self.expr, index))

    def __matmul__(self, other: Operand) -> Relation:
        return _matmul(self, as_relation(other))

    def __rmatmul__(self, other: Operand) -> Relation:
        return _matmul(as_relation(other), self)

    def __neg__(self) -> Relation:
        return self._on(arithmetic.unary(kernel("neg"), self.expr))

    def __abs__(self) -> Relation:
        return self._on(arithmetic.unary(kernel("abs"), self.expr))

    def __bool__(self) -> bool:
        raise TypeError("a relation is lazy and has no truth value; call .compute() first")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar relation has no length")
        return self.shape[0]

    __hash__ = object.__hash__

    # -- running ----------------------------------------------------------------------------------

    def compute(self) -> Tile:
        """Runs the query in the current session and returns the whole tensor as a NumPy array.

        Raises:
            SchemaError: the relation has holes; the message names a missing key.
        """
        return current.current().compute(self)[0]  # type: ignore[no-any-return]

    def tiles(self) -> dict[TileKey, Tile]:
        """Runs the query and returns its tiles by key."""
        return current.current().tiles(self)  # type: ignore[no-any-return]

    def persist(self) -> Relation:
        """Runs the query and keeps the result on the backend; blocks until it is stored."""
        return current.current().persist(self)[0]  # type: ignore[no-any-return]

    def explain(self, analyze: bool = False) -> Any:
        """The plan, its price and the alternatives that lost; with `analyze` it runs and shows measured figures."""
        return current.current().explain(self, analyze=analyze)

    def save(self, path: Any) -> None:
        """Runs the query and writes the result; the suffix decides the format (.tra, .npy, .npz, .parquet, .zarr)."""
        current.current().save(self, path)

    def to_text(self) -> str:
        """The query text of this relation; it parses back to the same expression."""
        return current.current().to_text(self)

    def to_arrow(self) -> Any:
        """Runs the query and returns an Arrow table: key columns, and the tiles as flat lists with their shape."""
        from tra.algebra.arrow_table import to_arrow

        return to_arrow(self.tiles(), self.expr.type)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Tile:
        return np.asarray(self.compute(), dtype=dtype)

    def _on(self, expr: Expr) -> Relation:
        return Relation(expr, self.sources)

    def _with(self, other: Relation, expr: Expr) -> Relation:
        return Relation(expr, {**self.sources, **other.sources})


def as_relation(value: Operand) -> Relation:
    """A relation as it is; an array (NumPy, dask, zarr, anything array-like) as one in memory."""
    if isinstance(value, Relation):
        return value
    source, data = array_source(value, None, None, None)
    return Relation(source, {source.id: data})


def from_array(
    array: Any, keys: Sequence[str] | None = None, tile: Sequence[int] | int | None = None, name: str | None = None
) -> Relation:
    """A relation over an array, cut into tiles; the array is borrowed, not copied.

    Args:
        array: numpy, memmap, zarr, dask.array — anything with shape, dtype and slices.
        keys: a name per cut axis; ``i, j, k, …`` when left out.
        tile: the tile size along each cut axis; chosen by the engine when left out.
        name: the name in plans and query text.

    Example:
        >>> from_array(np.zeros((5, 4), "float32"), keys=("i", "j"), tile=(2, 4), name="A")
        A[i:3, j:1] of 2/5×4 float32

    Raises:
        SchemaError: more keys than axes, or an array of objects or strings.
    """
    source, data = array_source(array, keys, tile, name)
    return Relation(source, {source.id: data})


def from_tiles(
    tiles: Mapping[Any, Any],
    keys: Sequence[str],
    axes: Sequence[Axis] | None = None,
    domain: Sequence[int] | None = None,
    name: str | None = None,
) -> Relation:
    """A relation from its tiles by key; keys that are not given are holes.

    Args:
        tiles: arrays of one dtype and rank by key.
        keys: the key names.
        axes: how keys cut the axes; key p cuts axis p when there are as many keys as axes, else none does.
        domain: one past the largest key that may occur, per key; from the keys given when left out.
        name: the name in plans and query text.

    Example:
        >>> from_tiles({(0, 1): np.ones((2, 2)), (1, 0): np.ones((2, 2))}, keys=("i", "j")).frontier
        (2, 2)

    Raises:
        SchemaError: keys, shapes or dtypes do not fit together; the message names the key.
    """
    source, data = tiles_source(tiles, keys, axes, domain, name)
    return Relation(source, {source.id: data})


def einsum(equation: str, *operands: Operand) -> Relation:
    """Einstein summation as `numpy.einsum` writes it, with implicit output and ellipsis.

    Example:
        >>> A = from_array(np.ones((2, 3)))
        >>> einsum("ij,kj->ik", A, A).compute()
        array([[3., 3.],
               [3., 3.]])

    Raises:
        SchemaError: the equation does not fit the operands; both are shown.
    """
    relations = [as_relation(o) for o in operands]
    sources = {k: v for r in relations for k, v in r.sources.items()}
    return Relation(einsum_expr(equation, *(r.expr for r in relations)), sources)


def concatenate(relations: Sequence[Operand], axis: int = 0) -> Relation:
    """Tensors one after the other along an axis, as `numpy.concatenate`.

    Example:
        >>> concatenate([from_array(np.zeros(3), tile=2), np.ones(2)]).compute()
        array([0., 0., 0., 1., 1.])

    Raises:
        SchemaError: other extents differ, or there is nothing to concatenate.
    """
    operands = [as_relation(r) for r in relations]
    dtype = np.result_type(*(o.dtype for o in operands)) if operands else None
    expr = indexing.concatenate([arithmetic.cast(o.expr, dtype) for o in operands], axis)
    return Relation(expr, {k: v for o in operands for k, v in o.sources.items()})


def where(condition: Operand, chosen: Operand, other: Operand) -> Relation:
    """``chosen`` where the condition holds, else ``other``, as `numpy.where`.

    Example:
        >>> A = from_array(np.array([-1.0, 2.0]))
        >>> where(A > 0, A, 0.0).compute()
        array([0., 2.])
    """
    items = [o if arithmetic.as_scalar(o) is not None else as_relation(o) for o in (condition, chosen, other)]
    exprs = [o.expr if isinstance(o, Relation) else o for o in items]
    sources = {k: v for o in items if isinstance(o, Relation) for k, v in o.sources.items()}
    return Relation(arithmetic.where(*exprs), sources)


def _matmul(left: Relation, right: Relation) -> Relation:
    ranks = (left.ndim, right.ndim)
    if 0 in ranks:
        raise SchemaError("matmul takes tensors of at least one axis; use * for scalars")
    equation = {(1, 1): "i,i->", (1, 2): "j,jk->k"}.get(ranks)
    if equation is None:
        head = "...ij" if ranks[0] > 1 else "j"
        tail = "...jk" if ranks[1] > 1 else "j"
        equation = f"{head},{tail}->...{'i' if ranks[0] > 1 else ''}{'k' if ranks[1] > 1 else ''}"
    return einsum(equation, left, right)


def combine(by: str, left: Operand, right: Operand) -> Relation:
    """A binary kernel between two operands, at least one of them a relation."""
    sides = [o if arithmetic.as_scalar(o) is not None else as_relation(o) for o in (left, right)]
    exprs = [o.expr if isinstance(o, Relation) else o for o in sides]
    sources = {k: v for o in sides if isinstance(o, Relation) for k, v in o.sources.items()}
    return Relation(arithmetic.binary(by, *exprs), sources)


def _operator(by: str, reflected: bool) -> Callable[[Relation, Operand], Relation]:
    def method(self: Relation, other: Operand) -> Relation:
        return combine(by, other, self) if reflected else combine(by, self, other)

    return method


for _dunder, _kernel in [("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div"), ("pow", "pow"),
                         ("floordiv", "floor_div"), ("mod", "mod"), ("and", "logical_and"),
                         ("or", "logical_or"), ("xor", "logical_xor")]:  # fmt: skip
    setattr(Relation, f"__{_dunder}__", _operator(_kernel, False))
    setattr(Relation, f"__r{_dunder}__", _operator(_kernel, True))
for _dunder in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Relation, f"__{_dunder}__", _operator(_dunder, False))
