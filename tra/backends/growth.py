"""What Dask keeps of tasks that are over, and what of it a cluster of our own lets go.

A session may run for days, and its processes are to stay as large as they are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from dask.utils import key_split
from tornado.ioloop import PeriodicCallback

from tra.backends.worker import is_kept

TRANSFERS = 100_000  # that a worker remembers
SECONDS = 10.0  # between two times that old things are let go
_OLD = 60.0  # seconds after which a transfer of a run that is over is of no interest

SETTINGS = {
    "distributed.worker.profile.enabled": False,  # it keeps stacks of each second
    "distributed.admin.log-length": 1000,  # of 10,000 lines, 12 MB
}


def without_history(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Dask's extensions of a scheduler or worker, but for spans, which keep the groups of all tasks for ever.

    Nor do workers steal tasks from each other, since a plan says where its tasks run.

    Example:
        >>> without_history({"spans": 1, "stealing": 2, "amm": 3})
        {'amm': 3}
    """
    return {name: found for name, found in extensions.items() if name not in ("spans", "stealing")}


def forget_regularly(dask_worker: Any = None) -> None:
    """Makes a worker's log of transfers long, and has what nobody asks for any more let go.

    What a measured run has moved is counted from that log. Dask has one length for all of its logs, and
    others hold whole messages.
    """
    dask_worker.transfer_incoming_log = deque(dask_worker.transfer_incoming_log, maxlen=TRANSFERS)
    _regularly(dask_worker, lambda: forget(dask_worker.transfer_incoming_log))


def forget_keys_regularly(dask_scheduler: Any = None) -> None:
    """Has a scheduler let go of the names of keys that it has met."""
    _regularly(dask_scheduler, key_split.cache_clear)


def _regularly(server: Any, function: Any) -> None:
    server.periodic_callbacks["tra-forget"] = callback = PeriodicCallback(function, 1000 * SECONDS)
    callback.start()  # Dask stops it with the server


def forget(transfers: deque[dict[str, Any]]) -> None:
    """Lets go of transfers for runs that are over, and of the names of 100,000 keys that Dask has met.

    Example:
        >>> log = deque([{"stop": 0.0, "keys": {("tra-send", "5f1e", 0): 64}}])
        >>> forget(log)
        >>> log
        deque([])
    """
    key_split.cache_clear()
    while transfers and transfers[0]["stop"] < time.time() - _OLD and not _is_of_kept(transfers[0]):
        transfers.popleft()


def _is_of_kept(transfer: Mapping[str, Any]) -> bool:
    return any(isinstance(key, tuple) and is_kept(key[1]) for key in transfer["keys"] if len(key) > 1)
