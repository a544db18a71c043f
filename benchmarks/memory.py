"""The memory contract: what a process held and read under a limit, beside what was predicted and the bound.

Usage: python benchmarks/memory.py [--quick]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory_child import COLUMNS
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import check_close
from benchmarks.report import alone

ROOT = Path(__file__).resolve().parent.parent
LOOK_EVERY = 0.01  # seconds between two looks at the child
ROWS = 1000  # of a file, written at once
CHECKED_ROWS = 3


@dataclass(frozen=True)
class Size:
    """How large things are: the edge of matrices, rows of examples and of a batch, the limit in bytes."""

    n: int
    examples: int
    batch: int
    limit: int


FULL = Size(22_400, 4 * 10**9 // (8 * COLUMNS), 4096, 10**9)
QUICK = Size(2_800, 6 * 10**8 // (8 * COLUMNS), 512, 15 * 10**7)


@dataclass(frozen=True)
class Outcome:
    """What a run within a limit took.

    Attributes:
        seconds: from the first file opened to the last one closed.
        resident: the most bytes that were resident, as the parent saw it.
        predicted: the same as it was predicted; 0 where it was not asked.
        read: bytes read from files.
    """

    seconds: float
    resident: int
    predicted: int
    read: int


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    size = QUICK if settings.quick else FULL
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_matrices(folder, size.n)
        product = run("product", folder, size.limit)
        check_product(folder)
        rows.append(_row(f"A @ B, {size.n}² float64", product, bytes_least(size.n, size.limit)))
        for name in ("A.npy", "B.npy", "C.npy"):
            (folder / name).unlink()
        write_examples(folder, size.examples)
        for batch in ("0", str(size.batch)):
            cut = f"batches of {batch}" if batch != "0" else "one batch"
            name = f"epoch of {size.examples}×{COLUMNS} float64 in {cut}"
            least = 8 * size.examples * (COLUMNS + 1)
            rows.append(_row(name, run("epoch", folder, size.limit, batch), least))
    head = ["what", "seconds", "MB resident", "MB predicted", "MB read", "read / bound"]
    return [*paragraph(HEAD), *paragraph(f"The limit is {size.limit / 1e6:.0f} MB."), *table(head, rows)]


def _row(name: str, found: Outcome, least: float) -> tuple[str, ...]:
    predicted = f"{found.predicted / 1e6:.0f}" if found.predicted else "–"
    return (
        name, f"{found.seconds:.1f}", f"{found.resident / 1e6:.0f}", predicted, f"{found.read / 1e6:.0f}",
        f"{found.read / least:.2f}",
    )  # fmt: skip


def bytes_least(n: int, memory: int) -> float:
    """Bytes that any product of n×n float64 matrices reads with so much memory: the bound, and both once.

    Example:
        >>> bytes_least(1000, 8_000_000)
        32000000.0
    """
    return 8 * (2 * n**3 / sqrt(memory / 8) + 2 * n * n)


# -- files ----------------------------------------------------------------------------------------


def write_matrices(folder: Path, n: int) -> None:
    """A and B, a few rows at a time."""
    for seed, name in enumerate("AB"):
        _write(folder / f"{name}.npy", (n, n), seed)


def write_examples(folder: Path, n: int) -> None:
    """Examples, and what is to be learnt of them."""
    _write(folder / "X.npy", (n, COLUMNS), 2)
    X = np.load(folder / "X.npy", mmap_mode="r")
    np.save(folder / "Y.npy", np.tanh(np.array(X[:, :1])))


def _write(path: Path, shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        head = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for low in range(0, shape[0], ROWS):
            rng.standard_normal((min(ROWS, shape[0] - low), shape[1])).tofile(file)


def check_product(folder: Path) -> None:
    """Makes sure that some rows of the product are right."""
    A, B, C = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "ABC")
    rows = np.linspace(0, len(A) - 1, CHECKED_ROWS).astype(int).tolist()
    expected = sum(A[rows, k : k + ROWS] @ B[k : k + ROWS] for k in range(0, len(B), ROWS))
    check_close("product", np.array(C[rows]), expected, 1e-12)


# -- runs -----------------------------------------------------------------------------------------


def run(case: str, folder: Path, limit: int, *more: str) -> Outcome:
    """Runs a case in a process of its own, whose memory is watched from here.

    Raises:
        RuntimeError: it failed; with the last lines of what it said.
    """
    command = [sys.executable, "-m", "benchmarks.memory_child", case, str(folder), str(limit), *more]
    child = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # what it says fits into the pipes
    resident = 0
    while child.poll() is None:
        resident = max(resident, _most_resident(child.pid))
        time.sleep(LOOK_EVERY)
    said, complained = child.communicate()
    if child.returncode:
        raise RuntimeError(f"{case} failed:\n" + "\n".join(complained.splitlines()[-20:]))
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return Outcome(found["seconds"], resident, found["predicted"], found["read"])


def _most_resident(pid: int) -> int:
    """The most bytes that a process had in memory until now, as the system has counted."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


HEAD = (
    "Runs in fresh processes under a limit on all that is resident: pages of files, the interpreter and its "
    "packages are part of it. What is resident was read by the parent from the system's count of the most "
    "there ever was. Bytes read are those that reads asked for, from the system's cache or from disk. The "
    "bound of a product is 2·n³/√(M/8) elements, with M bytes of memory, and both operands once; that of an "
    "epoch is the data once."
)

if __name__ == "__main__":
    alone(__file__)
