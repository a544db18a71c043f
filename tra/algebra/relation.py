"""The relation: the handle users hold, how it is made, and how it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tra.algebra import arithmetic, current, indexing
from tra.algebra.arithmetic import SCALARS
from tra.algebra.einsum import einsum_expr
from tra.algebra.entry_point import entry_point
from tra.algebra.export_methods import ExportMethods
from tra.algebra.handle import Handle, side_of
from tra.algebra.kernel import Kernel, kernel
from tra.algebra.operator_methods import OperatorMethods
from tra.algebra.sources import array_source, tiles_source
from tra.algebra.tensor_methods import TensorMethods
from tra.algebra.tilewise import are_tiles, on_tiles
from tra.algebra.types import Axis, Tile, TileKey
from tra.errors import SchemaError

Operand: TypeAlias = Any  # a Relation, a scalar, or anything np.asarray takes


@entry_point
class Relation(OperatorMethods, TensorMethods, ExportMethods):
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

    def compute(self) -> Tile:
        """Runs the query in the current session and returns the whole tensor as a NumPy array.

        Example:
            >>> import tra
            >>> (tra.from_array([1.0, 2.0]) * 3).compute()
            array([3., 6.])

        Raises:
            SchemaError: the relation has holes; the message names a missing key.
        """
        return current.current().compute(self)[0]

    def tiles(self) -> dict[TileKey, Tile]:
        """Runs the query and returns its tiles by key.

        Example:
            >>> import tra
            >>> {k: t.tolist() for k, t in tra.from_array([1.0, 2.0, 3.0], tile=2).tiles().items()}
            {(0,): [1.0, 2.0], (1,): [3.0]}
        """
        return current.current().tiles(self)

    def persist(self) -> Relation:
        """Runs the query and keeps the result on the backend; blocks until it is stored.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1):
            ...     stored = (tra.from_array([1.0, 2.0]) + 1).persist()
            ...     stored.compute()
            array([2., 3.])
        """
        return current.current().persist(self)[0]

    def explain(self, analyze: bool = False) -> Any:
        """The plan, its price and the alternatives that lost; with `analyze` also what a run measures.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1):
            ...     (tra.from_array([1.0, 2.0]) + 1).explain(analyze=True).to_dict()["tasks"]
            {'predicted': 1, 'measured': 1}
        """
        return current.current().explain(self, analyze=analyze)

    def to_text(self) -> str:
        """The query text of this relation; it parses back to the same expression.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1):
            ...     print((tra.from_array([1.0, 2.0], name="x") + 1).to_text(), end="")
            -- pass by name: x, [i:1] of 2 float64
            SELECT x.i, ADD(x.tile, 1) AS tile FROM x;

        Raises:
            QueryError: a key function could not be traced, so that it has no text.
        """
        return current.current().to_text(self)

    def __array_function__(self, function: Any, types: Any, operands: Any, settings: Any) -> Any:
        """NumPy hands over: ``np.sum(A, axis=0)`` is a relation."""
        from tra.algebra.array_functions import apply  # it is made of relations

        return apply(function, operands, settings)

    def _applied_by(self, by: Kernel, operands: Sequence[Any]) -> Relation:
        """A kernel hands over when it is called with relations."""
        from tra.algebra.functions import apply_kernel  # it is made of relations

        return apply_kernel(by, operands)


def as_relation(value: Operand) -> Relation:
    """A relation as it is; an array (NumPy, dask, zarr, anything array-like) as one in memory.

    Example:
        >>> as_relation(np.ones((2, 3))).shape
        (2, 3)

    Raises:
        SchemaError: an array of objects or strings.
    """
    return Relation._of(value)


@entry_point
def from_array(
    array: Any,
    keys: Sequence[str] | str | None = None,
    tile: Sequence[int] | int | None = None,
    name: str | None = None,
) -> Relation:
    """A relation over an array, cut into tiles; the array is borrowed, not copied.

    Args:
        array: numpy, memmap, zarr, dask.array — anything with shape, dtype and slices; a tensor with
            DLPack, such as PyTorch's; a sparse matrix of SciPy, whose empty tiles are holes.
        keys: a name per cut axis; ``i, j, k, …`` when left out.
        tile: the tile size along each cut axis; chosen by the engine when left out.
        name: the name in plans and query text.

    Example:
        >>> from_array(np.zeros((5, 4), "float32"), keys=("i", "j"), tile=(2, 4), name="A")
        A[i:3, j:1] of 2/5×4 float32

    Raises:
        SchemaError: more keys than axes, tile sizes that do not fit, or an array of objects or strings.
    """
    source, data = array_source(array, keys, tile, name)
    return Relation(source, {source.id: data})


@entry_point
def from_coo(
    table: Any,
    coordinates: Sequence[str],
    values: str = "value",
    shape: Sequence[int] | None = None,
    keys: Sequence[str] | str | None = None,
    tile: Sequence[int] | int | None = None,
    name: str | None = None,
) -> Relation:
    """A relation of a table of elements with coordinates; tiles without any are holes.

    Args:
        table: of pandas, Arrow, polars, or columns by name. Elements at one place are added.
        coordinates: the columns that say where an element lies, one per axis.
        values: the column of elements.
        shape: the extents; one past the largest coordinates when left out.
        keys: a name per cut axis; those of the columns when left out.
        tile: the tile size along each cut axis.
        name: the name in plans and query text.

    Example:
        >>> edges = {"source": [0, 0, 7], "target": [1, 2, 7], "weight": [1.0, 0.5, 2.0]}
        >>> A = from_coo(edges, ("source", "target"), "weight", shape=(8, 8), tile=4)
        >>> A, sorted(A.tiles())
        (sparse_...[source:2, target:2] of 4/8×4/8 float64, [(0, 0), (1, 1)])
        >>> float(A.sum().compute())
        3.5

    Raises:
        SchemaError: a column is missing or has missing values, or a coordinate is outside the shape.
    """
    from tra.algebra.sparse import coo_source

    source, data = coo_source(table, coordinates, values, shape, keys, tile, name)
    return Relation(source, {source.id: data})


@entry_point
def from_tiles(
    tiles: Mapping[Any, Any],
    keys: Sequence[str] | str,
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


@entry_point
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
    if not isinstance(equation, str):
        raise SchemaError(
            "einsum takes its equation first, as in tra.einsum('ij,jk->ik', A, B); "
            f"got {type(equation).__name__}"
        )
    if are_tiles(operands):  # in a gradient
        return on_tiles(kernel("einsum", spec=equation), operands)  # type: ignore[no-any-return]
    relations = [as_relation(o) for o in operands]
    return _over(relations, einsum_expr(equation, *(r.expr for r in relations)))


@entry_point
def concatenate(relations: Sequence[Operand], axis: int = 0) -> Relation:
    """Tensors one after the other along an axis, as `numpy.concatenate`.

    Example:
        >>> concatenate([from_array(np.zeros(3), tile=2), np.ones(2)]).compute()
        array([0., 0., 0., 1., 1.])

    Raises:
        SchemaError: other extents differ, or there is nothing to concatenate.
    """
    given: Any = relations
    if not isinstance(given, Iterable):
        raise SchemaError("concatenate takes a list of tensors, as in tra.concatenate([A, B], axis=0)")
    operands = [as_relation(r) for r in given]
    dtype = np.result_type(*(o.dtype for o in operands)) if operands else None
    return _over(operands, indexing.concatenate([arithmetic.cast(o.expr, dtype) for o in operands], axis))


@entry_point
def where(condition: Operand, chosen: Operand, other: Operand) -> Relation:
    """``chosen`` where the condition holds, else ``other``, as `numpy.where`.

    Example:
        >>> A = from_array(np.array([-1.0, 2.0]))
        >>> where(A > 0, A, 0.0).compute()
        array([0., 2.])

    Raises:
        SchemaError: the extents do not broadcast, or an operand has holes.
    """
    if are_tiles([condition, chosen, other]):  # in a gradient
        return on_tiles(kernel("where"), [condition, chosen, other])  # type: ignore[no-any-return]
    test = as_relation(condition)
    branches = [o if isinstance(o, SCALARS) else as_relation(o) for o in (chosen, other)]
    return _over([test, *branches], arithmetic.where(test.expr, *map(side_of, branches)))


def combine(by: str | Kernel, left: Operand, right: Operand) -> Relation:
    """A binary kernel between two operands, at least one of them a relation.

    Example:
        >>> combine("max", from_array(np.array([-1.0, 2.0])), 0.0).compute()
        array([0., 2.])

    Raises:
        SchemaError: the extents do not broadcast, or an operand has holes that the kernel cannot skip.
        KernelError: the kernel does not take these dtypes.
    """
    if are_tiles([left, right]):  # in a gradient
        return on_tiles(kernel(by), [left, right])  # type: ignore[no-any-return]
    sides = [o if isinstance(o, SCALARS) else as_relation(o) for o in (left, right)]
    return _over(sides, arithmetic.binary(by, *map(side_of, sides)))


def _over(operands: Sequence[Any], expr: Any) -> Relation:
    """An expression over the sources of all operands that are relations."""
    sources = {k: v for o in operands if isinstance(o, Handle) for k, v in o.sources.items()}
    return Relation(expr, sources)
