"""Workers that went away, and how that is told from a query that fails by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from traceback import clear_frames
from typing import Any

from distributed import Client, Future

# `distributed.wait` needs a default client. `Client.as_current` makes one, also in the configuration of the
# process; and when two threads do that at a time, it stays there.
from distributed.client import _wait as wait_all

from tra.backends.lineage import Held
from tra.backends.site_workers import present
from tra.errors import PlanError, TraError

_LOOK_SECONDS = 0.25  # between looks whether all workers are there, while a query runs
_NOTICE_SECONDS = 1.0  # that a scheduler may take to see that a worker is gone


class DepartedError(PlanError):
    """Workers left the cluster while it ran a query.

    Attributes:
        workers: their addresses; none where tasks or tiles were lost otherwise.
    """

    def __init__(self, message: str, workers: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.workers = tuple(workers)


def check_present(client: Client, workers: Sequence[str]) -> None:
    """Makes sure that workers are still there: a task for one that is not would wait.

    Example:
        >>> from types import SimpleNamespace
        >>> there = {"workers": {"tcp://10.0.0.1:4001": {}}}
        >>> scheduler = SimpleNamespace(identity=None)
        >>> client = SimpleNamespace(status="running", scheduler=scheduler, sync=lambda *_, **__: there)
        >>> check_present(client, ["tcp://10.0.0.1:4001"])
        >>> check_present(client, ["tcp://10.0.0.1:4001", "tcp://10.0.0.2:4001"])
        Traceback (most recent call last):
        tra.backends.departures.DepartedError: tcp://10.0.0.2:4001 left the cluster

    Raises:
        DepartedError: names the workers that left.
        PlanError: there is no connection to the scheduler.
    """
    there = present(client)
    gone = [worker for worker in dict.fromkeys(workers) if worker not in there]
    if gone:
        raise DepartedError(f"{', '.join(gone)} left the cluster", gone)


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
        tra.backends.departures.DepartedError: tcp://10.0.0.1:1 left the cluster

    Raises:
        DepartedError: names the workers that left.
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
                break
            time.sleep(0.1)
        if isinstance(error, CancelledError):
            raise DepartedError(f"the cluster gave up on tasks: {error}") from error
        raise


def _may_be_noticed_late(error: Exception) -> bool:
    """Claims that an error may be the first sign of a worker that is gone."""
    late = KeyError | OSError | CancelledError
    return isinstance(error, late) or type(error).__name__ == "KilledWorker"


def wait_for(
    client: Client,
    workers: Sequence[str],
    futures: Sequence[Future[Any]],
    needed: Sequence[Held] = (),
    until: float | None = None,
) -> None:
    """Waits until all tasks are done, or one failed.

    Args:
        client: a client of the cluster.
        workers: those that run the tasks.
        futures: the tasks.
        needed: shares that they read.
        until: when, by `time.monotonic()`, it has been long enough.

    Example:
        >>> wait_for(client=None, workers=[], futures=[])  # nothing to wait for

    Raises:
        DepartedError: a worker left meanwhile, and took tasks with it that are for no other, or tiles.
        TimeoutError: it was too long.
    """
    if not any(future.status == "pending" for future in futures):
        return

    async def done() -> None:
        await wait_all(list(futures))

    def look() -> bool:
        if until is not None and time.monotonic() > until:
            raise TimeoutError("tasks took too long")
        check_present(client, workers)
        check_held(needed)
        return any(future.status == "error" for future in futures)

    _watched(client, done, look)


def _watched(client: Client, begin: Callable[[], Awaitable[Any]], look: Callable[[], bool | None]) -> None:
    """Waits for something that may never end, and looks every so often whether it still can, or need not.

    What it gives is not kept by the loop that runs it, and neither are frames by errors: whatever Dask
    refers to stays in the memory of workers.
    """
    loop: Any = client.loop
    coming = asyncio.run_coroutine_threadsafe(_without_value(begin), loop.asyncio_loop)
    try:
        while True:
            try:
                coming.result(timeout=_LOOK_SECONDS)
                return
            except TimeoutError:
                if coming.done():
                    raise
                if look():
                    return
    finally:
        coming.cancel()
        del coming


async def _without_value(begin: Callable[[], Awaitable[Any]]) -> None:
    await begin()


def forget_frames(error: BaseException | None) -> None:
    """Lets go of what the frames hold that an error went through, which may be tasks, and tiles.

    Dask keeps errors in frames that they went through, so that they would live until the next collection.

    Example:
        >>> try:
        ...     raise KeyError("a")
        ... except KeyError as error:
        ...     forget_frames(error)
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def check_held(shares: Sequence[Held]) -> None:
    """Makes sure that shares are there, as far as the client was told.

    Example:
        >>> check_held([])

    Raises:
        DepartedError: one is not.
    """
    lost = [held for held in shares if not held.is_there]
    if lost:
        raise DepartedError(f"tiles that lay at {lost[0].worker} are gone")


def gathered(
    client: Client,
    workers: Sequence[str],
    futures: Sequence[Future[Any]],
    needed: Sequence[Held] = (),
    until: float | None = None,
) -> list[Any]:
    """The values of tasks, brought here.

    A gather waits for tasks that were lost, however long: so it is looked at from outside.

    Args:
        client: a client of the cluster.
        workers: those that make the values.
        futures: the tasks.
        needed: shares that they are made from.
        until: when, by `time.monotonic()`, tasks have taken too long.

    Raises:
        DepartedError: a worker left, and took a value with it.
        TimeoutError: tasks took too long.
    """
    found: list[Any] = []

    async def bring() -> None:
        bringing: Any = client.gather(list(futures), asynchronous=True)
        found.extend(await bringing)

    def look() -> None:
        check_present(client, workers)
        check_held(needed)
        if any(future.status in ("lost", "cancelled") for future in futures):
            raise DepartedError("values were lost on their way to the client")

    wait_for(client, workers, futures, needed, until)
    _watched(client, bring, look)
    return found


def on_workers(
    client: Client,
    workers: Sequence[str],
    function: Callable[..., Any],
    *arguments: Any,
    asked: Collection[str] = (),
) -> dict[str, Any]:
    """What a function gives at each worker, beside its tasks; waits for none that is gone, or stalled.

    Args:
        client: a client of the cluster.
        workers: where it is called.
        function: what is called.
        arguments: what with.
        asked: workers that it asks for something itself.

    Raises:
        DepartedError: a worker left.
    """
    found: dict[str, Any] = {}

    async def ask() -> None:
        asking: Any = client.run(function, *arguments, workers=list(dict.fromkeys(workers)))
        found.update(await asking)

    if workers:
        _watched(client, ask, lambda: check_present(client, [*workers, *asked]))
    return found


def scattered(client: Client, values: Mapping[str, Any], worker: str) -> dict[str, Future[Any]]:
    """Values sent to a worker, by key.

    Raises:
        DepartedError: the worker left.
    """
    found: dict[str, Future[Any]] = {}

    async def send() -> None:
        sending: Any = client.scatter(dict(values), workers=[worker], asynchronous=True)
        found.update(await sending)

    try:
        _watched(client, send, lambda: check_present(client, [worker]))
    except BaseException:  # the scheduler may have heard of some
        for key in values:
            Future(key, client).release()
        raise
    return found
