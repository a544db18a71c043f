"""Getting hold of a cluster, and making sure that it can run queries before one is sent."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import dask
from distributed import Client, LocalCluster

from tra.backends import probe
from tra.errors import CatalogError, PlanError

CONNECT_SECONDS = 10.0
USABLE = 0.6  # part of a worker's memory that plans may fill; Dask spills above it


def open_client(
    scheduler: Any, threads: int | None, sites: int | None, memory_limit: int | None
) -> tuple[Client, list[Any]]:
    """A client for a scheduler address, a Client, a cluster object, or a LocalCluster started here.

    Returns:
        The client, and what has to be closed with the session (nothing that was given).

    Raises:
        PlanError: nothing answers at the address.
    """
    if isinstance(scheduler, Client):
        return scheduler, []
    if scheduler is None:
        cluster = _start(threads, sites, memory_limit)
        try:
            client = Client(cluster, set_as_default=False)
        except BaseException:
            cluster.close()
            raise
        return client, [client, cluster]
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise PlanError(f"no Dask scheduler answers at {scheduler}: {error}") from None
    return client, [client]


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


def _start(threads: int | None, sites: int | None, memory_limit: int | None) -> LocalCluster:
    """Workers as processes; stealing is off, since a plan says where its tasks run.

    Their own limit is above that of plans, so that what Dask and Python need beside tiles has room.
    """
    n_workers, per_worker = sites or 2, threads or 1
    settings = {
        "distributed.scheduler.work-stealing": False,
        "distributed.admin.low-level-log-length": 100_000,  # transfers are counted from this log
        "logging.distributed": "critical",
    }
    with dask.config.set(settings), warnings.catch_warnings(), _guarded():
        warnings.simplefilter("ignore")
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=per_worker,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=int(memory_limit / USABLE) if memory_limit else "auto",
            silence_logs=40,
        )


def worker_addresses(client: Client, sites: int | None) -> list[str]:
    """The workers that are the sites, in a fixed order.

    Raises:
        PlanError: there are no workers, or fewer than the sites asked for.
    """
    if sites:
        try:
            client.wait_for_workers(sites, timeout=CONNECT_SECONDS)
        except TimeoutError:
            n = len(client.scheduler_info(n_workers=-1)["workers"])
            raise PlanError(f"{sites} sites asked for, but the cluster has {n} workers") from None
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise PlanError(f"the cluster at {client.scheduler_info()['address']} has no workers")
    ordered = sorted(workers, key=lambda address: (str(workers[address].get("name")), address))
    return ordered[:sites] if sites else ordered


def check_versions(client: Client, workers: Iterable[str], version: str) -> None:
    """Makes sure that every worker and the scheduler have this version of tra.

    Raises:
        PlanError: names the workers that lack tra or have another version.
    """
    cloudpickle.register_pickle_by_value(probe)
    try:
        found = client.run(probe.installed, workers=list(workers))
        found["the scheduler"] = client.run_on_scheduler(probe.installed)
    finally:
        cloudpickle.unregister_pickle_by_value(probe)
    lacking = [where for where, (there, _) in found.items() if there is None]
    if lacking:
        raise PlanError(
            f"tra is not installed on {', '.join(lacking)}; install tra-engine {version} in the environment "
            "of every worker and the scheduler"
        )
    other = [f"{where} has {there}" for where, (there, _) in found.items() if there != version]
    if other:
        raise PlanError(
            f"all parts of a cluster need one version of tra: here it is {version}, but {', '.join(other)}"
        )


def check_paths(client: Client, workers: Iterable[str], paths: list[str]) -> None:
    """Makes sure that every worker sees the files of a query.

    Raises:
        CatalogError: names the worker and the path.
    """
    if not paths:
        return
    cloudpickle.register_pickle_by_value(probe)
    try:
        found = client.run(probe.unseen, paths, workers=list(workers))
    finally:
        cloudpickle.unregister_pickle_by_value(probe)
    for worker, missing in found.items():
        if missing:
            raise CatalogError(
                f"worker {worker} cannot see {missing[0]}; put the file on storage that all workers share, "
                "or load it here and pass it as an array"
            )
