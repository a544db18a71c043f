"""The session: the front door through which relations run, on one backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from weakref import WeakSet

import numpy as np

from tra.algebra import current
from tra.algebra.counted import counted
from tra.algebra.entry_point import entry_point
from tra.algebra.nodes import Source, name_of
from tra.algebra.relation import Relation
from tra.algebra.retiling import check_whole
from tra.algebra.sources import TileSource, source_id
from tra.algebra.types import Tile, TileKey
from tra.backends.assemble import assemble_array, distinct
from tra.backends.backend import Backend, Run, StoredSource, result_shares
from tra.backends.exports import Exports
from tra.backends.plans import Plans, checked
from tra.backends.rounds import Rounds
from tra.backends.state import Runner
from tra.backends.texts import Texts
from tra.backends.trainer import Trainer
from tra.backends.ways_out import keeping
from tra.backends.within import InOne, array_of, fitted, tiles_of
from tra.errors import MemoryLimitError, PlanError
from tra.optimizer.explain import Explanation, explain_plan
from tra.optimizer.hint import Hint
from tra.optimizer.placement import Placement, widest_key
from tra.optimizer.planner import Planned
from tra.optimizer.roles import ALL, Role, Split


@entry_point
class Session(Trainer, Texts, Exports):
    """Runs queries on a backend; made by `tra.connect`, closed by `close` or at the end of a ``with``.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 0.0], [0.0, 1.0]], name="A")
        >>> with tra.connect("local", threads=2) as session:
        ...     total, = session.compute(A.sum())
        >>> float(total)
        2.0
    """

    def __init__(self, backend: Backend, plans: Plans) -> None:
        self.backend, self._plans = backend, plans
        self._stored: WeakSet[StoredSource] = WeakSet()  # a relation that nobody holds is freed at once
        super().__init__(Runner(backend, self._plans, self._stored))
        self._closed = False
        current.push(self)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else counted(self.backend.n_sites, "site")
        return f"Session({self.backend.name}, {state})"

    def close(self) -> None:
        """Frees persisted relations and what the session started; the session before is in force again.

        Example:
            >>> import tra
            >>> session = tra.connect("local", threads=1)
            >>> session.close()
            >>> session
            Session(local, closed)
        """
        if self._closed:
            return
        self._closed = True
        current.remove(self)
        for stored in list(self._stored):
            stored.release()
        self.backend.close()

    # -- running ----------------------------------------------------------------------------------

    def compute(self, *relations: Relation) -> tuple[Tile, ...]:
        """Runs queries together and returns their whole tensors as NumPy arrays.

        Raises:
            SchemaError: a result has holes or is no whole tensor.
            MemoryLimitError: no plan fits into the memory limit; names one that would do.

        Example:
            >>> import tra
            >>> A = tra.from_array([1.0, 2.0])
            >>> with tra.connect("local", threads=1) as session:
            ...     session.compute(A + 1, A.sum())
            (array([2., 3.]), array(3.))
        """
        for relation in checked(relations):
            check_whole(relation.expr.type, "compute")
        relations, sources = self._reading(relations)
        try:
            planned = self._planned(relations, sources, {}, whole=True)
        except MemoryLimitError:  # together they do not fit
            return distinct(array_of(self._fitted(relation, True)) for relation in relations)
        run = self._execute(planned, sources)
        return distinct(
            assemble_array(root.type, result_shares(self.backend, root, shares))
            for root, shares in zip(planned.program.roots, run.shares, strict=True)
        )

    def tiles(self, relation: Relation) -> dict[TileKey, Tile]:
        """Runs a query and returns its tiles by key, which the caller may write to.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1) as session:
            ...     sorted(session.tiles(tra.from_array([1.0, 2.0, 3.0], tile=2)))
            [(0,), (1,)]
        """
        found = sorted(self.iterate(relation), key=lambda item: item[0])
        return {key: tile if tile.flags.writeable else np.array(tile) for key, tile in found}

    def iterate(self, relation: Relation) -> Iterator[tuple[TileKey, Tile]]:
        """Runs a query and yields its tiles one by one; they are only to be read.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1) as session:
            ...     [tile.shape for _, tile in session.iterate(tra.from_array([1.0, 2.0, 3.0], tile=2))]
            [(2,), (1,)]
        """
        (relation,) = checked((relation,))
        yield from tiles_of(self._fitted(relation, whole=False))

    def persist(self, *relations: Relation) -> tuple[Relation, ...]:
        """Runs queries and keeps the tiles they show on the backend, placed alike on key names they share.

        Each is made as a whole: on sites with a limit `save`, `iterate`, `tiles` and `compute` of one
        relation go window by window where nothing else fits, and this does not.

        Raises:
            MemoryLimitError: no plan fits into the memory limit; names one that would do.

        Example:
            >>> import tra
            >>> with tra.connect("local", sites=2, threads=1) as session:
            ...     A, B = session.persist(*(tra.from_array([[1.0], [2.0]], tile=1) for _ in range(2)))
            ...     session.explain(A + B).to_dict()["bytes_moved"]["predicted"]
            0
        """
        relations, sources = self._reading(checked(relations))
        with keeping("persist", self._plans, self.backend, relations):
            planned = self._planned(relations, sources, self._targets(relations), whole=False)
        run = self._execute(planned, sources)
        stored = []
        for relation, root, shares in zip(relations, planned.program.roots, run.shares, strict=True):
            source = StoredSource(self.backend, root, [self.backend.hold(share) for share in shares])
            self._stored.add(source)
            id_ = source_id("stored")
            node = Source(root.type, id_, "0", name_of(relation.expr) or id_.replace("-", "_"))
            stored.append(Relation(node, {node.id: source}))
        return tuple(stored)

    def _targets(self, relations: tuple[Relation, ...]) -> dict[str, Placement]:
        """Each relation split by its key of largest frontier, or by one that a larger one is split by."""
        mesh = (self.backend.n_sites,) if self.backend.n_sites > 1 else ()
        chosen: list[str] = []
        targets: dict[str, Placement] = {}
        for relation in sorted(checked(relations), key=lambda r: -r.nbytes):
            type_ = relation.expr.type
            shared = (name for name in chosen if name in type_.names and widest_key(type_, [name]))
            name = next(shared, None) or widest_key(type_)
            role: Role = ALL if name is None else Split(name)
            chosen += [name] if name is not None else []
            targets[relation.expr.digest] = Placement(mesh, (role,) * len(mesh))
        return targets

    def explain(self, relation: Relation, analyze: bool = False) -> Explanation:
        """The plan of a query, its price, the strategies that lost; with `analyze`, what a run measured.

        Example:
            >>> import tra
            >>> with tra.connect("local", sites=2, threads=1) as session:
            ...     session.explain(tra.from_array([1.0, 2.0], tile=1).sum()).to_dict()["sites"]
            2
        """
        (relation,) = checked((relation,), analyze)
        found = self._fitted(relation, whole=True)
        text, origin = self._text(relation), self.backend.constants.origin
        measured = found.measured() if analyze else None
        passes, rounds = (found.facts(), ()) if isinstance(found, InOne) else ((), found.facts())
        name, asked = self.backend.name, self._plans.reading(relation).expr
        fired = (*self._plans.fired_while_reading(relation), *found.planned.fired)
        planned = replace(found.planned, fired=fired)
        return explain_plan(planned, name, origin, measured, text, passes, rounds, asked)

    # -- planning ---------------------------------------------------------------------------------
    def hint(
        self, relation: Relation, strategy: str | None = None, *, split: Sequence[str | None] | None = None
    ) -> None:
        """Asks that a result is computed by a strategy, whatever it costs; without one takes that back.

        The hint is for the topmost operator that combines or folds tiles, in every query that it is part of.

        Args:
            relation: the result.
            strategy: a strategy as `explain` names it, with or without what comes after its comma.
            split: the key that each mesh dimension splits, None for one that splits nothing.

        Example:
            >>> import tra
            >>> A = tra.from_array(np.ones((4, 4)), tile=2)
            >>> with tra.connect("local", sites=2, threads=1) as session:
            ...     session.hint(A @ A, "co-partition")
            ...     strategies = session.explain(A @ A).to_dict()["strategies"]
            >>> [entry["strategy"] for entry in strategies if entry["hinted"]]
            ['co-partition, aggregate before shuffle']

        Raises:
            PlanError: there is no such strategy, or no such key; names those there are.
        """
        self._check_open()
        if not isinstance(relation, Relation):
            raise PlanError(f"a hint is for a relation; got {relation!r}")
        self._plans.hint(relation.expr, relation.sources, strategy, split)

    def hinted(self, hints: Iterable[Hint]) -> AbstractContextManager[None]:
        """Hints beside the session's own, until the end of the ``with``.

        Example:
            >>> import tra
            >>> with tra.connect("local", sites=2, threads=1) as session, session.hinted([]):
            ...     session.compute(tra.from_array([1.0, 2.0]).sum())
            (array(3.),)
        """
        return self._plans.hinted(hints)

    def _reading(self, relations: Iterable[Relation]) -> tuple[tuple[Relation, ...], dict[str, TileSource]]:
        """Queries as they are planned, and all that they read."""
        found = tuple(self._plans.reading(relation) for relation in relations)
        return found, {k: v for relation in found for k, v in relation.sources.items()}

    def _planned(
        self,
        relations: tuple[Relation, ...],
        sources: Mapping[str, TileSource],
        targets: Mapping[str, Placement],
        whole: bool,
    ) -> Planned:
        self._check_open()
        return self._plans.plan(relations, sources, targets, whole)

    def _fitted(self, relation: Relation, whole: bool) -> InOne | Rounds:
        self._check_open()
        return fitted(self._plans, self.backend, self._plans.reading(relation), whole)

    def _check_open(self) -> None:
        if self._closed:
            raise PlanError("the session is closed")

    def _execute(self, planned: Planned, sources: Mapping[str, TileSource], measure: bool = False) -> Run:
        return self.backend.run(planned.program, sources, measure)
