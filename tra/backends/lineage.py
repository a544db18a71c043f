"""What shares on a cluster were made from, so that those of a worker that died are made again.

A run is a program and its sources, and everything that a cluster holds came out of one. So a lost share is
brought back by the run that made it, on the sources it had; what these were made from is known in the same
way. Nothing here keeps tiles: a run refers weakly to the shares that it read. Only an anchor, which ends a
long row of runs, holds copies of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import ReferenceType, ref

from tra.algebra.sources import TileSource
from tra.backends.backend import Share, StoredSource
from tra.backends.unchanged import Seals, sealed
from tra.optimizer.plan import Plan
from tra.optimizer.program import Program

if TYPE_CHECKING:
    from distributed import Future


class Held:
    """A share on a cluster: where it lies now, and what it can be made from again.

    Attributes:
        future: the value that holds it.
        index: which of several outputs of a task it is, or None where it is all of the value.
        worker: the address of the worker that it was made at.
        origin: what brings it back, or None as long as its run is not done.
    """

    __slots__ = ("__weakref__", "future", "index", "is_lost", "is_released", "origin", "worker")

    def __init__(
        self, future: Future[Any], index: int | None, worker: str, origin: Origin | None = None
    ) -> None:
        self.future, self.index, self.worker, self.origin = future, index, worker, origin
        self.is_released = self.is_lost = False

    @property
    def key(self) -> Any:
        """The key of the value."""
        return self.future.key

    @property
    def is_there(self) -> bool:
        """Claims that, as far as the client was told, a worker has it."""
        return not (self.is_released or self.is_lost) and self.future.status == "finished"

    def lose(self) -> None:
        """Says that no worker has it, and lets the scheduler forget it."""
        self.is_lost = True
        self.future.release()

    def take(self, other: Held) -> None:
        """Lies where another share of the same tiles does."""
        self.future.release()
        self.future, self.index, self.worker = other.future, other.index, other.worker
        self.is_lost = False

    def seal(self) -> None:
        """Remembers what it was made from as it is now; what keeps it longer than a call says so."""
        if isinstance(self.origin, FromRun):
            self.origin.made.seal()

    def release(self) -> None:
        """Lets go of the tiles; what made them is still known to those that were made of them."""
        self.is_released = True
        self.future.release()


@dataclass(frozen=True)
class Anchor:
    """The end of a row of runs: copies of a share on several workers, under keys that nothing else reads."""

    copies: tuple[Held, ...]

    @property
    def is_firm(self) -> bool:
        """Claims that any worker may die, and it still holds."""
        return len({held.worker for held in self.copies if held.is_there}) > 1


@dataclass(frozen=True)
class FromRun:
    """The share of a root of a run at a site."""

    made: Made
    root: int
    site: int


Origin: TypeAlias = Anchor | FromRun


@dataclass(frozen=True)
class Read:
    """A share of a stored relation as a run read it."""

    held: ReferenceType[Held]
    origin: Origin | None
    nbytes: int


class Made:
    """A run, as what its results are made from.

    Attributes:
        program: what was run.
        together: as in `Backend.run`.
        sources: what it read, but for stored relations.
        stored: the stored relations that it read.
        depth: how many runs one after the other bring its results back, if all else is lost.
    """

    def __init__(self, program: Program, sources: Mapping[str, TileSource], together: int) -> None:
        self.program, self.together = program, together
        used = {id_: sources[id_] for id_ in sorted(_used(program))}
        self.sources = {id_: s for id_, s in used.items() if not isinstance(s, StoredSource)}
        self.stored = {id_: _read(s) for id_, s in used.items() if isinstance(s, StoredSource)}
        self.depth = 1 + max((depth_of(read.origin) for read in self.reads), default=0)
        self._seals: Seals | None = None

    @property
    def reads(self) -> list[Read]:
        """The shares that it read."""
        return [read for _, reads in self.stored.values() for read in reads]

    def own(self, results: Sequence[Sequence[Held]]) -> None:
        """Says of results that this run made them, unless they were there before."""
        for root, shares in enumerate(results):
            for site, held in enumerate(shares):
                if held.origin is None:
                    held.origin = FromRun(self, root, site)

    def seal(self) -> None:
        """Remembers what arrays and files are now: they may be changed before they are read again."""
        if self._seals is None:
            self._seals = sealed(self.sources)

    def again(self, present: Callable[[Read], Held]) -> dict[str, TileSource]:
        """The sources of the run once more.

        Args:
            present: a share like the one that was read.

        Raises:
            PlanError: an array or a file is not what it was.
        """
        if self._seals is not None:
            self._seals.check(self.sources)
        found: dict[str, TileSource] = dict(self.sources)
        for id_, (source, reads) in self.stored.items():
            shares = [Share(present(read), read.nbytes) for read in reads]
            found[id_] = StoredSource(source.backend, source.root, shares)
        return found


@dataclass(frozen=True)
class _Where:
    """What plans know of a stored relation, without its shares."""

    backend: Any
    root: Plan


def _read(source: StoredSource) -> tuple[_Where, tuple[Read, ...]]:
    shares = source.shares or ()
    reads = (Read(ref(share.held), share.held.origin, share.nbytes) for share in shares)
    return _Where(source.backend, source.root), tuple(reads)


def _used(program: Program) -> set[str]:
    """The ids of the sources that a program reads."""
    read = (scan for task in program.tasks for scan in task.scans)
    return {scan.id for scan in (*program.given, *read)}


def ends_of(origins: Iterable[Origin | None]) -> set[Anchor]:
    """The anchors that shares go back to.

    Example:
        >>> end = Anchor(())
        >>> ends_of([end, None, end]) == {end}
        True
    """
    found: set[Anchor] = set()
    seen: set[int] = set()
    left = list(origins)
    while left:
        match left.pop():
            case Anchor() as end:
                found.add(end)
            case FromRun(made, _, _) if id(made) not in seen:
                seen.add(id(made))
                left += [read.origin for read in made.reads]
    return found


def depth_of(origin: Origin | None) -> int:
    """How many runs one after the other bring a share back.

    Example:
        >>> depth_of(Anchor(()))
        0
    """
    return origin.made.depth if isinstance(origin, FromRun) else 0


def stored_of(program: Program, sources: Mapping[str, TileSource]) -> Iterator[StoredSource]:
    """The stored relations that a program reads, each once.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.program import program
        >>> list(stored_of(program((scan(),)), {}))
        []
    """
    found = (sources.get(scan.id) for scan in program.given)
    yield from dict.fromkeys(source for source in found if isinstance(source, StoredSource))
