"""State: named relations that live on the backend, and are replaced by newer versions of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import numpy as np

from tra.algebra.nodes import Source
from tra.algebra.relation import Relation
from tra.algebra.sources import source_id
from tra.algebra.types import RelType, Tile, TileKey
from tra.algebra.volume import n_bytes
from tra.backends.assemble import assemble_array
from tra.backends.backend import Backend, Run, Share, StoredSource, result_shares, result_tiles
from tra.backends.plans import Plans
from tra.backends.rehome import rehome
from tra.errors import CatalogError, PlanError, near_name
from tra.optimizer.boxes import boxes_of
from tra.optimizer.placement import Placement, widest_key
from tra.optimizer.plan import Plan
from tra.optimizer.planner import Planned
from tra.optimizer.roles import ALL, Replicated, Role, Split

REHOMED_EVERY = 16  # versions: until then a cluster remembers the tasks that made the ones before


class StateSource(StoredSource):
    """A stored relation whose tiles are replaced by those of a newer version of the same type and placement.

    Attributes:
        name: what messages call it.
    """

    def __init__(self, backend: Backend, root: Plan, shares: Sequence[Share], name: str) -> None:
        super().__init__(backend, root, shares)
        self.name = name

    def replace(self, shares: Sequence[Share]) -> None:
        """Takes the shares of a newer version; those of the old one are released."""
        new, old = tuple(shares), self._open()
        self.shares = new
        kept = {id(share.held) for share in new}
        self.backend.release([share for share in old if id(share.held) not in kept])

    def _open(self) -> tuple[Share, ...]:
        if self.shares is None:
            raise PlanError(
                f"{self.name} was kept by a session, and is gone: the session is closed, or the name was "
                "given away\n  hint: compute or save what is to be kept before the session closes"
            )
        return self.shares


def lies_alike(type_: RelType, one: Placement, other: Placement) -> bool:
    """Claims that every site holds the same tiles by two placements, whatever their meshes.

    Example:
        >>> import tra
        >>> type_ = tra.from_array([[1.0], [2.0], [3.0], [4.0]], tile=1).expr.type
        >>> grid = Placement((2, 2), (Split("i"), Split("i")))
        >>> [lies_alike(type_, grid, Placement((4,), (role,))) for role in (Split("i"), ALL)]
        [True, False]
    """
    known = all(isinstance(role, Split | Replicated) for role in (*one.roles, *other.roles))
    return one == other or (known and boxes_of(type_, one) == boxes_of(type_, other))


@dataclass(frozen=True)
class Runner:
    """A backend with the plans made for it: what state and training need of a session.

    Attributes:
        backend: where things run.
        plans: the plans of the session.
        kept: what is released with the session.
    """

    backend: Backend
    plans: Plans
    kept: WeakSet[StoredSource]

    def run(
        self, relation: Relation, placement: Placement | None, whole: bool = False
    ) -> tuple[Planned, Run]:
        """Runs one query, whose result ends in a placement where one is given."""
        targets = {relation.expr.digest: placement} if placement is not None else {}
        planned = self.plans.plan((relation,), relation.sources, targets, whole)
        return planned, self.backend.run(planned.program, relation.sources, measure=False)

    def tiles(self, relation: Relation) -> Iterator[tuple[TileKey, Tile]]:
        """The tiles of a result, one by one."""
        planned, run = self.run(relation, None)
        yield from result_tiles(self.backend, planned.program.roots[0], run.shares[0])

    def first_not_finite(self, held: Iterable[StateSource]) -> str | None:
        """The name of the first of these, of floats, that has a value which is infinite or no number."""
        for stored in held:
            node = Source(stored.root.type, source_id("stored"), "0", stored.name)
            relation = Relation(node, {node.id: stored})
            if relation.dtype.kind == "f" and n_bytes(node.type) and not self._is_finite(relation):
                return stored.name
        return None

    def _is_finite(self, relation: Relation) -> bool:
        """Claims that all values are finite, of which only the largest and the smallest leave the sites."""
        whole = relation.fill(0)
        ends = [whole.max(), whole.min()]  # both are no number where one value is
        planned = self.plans.plan(ends, relation.sources, {})
        run = self.backend.run(planned.program, relation.sources, measure=False)
        tiles = [
            tile
            for root, shares in zip(planned.program.roots, run.shares, strict=True)
            for _, tile in result_tiles(self.backend, root, shares)
        ]
        return all(bool(np.isfinite(tile).all()) for tile in tiles)

    def array(self, relation: Relation) -> Tile:
        """The whole tensor of a result."""
        planned, run = self.run(relation, None, whole=True)
        root = planned.program.roots[0]
        return assemble_array(root.type, result_shares(self.backend, root, run.shares[0]))

    def stored(self, relation: Relation, placement: Placement, name: str) -> StateSource:
        """A result as state of its own, which shares nothing with what it was made of."""
        return self.all_stored([(relation, placement, name)])[0]

    def all_stored(self, wanted: Sequence[tuple[Relation, Placement, str]]) -> list[StateSource]:
        """Results as state, each of its own: one program makes them all, what they share once.

        Args:
            wanted: relations that differ, where each ends, and what messages call it.
        """
        sources = {id_: source for relation, _, _ in wanted for id_, source in relation.sources.items()}
        targets = {relation.expr.digest: placement for relation, placement, _ in wanted}
        planned = self.plans.plan([relation for relation, _, _ in wanted], sources, targets)
        run = self.backend.run(planned.program, sources, measure=False)
        own = rehome(self.backend, [[self.backend.hold(share) for share in shares] for shares in run.shares])
        made = [
            StateSource(self.backend, root, shares, name)
            for root, shares, (_, _, name) in zip(planned.program.roots, own, wanted, strict=True)
        ]
        self.kept.update(made)
        return made


def home(relation: Relation, n_sites: int) -> Placement:
    """Where a relation lies by itself: split by its key of largest frontier.

    Example:
        >>> import tra
        >>> str(home(tra.from_array([[1.0], [2.0]], tile=1), 2))
        'split(i) on 2'
    """
    name = widest_key(relation.expr.type)
    role: Role = ALL if name is None else Split(name)
    return Placement((n_sites,), (role,)) if n_sites > 1 else Placement((), ())


class State(Mapping[str, Relation]):
    """The named relations of a session.

    A name stays the same source when it is assigned a relation of the same type, so that a query over it is
    planned once, however often the value is replaced.

    Example:
        >>> import tra
        >>> with tra.connect("local", threads=1) as session:
        ...     session.assign(W=tra.from_array([1.0, 2.0]))
        ...     for _ in range(3):
        ...         session.assign(W=session.state["W"] * 2)
        ...     session.state["W"].compute()
        array([ 8., 16.])
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._held: dict[str, tuple[Source, StateSource]] = {}
        self._n_versions = 0

    def __getitem__(self, name: str) -> Relation:
        if name not in self._held:
            raise CatalogError(f"there is no state {name!r}{near_name(name, self._held)}")
        node, stored = self._held[name]
        return Relation(node, {node.id: stored})

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return "State(" + ", ".join(f"{name}{node.type}" for name, (node, _) in self._held.items()) + ")"

    def assign(self, values: Mapping[str, Any]) -> None:
        """Replaces values by name; all of them are computed from the values before."""
        relations = {name: Relation._of(value) for name, value in values.items()}
        made: dict[str, StateSource] = {}
        for names in _distinct(relations):
            wanted = [(relations[name], self._place(name, relations[name]), name) for name in names]
            made.update(zip(names, self._runner.all_stored(wanted), strict=True))
        for name, stored in made.items():
            if self._stays(name, relations[name]):
                self._held[name][1].replace(stored._open())
            else:
                self.drop([name])
                node = Source(relations[name].expr.type, source_id("state"), "0", name)
                self._held[name] = node, stored

    def _stays(self, name: str, relation: Relation) -> bool:
        """Claims that a relation may take the place of the value that a name has."""
        return name in self._held and self._held[name][0].type == relation.expr.type

    def _place(self, name: str, relation: Relation) -> Placement:
        """Where a new value is to lie: where the one before does, if it takes its place."""
        if self._stays(name, relation):
            return self._held[name][1].root.placement
        return home(relation, self._runner.backend.n_sites)

    def drop(self, names: Iterable[str]) -> None:
        """Forgets values."""
        for name in names:
            if name in self._held:
                self._held.pop(name)[1].release()


def _distinct(relations: Mapping[str, Relation]) -> list[list[str]]:
    """Names in groups whose relations differ: one that is wanted twice is made for each name by itself.

    Example:
        >>> import tra
        >>> one, other = tra.from_array([1.0]), tra.from_array([2.0])
        >>> _distinct({"a": one, "b": other, "c": one})
        [['a', 'b'], ['c']]
    """
    found: list[dict[str, str]] = []
    for name, relation in relations.items():
        group = next((group for group in found if relation.expr.digest not in group), None)
        if group is None:
            found.append(group := {})
        group[relation.expr.digest] = name
    return [list(group.values()) for group in found]
