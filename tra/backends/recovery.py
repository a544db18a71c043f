"""Going on when workers die: what was lost is made again, and what was running runs again, on those left.

A run that loses a worker is given up as a whole. Sites of the worker go to others (`site_workers.py`), lost
shares of what it reads are made again (`lineage.py`), and it is sent anew. The plan is the same, so the
result has the same bits. What fails by itself is not tried again, and what takes a worker with it each time
is given up after a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from distributed import Client

from tra.algebra.counted import counted
from tra.algebra.sources import TileSource
from tra.backends.backend import Run, StoredSource
from tra.backends.copies import alone, anchor, copied, who_has
from tra.backends.departures import DepartedError, forget_frames, naming_departed
from tra.backends.lineage import Anchor, Held, Made, depth_of, ends_of, stored_of
from tra.backends.lost import LostError
from tra.backends.remaking import Remaking
from tra.backends.site_workers import SiteWorkers
from tra.backends.workers import answer
from tra.errors import PlanError
from tra.optimizer.program import Program

if TYPE_CHECKING:
    Send = Callable[[Made, Mapping[str, TileSource], bool], Run]

T = TypeVar("T")
SAME_TASK = 4  # workers that may die at one task of a run
TRIES = 20  # of one run, whatever workers died of
ANCHORED_AFTER = 32  # runs that are made again one after the other, at most; four times as many on one worker


class Recovery:
    """What keeps a session going on a cluster whose workers come and go.

    Attributes:
        sites: which worker is which site.
    """

    def __init__(self, client: Client, sites: SiteWorkers, send: Send) -> None:
        """Begins.

        Args:
            client: a client of the cluster.
            sites: which worker is which site.
            send: runs a program once, on the workers that the sites have now.
        """
        self.client, self.sites, self._send = client, sites, send
        self._shares: WeakSet[Held] = WeakSet()
        self._ends: WeakSet[Anchor] = WeakSet()
        self._may_break = False  # whether a worker may be the only one that has what shares go back to
        self._is_certain = True  # whether futures say what is there: not right after a worker left

    # -- what a backend does ----------------------------------------------------------------------

    def run(
        self, program: Program, sources: Mapping[str, TileSource], measure: bool = False, together: int = 0
    ) -> Run:
        """Runs a program to its end, whatever workers die meanwhile.

        Raises:
            PlanError: no worker is left, too many died, or what was lost cannot be made again.
            TraError: whatever a task raised.
        """

        def once() -> Run:
            relations = list(stored_of(program, sources))
            for stored in relations:
                self._bring(_shares_of(stored), stay=False)
            for stored in relations:
                self._anchor(stored)
            self._may_break = self._may_break and not all(end.is_firm for end in self._ends)
            return self._made(Made(program, sources, together), sources, measure)

        return self.lasting(once, look=True)

    def alone(self, shares: Sequence[Held]) -> list[Held]:
        """The same shares, each as data that no task has made."""

        def once() -> list[Held]:
            self._bring(shares)
            found = alone(self.client, shares)
            self._shares.update(found)
            return found

        return self.lasting(once)

    def with_shares(self, shares: Sequence[Held], action: Callable[[], T]) -> T:
        """Does something with shares, which are there when it begins; more than once if they get lost."""

        def once() -> T:
            self._bring(shares)
            return action()

        return self.lasting(once)

    def lasting(self, action: Callable[[], T], look: bool = False) -> T:
        """Does something with the workers of the sites, and again with those that are there when some leave.

        Args:
            action: what is done.
            look: looks at the workers before, too; else they are those of the run before.
        """
        lost = _Losses(self.client)
        while True:
            try:
                if (look or lost.n) and self.sites.settle():
                    self._may_break = True
                    self._forget_lost()
                with naming_departed(self.client, self.sites.addresses):
                    return action()
            except DepartedError as error:
                lost.add(error)
                self._is_certain = False
                forget_frames(error)

    def release(self) -> None:
        """Lets go of all shares of the session: Dask's frames may hold some until the next collection."""
        for held in list(self._shares):
            held.release()

    # -- what was lost ----------------------------------------------------------------------------

    def _made(self, made: Made, sources: Mapping[str, TileSource], measure: bool = False) -> Run:
        run = self._send(made, sources, measure)
        made.own([[share.held for share in shares] for shares in run.shares])
        self._shares.update(share.held for shares in run.shares for share in shares)
        return run

    def _forget_lost(self) -> None:
        """Lets go of what is lost, so that the scheduler does not make it again for workers that are gone."""
        self._is_certain = False
        self._lost(list(self._shares))

    def _lost(self, shares: Sequence[Held]) -> list[Held]:
        """The shares that are not there; the scheduler is asked where the client may not have heard of it."""
        if not self._is_certain:
            others = [held for held in self._shares if held.is_there]
            there = who_has(self.client, [held.key for held in others])
            for held in others:
                if not there[held.key]:
                    held.lose()
                elif held.worker not in there[held.key]:  # another had read it
                    held.worker = there[held.key][0]
            self._is_certain = True
        found = [held for held in shares if not held.is_there]
        for held in found:
            held.lose()
        return found

    def _bring(self, shares: Sequence[Held], stay: bool = True) -> None:
        """Makes lost shares again; where they do not stay, takes them to the workers of sites that moved."""
        lost = self._lost(shares)
        if lost:
            again = Remaking(self._made, self._from_anchor, lambda held: not self._lost([held]))
            for held, found in zip(lost, again.shares([held.origin for held in lost]), strict=True):
                held.take(found)
        if stay:
            return
        moved = [
            (held, worker)
            for held, worker in zip(shares, self.sites.addresses, strict=False)
            if held.worker != worker
        ]
        for (held, _), copy in zip(moved, copied(self.client, moved), strict=True):
            held.take(copy)

    def _from_anchor(self, end: Anchor) -> Held:
        """The share that an anchor keeps, under a key of its own."""
        lost = self._lost(end.copies)
        there = [held for held in end.copies if held not in lost]
        if not there:
            raise LostError(
                "tiles are lost: every worker that had a copy of them died before there was another"
            )
        (found,) = alone(self.client, there[:1])
        found.origin = end
        return found

    def _anchor(self, stored: StoredSource) -> None:
        """Ends the row of runs that made a relation, where it has become long, or its end may break."""
        shares = _shares_of(stored)
        depth = max(depth_of(held.origin) for held in shares)
        is_alone = len(set(self.sites.addresses)) < 2
        may_break = self._may_break and not is_alone
        if depth < ANCHORED_AFTER * (4 if is_alone else 1) and not (
            may_break and not all(end.is_firm for end in ends_of(held.origin for held in shares))
        ):
            return
        ends = anchor(self.client, stored.root, shares, self.sites.addresses)
        self._ends.update(ends)
        self._shares.update(held for end in ends for held in end.copies)


