"""Measuring a Dask cluster: the speed of its workers while all of them are busy, and the ways between them.

It takes about half a second, the first time that a cluster is planned for; figures are kept as long as the
process lives, and never on disk.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
from distributed import Client, Future

from tra.backends.calibrate import Speed, measure_speed, rounded
from tra.backends.departures import gathered, on_workers, scattered
from tra.backends.tiles import Tiles
from tra.optimizer.cost import CostModel

_PATIENCE = 20.0  # seconds for all of it, on a cluster that is at work
_SENT = 16 << 20  # bytes of one transfer
_ROUNDS = 2
_HOPS = 6
_known: dict[tuple[Any, ...], CostModel] = {}


def cluster_model(client: Client, workers: Sequence[str], threads: int, fixed: CostModel) -> CostModel:
    """The cost model of a cluster as measured, once in the life of this process.

    Args:
        client: a client of the cluster.
        workers: the addresses of the sites.
        threads: threads of one task.
        fixed: figures for what cannot be measured, such as the way between workers where there is one.

    Example:
        >>> from types import SimpleNamespace
        >>> client = SimpleNamespace(scheduler_info=lambda n_workers: {"id": "Scheduler-1"})
        >>> _known["Scheduler-1", ("tcp://10.0.0.1:4001",), 2] = CostModel(latency=1e-3)
        >>> cluster_model(client, ["tcp://10.0.0.1:4001"], 2, CostModel()).latency
        0.001

    Raises:
        DepartedError: a worker left.
        TimeoutError: the cluster is too busy to be measured.
    """
    key = (client.scheduler_info(n_workers=0)["id"], tuple(workers), threads)
    if key not in _known:
        _known[key] = _Cluster(client, workers, threads).model(fixed)
    return _known[key]


def forget() -> None:
    """Forgets what was measured, so that the next plan measures anew.

    Example:
        >>> forget()
    """
    _known.clear()


class _Cluster:
    """A cluster while it is measured."""

    def __init__(self, client: Client, workers: Sequence[str], threads: int) -> None:
        self.client, self.workers, self.threads = client, workers, threads
        self.until = time.monotonic() + _PATIENCE

    def model(self, fixed: CostModel) -> CostModel:
        fitted = self.speed().fit(fixed)
        fitted = replace(fitted, upload=rounded(self.upload()))
        if len(self.workers) == 1:
            return fitted
        bandwidth = rounded(self.bandwidth()) or fixed.bandwidth
        return replace(fitted, bandwidth=bandwidth, latency=rounded(self.latency()))

    def speed(self) -> Speed:
        """The median over the workers, all of them at work."""
        found = self.results([self.put(n, measure_speed, self.threads) for n in range(len(self.workers))])
        figures = np.array([(s.large, s.small, s.single, s.elements, s.memory) for s in found])
        return Speed(*np.median(figures, axis=0).tolist())

    def bandwidth(self) -> float:
        """Bytes per second at a receiver, while every worker receives from the one before it.

        Of a worker the best counts, of the workers the median.
        """
        token = uuid.uuid4().hex[:12]
        for number in range(_ROUNDS):
            sent = [
                self.put(n, some_tiles, _SENT, key=f"tra-sent-{number}-{n}-{token}")
                for n in range(len(self.workers))
            ]
            self.results([self.put(n, count_tiles, future) for n, future in enumerate(sent)])
            self.results([self.put(n + 1, count_tiles, future) for n, future in enumerate(sent)])
        logged = on_workers(self.client, self.workers, received_bandwidths, token)
        return median(max(rates, default=0.0) for rates in logged.values())

    def latency(self) -> float:
        """Seconds for one exchange: a task that cuts, the way to another worker, a task that receives."""
        times = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            future = self.put(0, pass_on, 0)
            for hop in range(_HOPS):
                future = self.put(hop + 1, pass_on, self.put(hop, pass_on, future))
            self.results([future])
            times.append((time.perf_counter() - start) / _HOPS)
        return min(times)

    def upload(self) -> float:
        """Bytes per second from the client to a worker."""
        times = []
        for number in range(_ROUNDS):
            tiles, worker = some_tiles(_SENT), self.workers[number % len(self.workers)]
            start = time.perf_counter()
            scattered(self.client, {f"tra-sent-{uuid.uuid4().hex}": tiles}, worker)
            times.append(time.perf_counter() - start)
        return _SENT / min(times)

    def put(self, site: int, function: Callable[..., Any], *args: Any, key: str | None = None) -> Future[Any]:
        """A task on a worker; sites are counted round and round."""
        worker = self.workers[site % len(self.workers)]
        name = key or f"tra-measure-{uuid.uuid4().hex[:12]}"
        return self.client.submit(
            function, *args, key=name, workers=[worker], allow_other_workers=False, priority=10
        )

    def results(self, futures: Sequence[Future[Any]]) -> list[Any]:
        return gathered(self.client, self.workers, futures, until=self.until)


def some_tiles(n_bytes: int) -> Tiles:
    """Eight tiles of so many bytes together.

    Example:
        >>> some_tiles(1 << 10).nbytes
        1024
    """
    return Tiles(np.arange(8)[:, None], [np.full(n_bytes // 64, 0.5) for _ in range(8)])


def count_tiles(tiles: Tiles) -> int:
    """Takes tiles; says how many there are.

    Example:
        >>> count_tiles(some_tiles(1 << 10))
        8
    """
    return len(tiles)


def pass_on(number: int) -> int:
    """The next number: the smallest task there is.

    Example:
        >>> pass_on(1)
        2
    """
    return number + 1


def received_bandwidths(token: str, dask_worker: Any = None) -> list[float]:
    """Bytes per second of each transfer to this worker whose key ends in a token.

    Example:
        >>> from types import SimpleNamespace
        >>> log = [{"keys": {"tra-sent-0-1-5f1e": 64}, "start": 1.0, "stop": 3.0, "total": 64}]
        >>> received_bandwidths("5f1e", dask_worker=SimpleNamespace(transfer_incoming_log=log))
        [32.0]
    """
    return [
        transfer["total"] / max(transfer["stop"] - transfer["start"], 1e-9)
        for transfer in dask_worker.transfer_incoming_log
        if all(str(key).endswith(token) for key in transfer["keys"])
    ]
