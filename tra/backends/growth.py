"""What Dask keeps of tasks that are over, and what of it a cluster of our own lets go.

A session may run for days, and its processes are to stay as large as they are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from dask.utils import key_split
from tornado.ioloop import PeriodicCallback

from tra.backends.worker import is_kept

TRANSFERS = 100_000  # that a worker remembers
SECONDS = 10.0  # between two times that old things are let go
_NAME = "tra-forget"  # of what does it
_OLD = 60.0  # seconds after which a transfer of a run that is over is of no interest

SETTINGS = {
    "distributed.worker.profile.enabled": False,  # it keeps stacks of each second
    "distributed.admin.log-length": 1000,  # of 10,000 lines, 12 MB
}


def without_spans(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Dask's extensions of a scheduler or worker, but for spans, which keep the groups of all tasks for ever.

    Example:
        >>> without_spans({"spans": 1, "amm": 2})
        {'amm': 2}
    """
    return {name: found for name, found in extensions.items() if name != "spans"}


def forget_regularly(dask_worker: Any = None) -> None:
    """Makes a worker's log of transfers long, and has what nobody asks for any more let go.

    What a measured run has moved is counted from that log. Dask has one length for all of its logs, and
    others hold whole messages.

    Example:
        >>> import asyncio
        >>> from types import SimpleNamespace
        >>> worker = SimpleNamespace(transfer_incoming_log=deque(maxlen=10), periodic_callbacks={})
        >>> async def begun():
        ...     forget_regularly(dask_worker=worker)
        >>> asyncio.run(begun())
        >>> worker.transfer_incoming_log.maxlen, list(worker.periodic_callbacks)
        (100000, ['tra-forget'])
    """
    dask_worker.transfer_incoming_log = log = deque(dask_worker.transfer_incoming_log, maxlen=TRANSFERS)

    def forget() -> None:
        forget_transfers(log)
        key_split.cache_clear()

    _regularly(dask_worker, forget)


def forget_keys_regularly(dask_scheduler: Any = None) -> None:
    """Has a scheduler let go of the names of keys that it has met: Dask keeps 100,000."""
    _regularly(dask_scheduler, key_split.cache_clear)


def _regularly(server: Any, function: Callable[[], None]) -> None:
    if _NAME in server.periodic_callbacks:
        server.periodic_callbacks[_NAME].stop()
    server.periodic_callbacks[_NAME] = callback = PeriodicCallback(function, 1000 * SECONDS)
    callback.start()  # Dask stops it with the server


def forget_transfers(transfers: deque[dict[str, Any]]) -> None:
    """Lets go of transfers for runs that are over.

    Example:
        >>> log = deque([{"stop": 0.0, "keys": {("tra-send", "5f1e", 0): 64}}])
        >>> forget_transfers(log)
        >>> log
        deque([])
    """
    while transfers and transfers[0]["stop"] < time.time() - _OLD and not _is_of_kept(transfers[0]):
        transfers.popleft()


def _is_of_kept(transfer: Mapping[str, Any]) -> bool:
    return any(isinstance(key, tuple) and len(key) > 1 and is_kept(key[1]) for key in transfer["keys"])
