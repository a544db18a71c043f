"""Getting hold of a cluster, and making sure that it can run queries before one is sent."""

from __future__ import annotations

import asyncio
import signal
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster, rpc
from distributed.comm.addressing import parse_address
from distributed.comm.registry import get_backend
from distributed.deploy.cluster import Cluster
from distributed.scheduler import DEFAULT_EXTENSIONS as OF_SCHEDULER
from distributed.security import Security
from distributed.worker import DEFAULT_EXTENSIONS as OF_WORKER

from tra.algebra.counted import counted
from tra.backends.growth import SETTINGS, forget_keys_regularly, forget_regularly, without_spans
from tra.backends.script_guard import check_guard
from tra.backends.site_workers import alive
from tra.backends.usable_memory import USABLE
from tra.backends.workers import workers_there
from tra.errors import PlanError

CONNECT_SECONDS = 5.0  # for a connection to a scheduler
ANSWER_SECONDS = 10.0  # for its first answer, and for the workers asked for
BESIDE_TILES = 1 << 30  # bytes of a worker process for Python and its libraries


def open_client(
    scheduler: Any, threads: int | None, sites: int | None, memory_limit: int | None
) -> tuple[Client, list[Any]]:
    """A client for a scheduler address, a Client, a cluster object, or a LocalCluster started here.

    Returns:
        The client, and what has to be closed with the session (nothing that was given).

    Example:
        >>> open_client("head-node", threads=None, sites=None, memory_limit=None)
        Traceback (most recent call last):
        tra.errors.PlanError: 'head-node' is no address of a Dask scheduler: it needs a host and the number
        of a port; write one like tcp://host:8786, tls://host:8786 or host:8786

    Raises:
        PlanError: the address cannot be one, or no scheduler answers there.
    """
    if isinstance(scheduler, Client):
        return scheduler, []
    if scheduler is None:
        with ExitStack() as opened:
            cluster = opened.enter_context(_start(threads, sites, memory_limit))
            client = opened.enter_context(Client(cluster, set_as_default=False))
            client.run(forget_regularly)
            client.run_on_scheduler(forget_keys_regularly)
            opened.pop_all()
        return client, [client, cluster]
    if not isinstance(scheduler, str | Cluster) and not hasattr(scheduler, "scheduler_address"):
        raise PlanError(f"scheduler is an address, a Client or a cluster object of Dask; got {scheduler!r}")
    if isinstance(scheduler, str):
        check_address(scheduler)
        _check_answer(scheduler)
    try:
        client = Client(scheduler, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise PlanError(f"no Dask scheduler answers at {scheduler}: {error}") from None
    return client, [client]


def check_address(address: str) -> None:
    """Makes sure that an address has the form of one, before anything waits for an answer.

    Example:
        >>> check_address("tls://head-node:8786")
        >>> check_address("http://head-node:8787")
        Traceback (most recent call last):
        tra.errors.PlanError: 'http://head-node:8787' is no address of a Dask scheduler: unknown address
        scheme 'http' ...; write one like tcp://host:8786, tls://host:8786 or host:8786

    Raises:
        PlanError: it has no port, or begins with a scheme that Dask does not know.
    """
    fault = _fault(*parse_address(address))
    if fault:
        raise PlanError(
            f"{address!r} is no address of a Dask scheduler: {fault}; "
            "write one like tcp://host:8786, tls://host:8786 or host:8786"
        )


def _fault(scheme: str, place: str) -> str | None:
    try:
        transport = get_backend(scheme)
    except ValueError as error:
        return str(error)
    try:
        host, port = transport.get_address_host_port(place)
    except NotImplementedError:  # within this process, or with names of its own
        return None
    except ValueError:
        host, port = "", 0
    return None if host and 0 < port < 1 << 16 else "it needs a host and the number of a port"


def _check_answer(address: str) -> None:
    """Asks who is at an address: a Client that meets something else there is never done with it.

    The question is asked on a thread of its own: this one may run an event loop, as it does in a notebook.
    """
    with ThreadPoolExecutor(1) as pool:
        try:
            found = pool.submit(asyncio.run, _identity(address)).result()
        except Exception as error:  # other protocols are misread in many ways
            raise PlanError(f"no Dask scheduler answers at {address}: {_reason(error)}") from None
    if "workers" not in found:
        raise PlanError(f"no Dask scheduler answers at {address}: a {found.get('type')} is there")


async def _identity(address: str) -> dict[str, Any]:
    """What a server of Dask says of itself."""
    secrets = Security().get_connection_args("client")
    async with (
        asyncio.timeout(ANSWER_SECONDS),
        rpc(address, timeout=CONNECT_SECONDS, connection_args=secrets) as remote,
    ):
        found: dict[str, Any] = await remote.identity()
        return found


def _reason(error: BaseException) -> str:
    """Why there was no answer, in a few words."""
    if isinstance(error, TimeoutError):  # after a connection: one that fails is another OSError
        return f"something listens, but said nothing in {ANSWER_SECONDS:g} s (is it the dashboard's port?)"
    if isinstance(error, MemoryError):  # text that was read as a length
        return "what is there does not speak Dask's protocol (is it the dashboard's port?)"
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, TimeoutError | asyncio.CancelledError):
        return f"no connection in {CONNECT_SECONDS:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def _guarded() -> Iterator[None]:
    """Says what to do about the commonest reason for workers that do not start."""
    try:
        yield
    except RuntimeError as error:
        raise PlanError(
            f"the workers of a cluster did not start ({error}); in a script, connect below "
            'if __name__ == "__main__": since each worker process imports the script again'
        ) from error


