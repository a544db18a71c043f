"""`tra.connect`: opens a session on a backend."""

from __future__ import annotations

import os
from typing import Any, Literal

from dask.utils import parse_bytes

from tra.algebra import current
from tra.backends.local import LocalBackend
from tra.backends.session import Session
from tra.errors import PlanError, near_name

Level = Literal["off", "run", "tiling", "exact"]


def connect(
    backend: str = "local",
    scheduler: Any = None,
    threads: int | None = None,
    sites: int | None = None,
    memory_limit: int | str | None = None,
    reproducible: Level = "run",
    progress: bool | None = None,
) -> Session:
    """Opens a session; the newest open one is what ``compute`` uses.

    Args:
        backend: "local" (threads of this process) or "dask".
        scheduler: for "dask" an address, a `Client` or a cluster object; a `LocalCluster` is started when
            left out, and closed with the session. A Client that is given is never closed.
        threads: threads per site; all cores by default.
        sites: sites to plan for; for "dask" the number of workers to start or use.
        memory_limit: bytes one site may use, as a number or as text like ``"2GB"``.
        reproducible: "run" (same plan, same bits) or "off"; "tiling" and "exact" are not there yet.
        progress: shows a bar for long work; by default only in a terminal.

    Example:
        >>> with connect("local", threads=1) as session:
        ...     session
        Session(local, 1 sites)

    Raises:
        PlanError: an unknown backend or setting, or a cluster that cannot run queries.
    """
    if reproducible not in ("off", "run"):
        known = ("off", "run", "tiling", "exact")
        if reproducible in known:
            raise PlanError(f"reproducible={reproducible!r} is not there yet; use 'run' or 'off'")
        near = near_name(str(reproducible), known)
        raise PlanError(f"unknown level reproducible={reproducible!r}{near}; use 'run' or 'off'")
    for name, number in (("threads", threads), ("sites", sites)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise PlanError(f"{name} is a positive number; got {number!r}")
    limit = read_bytes(memory_limit)
    if backend == "local":
        if scheduler is not None:
            raise PlanError("scheduler= goes with backend='dask'")
        return Session(LocalBackend(threads, sites, limit, progress))
    if backend == "dask":
        from tra.backends.dask_backend import DaskBackend  # importing it takes longer than all of tra

        return Session(DaskBackend(scheduler, threads, sites, limit, progress))
    raise PlanError(
        f"unknown backend {backend!r}{near_name(backend, ['local', 'dask'])}; use 'local' or 'dask'"
    )


def read_bytes(limit: int | str | None) -> int | None:
    """A number of bytes from a number or text.

    Example:
        >>> read_bytes("2GB"), read_bytes(None)
        (2000000000, None)

    Raises:
        PlanError: the text is no size.
    """
    if limit is None:
        return None
    try:
        size = int(parse_bytes(limit))
    except ValueError:
        raise PlanError(f"{limit!r} is no amount of memory; write one like '2GB'") from None
    if size <= 0:
        raise PlanError(f"a memory limit is positive; got {limit!r}")
    return size


current.set_default(lambda: connect("local", threads=os.cpu_count()))
