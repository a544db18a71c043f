"""What runs on a Dask worker: tasks of a program, and the ledger of what they did."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from tra.algebra.sources import TileSource
from tra.backends.heap import keep_heap
from tra.backends.memory import drop_pages, trim
from tra.backends.paces import notice
from tra.backends.packed import Packed, unpack
from tra.backends.read_tiles import read_tiles
from tra.backends.run_stage import Piece, run_stage, take
from tra.backends.threads import BlasThreads
from tra.backends.tiles import Tiles, union
from tra.optimizer.boxes import Ranges
from tra.optimizer.densities import Met, add_met
from tra.optimizer.plan import Plan, Scan
from tra.optimizer.program import Output
from tra.optimizer.stages import Stage

_KEPT = 16
TRIES = 3  # of a task whose trouble may pass


def _is_news(record: logging.LogRecord) -> bool:
    """Claims that a worker's log says what the client does not: no failed task of ours, no lost heartbeat."""
    if str(record.msg).startswith("Failed to communicate with scheduler during heartbeat"):
        return False  # a session whose scheduler is lost raises that itself
    key = record.args[0] if isinstance(record.args, tuple) and record.args else ""
    name = key[0] if isinstance(key, tuple) else key
    return not (str(record.msg).startswith("Compute Failed") and str(name).startswith("tra-"))


# Dask logs these with their tracebacks, in the user's terminal where a worker shares it.
logging.getLogger("distributed.worker").addFilter(_is_news)


@dataclass(frozen=True)
class Local:
    """An argument: a result at this site, one of several when `index` is given, in a box of keys."""

    digest: str
    index: int | None
    box: Ranges | None = None


@dataclass(frozen=True)
class Arriving:
    """An argument: a piece of an exchange; with `own` the site cuts it from what it has itself."""

    exchange: str
    operand: int
    own: Output | None = None
    index: int | None = None


@dataclass
class Ledger:
    """What the tasks of one run did on this worker."""

    tasks: int = 0
    peak: int = 0
    met: dict[str, Met] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_ledgers: OrderedDict[str, Ledger] = OrderedDict()
_ledgers_lock = threading.Lock()


def _ledger(token: str) -> Ledger:
    """The ledger of a run; those of the last runs are kept."""
    with _ledgers_lock:
        found = _ledgers.setdefault(token, Ledger())
        _ledgers.move_to_end(token)
        while len(_ledgers) > _KEPT:
            _ledgers.popitem(last=False)
        return found


def open_ledger(token: str) -> None:
    """Begins the ledger of a run that is measured: what moves before its first task ends is not forgotten.

    Example:
        >>> open_ledger("a run")
        >>> is_kept("a run")
        True
    """
    _ledger(token)


def is_kept(token: str) -> bool:
    """Claims that a run is among the last of this worker, whose ledgers are kept.

    Example:
        >>> is_kept("a run of another worker")
        False
    """
    return token in _ledgers


def stage_task(
    token: str,
    packed: Packed,
    site: int,
    threads: int,
    boxes: Mapping[str, Ranges],
    sources: Mapping[str, TileSource],
    slots: Sequence[Local | Arriving],
    *values: Any,
) -> Any:
    """One stage at one site, or a panel of it: one output, or a tuple; `slots` say what the values are.

    Example:
        >>> import numpy as np
        >>> from tra.algebra.sources import ArraySource
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import cut_stages
        >>> from tra.backends.packed import pack
        >>> stage, = cut_stages((scan(),))
        >>> source = ArraySource(np.eye(4), scan().type)
        >>> boxes = {scan().digest: ((1, 2), (0, 2))}
        >>> stage_task("run", pack(stage), 1, 1, boxes, {"A": source}, ()).keys.tolist()
        [[1, 0], [1, 1]]
    """
    run = partial(_run_stage, token, unpack(packed), site, threads, boxes, sources, slots, values)
    for _ in range(TRIES - 1):
        try:
            return run()
        except Exception as error:
            if not _may_pass(error):
                raise
    return run()


def _may_pass(error: BaseException) -> bool:
    """Claims that a task that failed so may succeed when it is tried again: files, memory, but no kernel."""
    return any(isinstance(e, OSError | MemoryError) for e in (error, error.__cause__))


def _run_stage(
    token: str,
    stage: Stage,
    site: int,
    threads: int,
    boxes: Mapping[str, Ranges],
    sources: Mapping[str, TileSource],
    slots: Sequence[Local | Arriving],
    values: Sequence[Any],
) -> Any:
    """One try of a stage at one site."""
    keep_heap()
    taken: dict[str, Tiles] = {}
    nodes = {node.digest: node for node in stage.nodes}
    received: dict[tuple[str, int], list[Piece]] = {
        (node.digest, operand): [] for node in stage.nodes for operand in range(len(node.children))
    }
    for slot, value in zip(slots, values, strict=True):
        match slot:
            case Local(digest=digest, index=index, box=box):
                tiles = one_of(value, index)
                taken[digest] = tiles if box is None else tiles.within(box)
            case Arriving(exchange=exchange, operand=operand, own=own, index=index):
                piece = value if own is None else take(nodes, own, one_of(value, index))
                received[exchange, operand].append(piece)

    def scan(node: Scan, box: Ranges) -> Tiles:
        return read_tiles(node.type, box, sources[node.id])

    start = time.perf_counter()
    with BlasThreads(1):
        found = run_stage(stage, site, boxes, taken, received, scan, threads)
    notice(token, stage.number, site, time.perf_counter() - start, found.peak)
    _note(token, found.peak, found.met)
    outputs = tuple(tiles.shared() for tiles in found.outputs)
    return outputs[0] if len(outputs) == 1 else outputs


