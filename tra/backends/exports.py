"""Results that leave a session: for files, and for graphs of dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tra.algebra.entry_point import entry_point
from tra.algebra.retiling import check_whole
from tra.backends.backend import Backend, StoredSource
from tra.backends.plans import Plans
from tra.backends.rehome import bring
from tra.backends.rounds import Rounds
from tra.backends.storage import leaves_tiles, target
from tra.backends.ways_out import keeping
from tra.backends.within import InOne, save_result

if TYPE_CHECKING:
    from tra.algebra.relation import Relation
    from tra.optimizer.planner import Planned


@entry_point
class Exports:
    """What a session hands out, a tile at a time."""

    backend: Backend
    _plans: Plans

    def save(self, relation: Relation, path: Any, append: bool = False) -> None:
        """Runs a query and writes its tiles to a file as they come; the suffix decides the format.

        Args:
            relation: the query.
            path: where to, as `Relation.save` says.
            append: adds the tiles to the relation in a `.tra` folder, where there is one.

        Example:
            >>> import tempfile, numpy, tra
            >>> with tempfile.TemporaryDirectory() as folder, tra.connect("local", threads=1) as session:
            ...     session.save(tra.from_array([1.0, 2.0]) * 2, f"{folder}/twice.npy")
            ...     numpy.load(f"{folder}/twice.npy")
            array([2., 4.])

        Raises:
            CatalogError: the suffix is unknown, the file must not be overwritten, or the query reads it.
            SchemaError: what is appended does not fit what is there, or has a tile at the same key.
            MemoryLimitError: nothing fits into the memory limit; names the smallest that would do.
        """
        place = target(path, relation.sources.values())
        save_result(self._fitted(relation, not leaves_tiles(place)), place, append)

    def to_dask(self, relation: Relation) -> Any:
        """The plan of a query as the graph of a `dask.array`; see `Relation.to_dask`.

        Example:
            >>> import pytest, tra
            >>> _ = pytest.importorskip("dask.array")
            >>> with tra.connect("local", threads=1) as session:
            ...     session.to_dask(tra.from_array([1.0, 2.0], tile=1) + 1).sum().compute(scheduler="sync")
            np.float64(5.0)

        Raises:
            SchemaError: the relation has holes, or is no whole tensor.
            PlanError: dask.array is not there.
            MemoryLimitError: no plan fits into the memory limit: a graph does not go window by window.
        """
        from tra.backends.lazy_graph import dask_array  # Dask takes a while to load

        check_whole(relation.expr.type, "to_dask")
        with keeping("to_dask", self._plans, self.backend, (relation,)):
            planned = self._planned((relation,), relation.sources, {}, False)
        stored = (
            s for s in relation.sources.values() if isinstance(s, StoredSource) and s.backend is self.backend
        )
        bring(self.backend, [share for source in stored for share in source.shares or ()])
        return dask_array(planned.program, relation.sources, self.backend.n_sites, self.backend.threads)

    def _planned(self, *query: Any) -> Planned:
        raise NotImplementedError

    def _fitted(self, relation: Relation, whole: bool) -> InOne | Rounds:
        raise NotImplementedError
