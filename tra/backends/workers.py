"""The workers of a cluster, as its scheduler knows them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distributed import Client

ANSWER_SECONDS = 60.0  # for a scheduler, which may be busy; one that is stopped keeps its connections


def workers_there(client: Client) -> Mapping[str, Mapping[str, Any]]:
    """What the scheduler says of each worker, by address, asked anew.

    `Client.scheduler_info` returns what the client keeps, and a summary without workers takes its place
    every so often, also between asking and returning.

    Example:
        >>> from types import SimpleNamespace
        >>> known = {"workers": {"tcp://10.0.0.1:4001": {"name": 0}}}
        >>> scheduler = SimpleNamespace(identity=lambda n_workers: known)
        >>> client = SimpleNamespace(scheduler=scheduler, sync=lambda ask, n_workers, **_: ask(n_workers))
        >>> list(workers_there(client))
        ['tcp://10.0.0.1:4001']

    Raises:
        OSError: the scheduler gives no answer.
    """
    assert client.scheduler is not None
    known = answer(client, client.scheduler.identity, n_workers=-1)
    found: Mapping[str, Mapping[str, Any]] = known["workers"]
    return found


def answer(client: Client, ask: Callable[..., Any], **named: Any) -> Any:
    """What a scheduler answers to a question, which is a function of coroutines.

    Example:
        >>> from types import SimpleNamespace
        >>> answer(SimpleNamespace(sync=lambda ask, **_: ask()), lambda: "yes")
        'yes'

    Raises:
        OSError: it gives no answer.
    """
    return client.sync(ask, callback_timeout=ANSWER_SECONDS, **named)
