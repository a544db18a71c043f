"""The Dask backend: the same programs, one task per stage and site, pinned to workers.

The whole program is sent as one graph. Each site is one worker; pieces that cross between sites are cut
beside their source, so that the wire carries what the plan says. Nothing is concatenated on a worker:
results stay as one share per site, and the client fetches large ones a few tiles at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from distributed import Future
from distributed.diagnostics.progressbar import TextProgressBar
from tqdm import tqdm

from tra.algebra.sources import TileSource
from tra.backends import calibrate_cluster, probe
from tra.backends.backend import Measured, Run, Share, shares_of
from tra.backends.calibrate_cluster import cluster_model
from tra.backends.cluster import USABLE, check_paths, check_versions, open_client, worker_addresses
from tra.backends.constants import Constants
from tra.backends.dask_graph import Graph, Part
from tra.backends.departures import check_present, naming_departed, wait_for
from tra.backends.packed import Packer
from tra.backends.passes.schedule import End
from tra.backends.progress import shown
from tra.backends.tiles import Tiles
from tra.backends.worker import forget_task, measured_here, rows_task, sizes_task
from tra.backends.workers import workers_there
from tra.errors import CatalogError, PlanError
from tra.optimizer.cost import CostModel
from tra.optimizer.densities import Met, add_met
from tra.optimizer.program import Program

SMALL_SHARE = 4 << 20  # bytes of a share that comes to the client whole
FETCH_BYTES = 64 << 20  # bytes that come to the client at a time
_BAR_SECONDS = 2.0  # that the progress bar may take to see that all is done


class DaskBackend:
    """Runs plans on a Dask cluster.

    Attributes:
        name: "dask".
        client: the Dask client in use.
        workers: the worker address of each site.
        n_sites: the number of workers.
        threads: threads of one task.
        memory_limit: bytes one site may use, or None.
        constants: the cost model of the cluster, measured when it is first planned for.
        resident_limit: None; workers watch over their processes themselves.
    """

    name = "dask"
    resident_limit: int | None = None

    def __init__(
        self,
        scheduler: Any = None,
        threads: int | None = None,
        sites: int | None = None,
        memory_limit: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.client, self._owned = open_client(scheduler, threads, sites, memory_limit)
        try:
            self.workers = worker_addresses(self.client, sites)
            check_versions(self.client, self.workers, probe.installed()[0] or "")
        except BaseException:
            self.close()
            raise
        self.n_sites = len(self.workers)
        self.progress = progress
        info = workers_there(self.client)
        self.threads = threads or max(int(info[self.workers[0]]["nthreads"]), 1)
        limits = [int(info[w]["memory_limit"] * USABLE) for w in self.workers if info[w].get("memory_limit")]
        self.memory_limit = memory_limit or (min(limits) if limits else None)
        fixed = CostModel(flop_rate=4.0e10 * self.threads, upload=5.0e8)
        self.constants = Constants(fixed, lambda: self._model(fixed), calibrate_cluster.forget)
        self._seen_paths: set[str] = set()
        self._announced = False
        self._packer = Packer()

    def run(
        self,
        program: Program,
        sources: Mapping[str, TileSource],
        measure: bool = False,
        together: int = 0,
    ) -> Run:
        """Sends a program as one graph and waits for its results, which stay on the workers.

        Raises:
            CatalogError: a worker cannot see a file.
            PlanError: a worker left the cluster.
            TraError: whatever a task raised.
        """
        with self._all_there():
            self._check_files(program, sources)
            start = time.perf_counter()
            graph = Graph(
                self.client,
                self.workers,
                self.threads,
                program,
                sources,
                self._packer.packed(program),
                together,
            )
            futures = graph.submit()
            held = [share for shares in futures for share in shares]
            self._wait([share.future if isinstance(share, Part) else share for share in held])
            measured = self._measured(graph, time.perf_counter() - start) if measure else None
            return Run(shares_of(program, futures), measured)

    def limited(self, program: Program, sources: Mapping[str, TileSource], end: End, beside: int = 0) -> None:
        """Nothing: there is no limit on the process of the client."""

    @contextmanager
    def _all_there(self) -> Iterator[None]:
        """Looks whether the workers are there before anything is sent, and when it fails."""
        with naming_departed(self.client, self.workers):
            check_present(self.client, self.workers)
            yield

    def _model(self, fixed: CostModel) -> CostModel:
        with self._all_there():
            return cluster_model(self.client, self.workers, self.threads, fixed)

    def _check_files(self, program: Program, sources: Mapping[str, TileSource]) -> None:
        used = {scan.id for task in program.tasks for scan in task.scans}
        paths = (
            {str(getattr(sources[i], "path", "")) for i in used if sources[i].remote}
            - self._seen_paths
            - {""}
        )
        check_paths(self.client, self.workers, sorted(paths))
        self._seen_paths |= paths

    def _wait(self, futures: Sequence[Future[Any]]) -> None:
        with self.client.as_current():
            if shown(self.progress):
                if not self._announced:
                    print(f"dashboard: {self.client.dashboard_link}", file=sys.stderr)
                    self._announced = True
                address = str(self.client.scheduler_info(n_workers=0)["address"])
                bar = Thread(target=_Bar, args=(futures, address), daemon=True)
                bar.start()
                wait_for(self.client, self.workers, futures)
                bar.join(_BAR_SECONDS)
            else:
                wait_for(self.client, self.workers, futures)
        failed = next((future for future in futures if future.status == "error"), None)
        if failed is not None:
            error = failed.exception()
            assert error is not None
            raise error.with_traceback(failed.traceback())  # with the lines that ran on the worker
        lost = next((future for future in futures if future.status != "finished"), None)
        if lost is not None:
            raise PlanError(f"the cluster gave up on task {lost.key}: {lost.status}")

    def _measured(self, graph: Graph, seconds: float) -> Measured:
        found = self.client.run(measured_here, graph.token, workers=self.workers)
        by_exchange: dict[str, int] = {}
        met: dict[str, Met] = {}
        for _, _, incoming, there in found.values():
            add_met(met, there)
            for key, size in incoming.items():
                name = graph.exchange_of.get(key, "")
                by_exchange[name] = by_exchange.get(name, 0) + size
        return Measured(
            bytes_moved=sum(by_exchange.values()),
            peak_bytes_per_site=max(peak for _, peak, *_ in found.values()),
            tasks=sum(tasks for tasks, *_ in found.values()),
            seconds=seconds,
            exchanges=by_exchange,
            met=met,
        )

    def fetch(self, shares: Sequence[Share]) -> Iterator[Tiles]:
        """Shares in their order: small ones whole, several in one round trip; large ones in runs of tiles."""
        waiting: list[Share] = []
        for share in shares:
            if share.nbytes > SMALL_SHARE or sum(s.nbytes for s in waiting) + share.nbytes > FETCH_BYTES:
                yield from self._gather(waiting)
                waiting = []
            if share.nbytes > SMALL_SHARE:
                yield from self._runs(share.held)
            else:
                waiting.append(share)
        yield from self._gather(waiting)

    def _gather(self, shares: Sequence[Share]) -> list[Tiles]:
        if not shares:
            return []
        with naming_departed(self.client, self.workers):
            found: list[Tiles] = self.client.gather([share.held for share in shares])
        return found

    def _runs(self, future: Future[Any]) -> Iterator[Tiles]:
        """A share, in runs of tiles of at most `FETCH_BYTES`."""
        sizes = self._result(sizes_task, future)
        start = 0
        while start < len(sizes):
            stop, total = start + 1, sizes[start]
            while stop < len(sizes) and total + sizes[stop] <= FETCH_BYTES:
                total += sizes[stop]
                stop += 1
            yield self._result(rows_task, future, start, stop)
            start = stop

    def _result(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with naming_departed(self.client, self.workers):
            return self.client.submit(function, *arguments, pure=False).result()

    def at_sites(
        self, shares: Mapping[int, Share], function: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """Calls a function where shares lie, with each share and with arguments of its own."""
        with self._all_there():
            futures = [
                self.client.submit(
                    function,
                    share.held,
                    *more,
                    workers=[self.workers[site]],
                    allow_other_workers=False,
                    pure=False,
                )
                for (site, share), more in zip(shares.items(), arguments, strict=True)
            ]
            wait_for(self.client, self.workers, futures)
            found: list[Any] = self.client.gather(futures)
        return found

    def sees(self, path: Path) -> bool:
        """Claims that all workers see a path here."""
        try:
            check_paths(self.client, self.workers, [str(path)])
        except CatalogError:
            return False
        return True

    def let_go(self, paths: Collection[str]) -> None:
        """Lets go of pages of files that were read, and of memory that was freed."""
        with self._all_there():
            self.client.run(forget_task, sorted(paths), workers=self.workers)

    def hold(self, share: Share) -> Share:
        """The share as it is: it lies with the workers."""
        return share

    def release(self, shares: Sequence[Share]) -> None:
        """Drops the futures."""
        for share in shares:
            share.held.release()

    def close(self) -> None:
        """Closes what was started here; a Client that was given stays open."""
        for opened in self._owned:
            opened.close()
        self._owned = []


class _Bar(TextProgressBar):
    """Dask's progress bar, drawn on standard error as the local backend does; blocks until all is done."""

    def __init__(self, futures: Sequence[Future[Any]], scheduler: str) -> None:
        self._bar = tqdm(total=1, delay=1, leave=False, unit="task", desc="tra")
        super().__init__(futures, scheduler)  # type: ignore[no-untyped-call]

    def _draw_bar(self, remaining: int, all: int, **_: Any) -> None:
        self._bar.total = max(all, 1)
        self._bar.n = all - remaining
        self._bar.refresh()

    def _draw_stop(self, **_: Any) -> None:
        self._bar.close()