@contextmanager
def _interrupts_kept_away() -> Iterator[None]:
    """Ctrl-C is for this process: a terminal sends it to all, and workers would die of it, with their tiles.

    The threads that are started meanwhile begin processes, now and later, and these inherit what is blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # the thread that starts it would let them through from then on
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(threads: int | None, sites: int | None, memory_limit: int | None) -> LocalCluster:
    """Workers as processes; stealing is off, since a plan says where its tasks run.

    Their own limit is above that of plans, so that what Dask and Python need beside tiles has room: a
    process above its limit is ended.
    """
    check_guard()
    n_workers, per_worker = sites or 2, threads or 1
    settings = {**SETTINGS, "logging.distributed": "critical"}
    of_scheduler = {name: found for name, found in OF_SCHEDULER.items() if name != "stealing"}
    with dask.config.set(settings), warnings.catch_warnings(), _guarded(), _interrupts_kept_away():
        warnings.simplefilter("ignore")
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=per_worker,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=int(memory_limit / USABLE) + BESIDE_TILES if memory_limit else "auto",
            silence_logs=40,
            scheduler_kwargs={"extensions": without_spans(of_scheduler)},
            extensions=without_spans(OF_WORKER),
            config=SETTINGS,  # of workers that come later too
        )


def worker_addresses(client: Client, sites: int | None) -> dict[str, Mapping[str, Any]]:
    """The workers that are the sites, in a fixed order, and what the scheduler says of each.

    Example:
        >>> from types import SimpleNamespace
        >>> workers = {"tcp://10.0.0.1:4001": {"name": 1}, "tcp://10.0.0.2:4001": {"name": 0}}
        >>> scheduler = SimpleNamespace(identity=None)
        >>> client = SimpleNamespace(status="running", scheduler=scheduler,
        ...                          sync=lambda *_, **__: {"workers": workers})
        >>> list(worker_addresses(client, sites=None))
        ['tcp://10.0.0.2:4001', 'tcp://10.0.0.1:4001']

    Raises:
        PlanError: there are no workers, or fewer than the sites asked for.
    """
    wanted = sites or 1
    if sites or not alive(client):  # they may be starting
        try:
            client.wait_for_workers(wanted, timeout=ANSWER_SECONDS)
        except TimeoutError:
            there = counted(len(workers_there(client)), "worker")
            asked = counted(wanted, "site") + " asked for" if sites else "a worker is needed"
            raise PlanError(f"{asked}, but after {ANSWER_SECONDS:g} s the cluster has {there}") from None
    workers = alive(client)
    if not workers:
        raise PlanError("no worker of the cluster gave a sign of life lately")
    ordered = sorted(workers, key=lambda address: (str(workers[address].get("name")), address))
    return {address: workers[address] for address in (ordered[:sites] if sites else ordered)}
