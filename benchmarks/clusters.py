"""Clusters for comparisons, and one ruler for both systems: bytes between workers, tasks that ran."""

from __future__ import annotations

import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import cloudpickle
import dask
import psutil
from distributed import Client, LocalCluster, futures_of, wait

import tra
from tra.backends.session import Session

LOG_LENGTH = 200_000  # transfers and transitions remembered
SETTLED = 0.05  # seconds between two looks
PATIENCE = 10.0  # seconds to wait for that

# Workers elsewhere have tra, but not its benchmarks.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@contextmanager
def dask_client(n_workers: int, scheduler: Any = None) -> Iterator[Client]:
    """A cluster of single-threaded worker processes with Dask's own defaults, or one that is there."""
    settings = {"distributed.admin.low-level-log-length": LOG_LENGTH, "logging.distributed": "critical"}
    with dask.config.set(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if scheduler is not None:
            with Client(scheduler, set_as_default=False) as client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=40
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


@contextmanager
def shared_cluster(n_workers: int, scheduler: Any = None, **options: Any) -> Iterator[tuple[Client, Session]]:
    """One cluster for both systems: dask's client, and a session of tra on the same workers.

    Args:
        n_workers: workers to start where no scheduler is given; all that are there are used.
        scheduler: an address.
        options: of `tra.connect`.
    """
    with (
        dask_client(n_workers, scheduler) as client,
        copies_kept(client),
        tra.connect("dask", scheduler=client, progress=False, **options) as session,
    ):
        yield client, session


def persist(client: Client, collections: Sequence[Any]) -> list[Any]:
    """Computes collections on the workers and waits until they are there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        kept: list[Any] = client.persist(list(collections))
    with client.as_current():
        wait([future for collection in kept for future in futures_of(collection)])
    return kept


@contextmanager
def copies_kept(client: Client) -> Iterator[None]:
    """No copy of a result is dropped by the scheduler of its own accord; `settle` does that.

    Dask drops one of several copies within two seconds, any of them, so that inputs wander from run to run.
    """
    client.amm.stop()
    try:
        yield
    finally:
        client.amm.start()


def homes(client: Client) -> dict[Any, str]:
    """Where each result lies now, by its key."""
    return client.run_on_scheduler(look_for_homes)


def settle(client: Client, homes: Mapping[Any, str]) -> None:
    """Waits until the cluster is as it was when `homes` was asked for.

    The scheduler has forgotten what was let go, and inputs lie where they were put and nowhere else.
    """
    deadline = time.monotonic() + PATIENCE
    before: tuple[int, int] | None = None
    while time.monotonic() < deadline:
        now = client.run_on_scheduler(drop_copies, homes)
        if now == before and not now[1]:
            return
        before = now
        time.sleep(SETTLED)


def work_done(client: Client, run: Callable[[], Any]) -> tuple[int, int]:
    """Tasks that ran, and bytes that workers received from workers, while something ran.

    Tasks are what the scheduler saw come out of processing, after whatever optimisation there was; bytes
    are those of the workers' logs of incoming transfers.
    """
    client.run(forget_transfers)
    client.run_on_scheduler(forget_transitions)
    kept = run()
    tasks = client.run_on_scheduler(count_tasks)
    received = sum(client.run(count_received).values())
    del kept
    return tasks, received


def received_by_links(client: Client, run: Callable[[], Any]) -> int:
    """Bytes that came in over the workers' network interfaces while something ran, whoever sent them."""
    before = sum(client.run(count_incoming).values())
    kept = run()
    received = sum(client.run(count_incoming).values()) - before
    del kept
    return received


def forget_transfers(dask_worker: Any = None) -> None:
    """Empties a worker's log of transfers, and makes it long."""
    dask_worker.transfer_incoming_log = deque(maxlen=LOG_LENGTH)


def count_received(dask_worker: Any = None) -> int:
    """Bytes in a worker's log of transfers from other workers."""
    return sum(size for transfer in dask_worker.transfer_incoming_log for size in transfer["keys"].values())


def count_incoming() -> int:
    """Bytes that have come in over this host's network, the loopback aside."""
    return sum(c.bytes_recv for name, c in psutil.net_io_counters(pernic=True).items() if name != "lo")


def forget_transitions(dask_scheduler: Any = None) -> None:
    """Empties the scheduler's log of transitions, and makes it long."""
    dask_scheduler.transition_log = deque(maxlen=LOG_LENGTH)


def count_tasks(dask_scheduler: Any = None) -> int:
    """Tasks that ran, by the scheduler's log of transitions."""
    steps = ((entry[1], entry[2]) for entry in dask_scheduler.transition_log)
    return sum(step == ("processing", "memory") for step in steps)


def look_for_homes(dask_scheduler: Any = None) -> dict[Any, str]:
    """The first holder of each result."""
    held = (task for task in dask_scheduler.tasks.values() if task.who_has)
    return {task.key: next(iter(task.who_has)).address for task in held}


def drop_copies(homes: Mapping[Any, str], dask_scheduler: Any = None) -> tuple[int, int]:
    """Asks that copies away from home are dropped; how many tasks are known, and copies there were."""
    n_copies = 0
    for task in dask_scheduler.tasks.values():
        copies = [worker.address for worker in task.who_has or () if len(task.who_has) > 1]
        away = [address for address in copies if address != homes.get(task.key, copies[0])]
        for address in away:
            dask_scheduler.request_remove_replicas(address, [task.key], stimulus_id="benchmark")
        n_copies += len(away)
    return len(dask_scheduler.tasks), n_copies
