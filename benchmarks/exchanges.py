"""Predicted and measured bytes of every exchange of the workflows, on clusters of 2, 3 and 4 workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import tra
from benchmarks.bars import Bar, record
from benchmarks.page import Settings, paragraph, table, write_csv
from benchmarks.report import alone
from tra.backends.session import Session
from tra.optimizer.plan import is_exchange, plan_order
from tra.optimizer.plan_text import node_text
from tra.optimizer.predict import moved
from tra.workflows.benchmark import WORKLOADS, Workload

WORKERS = (2, 3, 4)
BAR = 0.02  # of the predicted bytes
SIZES = {
    "matmul": {"n": 4000, "k": 4000, "m": 4000},
    "ffnn": {"n": 4000, "d": 4000, "h": 4000, "c": 1000},
    "nns": {"q": 1600, "x": 1600, "i": 32},
}
QUICK = {
    "matmul": {"n": 1200, "k": 1200, "m": 1200},
    "ffnn": {"n": 1200, "d": 1200, "h": 1200, "c": 1200},
    "nns": {"q": 1200, "x": 300, "i": 64},
}
QUICK_EDGE = 200  # of tiles, so that every worker has some


@dataclass(frozen=True)
class Exchange:
    """One exchange of a run.

    Attributes:
        result: which result of the workload, from 1.
        what: the exchange as EXPLAIN writes it, with what moves and where it lies after.
    """

    workload: str
    workers: int
    result: int
    what: str
    predicted: int
    measured: int

    @property
    def deviation(self) -> float:
        """How far the measured bytes are from the predicted, as a part of these."""
        return abs(self.measured - self.predicted) / max(self.predicted, 1)


def exchanges_of(
    session: Session, load: Workload, sizes: Mapping[str, int], edge: int | None = None
) -> list[Exchange]:
    """Every exchange of every result of a workload, run once with its inputs persisted first."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in load.shapes(**sizes)]
    named = enumerate(zip(arrays, load.keys, strict=True))
    stored = session.persist(*(tra.from_array(a, keys, edge, f"I{n}") for n, (a, keys) in named))
    rows = []
    for number, relation in enumerate(load.query(*stored), start=1):
        found = session.explain(relation, analyze=True)
        for node in plan_order(*found.planned.program.roots):
            if is_exchange(node):
                what = f"{node_text(node, {}).split('(')[0]} of {node.type} to {node.placement}"
                measured = found.exchanges.get(node.digest, 0)
                rows.append(Exchange(load.name, session.backend.n_sites, number, what, moved(node), measured))
    return rows


def run_all(
    sizes: Mapping[str, Mapping[str, int]],
    workers: Sequence[int] = WORKERS,
    edge: int | None = None,
    scheduler: str | None = None,
) -> list[Exchange]:
    """Every exchange of every workload on clusters of several sizes; `edge` is that of tiles.

    A scheduler that is given has at least as many workers as the largest.
    """
    rows = []
    for n in workers:
        with tra.connect("dask", scheduler, sites=n, threads=1) as session:
            for name, given in sizes.items():
                rows += exchanges_of(session, WORKLOADS[name], given, edge)
    return rows


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    sizes = QUICK if settings.quick else SIZES
    workers, edge = ((2, 3), QUICK_EDGE) if settings.quick else (WORKERS, None)
    rows = run_all(sizes, workers, edge, settings.scheduler)
    head = ["workload", "workers", "result", "exchange", "predicted", "measured"]
    data = [(r.workload, r.workers, r.result, r.what, r.predicted, r.measured) for r in rows]
    write_csv(settings.plots / "exchanges.csv", head, data)
    worst = max(row.deviation for row in rows)
    bar = Bar(f"the worst deviation of {len(rows)} exchanges from what was predicted", worst, BAR, unit="%")
    record(settings, "exchanges", [bar])
    return [*paragraph(HEAD), *summary(rows, sizes), bar.line, ""]


def summary(rows: Sequence[Exchange], sizes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each workload and number of workers, with the exchange that deviates most."""
    cells: list[tuple[object, ...]] = []
    for name in sizes:
        for n in dict.fromkeys(row.workers for row in rows):
            found = [row for row in rows if (row.workload, row.workers) == (name, n)]
            if not found:
                cells.append((name, n, 0, "", "", "", ""))
                continue
            worst = max(found, key=lambda row: row.deviation)
            megabytes = [f"{sum(sizes) / 1e6:.3f}" for sizes in zip(*map(_pair, found), strict=True)]
            cells.append((name, n, len(found), *megabytes, f"{worst.deviation:.3%}", worst.what))
    head = ["workload", "workers", "exchanges", "MB predicted", "MB measured", "worst", "worst exchange"]
    text = "; ".join(
        f"{name} " + ", ".join(f"{k}={v}" for k, v in given.items()) for name, given in sizes.items()
    )
    return [f"Sizes: {text}.", "", *table(head, cells)]


def _pair(row: Exchange) -> tuple[int, int]:
    return row.predicted, row.measured


HEAD = (
    "The bytes that each exchange of the three workflows was predicted to move between workers, and those "
    "in the workers' logs of incoming transfers. Inputs are persisted first; every result runs by itself; "
    "float32. Every single exchange is in [exchanges.csv](plots/exchanges.csv)."
)

if __name__ == "__main__":
    alone(__file__)
