"""A product from tiles on disk to tiles on disk: how long it takes, and how much memory.

Usage: python benchmarks/disk.py [--quick]
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.disk_child import Outcome, run
from benchmarks.disk_systems import ALLOWED, SYSTEMS, WORKERS, read_rows, write_inputs
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import check_close, ratio, rounds_of
from benchmarks.report import alone

N, CHUNK = 8000, 2000  # of the matrices and of chunks, where there are any
QUICK_N, QUICK_CHUNK = 2000, 500
SMALL_N, SMALL_CHUNK = 128, 64  # of what a process warms up on
CHECKED_ROWS = 8


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    n, chunk = (QUICK_N, QUICK_CHUNK) if settings.quick else (N, CHUNK)
    there = [who for who, system in SYSTEMS.items() if system.is_there]
    missing = [who for who in SYSTEMS if who not in there]
    found = run_all(there, n, chunk, rounds_of(settings.quick))
    left_out = paragraph(f"Not run, as packages are missing: {'; '.join(missing)}.") if missing else []
    size = f"{n}³ float64, chunks of {chunk}: each matrix has {n * n * 8 / 1e6:.0f} MB."
    return [*paragraph(HEAD), *paragraph(size), *outcomes(found), *left_out]


def run_all(names: Sequence[str], n: int, chunk: int, rounds: int) -> dict[str, list[Outcome]]:
    """Every system in turn, over and over, each time in a fresh process; results are checked at first."""
    found: dict[str, list[Outcome]] = {who: [] for who in names}
    with tempfile.TemporaryDirectory() as made:
        folder, small = Path(made), Path(made) / "small"
        small.mkdir()
        write_inputs(folder, n, chunk)
        write_inputs(small, SMALL_N, SMALL_CHUNK)
        for number in range(rounds):
            for who in names:
                out = folder / f"C{SYSTEMS[who].writes}"
                found[who].append(run(who, small, folder, out))
                if not number:
                    check(who, folder, out)
                remove(out)
    return found


def check(who: str, folder: Path, out: Path) -> None:
    """Makes sure that some rows of a product are right."""
    left, right = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "AB")
    rows = np.linspace(0, len(left) - 1, CHECKED_ROWS).astype(int).tolist()
    check_close(who, read_rows(out, rows), left[rows] @ right, 1e-12)


def remove(path: Path) -> None:
    """Removes a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def outcomes(found: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """The table; the ratio is to the first system."""
    times = {who: [one.seconds for one in some] for who, some in found.items()}
    first = next(iter(times))
    rows = [
        (
            who, f"{median(times[who]):.2f}", f"{ratio(times, who, first):.2f}",
            f"{max(one.resident for one in some) / 1e6:.0f}", f"{max(one.private for one in some) / 1e6:.0f}",
        )
        for who, some in found.items()
    ]  # fmt: skip
    return table(["who", "seconds", f"who / {first.split(',')[0]}", "MB resident", "MB without files"], rows)


HEAD = (
    f"A @ B, read from files and written to one, each time in a fresh process with {WORKERS} threads; files "
    "are in the system's cache and not compressed. Resident memory is the most that was seen, with the "
    "interpreter and its packages; pages of files that are mapped are part of it, and left out in the last "
    "column. Ratios, of times in one round, are to the first line. dask.array runs on its threaded "
    f"scheduler, cubed on threads with {ALLOWED} allowed for a task, both with one thread of BLAS each. Some "
    "rows of each result are held against NumPy's."
)

if __name__ == "__main__":
    alone(__file__)
