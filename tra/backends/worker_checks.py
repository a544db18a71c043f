"""What workers must have before tasks are sent to them: this version of tra, and the files of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cloudpickle  # type: ignore[import-untyped]
from distributed import Client

from tra.backends import probe
from tra.backends.departures import on_workers
from tra.errors import CatalogError, PlanError

cloudpickle.register_pickle_by_value(probe)  # for good: several threads may ask at once


def check_versions(client: Client, workers: Sequence[str], version: str) -> None:
    """Makes sure that every worker and the scheduler have this version of tra.

    Raises:
        PlanError: names the workers that lack tra or have another version.
    """
    found = on_workers(client, workers, probe.installed)
    found["the scheduler"] = client.run_on_scheduler(probe.installed)
    check_installed(found, version)


def check_installed(found: Mapping[str, tuple[str | None, str]], version: str) -> None:
    """Makes sure that one version of tra is everywhere.

    Args:
        found: the versions of tra and Python, by place.
        version: the version of tra here.

    Example:
        >>> old, new = ("0.9", "3.11.9"), ("1.0", "3.11.9")
        >>> check_installed({"tcp://10.0.0.1:4001": old, "the scheduler": new}, "1.0")
        Traceback (most recent call last):
        tra.errors.PlanError: all parts of a cluster need one version of tra: here it is 1.0, but
        tcp://10.0.0.1:4001 has 0.9

    Raises:
        PlanError: names the places that lack it or have another version.
    """
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


def check_paths(client: Client, workers: Sequence[str], paths: list[str]) -> None:
    """Makes sure that every worker sees the files of a query.

    Raises:
        CatalogError: names the worker and the path.
    """
    if not paths:
        return
    check_seen(on_workers(client, workers, probe.unseen, paths))


def check_seen(found: Mapping[str, Sequence[str]]) -> None:
    """Makes sure that nothing is missing anywhere.

    Args:
        found: the paths that a worker cannot see, by worker.

    Example:
        >>> check_seen({"tcp://10.0.0.1:4001": ["/no/such/file.npy"]})
        Traceback (most recent call last):
        tra.errors.CatalogError: worker tcp://10.0.0.1:4001 cannot see /no/such/file.npy; put the file on
        storage that all workers share, or load it here and pass it as an array

    Raises:
        CatalogError: names the worker and the path.
    """
    for worker, missing in found.items():
        if missing:
            raise CatalogError(
                f"worker {worker} cannot see {missing[0]}; put the file on storage that all workers share, "
                "or load it here and pass it as an array"
            )
