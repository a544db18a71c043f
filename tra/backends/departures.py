"""Workers that went away: a session's plans are for the workers it began with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distributed import Client, Future, wait

from tra.backends.workers import workers_there
from tra.errors import PlanError, TraError

_LOOK_SECONDS = 1.0  # between looks whether all workers are there, while a query runs
_NOTICE_SECONDS = 1.0  # that a scheduler may take to see that a worker is gone


def check_present(client: Client, workers: Sequence[str]) -> None:
    """Makes sure that the workers of a session are still there: a task for one that is not would wait.

    Example:
        >>> from types import SimpleNamespace
        >>> there = {"workers": {"tcp://10.0.0.1:4001": {}}}
        >>> scheduler = SimpleNamespace(identity=None)
        >>> client = SimpleNamespace(status="running", scheduler=scheduler, sync=lambda *_, n_workers: there)
        >>> check_present(client, ["tcp://10.0.0.1:4001"])
        >>> check_present(client, ["tcp://10.0.0.1:4001", "tcp://10.0.0.2:4001"])
        Traceback (most recent call last):
        tra.errors.PlanError: tcp://10.0.0.2:4001 left the cluster, and the session plans for it; connect
        again to plan for the workers that are there

    Raises:
        PlanError: names the workers that left.
    """
    if client.status != "running":
        raise PlanError("the Client of this session has no connection to its cluster; connect again")
    there = workers_there(client)
    gone = [worker for worker in workers if worker not in there]
    if gone:
        them = "it" if len(gone) == 1 else "them"
        raise PlanError(
            f"{', '.join(gone)} left the cluster, and the session plans for {them}; connect again to plan "
            "for the workers that are there"
        )


@contextmanager
def naming_departed(client: Client, workers: Sequence[str]) -> Iterator[None]:
    """Where Dask fails because a worker went away, says so; every other error goes on as it is.

    Example:
        >>> from types import SimpleNamespace
        >>> scheduler = SimpleNamespace(identity=None)
        >>> none = {"workers": {}}
        >>> client = SimpleNamespace(status="running", scheduler=scheduler, sync=lambda *_, **__: none)
        >>> with naming_departed(client, ["tcp://10.0.0.1:1"]):
        ...     raise KeyError("tcp://10.0.0.1:1")
        Traceback (most recent call last):
        tra.errors.PlanError: tcp://10.0.0.1:1 left the cluster...

    Raises:
        PlanError: names the workers that left.
    """
    try:
        yield
    except TraError:
        raise
    except Exception as error:
        until = time.monotonic() + (_NOTICE_SECONDS if _may_be_noticed_late(error) else 0.0)
        while True:
            try:
                check_present(client, workers)
            except PlanError as departed:
                raise departed from error
            if time.monotonic() >= until:
                raise
            time.sleep(0.1)


def _may_be_noticed_late(error: Exception) -> bool:
    """Claims that an error may be the first sign of a worker that is gone."""
    return isinstance(error, KeyError | OSError) or type(error).__name__ == "KilledWorker"


def wait_for(client: Client, workers: Sequence[str], futures: Sequence[Future[Any]]) -> None:
    """Waits until all tasks are done, or failed.

    Example:
        >>> wait_for(client=None, workers=[], futures=[])  # nothing to wait for

    Raises:
        PlanError: a worker left meanwhile, and took tasks with it that are for no other.
    """
    while futures:
        try:
            with client.as_current():  # the client may be nobody's default
                wait(futures, timeout=_LOOK_SECONDS)
        except TimeoutError:
            check_present(client, workers)
        else:
            return