class _Losses:
    """The workers that one run lost."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.n = 0
        self._at: Counter[str] = Counter()

    def add(self, error: DepartedError) -> None:
        """Enters a loss.

        Raises:
            PlanError: there were too many.
        """
        self.n += 1
        names = {name for worker in error.workers for name in _running(self._client, worker)}
        self._at.update(names)
        worst, n = next(iter(self._at.most_common(1)), ("", 0))
        if n >= SAME_TASK:
            raise PlanError(
                f"{counted(n, 'worker')} died while {worst} ran there, the last was {error.workers[0]}: a "
                "task may need more memory than a worker has, or a kernel end its process\n  hint: take "
                "smaller tiles, set memory_limit=, or give workers more memory; try kernels of your own with "
                "backend='local'"
            ) from error
        if self.n >= TRIES:
            raise PlanError(f"gave up after {TRIES} tries, each of which lost a worker: {error}") from error


def _running(client: Client, worker: str) -> list[str]:
    """Stages and sites of the tasks that a worker had when it left; other tasks may be anybody's."""
    assert client.scheduler is not None
    try:
        events = answer(client, client.scheduler.events, topic=worker)
    except (OSError, KeyError):
        return []
    told = (event for _, event in events or () if isinstance(event, Mapping))
    tasks = (task for event in told for task in event.get("processing-tasks", ()))
    return [f"{key[0]} of site {key[2]}" for key in tasks if _is_stage(key)]


def _is_stage(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) == 3 and str(key[0]).startswith("tra-stage")


def _shares_of(stored: StoredSource) -> list[Held]:
    return [share.held for share in stored.shares or ()]
