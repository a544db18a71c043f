"""Runs every workflow beside its peers, on threads and on a Dask cluster, and writes docs/benchmarks.md.

Usage: python benchmarks/report.py [--quick] [--scheduler ADDR] [--out FILE]
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import tra
from tra.workflows import benchmark

QUICK = {"matmul": "1000", "ffnn": "500", "nns": "q=100,x=200,i=16"}
ROOT = Path(__file__).resolve().parent.parent


HEAD = """# Benchmarks

Written by `make bench`. float32; inputs persisted by each system in its own way first; every runner in turn,
five rounds after one that warms up, medians. Compare within a table, not between machines. dask.array has
chunks of 1000. The bytes are those that crossed between workers.

"""


def section(backend: str, options: argparse.Namespace) -> list[str]:
    """The tables of one backend."""
    cluster = backend == "dask"
    settings = {"sites": 2, "threads": 1} if cluster and not options.scheduler else {}
    lines = []
    with tra.connect(backend, scheduler=options.scheduler if cluster else None, **settings) as session:
        where = f"{session.backend.n_sites} sites × {session.backend.threads} threads"
        lines += [f"## {backend}: {where}", ""]
        for name, load in benchmark.WORKLOADS.items():
            sizes = benchmark.read_sizes(load, QUICK[name] if options.quick else None)
            rows = benchmark.run_benchmark(session, load, sizes, peers=True, repeats=5)
            lines += [f"**{name}** {', '.join(f'{k}={v}' for k, v in sizes.items())}", "", *table(rows), ""]
            print("\n".join(lines[-len(rows) - 5 :]))
    return lines


def table(rows: list[benchmark.Timing]) -> list[str]:
    """The timings of one workload as Markdown; the ratio is of the first row's time."""
    lines = ["| who | seconds | tra / who | GFLOP/s | MB moved | tasks |", "|---|---|---|---|---|---|"]
    for row in rows:
        moved = "" if row.bytes_moved is None else f"{row.bytes_moved / 1e6:.2f}"
        speed = f"{row.seconds:.3f} | {rows[0].seconds / row.seconds:.2f} | {row.gflops_per_second:.1f}"
        lines.append(f"| {row.who} | {speed} | {moved} | {row.tasks or ''} |")
    return lines


def main() -> None:
    """Runs the benchmarks and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument("--scheduler", help="address of a Dask scheduler to use for the dask tables")
    parser.add_argument("--out", default=str(ROOT / "docs" / "benchmarks.md"))
    options = parser.parse_args()
    packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "dask", "distributed"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [HEAD + f"{date.today()}, {machine}, {packages}, tra {tra.__version__}.", ""]
    for backend in ("local", "dask"):
        lines += section(backend, options)
    Path(options.out).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
