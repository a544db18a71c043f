"""What tiles may take of the memory of workers that have a limit: what their processes hold is not free."""

from __future__ import annotations

from collections.abc import Mapping

from tra.backends.heap import KEPT
from tra.backends.memory import resident, trim
from tra.errors import PlanError
from tra.optimizer.figures import readable

USABLE = 0.6  # part of a worker's limit that tiles and its process may take; Dask spills above it
LEAST = 16 << 20  # bytes of tiles below which hardly any plan fits
_BESIDE = 2 * KEPT  # bytes: what the heap keeps, and as much for messages, writers and BLAS
_ROUNDED = 10_000_000


def usable_memory(limits: Mapping[str, int], held: Mapping[str, int]) -> int | None:
    """Bytes of tiles that each worker has room for; None where workers have no limit.

    They are 60 % of the least limit, less what the process holds before the first plan runs, what its heap
    keeps of freed tiles, and what messages, writers and BLAS need: a nanny ends a process that comes near its
    limit, whatever it is full of.

    Args:
        limits: bytes of each worker that has a limit, by address.
        held: bytes that their processes hold.

    Example:
        >>> usable_memory({"tcp://10.0.0.1:4001": 400_000_000}, {"tcp://10.0.0.1:4001": 80_000_000})
        92891136
        >>> usable_memory({"tcp://10.0.0.1:4001": 160_000_000}, {"tcp://10.0.0.1:4001": 80_000_000})
        Traceback (most recent call last):
        tra.errors.PlanError: worker tcp://10.0.0.1:4001 has no room for tiles: its limit is 160 MB, its
        process holds 80 MB of that before it does anything, and a process near its limit is ended
          hint: start workers with 280 MB or more, as LocalCluster(memory_limit=...) and dask worker
          --memory-limit do; connect(memory_limit=...) is of tiles alone, and plans with what it says

    Raises:
        PlanError: a worker's process leaves nothing to speak of.
    """
    found = {worker: int(limit * USABLE) - held[worker] - _BESIDE for worker, limit in limits.items()}
    if not found:
        return None
    fullest = min(found, key=lambda worker: found[worker])
    if found[fullest] < LEAST:
        raise _no_room(fullest, limits[fullest], held[fullest])
    return found[fullest]


def held_task() -> int:
    """Bytes that this process holds between plans, with all that a plan imports.

    Example:
        >>> held_task() > 10_000_000
        True
    """
    import tra.backends.worker  # noqa: F401 - what tasks import counts as well

    trim()
    return resident()


def _no_room(worker: str, limit: int, held: int) -> PlanError:
    enough = -(-int((LEAST + held + _BESIDE) / USABLE) // _ROUNDED) * _ROUNDED
    return PlanError(
        f"worker {worker} has no room for tiles: its limit is {readable('bytes', limit)}, its process holds "
        f"{readable('bytes', held)} of that before it does anything, and a process near its limit is ended\n"
        f"  hint: start workers with {readable('bytes', enough)} or more, as LocalCluster(memory_limit=...) "
        "and dask worker --memory-limit do; connect(memory_limit=...) is of tiles alone, and plans with what "
        "it says"
    )
