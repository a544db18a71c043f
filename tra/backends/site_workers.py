"""Which worker is which site of a session, while workers die, stall, are slow, and join.

A session has as many sites as it began with: plans, placements and the order of sums stay, and with them the
bits of results. What changes is which worker a site is. The sites of a worker that is gone go to one that has
none, or to the one that has the fewest; a worker that joins takes over sites of those that have several. One
that is much slower than the others (`paces.py`) gives its sites to them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from distributed import Client

from tra.backends.paces import Paces
from tra.backends.workers import workers_there
from tra.errors import PlanError

PATIENCE_SECONDS = 30.0  # for a worker, where there is none
STALL_SECONDS = (
    30.0  # without a sign of life: heartbeats come every half second, or every few on large clusters
)
_LOOK_SECONDS = 0.2


class SiteWorkers:
    """The worker of each site.

    Attributes:
        addresses: by site.
        slow: workers that get no sites as long as there are others.
    """

    def __init__(
        self,
        client: Client,
        addresses: Collection[str],
        admit: Callable[[Sequence[str]], None],
        refill: Callable[[], None] = lambda: None,
    ) -> None:
        """Begins with some workers.

        Args:
            client: a client of the cluster.
            addresses: the worker of each site.
            admit: makes sure that new workers can run tasks, or raises `PlanError`, and `OSError` where they
                are gone again.
            refill: starts workers in the place of those that are gone, where nobody else does.
        """
        self.client, self.addresses = client, list(addresses)
        self.slow: set[str] = set()
        self._admit, self._refill = admit, refill
        self._n_workers = len(set(addresses))
        self._paces = Paces()
        self._admitted = set(addresses)
        self._refused: set[str] = set()

    def settle(self) -> bool:
        """Gives every site a worker that is there; says whether any site moved.

        Raises:
            PlanError: no worker is there, and none comes; or there is no connection to the scheduler.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = alive(self.client)
            if len(found) < self._n_workers:
                self._refill()
            self.slow = self._paces.slow(found)
            there = self._usable(found)
            if there:
                break
            if time.monotonic() > until:
                raise PlanError(
                    f"all workers left the cluster, and none joined it in {PATIENCE_SECONDS:g} s; connect "
                    "again when there are some"
                )
            time.sleep(_LOOK_SECONDS)
        before = self.addresses
        self.addresses = spread(before, there, self.slow)
        return self.addresses != before

    def _usable(self, there: Collection[str]) -> list[str]:
        """Workers that can run tasks; new ones are looked at only where a site needs one."""
        new = [worker for worker in there if worker not in self._admitted | self._refused]
        crowded = len(set(self.addresses) & set(there) - self.slow) < len(self.addresses)
        for worker in new if crowded else ():
            try:
                self._admit([worker])
                self._admitted.add(worker)
            except PlanError:
                self._refused.add(worker)
            except (OSError, KeyError):  # gone again
                continue
        return [worker for worker in there if worker in self._admitted]


def present(client: Client) -> list[str]:
    """The workers that are there and gave a sign of life lately.

    Example:
        >>> from types import SimpleNamespace
        >>> there = {"workers": {"tcp://10.0.0.1:4001": {}}}
        >>> scheduler = SimpleNamespace(identity=None)
        >>> client = SimpleNamespace(status="running", scheduler=scheduler, sync=lambda *_, **__: there)
        >>> present(client)
        ['tcp://10.0.0.1:4001']

    Raises:
        PlanError: there is no connection to the scheduler.
    """
    return list(alive(client))


def alive(client: Client) -> dict[str, Mapping[str, Any]]:
    """What the scheduler says of each worker that gave a sign of life lately, by address.

    Raises:
        PlanError: there is no connection to the scheduler.
    """
    if client.status != "running":
        raise no_connection(client)
    try:
        found = workers_there(client)
    except OSError as error:
        raise no_connection(client) from error
    latest = max((float(info.get("last_seen", 0.0)) for info in found.values()), default=0.0)
    return {worker: info for worker, info in found.items() if not _is_stalled(info, latest)}


def _is_stalled(info: Mapping[str, Any], latest: float) -> bool:
    """Claims that a worker is silent while others, by the same clock, are not, or that it is going."""
    silent = latest - float(info.get("last_seen", latest)) > STALL_SECONDS
    return silent or info.get("status", "running") in ("closing", "closing_gracefully", "closed")


def no_connection(client: Client) -> PlanError:
    """The error of a session whose scheduler is gone."""
    return PlanError(
        "the Client of this session has no connection to its cluster; connect again. Checkpoints and saved "
        "relations are as they were"
    )


def spread(before: Sequence[str], there: Sequence[str], slow: Collection[str] = ()) -> list[str]:
    """The worker of each site, with as few changes as there can be.

    Args:
        before: the worker of each site until now.
        there: the workers that can be used.
        slow: those that are used only where there are no others.

    Example:
        >>> spread(["a", "b", "c"], ["a", "b"])
        ['a', 'b', 'a']
        >>> spread(["a", "b", "a"], ["a", "b", "d"])
        ['d', 'b', 'a']
        >>> spread(["a", "b", "c"], ["a", "b", "c"], slow={"c"})
        ['a', 'b', 'a']
    """
    good = [worker for worker in there if worker not in slow] or list(there)
    found: list[str | None] = [worker if worker in good else None for worker in before]
    sites = Counter({worker: found.count(worker) for worker in good})
    for site, worker in enumerate(found):
        if worker is not None and sites[worker] > min(sites.values()) + 1:
            sites[worker] -= 1
            found[site] = None
    for site, worker in enumerate(found):
        if worker is None:
            found[site] = least = min(good, key=lambda address: sites[address])
            sites[least] += 1
    return [worker for worker in found if worker is not None]
