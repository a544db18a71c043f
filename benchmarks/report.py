"""Runs every benchmark and writes docs/benchmarks.md, with plots and data in docs/plots.

Usage: python benchmarks/report.py [--only SECTION …] [--quick] [--scheduler ADDR] [--out FILE]
       python benchmarks/disk.py [--quick] [--scheduler ADDR] [--out FILE]       one section, likewise

With `--only` the other sections of the page stay as they are. With `--quick` sizes are small, and the page
goes to build/benchmarks unless `--out` says otherwise.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import tra
from benchmarks import bars
from benchmarks.page import Settings, paragraph, read_sections, write_page
from tra.errors import TraError

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {
    "local_products": "Products on threads",
    "cluster_products": "Products on a cluster",
    "file_products": "Products of files on a cluster",
    "link_products": "Products on hosts with links of 1 Gbit/s",
    "holes": "Products of relations with holes",
    "reproducibility": "What reproducibility costs",
    "queries": "Queries beside dask.array, and what small ones cost",
    "steps": "Training steps beside torch",
    "disk": "Products from disk to disk",
    "libraries": "Pieces beside other libraries",
    "memory": "Larger than memory: what is held and read within a limit",
    "workflows": "Workflows beside NumPy and dask.array",
    "orders": "Queries as written, beside dask.array",
    "lower_bound": "Communication of a product against the lower bound",
    "crossovers": "Where strategies change",
    "planning": "Planning times",
    "exchanges": "Predicted and measured bytes",
    "alternatives": "Predicted and measured seconds",
    "training": "Training steps: what they cost, and memory over thousands",
}  # by module, in the order of the page
HEAD = ["# Benchmarks", "", "Written by `make bench`. Compare within a table, not between machines."]


def made() -> str:
    """When and where a section was made."""
    packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "dask", "distributed"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"*{date.today()}, {machine}, {packages}, tra {tra.__version__}.*"


def run(names: Sequence[str], settings: Settings, page: Path) -> None:
    """Runs sections one by one; each is on the page as soon as it is done."""
    for name in names:
        start = time.perf_counter()
        print(f"{name} …", flush=True)
        lines = import_module(f"benchmarks.{name}").section(settings)
        print("\n".join(lines), flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        there = read_sections(page.read_text(encoding="utf-8")) if page.exists() else {}
        there[SECTIONS[name]] = [*paragraph(made()), *lines]
        kept = {title: there[title] for title in SECTIONS.values() if title in there}
        write_page(page, {"": [*HEAD, "", *bars.summary(settings.plots, SECTIONS)], **kept})


def alone(file: str) -> None:
    """Runs the section of one module, with the arguments of the command line; for modules run as scripts."""
    name = Path(file).stem
    options = _parser(f"Runs {SECTIONS[name]!r}, a section of the page that make bench writes.").parse_args()
    _run([name], options)


def _parser(describes: str) -> argparse.ArgumentParser:
    """What a section and the whole page have in common on the command line."""
    parser = argparse.ArgumentParser(
        description=describes, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes; the page goes to build/benchmarks")
    parser.add_argument("--scheduler", metavar="ADDR", help="a Dask scheduler to use, for all systems")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what the command line asks for."""
    parser = _parser(__doc__ or "")
    listed = f"sections to run: {', '.join(SECTIONS)}"
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION", help=listed
    )
    options = parser.parse_args(arguments)
    _run(options.only, options)


def _run(names: Sequence[str], options: argparse.Namespace) -> None:
    folder = ROOT / "build" / "benchmarks" if options.quick else ROOT / "docs"
    page = options.out or folder / "benchmarks.md"
    try:
        _check_scheduler(options.scheduler)
    except TraError as error:
        sys.exit(f"benchmarks: {error}")
    run(names, Settings(options.quick, page.parent / "plots", options.scheduler), page)


def _check_scheduler(address: str | None) -> None:
    """Makes sure that a scheduler answers before anything is measured.

    Raises:
        PlanError: it is no address, or nothing answers there.
    """
    if address is not None:
        tra.connect("dask", scheduler=address, progress=False).close()


if __name__ == "__main__":
    main()
