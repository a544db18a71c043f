"""Copies of shares on other workers: where a share moves with its site, and where a row of runs is to end.

They are entered as data by themselves (`rehome.py`), so that the scheduler forgets the tasks that made them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tra.backends.departures import DepartedError
from tra.backends.lineage import Anchor, Held
from tra.backends.rehome import Names, entered
from tra.backends.site_workers import present
from tra.backends.workers import answer
from tra.optimizer.boxes import boxes_of
from tra.optimizer.plan import Plan
from tra.optimizer.roles import Replicated, Split

if TYPE_CHECKING:
    from distributed import Client, Future


def copied(client: Client, wanted: Sequence[tuple[Held, str]]) -> list[Held]:
    """The same tiles at other workers, as data that no task has made.

    Args:
        client: a client of the cluster.
        wanted: shares, and the worker that each is to lie at as well.

    Raises:
        DepartedError: a share is gone.
    """
    parts = [held for held, _ in wanted if held.index is not None]
    whole = dict(zip(map(id, parts), alone(client, parts), strict=True))  # a part travels without the rest
    return _entered(client, [(whole.get(id(held), held), worker) for held, worker in wanted])


def alone(client: Client, shares: Sequence[Held]) -> list[Held]:
    """The same shares, each as data that no task has made, at the worker it lies at.

    Raises:
        DepartedError: a share is gone.
    """
    return _entered(client, [(held, None) for held in shares])


def _entered(client: Client, wanted: Sequence[tuple[Held, str | None]]) -> list[Held]:
    """Shares once more under new keys, where they lie or at a worker that is named."""
    if not wanted:
        return []
    there = who_has(client, [held.key for held, _ in wanted])
    names: Names = {}
    lying: list[tuple[str, str]] = []  # for each the worker that will have it, and its new key
    for held, worker in wanted:
        workers = there[held.key]
        if not workers:
            raise DepartedError(f"tiles that lay at {held.worker} are gone")
        source = held.worker if held.worker in workers else workers[0]
        target = worker or source
        known = names.setdefault(target, {})
        lying.append(
            (target, known.setdefault((source, held.key, held.index), f"tra-state-{uuid.uuid4().hex}"))
        )
    futures = entered(client, names)
    return [
        Held(again(futures[new]), None, target, held.origin)
        for (held, _), (target, new) in zip(wanted, lying, strict=True)
    ]


def who_has(client: Client, keys: Sequence[Any]) -> dict[Any, list[str]]:
    """The workers that have each key and are not silent, as the scheduler knows it now."""
    assert client.scheduler is not None
    there = set(present(client)) if keys else set()
    found = answer(client, client.scheduler.who_has, keys=list(keys))
    return {key: [worker for worker in found.get(key, ()) if worker in there] for key in keys}


def anchor(client: Client, root: Plan, shares: Sequence[Held], workers: Sequence[str]) -> list[Anchor]:
    """Ends the row of runs that made a relation: its tiles are kept at two workers each.

    What is kept has keys that no task reads. One that is read lies at several workers for a while, and Dask
    decides at which it stays. A relation that lies everywhere needs no copies. Of others each is made by
    another worker; what is kept where a share lies is the share itself, under one more key.

    Args:
        client: a client of the cluster.
        root: what the relation is, and where it lies.
        shares: those of all sites, all of them there; each becomes data by itself.
        workers: the workers of the sites.
    """
    made = alone(client, shares)
    kept = alone(client, made)
    others = list(dict.fromkeys(workers))
    groups = _alike(root, kept)
    single = [group for group in groups if len({held.worker for held in group}) == 1]
    wanted = [(group[0], _next(others, group[0].worker)) for group in single] if len(others) > 1 else []
    beside = {id(held): copy for (held, _), copy in zip(wanted, copied(client, wanted), strict=True)}
    ends: dict[int, Anchor] = {}
    for group in groups:
        seconds = [held for held in group if held.worker != group[0].worker][:1]
        second = seconds or ([beside[id(group[0])]] if id(group[0]) in beside else [])
        ends.update((id(held), Anchor((group[0], *second))) for held in group)
    for old, new, held in zip(shares, made, kept, strict=True):
        old.take(new)
        old.origin = ends[id(held)]
    for held in (*kept, *beside.values()):
        held.origin = None  # it is an end itself
    return list(dict.fromkeys(ends.values()))


def again(future: Future[Any]) -> Future[Any]:
    """Another reference to the same value, which lives as long as any of them."""
    from distributed import Future  # it takes longer to load than all of tra

    return Future(future.key, future.client)


def _next(workers: Sequence[str], worker: str) -> str:
    """The worker after one; the first, where it is not among them."""
    place = workers.index(worker) if worker in workers else -1
    return workers[(place + 1) % len(workers)]


def _alike(root: Plan, shares: Sequence[Held]) -> list[list[Held]]:
    """The shares in groups that hold the same tiles."""
    if not all(isinstance(role, Split | Replicated) for role in root.placement.roles):
        return [[held] for held in shares]
    found: dict[Any, list[Held]] = {}
    for box, held in zip(boxes_of(root.type, root.placement), shares, strict=False):
        found.setdefault(box, []).append(held)
    return list(found.values())