def join_task(token: str, *panels: Any) -> Any:
    """The outputs of a stage at a site from those of its panels; nothing is copied.

    Example:
        >>> import numpy as np
        >>> first, second = (Tiles(np.array([[n]]), [np.ones(1)]) for n in (0, 1))
        >>> join_task("run", first, second).keys.tolist()
        [[0], [1]]
    """
    _note(token, 0)
    if isinstance(panels[0], Tiles):
        return union(panels, panels[0].arity)
    return tuple(union(parts, parts[0].arity) for parts in zip(*panels, strict=True))


def cut_task(token: str, nodes: Mapping[str, Plan], output: Output, index: int | None, value: Any) -> Piece:
    """A piece of an output for another site, in memory of its own.

    Example:
        >>> import numpy as np
        >>> tiles = Tiles(np.array([[0], [1]]), [np.zeros(1), np.ones(1)])
        >>> cut_task("run", {}, Output(stage=0, site=0, digest="A", box=((1, 2),)), None, tiles).keys.tolist()
        [[1]]
    """
    _note(token, 0)
    return take(nodes, output, one_of(value, index)).owned()


def pick_task(token: str, index: int, value: Sequence[Tiles]) -> Tiles:
    """One result of a stage that returns several.

    Example:
        >>> import numpy as np
        >>> first, second = (Tiles(np.array([[0]]), [np.ones(n)]) for n in (1, 2))
        >>> pick_task("run", 1, (first, second)) is second
        True
    """
    _note(token, 0)
    return value[index]


def one_of(value: Any, index: int | None) -> Tiles:
    """The tiles meant by a task's value: all of it, or one of several outputs.

    Example:
        >>> import numpy as np
        >>> tiles = Tiles(np.array([[0]]), [np.ones(1)])
        >>> one_of(tiles, None) is tiles, one_of((None, tiles), 1) is tiles
        (True, True)
    """
    tiles: Tiles = value if index is None else value[index]
    return tiles


def _note(token: str, held: int, met: Mapping[str, Met] = MappingProxyType({})) -> None:
    """Enters a task into the ledger of its run."""
    found = _ledger(token)
    with found.lock:
        found.tasks += 1
        found.peak = max(found.peak, held)
        add_met(found.met, met)


def rows_task(tiles: Tiles, start: int, stop: int) -> Tiles:
    """Some tiles of a share, for the client.

    Example:
        >>> import numpy as np
        >>> share = Tiles(np.array([[0], [1], [2]]), [np.ones(n) for n in (1, 2, 3)])
        >>> rows_task(share, 1, 3).keys.tolist()
        [[1], [2]]
    """
    return Tiles(tiles.keys[start:stop], tiles.arrays[start:stop], is_sorted=True).owned()


def sizes_task(tiles: Tiles) -> list[int]:
    """The bytes of each tile of a share.

    Example:
        >>> import numpy as np
        >>> sizes_task(Tiles(np.array([[0], [1]]), [np.ones(1), np.ones(2)]))
        [8, 16]
    """
    return [array.nbytes for array in tiles.arrays]


def forget_task(paths: Sequence[str]) -> None:
    """Lets go of the pages of files that were read, and gives back memory that was freed.

    Example:
        >>> forget_task([])
    """
    for path in paths:
        drop_pages(path)
    trim()


def measured_here(token: str, dask_worker: Any = None) -> tuple[int, int, dict[str, int], dict[str, Met]]:
    """What one run did on this worker: tasks, peak bytes, bytes received by key, what nodes met.

    Example:
        >>> from types import SimpleNamespace
        >>> log = [{"keys": {("tra-send", "5f1e", 0): 64}}, {"keys": {("tra-send", "of another", 0): 32}}]
        >>> measured_here("5f1e", dask_worker=SimpleNamespace(transfer_incoming_log=log))
        (0, 0, {"('tra-send', '5f1e', 0)": 64}, {})
    """
    incoming: dict[str, int] = {}
    for transfer in dask_worker.transfer_incoming_log:
        for key, size in transfer["keys"].items():
            if isinstance(key, tuple) and key[1:2] == (token,):
                incoming[repr(key)] = incoming.get(repr(key), 0) + size
    found = _ledger(token)
    return found.tasks, found.peak, incoming, found.met
