"""Calls where shares lie, which are over when the caller goes on: also when it gives up.

Such a call writes to files. A caller that stops waiting, since a worker died or somebody pressed Ctrl-C,
removes the file or has it written once more; so nobody may still be writing to it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

from distributed import Client, Future

from tra.algebra.types import Tile, TileKey
from tra.backends.departures import gathered, on_workers
from tra.backends.lineage import Held
from tra.backends.site_workers import present
from tra.backends.tiles import Tiles

_END_SECONDS = 20.0  # for what is being done with one tile
_running: Counter[str] = Counter()  # by what they belong to
_given_up: dict[str, None] = {}  # the last callers that gave up, oldest first
_REMEMBERED = 4096
_lock = Lock()


class GivenUpError(Exception):
    """Nobody waits for what a task does any more."""


def call_at_sites(
    client: Client,
    workers: Sequence[str],
    held: Sequence[Held],
    function: Callable[..., Any],
    arguments: Sequence[Sequence[Any]],
) -> list[Any]:
    """What a function gives for each share, called where that lies.

    Args:
        client: a client of the cluster.
        workers: those of the sites.
        held: the shares.
        function: takes the tiles of a share, one after the other, and arguments of its own.
        arguments: for each share.

    Raises:
        DepartedError: a worker left; no call runs any more.
    """
    token = uuid.uuid4().hex
    there = list(dict.fromkeys(one.worker for one in held))
    futures: list[Future[Any]] = []
    try:
        for one, more in zip(held, arguments, strict=True):
            futures.append(
                client.submit(
                    site_task, token, one.future, function, *more,
                    pure=False, workers=[one.worker], allow_other_workers=False,
                )
            )  # fmt: skip
        return gathered(client, [*workers, *there], futures, held)
    except BaseException:
        for future in futures:
            future.release()
        _give_up(client, there, token)
        raise


def _give_up(client: Client, workers: Sequence[str], token: str) -> None:
    """Waits until no call runs any more, where workers can still be asked."""
    left = set(workers)
    with suppress(Exception):
        while left := left & set(present(client)):
            left = {worker for worker in left if not _has_ended(client, worker, token)}


def _has_ended(client: Client, worker: str, token: str) -> bool:
    """Claims that no call runs on a worker, or that it cannot be asked."""
    try:
        return bool(on_workers(client, [worker], end_calls, token)[worker])
    except Exception:
        return True


def site_task(token: str, tiles: Tiles, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function with tiles that end with an error when the caller has given up.

    Example:
        >>> import numpy as np
        >>> tiles = Tiles(np.array([[0], [1]]), [np.ones(1), np.ones(2)])
        >>> site_task("write", tiles, lambda tiles, more: [key for key, _ in tiles] + more, [2])
        [(0,), (1,), 2]
    """
    with _lock:
        _running[token] += 1
    try:
        return function(_wanted(token, tiles), *arguments)
    finally:
        with _lock:
            _running[token] -= 1
            if not _running[token]:
                del _running[token]


def _wanted(token: str, tiles: Tiles) -> Iterator[tuple[TileKey, Tile]]:
    for key, tile in tiles:
        if token in _given_up:
            raise GivenUpError
        yield key, tile


async def end_calls(token: str) -> bool:
    """Ends the calls of a caller here; says whether none runs any more.

    Example:
        >>> asyncio.run(end_calls("nothing of this runs"))
        True
    """
    _given_up[token] = None
    while len(_given_up) > _REMEMBERED:
        del _given_up[next(iter(_given_up))]
    until = time.monotonic() + _END_SECONDS
    while token in _running and time.monotonic() < until:
        await asyncio.sleep(0.005)
    return token not in _running
