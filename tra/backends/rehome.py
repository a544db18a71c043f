"""Giving stored shares a life of their own: on Dask a result keeps alive the tasks that made it.

A parameter that each step makes from the one before would make the scheduler remember every step there was.
Now and then the values are therefore entered once more, as data that no task has made: by the worker that
has them, under a new key, without a copy. What made them is forgotten with the old key.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tra.backends.backend import Backend, Share

if TYPE_CHECKING:
    from distributed import Client

Names = dict[str, dict[tuple[Any, int | None], str]]  # by worker the new key of each old one, or of a part


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
    client, workers = getattr(backend, "client", None), getattr(backend, "workers", ())
    if client is None:  # here memory goes with the last reference, and nothing remembers what made it
        return [tuple(shares) for shares in relations]
    names: Names = {worker: {} for worker in workers}
    for shares in relations:
        for worker, share in zip(workers, shares, strict=False):
            names[worker][_place(share)] = f"tra-state-{uuid.uuid4().hex}"
    futures = _entered(client, names)
    return [
        tuple(
            Share(futures[names[worker][_place(share)]], share.nbytes)
            for worker, share in zip(workers, shares, strict=False)
        )
        for shares in relations
    ]


def _place(share: Share) -> tuple[Any, int | None]:
    """The key that holds a share, and which of its parts it is, if it is not all of it."""
    return share.held.key, getattr(share.held, "index", None)


def _entered(client: Client, names: Names) -> dict[str, Any]:
    """Futures of the new keys, once workers and scheduler know them."""
    from distributed import Future  # it takes longer to load than all of tra

    found = client.run(keep_here, names, workers=[worker for worker, keys in names.items() if keys])
    who_has = {key: [worker] for worker, sizes in found.items() for key in sizes}
    nbytes = {key: size for sizes in found.values() for key, size in sizes.items()}

    async def announce() -> dict[str, Any]:
        assert client.scheduler is not None
        await client.scheduler.update_data(who_has=who_has, nbytes=nbytes, client=client.id)
        futures: dict[str, Any] = {key: Future(key, client) for key in who_has}
        for key in futures:
            client.futures[key].finish()
        return futures

    made: dict[str, Any] = client.sync(announce)
    return made


def keep_here(
    names: Mapping[str, Mapping[tuple[Any, int | None], str]], dask_worker: Any = None
) -> dict[str, int]:
    """Enters values that a worker has under new keys, and says how large they are.

    Example:
        >>> from types import SimpleNamespace
        >>> entered = {}
        >>> def enter(data):
        ...     entered.update(data)
        ...     return {"nbytes": {"new": 8}}
        >>> worker = SimpleNamespace(contact_address="tcp://a:1", update_data=enter)
        >>> worker.data = {"old": ("more", "tiles")}
        >>> keep_here({"tcp://a:1": {("old", 1): "new"}}, dask_worker=worker), entered
        ({'new': 8}, {'new': 'tiles'})
    """
    from tra.backends.worker import one_of  # Dask takes longer to load than all of tra

    mine = names[dask_worker.contact_address]
    data = {new: one_of(dask_worker.data[key], index) for (key, index), new in mine.items()}
    sizes: dict[str, int] = dask_worker.update_data(data)["nbytes"]
    return sizes
