"""The Dask backend: the same programs, one task per stage and site, pinned to workers.

The whole program is sent as one graph. Each site is one worker; pieces that cross between sites are cut
beside their source, so that the wire carries what the plan says. Nothing is concatenated on a worker:
results stay as one share per site, and the client fetches large ones a few tiles at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

from distributed import Future

from tra.algebra.sources import TileSource
from tra.backends import calibrate_cluster, probe
from tra.backends.backend import Measured, Run, Share, shares_of
from tra.backends.calibrate_cluster import cluster_model
from tra.backends.cluster import open_client, worker_addresses
from tra.backends.constants import Constants
from tra.backends.dask_graph import Graph
from tra.backends.departures import (
    DepartedError,
    forget_frames,
    gathered,
    naming_departed,
    on_workers,
    wait_for,
)
from tra.backends.growth import forget_regularly
from tra.backends.lineage import Held, Made, stored_of
from tra.backends.packed import Packer
from tra.backends.passes.schedule import End
from tra.backends.progress import shown
from tra.backends.progress_bar import Bar
from tra.backends.recovery import Recovery
from tra.backends.site_tasks import call_at_sites
from tra.backends.site_workers import SiteWorkers
from tra.backends.tiles import Tiles
from tra.backends.usable_memory import held_task, usable_memory
from tra.backends.worker import forget_task, measured_here, open_ledger, rows_task, sizes_task
from tra.backends.worker_checks import check_paths, check_versions
from tra.errors import CatalogError
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
        recovery: what keeps it going when workers die.
        n_sites: the number of workers.
        threads: threads of one task.
        memory_limit: bytes of tiles one site may hold, or None where workers have no limit either.
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
        self._version = probe.installed()[0] or ""
        try:
            workers, self.memory_limit = self._first_workers(sites, memory_limit)
        except BaseException:
            self._close_owned()
            raise
        self._sites = SiteWorkers(self.client, workers, self._admit, self._refill)
        self.recovery = Recovery(self.client, self._sites, self._send)
        self.n_sites = len(workers)
        self.progress = progress
        self.threads = threads or max(int(next(iter(workers.values()))["nthreads"]), 1)
        fixed = CostModel(flop_rate=4.0e10 * self.threads, upload=5.0e8)
        self.constants = Constants(fixed, lambda: self._model(fixed), calibrate_cluster.forget)
        self._seen_paths: set[str] = set()
        self._announced = False
        self._packer = Packer()

    @property
    def workers(self) -> list[str]:
        """The worker address of each site, as it is now."""
        return self._sites.addresses

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
            PlanError: no worker is left, or too many died.
            TraError: whatever a task raised.
        """
        return self.recovery.run(program, sources, measure, together)

    def limited(self, program: Program, sources: Mapping[str, TileSource], end: End, beside: int = 0) -> None:
        """Nothing: there is no limit on the process of the client."""

    def _send(self, made: Made, sources: Mapping[str, TileSource], measure: bool) -> Run:
        """Runs a program once, on the workers that there are."""
        program = made.program
        self._check_files(program, sources)
        start = time.perf_counter()
        packed = self._packer.packed(program)
        graph = Graph(self.client, self.workers, self.threads, program, sources, packed, made.together)
        try:
            if measure:
                on_workers(self.client, self.workers, open_ledger, graph.token)
            held = graph.submit()
            needed = [share.held for stored in stored_of(program, sources) for share in stored.shares or ()]
            self._wait([share.future for shares in held for share in shares], needed)
            measured = self._measured(graph, time.perf_counter() - start) if measure else None
            graph.end()
        except BaseException:
            graph.release()
            raise
        return Run(shares_of(program, held), measured)

    def _first_workers(
        self, sites: int | None, memory_limit: int | None
    ) -> tuple[Mapping[str, Mapping[str, Any]], int | None]:
        """The workers that are the sites at the beginning, and bytes for tiles; others, where one leaves."""
        while True:
            workers = worker_addresses(self.client, sites)
            try:
                with naming_departed(self.client, list(workers)):
                    check_versions(self.client, list(workers), self._version)
                    return workers, memory_limit or self._usable(workers)
            except DepartedError as error:
                forget_frames(error)

    def _usable(self, workers: Mapping[str, Mapping[str, Any]]) -> int | None:
        """Bytes that tiles may take at each worker."""
        given = {who: int(said.get("memory_limit") or 0) for who, said in workers.items()}
        limits = {who: limit for who, limit in given.items() if limit}
        return usable_memory(limits, on_workers(self.client, list(limits), held_task))

    def _admit(self, workers: Sequence[str]) -> None:
        """Makes sure that workers that joined can run tasks."""
        try:
            check_versions(self.client, workers, self._version)
            if self._owned:
                on_workers(self.client, workers, forget_regularly)
        except DepartedError as error:
            raise OSError(str(error)) from error
        self._seen_paths.clear()

    def _refill(self) -> None:
        """Starts workers of our own anew that Dask has given up: those that died while they were starting."""
        for cluster in self._owned[1:]:
            cluster.scale(self.n_sites)

    def _model(self, fixed: CostModel) -> CostModel:
        return self.recovery.lasting(
            lambda: cluster_model(self.client, self.workers, self.threads, fixed), look=True
        )

    def _check_files(self, program: Program, sources: Mapping[str, TileSource]) -> None:
        used = {scan.id for task in program.tasks for scan in task.scans}
        paths = (
            {str(getattr(sources[i], "path", "")) for i in used if sources[i].remote}
            - self._seen_paths
            - {""}
        )
        check_paths(self.client, self.workers, sorted(paths))
        self._seen_paths |= paths

    def _wait(self, futures: Sequence[Future[Any]], needed: Sequence[Held]) -> None:
        if shown(self.progress):
            if not self._announced:
                print(f"dashboard: {self.client.dashboard_link}", file=sys.stderr)
                self._announced = True
            address = str(self.client.scheduler_info(n_workers=0)["address"])
            bar = Thread(target=Bar, args=(futures, address), daemon=True)
            bar.start()
            wait_for(self.client, self.workers, futures, needed)
            bar.join(_BAR_SECONDS)
        else:
            wait_for(self.client, self.workers, futures, needed)
        failed = next((future for future in futures if future.status == "error"), None)
        if failed is not None:
            error = failed.exception()
            assert error is not None
            raise error.with_traceback(failed.traceback())  # with the lines that ran on the worker
        lost = next((future for future in futures if future.status != "finished"), None)
        if lost is not None:
            raise DepartedError(f"the cluster gave up on task {lost.key}: {lost.status}")

    def _measured(self, graph: Graph, seconds: float) -> Measured:
        found = on_workers(self.client, self.workers, measured_here, graph.token)
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
        """Shares, all at once."""
        held: list[Held] = [share.held for share in shares]

        def bring() -> list[Tiles]:
            return gathered(self.client, self.workers, [share.future for share in held], held)

        return self.recovery.with_shares(held, bring) if held else []

    def _runs(self, held: Held) -> Iterator[Tiles]:
        """A share, in runs of tiles of at most `FETCH_BYTES`."""
        sizes = self._result(sizes_task, held)
        start = 0
        while start < len(sizes):
            stop, total = start + 1, sizes[start]
            while stop < len(sizes) and total + sizes[stop] <= FETCH_BYTES:
                total += sizes[stop]
                stop += 1
            yield self._result(rows_task, held, start, stop)
            start = stop

    def _result(self, function: Callable[..., Any], held: Held, *arguments: Any) -> Any:
        """What a function gives of a share, run where the share lies."""

        def bring() -> list[Any]:
            where = [held.worker] if held.worker else None
            future = self.client.submit(function, held.future, *arguments, pure=False, workers=where)
            try:
                return gathered(self.client, self.workers, [future], [held])
            finally:
                future.release()

        return self.recovery.with_shares([held], bring)[0]

    def at_sites(
        self, shares: Mapping[int, Share], function: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """Calls a function where shares lie, with the tiles of each and with arguments of its own."""
        held: list[Held] = [share.held for share in shares.values()]

        def call() -> list[Any]:
            return call_at_sites(self.client, self.workers, held, function, arguments)

        return self.recovery.with_shares(held, call)

    def sees(self, path: Path) -> bool:
        """Claims that all workers see a path here."""
        try:
            self.recovery.lasting(lambda: check_paths(self.client, self.workers, [str(path)]), look=True)
        except CatalogError:
            return False
        return True

    def let_go(self, paths: Collection[str]) -> None:
        """Lets go of pages of files that were read, and of memory that was freed."""
        self.recovery.lasting(lambda: on_workers(self.client, self.workers, forget_task, sorted(paths)))

    def hold(self, share: Share) -> Share:
        """The share as it is: it lies with the workers. What it was made from is remembered as it is now."""
        self.seal([share])
        return share

    def seal(self, shares: Sequence[Share]) -> None:
        """A share that is lost is made again from what it was made from, or not at all."""
        for share in shares:
            share.held.seal()

    def release(self, shares: Sequence[Share]) -> None:
        """Drops the futures."""
        for share in shares:
            share.held.release()

    def close(self) -> None:
        """Lets go of all shares, and closes what was started here; a Client that was given stays open."""
        self.recovery.release()
        self._close_owned()

    def _close_owned(self) -> None:
        with ExitStack() as closing:  # the cluster too where its client does not close
            for opened in reversed(self._owned):
                closing.callback(opened.close)
            self._owned = []
