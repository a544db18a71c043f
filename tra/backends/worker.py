"""What runs on a Dask worker: tasks of a program, and the ledger of what they did."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tra.algebra.sources import TileSource
from tra.backends.local import read_tiles
from tra.backends.run_stage import cut_output, run_stage, take_own
from tra.backends.threads import BlasThreads
from tra.backends.tiles import Tiles
from tra.optimizer.placement import Ranges
from tra.optimizer.plan import Plan, Scan
from tra.optimizer.stages import Stage


@dataclass(frozen=True)
class Local:
    """An argument: a result of an earlier stage at this site (one of several when `index` is given)."""

    digest: str
    index: int | None


@dataclass(frozen=True)
class Received:
    """An argument: a piece of an exchange; `own` when it comes from this site and is cut here."""

    exchange: str
    operand: int
    own: Own | None


@dataclass(frozen=True)
class Own:
    """How a site cuts what it takes from itself."""

    index: int | None
    box: Ranges | None
    target: int


@dataclass(frozen=True)
class Loaded:
    """An argument: a source's tiles, sent by the client or stored here."""

    id: str


@dataclass
class Ledger:
    """What the tasks of one run did on this worker."""

    tasks: int = 0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_ledgers: OrderedDict[str, Ledger] = OrderedDict()
_ledgers_lock = threading.Lock()


def ledger(token: str) -> Ledger:
    """The ledger of a run; those of the last runs are kept."""
    with _ledgers_lock:
        found = _ledgers.setdefault(token, Ledger())
        while len(_ledgers) > 16:
            _ledgers.popitem(last=False)
        return found


def stage_task(
    token: str, stage: Stage, site: int, threads: int, sources: Mapping[str, TileSource], slots: tuple[Any, ...], *values: Any
) -> Any:
    """One stage at one site; `slots` say what each of the values is. Returns one output, or a tuple."""
    made: dict[str, Tiles] = {}
    received: dict[tuple[str, int], list[Any]] = {}
    loaded: dict[str, Tiles] = {}
    nodes = {node.digest: node for node in stage.nodes}
    for node in stage.nodes:
        for operand in range(len(node.children)):
            received[node.digest, operand] = []
    for slot, value in zip(slots, values, strict=True):
        match slot:
            case Local(digest=digest, index=index):
                made[digest] = value if index is None else value[index]
            case Received(exchange=exchange, operand=operand, own=own):
                piece = value if own is None else _cut_here(nodes[exchange], operand, own, value)
                received[exchange, operand].append(piece)
            case Loaded(id=id_):
                loaded[id_] = value

    def scan(node: Scan, box: Ranges) -> Tiles:
        return loaded[node.id] if node.id in loaded else read_tiles(node, box, sources[node.id])

    with BlasThreads(1):
        outputs = run_stage(stage, site, made, received, scan, threads)
    _note(token, sum(tiles.nbytes for tiles in made.values()))
    return outputs[0] if len(outputs) == 1 else outputs


def _cut_here(node: Plan, operand: int, own: Own, value: Any) -> Any:
    tiles = value if own.index is None else value[own.index]
    return take_own(node, operand, own.target, own.box, tiles)


def _note(token: str, held: int) -> None:
    found = ledger(token)
    with found.lock:
        found.tasks += 1
        found.peak = max(found.peak, held)


def cut_task(token: str, node: Plan | None, operand: int, target: int, box: Ranges | None, index: int | None, value: Any) -> Any:
    """A piece of an output for another site."""
    _note(token, 0)
    return cut_output(node, operand, target, box, value if index is None else value[index])


def rows_task(tiles: Tiles, start: int, stop: int) -> Tiles:
    """Some tiles of a share, for the client."""
    return Tiles(tiles.keys[start:stop], tiles.arrays[start:stop], is_sorted=True).owned()


def sizes_task(tiles: Tiles) -> list[int]:
    """The bytes of each tile of a share."""
    return [array.nbytes for array in tiles.arrays]


def measured_here(token: str, dask_worker: Any = None) -> tuple[int, int, dict[str, int]]:
    """Tasks run, peak bytes, and bytes received from other workers by key, for one run on this worker."""
    incoming: dict[str, int] = {}
    for transfer in dask_worker.transfer_incoming_log:
        for key, size in transfer["keys"].items():
            name = key[0] if isinstance(key, tuple) else key
            if isinstance(name, str) and name.endswith(token):
                incoming[repr(key)] = incoming.get(repr(key), 0) + size
    found = ledger(token)
    return found.tasks, found.peak, incoming
