"""Giving stored shares a life of their own: on Dask a result keeps alive the tasks that made it.

A parameter that each step makes from the one before would make the scheduler remember every step there was.
Now and then the values are therefore entered once more, as data that no task has made: by the worker that
has them, under a new key, without a copy. What made them is forgotten with the old key. Another worker may
enter them too, and gets them from the one that has them. Dask would note that both have the old key, and
delete one of the two later, whichever it likes; a new key is at one worker, and stays there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tra.backends.backend import Backend, Share

if TYPE_CHECKING:
    from distributed import Client

Names: TypeAlias = dict[str, dict[tuple[str, Any, int | None], str]]
"""By worker the new key of each value, or part of one: where it lies, its key, and which part."""
_BUSY_SECONDS = 0.05  # until a worker is asked again that sends to many


def rehome(backend: Backend, relations: Sequence[Sequence[Share]]) -> list[tuple[Share, ...]]:
    """The same shares, each as data by itself; those that were given are the caller's to release.

    Args:
        backend: where they lie.
        relations: for each relation a share per site.

    Example:
        >>> from tra.backends.local import LocalBackend
        >>> rehome(LocalBackend(), [[Share("tiles", 8)]])
        [(Share(held='tiles', nbytes=8),)]
    """
    recovery = getattr(backend, "recovery", None)
    if recovery is None:  # here memory goes with the last reference, and nothing remembers what made it
        return [tuple(shares) for shares in relations]
    made = iter(recovery.alone([share.held for shares in relations for share in shares]))
    return [tuple(Share(next(made), share.nbytes) for share in shares) for shares in relations]


def bring(backend: Backend, shares: Sequence[Share]) -> None:
    """Makes sure that shares are there; what was lost with a worker is made again.

    Example:
        >>> from tra.backends.local import LocalBackend
        >>> bring(LocalBackend(), [Share("tiles", 8)])  # nothing is lost here
    """
    recovery = getattr(backend, "recovery", None)
    if recovery is not None:
        recovery.with_shares([share.held for share in shares], lambda: None)


def entered(client: Client, names: Names) -> dict[str, Any]:
    """Futures of the new keys, once workers and scheduler know them.

    Raises:
        DepartedError: a value is gone, or a worker.
    """
    from distributed import Future  # these take longer to load than all of tra

    from tra.backends.departures import DepartedError, on_workers
    from tra.backends.workers import answer

    sources = {source for keys in names.values() for source, _, _ in keys}
    targets = [worker for worker, keys in names.items() if keys]
    found = on_workers(client, targets, keep_here, names, asked=sources)
    who_has = {key: [worker] for worker, sizes in found.items() for key in sizes}
    nbytes = {key: size for sizes in found.values() for key, size in sizes.items()}

    async def announce() -> dict[str, Any]:
        assert client.scheduler is not None
        await client.scheduler.update_data(who_has=who_has, nbytes=nbytes, client=client.id)
        futures: dict[str, Any] = {key: Future(key, client) for key in who_has}
        for key in futures:
            client.futures[key].finish()
        return futures

    try:
        made: dict[str, Any] = answer(client, announce)
    except BaseException:  # a worker left meanwhile: the scheduler may have heard of some keys
        for key in who_has:
            Future(key, client).release()
        raise
    gone = [old for keys in names.values() for old, new in keys.items() if new not in made]
    if gone:
        raise DepartedError(f"tiles that lay at {gone[0][0]} are gone")
    return made


async def keep_here(names: Names, dask_worker: Any = None) -> dict[str, int]:
    """Enters values under new keys at a worker, and says how large they are; some may be gone.

    Example:
        >>> from types import SimpleNamespace
        >>> entered = {}
        >>> def enter(data):
        ...     entered.update(data)
        ...     return {"nbytes": {"new": 8}}
        >>> worker = SimpleNamespace(contact_address="tcp://a:1", update_data=enter)
        >>> worker.data = {"old": ("more", "tiles")}
        >>> names = {"tcp://a:1": {("tcp://a:1", "old", 1): "new", ("tcp://a:1", "older", None): "newer"}}
        >>> asyncio.run(keep_here(names, dask_worker=worker)), entered
        ({'new': 8}, {'new': 'tiles'})
    """
    from tra.backends.worker import one_of  # Dask takes longer to load than all of tra

    data = {}
    for (source, key, index), new in names[dask_worker.contact_address].items():
        for value in await _values(dask_worker, source, key):
            data[new] = one_of(value, index)
    sizes: dict[str, int] = dask_worker.update_data(data)["nbytes"]
    return sizes


async def _values(here: Any, source: str, key: Any) -> list[Any]:
    """A value, from here or from another worker; nothing where it is not there."""
    if source == here.contact_address:
        return [here.data[key]] if key in here.data else []
    from distributed.worker import get_data_from_worker

    while True:
        try:
            found: Any = await get_data_from_worker(here.rpc, [key], source, who=here.contact_address)
        except OSError:  # the other left
            return []
        if found["status"] != "busy":
            return list(found["data"].values())
        await asyncio.sleep(_BUSY_SECONDS)
