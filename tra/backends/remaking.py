"""Making lost shares again: the runs that made them once more, what they read first.

A row of runs is done from its beginning, and what a run gave is let go when the last that reads it is done:
two versions of a relation are there at a time, however long the row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tra.algebra.sources import TileSource
from tra.backends.backend import Run
from tra.backends.copies import again
from tra.backends.departures import DepartedError
from tra.backends.lineage import Anchor, FromRun, Held, Made, Origin, Read
from tra.backends.lost import LostError


class Remaking:
    """What brings lost shares back, once.

    Args:
        run: runs a program once more, on the sources it had.
        kept: a share like the one that an anchor keeps.
        is_there: claims that a share is not lost.
    """

    def __init__(
        self,
        run: Callable[[Made, Mapping[str, TileSource]], Run],
        kept: Callable[[Anchor], Held],
        is_there: Callable[[Held], bool],
    ) -> None:
        self._run, self._kept, self._is_there = run, kept, is_there
        self._before: dict[int, list[Made]] = {}  # what has to run before a run
        self._readers: Counter[int] = Counter()  # of what a run gives, that are still to come
        self._runs: dict[int, Run] = {}

    def shares(self, origins: Sequence[Origin | None]) -> list[Held]:
        """Shares like those that were lost, of which nobody else lets go.

        Raises:
            LostError: one goes back to tiles that nobody has.
            PlanError: an array or a file is not what it was.
        """
        wanted = {id(o.made): o.made for o in origins if isinstance(o, FromRun)}
        order = self._order(list(wanted.values()))
        self._readers.update(wanted.keys())
        for made in order:
            self._readers.update(map(id, self._before[id(made)]))
        for made in order:
            self._runs[id(made)] = self._run(made, made.again(self._present))
            self._let_go(self._before[id(made)])
        return [self._share(origin) for origin in origins]

    def _order(self, wanted: Sequence[Made]) -> list[Made]:
        """All runs that are to be done, each after those that it needs."""
        found: dict[int, Made] = {}
        left = [(made, False) for made in reversed(wanted)]
        while left:
            made, is_ready = left.pop()
            if is_ready:
                found.setdefault(id(made), made)
            elif id(made) not in self._before:
                self._before[id(made)] = self._lost_before(made)
                left += [(made, True), *((before, False) for before in self._before[id(made)])]
        return list(found.values())

    def _lost_before(self, made: Made) -> list[Made]:
        """The runs that made what a run reads and is lost."""
        origins = (read.origin for read in made.reads if self._there(read) is None)
        return list({id(o.made): o.made for o in origins if isinstance(o, FromRun)}.values())

    def _let_go(self, read: Sequence[Made]) -> None:
        """Lets go of what runs gave that nobody else reads."""
        for made in read:
            self._readers[id(made)] -= 1
            if not self._readers[id(made)]:
                del self._runs[id(made)]

    def _there(self, read: Read) -> Held | None:
        held = read.held()
        return held if held is not None and self._is_there(held) else None

    def _present(self, read: Read) -> Held:
        return self._there(read) or self._share(read.origin)

    def _share(self, origin: Origin | None) -> Held:
        match origin:
            case Anchor():
                return self._kept(origin)
            case FromRun(made, root, site):
                if id(made) not in self._runs:
                    raise DepartedError("tiles were lost while others were made again")
                found = self._runs[id(made)].shares[root][site].held
                return Held(again(found.future), found.index, found.worker, origin)
        raise LostError("tiles are lost: nothing is known of what they were made from")
