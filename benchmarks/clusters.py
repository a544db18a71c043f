"""Clusters for comparisons, and one ruler for both systems: bytes between workers, tasks that ran."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster, futures_of, wait

LOG_LENGTH = 200_000  # transfers and transitions remembered


@contextmanager
def dask_client(n_workers: int) -> Iterator[Client]:
    """A cluster of single-threaded worker processes with Dask's own defaults."""
    settings = {"distributed.admin.low-level-log-length": LOG_LENGTH, "logging.distributed": "critical"}
    with dask.config.set(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=40
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


def persist(client: Client, collections: Sequence[Any]) -> list[Any]:
    """Computes collections on the workers and waits until they are there."""
    kept: list[Any] = client.persist(list(collections))
    with client.as_current():
        wait([future for collection in kept for future in futures_of(collection)])
    return kept


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


def forget_transfers(dask_worker: Any = None) -> None:
    """Empties a worker's log of transfers."""
    dask_worker.transfer_incoming_log.clear()


def count_received(dask_worker: Any = None) -> int:
    """Bytes in a worker's log of transfers from other workers."""
    return sum(size for transfer in dask_worker.transfer_incoming_log for size in transfer["keys"].values())


def forget_transitions(dask_scheduler: Any = None) -> None:
    """Empties the scheduler's log of transitions."""
    dask_scheduler.transition_log.clear()


def count_tasks(dask_scheduler: Any = None) -> int:
    """Tasks that ran, by the scheduler's log of transitions."""
    steps = ((entry[1], entry[2]) for entry in dask_scheduler.transition_log)
    return sum(step == ("processing", "memory") for step in steps)
