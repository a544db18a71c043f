"""What small queries and small tiles cost on threads, beside the same functions of NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any

import numpy as np
import psutil

import tra
from benchmarks.bars import Bar
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import Times, check_close, interleaved, ratio
from tra.backends.session import Session

TILES, EDGE = 1000, 64
TILES_BAR, PRODUCT_BAR, GROWTH_BAR = 1.5, 300, 1.05
TILE_ROUNDS, PRODUCTS = 15, 300
QUERIES, QUICK_QUERIES = 5000, 500
Run = Callable[[], Any]

FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add": (lambda A, B: A + B, np.add),
    "exp": (lambda A, B: tra.exp(A), lambda a, b: np.exp(a)),
    "relu": (lambda A, B: tra.relu(A), lambda a, b: np.maximum(a, np.float32(0))),
}  # by name: of relations, of arrays


def tiles_beside_arrays() -> dict[str, Times]:
    """Functions of 1,000 tiles, and the same of one array of all of them."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((TILES * EDGE, EDGE), dtype=np.float32) for _ in range(2))
    A, B = (tra.from_array(x, keys=("i", "j"), tile=(EDGE, EDGE), name=n) for x, n in ((a, "A"), (b, "B")))
    found = {}
    with tra.connect("local", threads=1, progress=False) as session:
        for name, (of_relations, of_arrays) in FUNCTIONS.items():
            own, other = _runs(session, of_relations(A, B), of_arrays, a, b)
            check_close(f"tra, {name}", own(), other())
            found[name] = interleaved({"tra": own, "numpy": other}, TILE_ROUNDS)
    return found


def _runs(session: Session, query: Any, of_arrays: Callable[..., Any], a: Any, b: Any) -> tuple[Run, Run]:
    return lambda: session.compute(query)[0], lambda: of_arrays(a, b)


def products_of_one_tile() -> dict[str, float]:
    """Median microseconds of a 64×64 product: of NumPy, of one query again, of the query written anew."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((EDGE, EDGE), dtype=np.float32) for _ in range(2))
    A, B = tra.from_array(a, name="A"), tra.from_array(b, name="B")
    with tra.connect("local", threads=1, progress=False) as session:
        query = A @ B
        runs: dict[str, Run] = {
            "numpy": lambda: a @ b,
            "the same query": lambda: session.compute(query)[0],
            "written anew": lambda: session.compute(A @ B)[0],
        }
        for who, run in runs.items():
            check_close(f"tra, {who}", run(), a @ b)
        seconds: dict[str, list[float]] = {who: [] for who in runs}
        for _ in range(PRODUCTS):
            for who, run in runs.items():
                seconds[who].append(_seconds(run))
    return {who: median(times) * 1e6 for who, times in seconds.items()}


def _seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def memory_over_queries(n: int) -> tuple[float, float]:
    """Resident megabytes over many small queries of new inputs, in the second and in the last quarter."""
    here, seen = psutil.Process(), []
    rng = np.random.default_rng(0)
    with tra.connect("local", threads=1, progress=False) as session:
        for number in range(n):
            A, B = (tra.from_array(rng.standard_normal((EDGE, EDGE), dtype=np.float32)) for _ in range(2))
            session.compute(A @ B + float(number))
            seen.append(here.memory_info().rss / 1e6)
    return mean(seen[n // 4 : n // 2]), mean(seen[-(n // 4) :])


# -- the page -------------------------------------------------------------------------------------


def measured(settings: Settings) -> tuple[list[str], list[Bar]]:
    """The tables and the bars."""
    tiles, products = tiles_beside_arrays(), products_of_one_tile()
    n = QUICK_QUERIES if settings.quick else QUERIES
    second, last = memory_over_queries(n)
    of_tiles = {
        name: Bar(f"{TILES} tiles of {EDGE}×{EDGE}: time, tra / numpy on one array, {name}",
                  ratio(times, "tra", "numpy"), TILES_BAR)
        for name, times in tiles.items()
    }  # fmt: skip
    of_products = {
        who: Bar(f"{EDGE}×{EDGE} product, planned before, {who}", products[who], PRODUCT_BAR, unit="µs")
        for who in ("the same query", "written anew")
    }
    growth = Bar(f"memory over {n} small queries, last quarter / second", last / second, GROWTH_BAR)
    lines = [
        "### Small tiles and small queries, on one thread",
        "",
        *paragraph(HEAD),
        *_tile_table(tiles, of_tiles),
        *_product_table(products, of_products),
        *paragraph(f"{growth.figure}: {second:.0f} → {last:.0f} MB, {growth.text}"),
    ]
    return lines, [*of_tiles.values(), *of_products.values(), growth]


def _tile_table(tiles: dict[str, Times], bars: dict[str, Bar]) -> list[str]:
    cells = [
        (name, *(f"{median(times[who]) * 1e3:.2f} ms" for who in ("tra", "numpy")), bars[name].text)
        for name, times in tiles.items()
    ]
    return table([f"{TILES} tiles of {EDGE}×{EDGE}", "tra", "numpy, one array", "tra / numpy"], cells)


def _product_table(products: dict[str, float], bars: dict[str, Bar]) -> list[str]:
    cells = [(who, bars[who].text if who in bars else f"{us:.0f} µs") for who, us in products.items()]
    return table([f"{EDGE}×{EDGE} product", "time"], cells)


HEAD = (
    f"A function of {TILES} tiles that are in memory, to an array, beside the function of NumPy on one array "
    "of all of them; a product of two tiles once it was planned, of the same query object and of a query "
    "written anew over the same sources; and resident memory over many queries, each over new inputs and "
    "with a constant of its own. float32, in turns."
)
