"""Results that leave a session: for files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tra.algebra.sources import TileSource
from tra.algebra.types import Tile, TileKey
from tra.backends.storage import leaves_tiles, save

if TYPE_CHECKING:
    from tra.algebra.relation import Relation
    from tra.optimizer.planner import Planned


class Exports:
    """What a session writes, a tile at a time."""

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
            CatalogError: the suffix is unknown, or the file must not be overwritten.
            SchemaError: what is appended does not fit what is there, or has a tile at the same key.
        """
        planned = self._planned((relation,), relation.sources, {}, not leaves_tiles(path))
        root = planned.program.roots[0]
        tiles = self._results(planned, relation.sources)
        save(path, root.type, tiles, append=append, placement=str(root.placement))

    def _planned(self, *query: Any) -> Planned:
        raise NotImplementedError

    def _results(self, planned: Planned, sources: Mapping[str, TileSource]) -> Iterator[tuple[TileKey, Tile]]:
        raise NotImplementedError
