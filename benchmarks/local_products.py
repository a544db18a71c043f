"""Products on the threads of one machine: seconds and memory beside numpy, torch and dask.array."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import dask
import dask.array as da
import numpy as np
from threadpoolctl import threadpool_limits

import tra
from benchmarks.bars import Bar, record
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import (
    Memory,
    Times,
    check_close,
    fastest,
    interleaved,
    peak_memory,
    ratio,
    rounds_of,
    timed,
)
from benchmarks.product_plots import BEST, Series, draw, median_seconds
from benchmarks.report import alone
from benchmarks.shapes import ABOUT, NAMES, Shape, shapes

THREADS = 2
CHUNKS = ("auto", 1000, 2000)
NUMPY_BAR = 1.05
DASK_BARS = {"general": 0.95, "common": 1.0, "two": 0.65}
MEMORY_BAR = 0.10
Run = Callable[[], Any]


@dataclass(frozen=True)
class Local:
    """One shape by all systems.

    Attributes:
        times: seconds of each round, by system; those of dask.array begin with "dask".
        memory: what each took; of dask.array the fastest.
    """

    shape: Shape
    times: Times
    memory: dict[str, Memory]

    @property
    def dask(self) -> str:
        """dask.array at its best chunks."""
        return fastest(self.times, "dask")


# -- the systems ----------------------------------------------------------------------------------


def tra_product(session: Any, left: np.ndarray, right: np.ndarray) -> Run:
    """A @ B with tiles left to the engine."""
    A, B = tra.from_array(left, keys=("i", "k"), name="A"), tra.from_array(right, keys=("k", "j"), name="B")
    return lambda: session.compute(A @ B)[0]


def numpy_product(left: np.ndarray, right: np.ndarray) -> Run:
    """NumPy with all threads."""

    def run() -> np.ndarray:
        with threadpool_limits(THREADS):
            return left @ right

    return run


def torch_product(left: np.ndarray, right: np.ndarray) -> Run:
    """PyTorch with all threads, on the same memory."""
    import torch

    torch.set_num_threads(THREADS)
    first, second = torch.from_numpy(left), torch.from_numpy(right)
    return lambda: (first @ second).numpy()


def dask_product(left: np.ndarray, right: np.ndarray, chunks: Any, blas: int) -> Run:
    """dask.array on a pool of threads, each with some threads of BLAS."""
    A, B = (da.from_array(array, chunks=chunks, name=False) for array in (left, right))

    def run() -> np.ndarray:
        with threadpool_limits(blas), dask.config.set(scheduler="threads", num_workers=THREADS):
            return (A @ B).compute()

    return run


def dask_at_best(left: np.ndarray, right: np.ndarray) -> dict[str, Run]:
    """dask.array by chunks, each with the threads of BLAS that a first run was faster with."""
    runs = {}
    for chunks in CHUNKS:
        tried = {blas: dask_product(left, right, chunks, blas) for blas in (1, THREADS)}
        blas = min(tried, key=lambda number: timed(tried[number]))
        runs[f"dask {chunks}, {blas} BLAS"] = tried[blas]
    return runs


# -- figures --------------------------------------------------------------------------------------


def measure(shape: Shape, rounds: int) -> Local:
    """One shape by every system, checked before; then the memory of each."""
    left, right = shape.inputs
    with tra.connect("local", threads=THREADS, progress=False) as session:
        runs = {"tra": tra_product(session, left, right), "numpy": numpy_product(left, right)}
        if find_spec("torch"):
            runs["torch"] = torch_product(left, right)
        runs |= dask_at_best(left, right)
        check_all(runs)
        times = interleaved(runs, rounds)
    best = fastest(times, "dask")
    memory = {who: peak_memory(prepare, who, shape) for who in ("tra", "numpy", best)}
    return Local(shape, times, memory)


def check_all(runs: Mapping[str, Run]) -> None:
    """Holds every result against NumPy's."""
    expected = runs["numpy"]()
    for who, run in runs.items():
        check_close(who, run(), expected)


def prepare(who: str, shape: Shape) -> tuple[Run, int]:
    """Loads the inputs of one system, and lets it run once on small ones."""
    left, right = shape.inputs
    _product(who, left[:64, :64].copy(), right[:64, :64].copy())()
    return _product(who, left, right), left.nbytes + right.nbytes


