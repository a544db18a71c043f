"""One program as a Dask graph: keys, tasks and the worker of each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import dask
from dask.delayed import delayed
from dask.task_spec import Task as DaskTask
from dask.task_spec import TaskRef
from distributed import Client, Future

from tra.algebra.sources import TileSource
from tra.backends.backend import StoredSource
from tra.backends.dask_arrays import dask_array_of, window_task
from tra.backends.departures import scattered
from tra.backends.lineage import Held
from tra.backends.packed import Packed
from tra.backends.read_tiles import lying_in, read_tiles
from tra.backends.tiles import Tiles
from tra.backends.worker import Arriving, Local, cut_task, join_task, pick_task, stage_task
from tra.optimizer.boxes import box_of
from tra.optimizer.panels import MOST
from tra.optimizer.plan import Plan, Scan, plan_order
from tra.optimizer.program import Output, Program, Task
from tra.optimizer.stages import sites_of

TaskKey: TypeAlias = Any  # what Dask takes for a key: a text, or a tuple that begins with one
# One span for all runs of this process: schedulers and workers keep a record of each there was.
_SPAN = {"name": ("tra",), "ids": (str(uuid.uuid4()),)}
RANKS = 4 * MOST  # between one stage and the next
UPLOAD_BYTES = 64 << 20  # bytes that the client sends to a worker at a time


class Graph:
    """A program on its way to a cluster.

    Attributes:
        token: what stands second in the keys of all tasks of this run. It is not part of their first name,
            which is that of their task group: a scheduler keeps something of every group there was.
        exchange_of: for each key that crosses between workers, the plan node of its exchange.
    """

    def __init__(
        self,
        client: Client,
        workers: Sequence[str],
        threads: int,
        program: Program,
        sources: Mapping[str, TileSource],
        packed: Sequence[Packed],
        together: int = 0,
    ) -> None:
        self.client, self.workers, self.threads = client, workers, threads
        self.program, self.sources, self.together = program, sources, together
        self.packed = packed
        self.token = uuid.uuid4().hex[:12]
        self.exchange_of: dict[str, str] = {}
        self._nodes: dict[str, Plan] = {node.digest: node for node in plan_order(*program.roots)}
        self._tasks: dict[TaskKey, DaskTask] = {}
        self._pinned: dict[TaskKey, str] = {}
        self._priorities: dict[TaskKey, int] = {}
        self._given: dict[Output, Any] = {}  # futures, or shares that are held already
        self._futures: dict[Output, Future[Any]] = {}
        self._results: list[Held] = []
        self._persisted: dict[str, Any] = {}
        self._cuts = {output: ("tra-send", self.token, n) for n, output in enumerate(program.cut_outputs)}
        alone = {output for shares in program.results[together:] for output in shares}
        picked = [output for output in program.picked_outputs if output in alone]
        self._picks = {output: ("tra-result", self.token, n) for n, output in enumerate(picked)}

    def submit(self) -> list[list[Held]]:
        """Sends the graph; what will be held of each root at each site."""
        self._build()
        return self._send()

    def _build(self) -> None:
        """Makes all tasks."""
        self._hold_given()
        for output, key in self._cuts.items():
            node = self._nodes[output.repartition[0]] if output.repartition else None
            nodes = {} if node is None else {node.digest: node}
            index, rank = self._index(output), _rank(output.stage)
            self._add(key, output.site, rank, cut_task, self.token, nodes, output, index, self._ref(output))
        for output, key in self._picks.items():
            index, rank = self._index(output), _rank(output.stage)
            self._add(key, output.site, rank, pick_task, self.token, index, self._ref(output))
        for task in self.program.tasks:
            self._stage(task)
        for number, site in self.program.joined:
            self._join(number, site)

    def release(self) -> None:
        """Lets go of all that was sent and of all results: tasks that have not begun never will."""
        for held in self._results:
            held.release()
        self.end()

    def end(self) -> None:
        """Leaves the results to whoever has them, and lets go of all else; somebody may keep this graph."""
        sent = (given for given in self._given.values() if not isinstance(given, Held))
        for future in (*sent, *self._futures.values()):
            future.release()
        for kept in (self._given, self._futures, self._persisted, self._results):
            kept.clear()

    def _send(self) -> list[list[Held]]:
        results = [output for shares in self.program.results for output in shares]
        keys = {
            output: self._picks.get(output, self._key(output))
            for output in results
            if output not in self._given
        }
        pins, priority = self._pinned.__getitem__, self._priorities.__getitem__
        known = dask.get_annotations()  # type: ignore[attr-defined]
        span = known.get("span", _SPAN)
        with dask.annotate(  # type: ignore[attr-defined]
            workers=pins, allow_other_workers=False, span=span, priority=priority
        ):
            futures = self.client.get(self._tasks, list(keys.values()), sync=False) if keys else []
        self._futures = dict(zip(keys, futures, strict=True))
        return [
            [self._result(output, place < self.together) for output in shares]
            for place, shares in enumerate(self.program.results)
        ]

    def _result(self, output: Output, is_part: bool) -> Held:
        """A result: a share that was given, the value of a task, or one of several that stay together."""
        given = self._given.get(output)
        if isinstance(given, Held):
            return given
        future = given or self._futures[output]
        index = self._index(output) if is_part and given is None else None
        self._results.append(Held(Future(future.key, self.client), index, self.workers[output.site]))
        return self._results[-1]

    def _hold_given(self) -> None:
        """Futures of the given sources: stored ones are there, the others are sent to their sites now."""
        for site, worker in enumerate(self.workers):
            batch: dict[Output, Tiles] = {}
            for scan in (scan for scan in self.program.given if site < sites_of(scan)):
                output, source = Output(None, site, scan.digest), self.sources[scan.id]
                if isinstance(source, StoredSource):
                    self._given[output] = source.share(site).held
                    continue
                window = self._window(scan, source, site, worker)
                if window is not None:
                    self._given[output] = window
                    continue
                batch[output] = self._read(scan, source, site).contiguous()
                if sum(tiles.nbytes for tiles in batch.values()) > UPLOAD_BYTES:
                    self._upload(batch, worker)
                    batch = {}
            self._upload(batch, worker)

    def _window(self, scan: Scan, source: TileSource, site: int, worker: str) -> Future[Any] | None:
        """A share of a dask.array, which the workers compute; None where there is none."""
        array = dask_array_of(source)
        lying = lying_in(scan.type, box_of(scan.type, scan.placement, site))
        if array is None or lying is None:
            return None
        box, cuts, window = lying
        if scan.id not in self._persisted:  # one computation for the shares of all sites
            self._persisted[scan.id] = self.client.persist(array)
        elements = self._persisted[scan.id][window]
        task = delayed(window_task, pure=False)(box, cuts, scan.type.dtype.str, elements)
        computed: Future[Any] = self.client.compute(task, workers=[worker], allow_other_workers=False)
        return computed

    def _read(self, scan: Scan, source: TileSource, site: int) -> Tiles:
        return read_tiles(scan.type, box_of(scan.type, scan.placement, site), source)

    def _upload(self, batch: Mapping[Output, Tiles], worker: str) -> None:
        names = {output: f"tra-given-{uuid.uuid4().hex}" for output in batch}
        values = {names[output]: tiles for output, tiles in batch.items()}
        futures = scattered(self.client, values, worker) if values else {}
        self._given.update({output: futures[name] for output, name in names.items()})

    def _key(self, output: Output) -> TaskKey:
        """The key of the task that returns an output, alone or among others."""
        if output.stage is None:
            return self._given[Output(None, output.site, output.digest)].key
        return (f"tra-stage{output.stage + 1}", self.token, output.site)

    def _ref(self, output: Output) -> TaskRef:
        return TaskRef(self._key(output))

    def _index(self, output: Output) -> int | None:
        if output.stage is None:
            return getattr(self._given[Output(None, output.site, output.digest)], "index", None)
        outputs = self.program.stages[output.stage].outputs
        return outputs.index(output.digest) if len(outputs) > 1 else None

    def _add(self, key: TaskKey, site: int, rank: int, function: Callable[..., Any], *args: Any) -> None:
        """A task; those of lower rank go first."""
        self._tasks[key] = DaskTask(key, function, *args)
        self._pinned[key] = self.workers[site]
        self._priorities[key] = -rank

    def _stage(self, task: Task) -> None:
        slots: list[Local | Arriving] = [Local(d, self._index(o), o.box) for d, o in task.local]
        values = [self._ref(output) for _, output in task.local]
        for exchange, operand, taken in task.received:
            for source, output in taken:
                if source == task.site:
                    slots.append(Arriving(exchange, operand, output, self._index(output)))
                    values.append(self._ref(output))
                else:
                    slots.append(Arriving(exchange, operand))
                    values.append(TaskRef(self._crossing(exchange, output)))
        read = {scan.id: self.sources[scan.id] for scan in task.scans}
        boxes = {node.digest: box for node, box in task.made}
        number, site = task.stage.number, task.site
        arguments = (self.token, self.packed[number], site, self.threads, boxes, read, tuple(slots))
        self._add(self._task_key(task), site, _rank(number, task), stage_task, *arguments, *values)

    def _task_key(self, task: Task) -> TaskKey:
        name, *rest = self._key(Output(task.stage.number, task.site, ""))
        return (name, *rest) if task.panel is None else (f"{name}-panel", *rest, task.panel)

    def _join(self, number: int, site: int) -> None:
        """The task that puts the panels of a stage at a site together."""
        panels = (t for t in self.program.tasks if (t.stage.number, t.site) == (number, site))
        refs = [TaskRef(self._task_key(task)) for task in panels]
        self._add(self._key(Output(number, site, "")), site, _rank(number), join_task, self.token, *refs)

    def _crossing(self, exchange: str, output: Output) -> TaskKey:
        key = self._cuts.get(output, self._key(output))
        self.exchange_of.setdefault(repr(key), exchange)  # a piece that two exchanges need is sent once
        return key


def _rank(number: int | None, task: Task | None = None) -> int:
    """The place of a task at its worker: stages in order, the panels of one with their own pieces first.

    What a stage sends goes before what comes after it, so that others get on.
    """
    after = 0 if number is None else (number + 1) * RANKS
    if task is None or task.panel is None:
        return after
    others = sum(source != task.site for _, _, taken in task.received for source, _ in taken)
    own = sum(source == task.site for _, _, taken in task.received for source, _ in taken)
    return after - RANKS + 1 + task.panel + (MOST if others > own else 0)
