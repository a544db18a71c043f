"""`tra.connect`: opens a session on a backend."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from tra.algebra import current
from tra.algebra.entry_point import entry_point
from tra.backends.backend import Backend
from tra.backends.constants import Kind
from tra.backends.local import LocalBackend
from tra.backends.plans import Plans
from tra.backends.session import Session
from tra.errors import MemoryLimitError, PlanError, near_name
from tra.optimizer.figures import readable
from tra.optimizer.reproducible.level import LEVELS as LEVELS
from tra.optimizer.reproducible.level import Level
from tra.optimizer.rules.registry import RULES, STRATEGIES

MOST = 4096  # sites, and threads of each
INTERPRETER = 20_000_000  # bytes below which no process of Python with NumPy is
_SIMILAR = 8  # names that a message lists
_LISTED = "All rules are listed in docs/rules.md, and `explain` names those that a plan is made with"
_ALONE = ("one site", "stored")  # strategies of operators that have no other


@entry_point
def connect(
    backend: str = "local",
    scheduler: Any = None,
    threads: int | None = None,
    sites: int | None = None,
    memory_limit: int | str | None = None,
    reproducible: Level = "run",
    progress: bool | None = None,
    cost_model: Kind = "seconds",
    without: Sequence[str] | None = None,
    tolerance: float = 0.0,
) -> Session:
    """Opens a session; the newest open one is what ``compute`` uses.

    Args:
        backend: "local" (threads of this process) or "dask".
        scheduler: for "dask" an address, a `Client` or a cluster object; a `LocalCluster` is started when
            left out, and closed with the session; a script does so below ``if __name__ == "__main__":``. A
            Client that is given is never closed.
        threads: threads per site; left out, all cores, or as many as a Dask worker has.
        sites: sites to plan for; for "dask" the number of workers to start or use.
        memory_limit: bytes, as a number or as text like ``"2GB"``. In this process, on one site, a limit on
            all that is resident during a run: the interpreter, pages of files, and what `compute` returns;
            plans run in passes over windows of tiles, and what has to wait does so on disk. On a cluster, and
            on several sites, the bytes of tiles that one site may hold; left out, on a cluster 60 % of the
            limit of a worker, less what its process holds already and 64 MB.
        reproducible: what bits of results do not depend on: "off", nothing is promised; "run", where and in
            which order the tasks of a plan run; "tiling", also on tile sizes, sites and the choice of a plan;
            "exact", also on the machine, BLAS, threads and the order of numbers that are added. `explain`
            says the price; see docs/reproducibility.md.
        progress: shows a bar for long work; by default only in a terminal.
        cost_model: what plans are chosen by: seconds by constants of the cluster that are "measured" before
            the first plan, in about half a second, or "fixed"; or "paper", the elements sent as the paper
            counts. "seconds" takes fixed ones for this process; a cluster it measures once, and on one that
            is at work they may be off by a factor of two. "measured" measures anew for this session.
        without: names of rules that are switched off, as `explain` shows them; where an operator would be
            left without a strategy it keeps those it has.
        tolerance: rounding that rules may add, as a part of the largest product; 1e-9 lets sums under
            products of float64 be multiplied out, which makes distances many times less work.

    Example:
        >>> with connect("local", threads=1) as session:
        ...     session
        Session(local, 1 site)

    Raises:
        PlanError: an unknown backend or setting, or a cluster that cannot run queries, such as one whose
            workers have no room for tiles.
        MemoryLimitError: a limit on this process that is less than an interpreter takes.
    """
    _check_one_of("reproducible", reproducible, LEVELS)
    _check_one_of("backend", backend, ("local", "dask"))
    _check_one_of("cost_model", cost_model, get_args(Kind))
    for name, number in (("threads", threads), ("sites", sites)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise PlanError(f"{name} is a positive number; got {number!r}")
        if number is not None and number > MOST:
            raise PlanError(f"{name} is at most {MOST}; got {number!r}")
    if progress is not None and not isinstance(progress, bool):
        raise PlanError(f"progress is True, False or None; got {progress!r}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
        raise PlanError(
            f"tolerance is a part of the largest: 0 <= tolerance < 1, like 1e-9; got {tolerance!r}"
        )
    rules = _checked_rules(without)
    limit = read_bytes(memory_limit)
    opened: Backend
    if backend == "dask":
        from tra.backends.dask_backend import DaskBackend  # importing it takes longer than all of tra

        opened = DaskBackend(scheduler, threads, sites, limit, progress)
    elif scheduler is None:
        _check_process(limit, sites)
        opened = LocalBackend(threads, sites, limit, progress)
    else:
        raise PlanError("scheduler= goes with backend='dask'")
    measured = cost_model == "seconds" and backend == "dask"
    opened.constants.choose("measured" if measured else cost_model, again=cost_model == "measured")
    return Session(opened, Plans(opened, rules, float(tolerance), reproducible))


def _check_process(limit: int | None, sites: int | None) -> None:
    """Makes sure that a limit on this process is one that a process can keep.

    Example:
        >>> _check_process(300, sites=1)
        Traceback (most recent call last):
        tra.errors.MemoryLimitError: a limit of 300 B on all that is resident in this process is less than
        an interpreter takes; did you mean '300MB'?

    Raises:
        MemoryLimitError: no interpreter takes so little.
    """
    if limit is None or limit >= INTERPRETER or (sites or 1) > 1:
        return
    written = {"MB": limit * 10**6, "GB": limit * 10**9} if limit < 10_000 else {}
    unit = next((unit for unit, size in written.items() if size >= INTERPRETER), None)
    meant = "" if unit is None else f"; did you mean '{limit}{unit}'?"
    raise MemoryLimitError(
        f"a limit of {readable('bytes', limit)} on all that is resident in this process is less than an "
        f"interpreter takes{meant}"
    )


def _checked_rules(names: Any) -> tuple[str, ...]:
    """Names of rules that there are.

    Example:
        >>> _checked_rules(None), _checked_rules(["map_map_fuse"])
        ((), ('map_map_fuse',))
        >>> _checked_rules(["map_map_fuze"])
        Traceback (most recent call last):
        tra.errors.PlanError: there is no rule 'map_map_fuze'; did you mean 'map_map_fuse'? Rules with names
        like it are ...

    Raises:
        PlanError: it is no list, or a name in it is of no rule, or of one that cannot be switched off.
    """
    if names is None:
        return ()
    if isinstance(names, str):
        raise PlanError(f"without is a list of names of rules; write [{names!r}]")
    if not isinstance(names, Collection):
        raise PlanError(f"without is a list of names of rules; got {names!r}")
    known = [rule.name for rule in RULES]
    for name in names:
        if not isinstance(name, str):
            raise PlanError(f"without is a list of names of rules; got {name!r} in it")
        if name not in known:
            raise _no_rule(name, known)
        if name in _ALONE:
            raise _no_other(name)
    return tuple(names)


def _no_rule(name: str, known: Sequence[str]) -> PlanError:
    near = near_name(name, known)
    close = get_close_matches(name, known, n=_SIMILAR, cutoff=0.4) if near else []
    similar = close or [rule for rule in known if name and name in rule][:_SIMILAR]
    listed = f"Rules with names like it are {', '.join(similar)}" if similar else _LISTED
    return PlanError(f"there is no rule {name!r}{near or '.'} {listed}")


def _no_other(name: str) -> PlanError:
    others = ", ".join(rule.name for rule in STRATEGIES if rule.name not in _ALONE)
    return PlanError(
        f"{name!r} cannot be switched off: it is used where there is no other way. Strategies that can be "
        f"are {others}; so can all other rules, which `explain` names"
    )


def _check_one_of(what: str, value: Any, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        choices = " or ".join(repr(name) for name in known)
        raise PlanError(f"unknown {what} {value!r}{near_name(str(value), known)}; use {choices}")


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
    from dask.utils import parse_bytes  # it takes longer to load than a query to write

    try:
        size = int(parse_bytes(limit))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise PlanError(f"{limit!r} is no amount of memory; write one like '2GB'") from None
    if size <= 0:
        raise PlanError(f"a memory limit is positive; got {limit!r}")
    return size


current.set_default(lambda: connect("local", threads=os.cpu_count()))