def _product(who: str, left: np.ndarray, right: np.ndarray) -> Run:
    """A system by its name, in a process of its own."""
    if who == "tra":
        return tra_product(tra.connect("local", threads=THREADS, progress=False), left, right)
    if who == "numpy":
        return numpy_product(left, right)
    chunks, blas = who.removeprefix("dask ").removesuffix(" BLAS").split(", ")
    return dask_product(left, right, chunks if chunks == "auto" else int(chunks), int(blas))


# -- the page -------------------------------------------------------------------------------------


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    rows = run_all(settings)
    found = bars(rows)
    record(settings, "local_products", list(found.values()))
    panels = {"seconds": median_seconds(rows), "part of inputs and output": _memory(rows)}
    return [*lines(rows, found), *draw(settings, "local_products", rows, panels)]


def _memory(rows: Sequence[Local]) -> Series:
    """Memory beyond inputs and output."""
    shown = {"tra": ["tra"] * len(rows), "numpy": ["numpy"] * len(rows), BEST: [row.dask for row in rows]}
    return {
        label: [row.memory[who].beyond for row, who in zip(rows, names, strict=True)]
        for label, names in shown.items()
    }


def run_all(settings: Settings) -> list[Local]:
    """Every shape."""
    return [measure(shape, rounds_of(settings.quick)) for shape in shapes(settings.quick)]


def bars(rows: Sequence[Local]) -> dict[tuple[str, str], Bar]:
    """The bars of the threads, by shape and by what is measured."""
    found = {}
    for row in rows:
        name = row.shape.name
        found[name, "numpy"] = Bar(
            f"threads: time, tra / numpy, {name}", ratio(row.times, "tra", "numpy"), NUMPY_BAR
        )
        found[name, "dask"] = Bar(
            f"threads: time, tra / dask.array at its best, {name}",
            ratio(row.times, "tra", row.dask),
            DASK_BARS[name],
        )
        found[name, "memory"] = Bar(
            f"threads: memory beyond inputs and output, {name}",
            row.memory["tra"].beyond,
            MEMORY_BAR,
            unit="%",
        )
    assert {name for name, _ in found} <= set(NAMES)
    return found


def lines(rows: Sequence[Local], found: Mapping[tuple[str, str], Bar]) -> list[str]:
    """The part of the page: a table of seconds for each shape, and one of memory."""
    text = [*paragraph(ABOUT), *paragraph(HEAD)]
    for row in rows:
        limits = {"numpy": found[row.shape.name, "numpy"], row.dask: found[row.shape.name, "dask"]}
        text += [f"**{row.shape.text}**", "", *_seconds(row, limits)]
    head = ["shape", "tra", "numpy", "dask.array"]
    cells = [
        (
            r.shape.text,
            found[r.shape.name, "memory"].text,
            f"{r.memory['numpy'].beyond:.1%}",
            f"{r.memory[r.dask].beyond:.1%} ({r.dask})",
        )
        for r in rows
    ]
    return [*text, *paragraph(MEMORY), *table(head, cells)]


def _seconds(row: Local, limits: Mapping[str, Bar]) -> list[str]:
    cells = []
    for who, seconds in row.times.items():
        rate = row.shape.flops / median(seconds) / 1e9
        shown = limits[who].text if who in limits else f"{ratio(row.times, 'tra', who):.2f}"
        cells.append((who, f"{median(seconds):.3f}", "" if who == "tra" else shown, f"{rate:.0f}"))
    return table(["who", "seconds", "tra / who", "GFLOP/s"], cells)


HEAD = (
    f"A @ B from arrays to an array, on {THREADS} threads. tra chooses its tiles; dask.array runs "
    "on its threaded scheduler with two workers, at three chunk sizes, each with one or two threads of BLAS "
    "per worker, whichever a first run was faster with."
)
MEMORY = (
    "**Memory** beyond inputs and output, as a part of these: the most that is resident while one product "
    "runs in a fresh process, less what is resident with the inputs loaded and less the output. dask.array "
    "is the fastest of those above."
)

if __name__ == "__main__":
    alone(__file__)
