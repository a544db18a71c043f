"""Methods that hand results to files and other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from tra.algebra import current
from tra.algebra.entry_point import entry_point
from tra.algebra.handle import Handle
from tra.algebra.retiling import check_whole
from tra.algebra.types import Tile
from tra.errors import SchemaError


@entry_point
class ExportMethods(Handle):
    """What a relation can be turned into, and what NumPy and others ask of an array."""

    def save(self, path: Any, append: bool = False) -> None:
        """Runs the query and writes the result; the suffix decides the format.

        Args:
            path: a file to make, ending in .tra, .npy, .npz, .parquet or .zarr.
            append: adds the tiles to the relation in the `.tra` folder, where there is one.

        Example:
            >>> import tempfile, tra
            >>> with tempfile.TemporaryDirectory() as folder, tra.connect("local", threads=1):
            ...     tra.from_array([1.0, 2.0]).save(f"{folder}/a.npy")
            ...     tra.open(f"{folder}/a.npy").compute()
            array([1., 2.])

        Raises:
            CatalogError: the suffix is unknown, or the file must not be overwritten.
            SchemaError: what is appended does not fit what is there, or has a tile at the same key.
        """
        _session().save(self, path, append)

    def to_arrow(self) -> Any:
        """Runs the query and returns an Arrow table: one int64 column per key, and the tiles.

        Example:
            >>> import tra
            >>> tra.from_array([1.0, 2.0, 3.0, 4.0], tile=2).to_arrow().column_names
            ['i', 'tile']

        Raises:
            SchemaError: a key is called ``tile`` or ``shape``.
        """
        from tra.algebra.arrow_table import arrow_table  # PyArrow takes a while to load

        return arrow_table(_session().tiles(self), self.expr.type)

    def to_coo(self, values: str = "value") -> Any:
        """Runs the query and returns an Arrow table of its elements: a column per axis, and one of values.

        Zeros are left out, but for one in a tile that has nothing else: a hole has no row at all, so that
        `tra.from_coo` with the same shape and tiles makes the same relation.

        Args:
            values: the name of the column of values.

        Example:
            >>> import tra
            >>> tra.from_array([[0.0, 2.0], [3.0, 0.0]]).to_coo().to_pylist()
            [{'i': 0, 'j': 1, 'value': 2.0}, {'i': 1, 'j': 0, 'value': 3.0}]

        Raises:
            SchemaError: keys do not say where tiles lie in one tensor, or Arrow has no such numbers.
        """
        from tra.algebra.coordinates import coo_table  # PyArrow takes a while to load

        return coo_table(_session().tiles(self), self.expr.type, values)

    def to_scipy(self) -> Any:
        """Runs the query and returns a `scipy.sparse.coo_array`; holes and zeros are not stored.

        A tile of zeros keeps one that is stored, so that `tra.from_array` makes the same relation.

        Example:
            >>> import pytest, tra
            >>> _ = pytest.importorskip("scipy")
            >>> tra.from_array([[0.0, 2.0], [3.0, 0.0]]).to_scipy().nnz
            2

        Raises:
            SchemaError: SciPy is not there, or keys do not say where tiles lie in one tensor.
        """
        from tra.algebra.coordinates import scipy_array

        return scipy_array(_session().tiles(self), self.expr.type)

    def to_dask(self) -> Any:
        """A `dask.array` of the whole tensor, whose graph is the plan of this query; nothing runs yet.

        Its chunks are the tiles. It runs on whatever scheduler it is computed with, such as the caller's
        own `Client`, together with the rest of a dask computation.

        Example:
            >>> import pytest, tra
            >>> _ = pytest.importorskip("dask.array")
            >>> with tra.connect("local", threads=1):
            ...     lazy = (tra.from_array([1.0, 2.0, 3.0], tile=2) * 2).to_dask()
            >>> lazy.chunks, lazy.sum().compute(scheduler="sync")
            (((2, 1),), np.float64(12.0))

        Raises:
            SchemaError: the relation has holes, or is no whole tensor.
            PlanError: dask.array is not there.
        """
        return _session().to_dask(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Tile:
        try:
            check_whole(self.expr.type, "an array of NumPy")
        except SchemaError as error:  # others ask for an array where they do not know relations
            raise SchemaError(
                f"{error}\n  hint: a matrix M of SciPy on the left asks for it too: tra.from_array(M) @ S is "
                "a query, with holes, where tile= cuts M as S is cut"
            ) from None
        return np.array(_session().compute(self)[0], dtype=dtype, copy=copy)

    def __dlpack__(self, **settings: Any) -> Any:
        """Hands the whole tensor over: ``torch.from_dlpack(A)`` shares the memory of the result."""
        found = _session().compute(self)[0]
        return (found if found.flags.writeable else found.copy()).__dlpack__(**settings)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the memory of the host


def _session() -> Any:
    return current.current()
