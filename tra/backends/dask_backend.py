"""The Dask backend: the same programs, one task per stage and site, pinned to workers.

The whole program is sent as one graph. Each site is one worker; pieces that cross between sites are cut
beside their source, so that the wire carries what the plan says. Nothing is concatenated on a worker:
results stay as one share per site, and the client fetches them a few tiles at a time.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import dask
from dask.task_spec import Task as DaskTask
from dask.task_spec import TaskRef
from distributed import Future, progress, wait

from tra.algebra.sources import TileSource
from tra.backends.backend import Measured, Run, Share, StoredSource
from tra.backends.cluster import check_paths, check_versions, open_client, worker_addresses
from tra.backends.local import read_tiles
from tra.backends.progress import shown
from tra.backends.tiles import Tiles
from tra.backends.worker import Loaded, Local, Own, Received, cut_task, measured_here, rows_task, sizes_task, stage_task
from tra.errors import PlanError
from tra.optimizer.cost import CostModel
from tra.optimizer.plan import Plan, plan_order
from tra.optimizer.stages import Output, Program, Task

FETCH_BYTES = 64 << 20


class DaskBackend:
    """Runs plans on a Dask cluster.

    Attributes:
        name: "dask".
        client: the Dask client in use.
        workers: the worker address of each site.
        n_sites: the number of workers.
    """

    name = "dask"

    def __init__(
        self, scheduler: Any = None, threads: int | None = None, sites: int | None = None,
        memory_limit: int | None = None, progress: bool | None = None,
    ) -> None:  # fmt: skip
        from tra import __version__

        self.client, self._owned = open_client(scheduler, threads, sites, memory_limit)
        try:
            self.workers = worker_addresses(self.client, sites)
            check_versions(self.client, self.workers, __version__)
        except BaseException:
            self.close()
            raise
        self.n_sites = len(self.workers)
        self.progress = progress
        info = self.client.scheduler_info(n_workers=-1)["workers"]
        self.threads = threads or max(int(info[self.workers[0]]["nthreads"]), 1)
        limits = [int(info[w]["memory_limit"] * 0.6) for w in self.workers if info[w].get("memory_limit")]
        self.memory_limit = memory_limit or (min(limits) if limits else None)
        self.model = CostModel(flop_rate=4.0e10 * self.threads, upload=5.0e8)
        self._checked: set[str] = set()

    def run(self, program: Program, sources: Mapping[str, TileSource], measure: bool = False) -> Run:
        """Sends a program as one graph and waits for its results, which stay on the workers.

        Raises:
            CatalogError: a worker cannot see a file.
            TraError: whatever a task raised.
        """
        self._check_files(program, sources)
        start = time.perf_counter()
        graph = _Graph(self, program, sources)
        futures = graph.submit()
        self._wait(futures)
        shares = tuple(tuple(Share(future) for future in futures[n]) for n in range(len(program.roots)))
        measured = self._measured(graph, time.perf_counter() - start) if measure else None
        return Run(shares, measured)

    def _check_files(self, program: Program, sources: Mapping[str, TileSource]) -> None:
        used = {scan.id for task in program.tasks for scan, _ in task.scans}
        paths = {str(getattr(sources[i], "path", "")) for i in used if sources[i].remote} - self._checked - {""}
        check_paths(self.client, self.workers, sorted(paths))
        self._checked |= paths

    def _wait(self, futures: list[list[Future]]) -> None:
        flat = [future for root in futures for future in root]
        if shown(self.progress):
            print(f"dashboard: {self.client.dashboard_link}", file=sys.stderr)
            progress(flat, notebook=False)
        with self.client.as_current():
            wait(flat)
        failed = next((future for future in flat if future.status == "error"), None)
        if failed is not None:
            error = failed.exception()
            assert error is not None
            raise error
        lost = next((future for future in flat if future.status != "finished"), None)
        if lost is not None:
            raise PlanError(f"the cluster gave up on task {lost.key}: {lost.status}")

    def _measured(self, graph: _Graph, seconds: float) -> Measured:
        found = self.client.run(measured_here, graph.token, workers=self.workers)
        by_exchange: dict[str, int] = {}
        for _, _, incoming in found.values():
            for key, size in incoming.items():
                name = graph.exchange_of.get(key, "")
                by_exchange[name] = by_exchange.get(name, 0) + size
        return Measured(
            bytes_moved=sum(by_exchange.values()),
            peak_bytes_per_site=max(peak for _, peak, _ in found.values()),
            tasks=sum(tasks for tasks, _, _ in found.values()),
            seconds=seconds,
            exchanges=by_exchange,
        )

    def fetch(self, share: Share) -> Iterator[Tiles]:
        """A share, in runs of tiles of at most `FETCH_BYTES`."""
        future: Future = share.held
        sizes = self.client.submit(sizes_task, future, pure=False).result()
        start = 0
        while start < len(sizes):
            stop, total = start + 1, sizes[start]
            while stop < len(sizes) and total + sizes[stop] <= FETCH_BYTES:
                total += sizes[stop]
                stop += 1
            yield self.client.submit(rows_task, future, start, stop, pure=False).result()
            start = stop

    def release(self, shares: list[Share]) -> None:
        """Drops the futures."""
        for share in shares:
            share.held.release()

    def close(self) -> None:
        """Closes what was started here; a Client that was given stays open."""
        for opened in self._owned:
            opened.close()
        self._owned = []


class _Graph:
    """One program as a Dask graph: keys, tasks and the worker of each."""

    def __init__(self, backend: DaskBackend, program: Program, sources: Mapping[str, TileSource]) -> None:
        self.backend, self.program, self.sources = backend, program, sources
        self.token = uuid.uuid4().hex[:12]
        self.nodes: dict[str, Plan] = {node.digest: node for node in plan_order(*program.roots)}
        self.tasks: dict[Any, DaskTask] = {}
        self.workers: dict[Any, str] = {}
        self.exchange_of: dict[str, str] = {}
        self.cut_keys = {output: (f"tra-send-{self.token}", n) for n, output in enumerate(program.cut_outputs)}
        self.uploads: list[Future] = []

    def submit(self) -> list[list[Future]]:
        """Sends the graph; one future per root and site."""
        for output, key in self.cut_keys.items():
            self._cut(output, key)
        for task in self.program.tasks:
            self._stage(task)
        roots = [self._root(n, root) for n, root in enumerate(self.program.roots)]
        keys = [key for root in roots for key in root]
        with dask.annotate(workers=self.workers.__getitem__, allow_other_workers=False, retries=2):
            futures = self.backend.client.get(self.tasks, keys, sync=False)
        found = dict(zip(keys, futures, strict=True))
        return [[found[key] for key in root] for root in roots]

    def _key(self, stage: int, site: int) -> Any:
        return (f"tra-stage{stage + 1}-{self.token}", site)

    def _add(self, key: Any, site: int, function: Any, *args: Any) -> None:
        self.tasks[key] = DaskTask(key, function, *args)
        self.workers[key] = self.backend.workers[site]

    def _index(self, output: Output) -> int | None:
        outputs = self.program.stages[output.stage].outputs
        return outputs.index(output.digest) if len(outputs) > 1 else None

    def _cut(self, output: Output, key: Any) -> None:
        node, operand, target = self._spec(output)
        value = TaskRef(self._key(output.stage, output.site))
        self._add(key, output.site, cut_task, self.token, node, operand, target, output.box, self._index(output), value)

    def _spec(self, output: Output) -> tuple[Plan | None, int, int]:
        if output.repartition is None:
            return None, 0, output.site
        digest, operand, target = output.repartition
        return self.nodes[digest], operand, target

    def _stage(self, task: Task) -> None:
        slots: list[Any] = []
        values: list[Any] = []
        for digest, output in task.local:
            slots.append(Local(digest, self._index(output)))
            values.append(TaskRef(self._key(output.stage, output.site)))
        for exchange, operand, taken in task.received:
            for source, output in taken:
                slot, key = self._received(task, exchange, operand, source, output)
                slots.append(slot)
                values.append(TaskRef(key))
        sources: dict[str, TileSource] = {}
        for scan, box in task.scans:
            source = self.sources[scan.id]
            if source.remote:
                sources[scan.id] = source
                continue
            slots.append(Loaded(scan.id))
            values.append(TaskRef(self._load(source, scan, box, task.site).key))
        key = self._key(task.stage.number, task.site)
        threads = self.backend.threads
        self._add(key, task.site, stage_task, self.token, task.stage, task.site, threads, sources, tuple(slots), *values)

    def _received(self, task: Task, exchange: str, operand: int, source: int, output: Output) -> tuple[Received, Any]:
        whole = self._key(output.stage, output.site)
        if source == task.site:
            own = Own(self._index(output), output.box, task.site)
            return Received(exchange, operand, own), whole
        key = self.cut_keys.get(output, whole)
        self.exchange_of[repr(key)] = exchange
        return Received(exchange, operand, None), key

    def _load(self, source: TileSource, scan: Any, box: Any, site: int) -> Future:
        """Tiles that only the client has are sent to the site; stored ones are there."""
        if isinstance(source, StoredSource):
            held: Future = source.share(site).held
            return held
        tiles = read_tiles(scan, box, source)
        future: Future = self.backend.client.scatter([tiles], workers=[self.backend.workers[site]], hash=False)[0]
        self.uploads.append(future)
        return future

    def _root(self, number: int, root: Plan) -> list[Any]:
        """The keys of a result: the stage task itself, or its part of the stage's outputs."""
        stage = self.program.home(root)
        keys = []
        for site in range(self.program.n_sites):
            key = self._key(stage.number, site)
            if len(stage.outputs) > 1:
                pick = (f"tra-result{number}-{self.token}", site)
                self._add(pick, site, _pick, TaskRef(key), stage.outputs.index(root.digest))
                key = pick
            keys.append(key)
        return keys


def _pick(outputs: tuple[Tiles, ...], index: int) -> Tiles:
    return outputs[index]
