"""Every workflow beside its peers, on threads and on a Dask cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tra
from benchmarks.page import Settings, paragraph, table
from benchmarks.report import alone
from tra.workflows import benchmark

QUICK = {"matmul": "1000", "ffnn": "500", "nns": "q=100,x=200,i=16"}
ROUNDS = 5


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    lines = paragraph(HEAD)
    for backend in ("local", "dask"):
        lines += tables(backend, settings)
    return lines


def tables(backend: str, settings: Settings) -> list[str]:
    """The tables of one backend."""
    lines = []
    with tra.connect(backend, **options(backend, settings)) as session:
        lines += [f"### {backend}: {where(session)}", ""]
        for name, load in benchmark.WORKLOADS.items():
            sizes = benchmark.read_sizes(load, QUICK[name] if settings.quick else None)
            rows = benchmark.run_benchmark(
                session, load, sizes, peers=True, repeats=2 if settings.quick else ROUNDS
            )
            lines += [f"**{name}** {', '.join(f'{k}={v}' for k, v in sizes.items())}", "", *timings(rows)]
    return lines


def options(backend: str, settings: Settings) -> dict[str, Any]:
    """How to connect: threads of this process, a cluster that is there, or one started for this."""
    if backend == "local":
        return {}
    if settings.scheduler:
        return {"scheduler": settings.scheduler}
    return {"sites": 2, "threads": 1}


def where(session: Any) -> str:
    """Sites and threads of a session."""
    return f"{session.backend.n_sites} sites × {session.backend.threads} threads"


def timings(rows: Sequence[benchmark.Timing]) -> list[str]:
    """The timings of one workload; the ratio is of the first row's time."""
    cells = []
    for row in rows:
        moved = "" if row.bytes_moved is None else f"{row.bytes_moved / 1e6:.2f}"
        ratio, rate = rows[0].seconds / row.seconds, row.gflops_per_second
        cells.append((row.who, f"{row.seconds:.3f}", f"{ratio:.2f}", f"{rate:.1f}", moved, row.tasks or ""))
    return table(["who", "seconds", "tra / who", "GFLOP/s", "MB moved", "tasks"], cells)


HEAD = (
    "float32; inputs persisted by each system in its own way first; every runner in turn, five rounds "
    "after one that warms up, medians. dask.array has chunks of 1000. The bytes are those that crossed "
    "between workers."
)

if __name__ == "__main__":
    alone(__file__)
