"""The workers of a cluster, as its scheduler knows them now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distributed import Client


def workers_there(client: Client) -> Mapping[str, Mapping[str, Any]]:
    """What the scheduler says of each worker, by address, asked anew.

    `Client.scheduler_info` returns what the client keeps, and a summary without workers takes its place
    every so often, also between asking and returning.

    Example:
        >>> from types import SimpleNamespace
        >>> known = {"workers": {"tcp://10.0.0.1:4001": {"name": 0}}}
        >>> scheduler = SimpleNamespace(identity=lambda n_workers: known)
        >>> client = SimpleNamespace(scheduler=scheduler, sync=lambda ask, n_workers: ask(n_workers))
        >>> list(workers_there(client))
        ['tcp://10.0.0.1:4001']
    """
    assert client.scheduler is not None
    found: Mapping[str, Mapping[str, Any]] = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    return found
