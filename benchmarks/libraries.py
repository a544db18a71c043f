"""Pieces of the engine beside libraries that do the same: sums of products, and chains of element functions.

Usage: python benchmarks/libraries.py [--quick]

SciPy, numexpr, numba and torch take part where they are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import tra
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import Times, check_close, interleaved, ratio, rounds_of
from benchmarks.report import alone

THREADS = 2
TERMS, EDGE, QUICK_EDGE = 8, 1500, 400  # of the sum of products
LENGTH, QUICK_LENGTH = 1 << 24, 1 << 20  # elements of a chain
NEEDED = ("scipy", "numexpr", "numba", "torch")
FORMULA = "exp(x)*y + maximum(z, 0)"
Run = Callable[[], Any]


# -- a sum of products ----------------------------------------------------------------------------


def products(edge: int, rounds: int) -> Times:
    """Seconds of a sum of products of tiles, added up in one place."""
    rng = np.random.default_rng(0)
    terms = [tuple(rng.standard_normal((2, edge, edge), dtype=np.float32)) for _ in range(TERMS)]
    expected = sum(x @ y for x, y in terms)
    with tra.connect("local", threads=THREADS, progress=False) as session:
        left, right = (
            np.concatenate(side, axis=axis)
            for side, axis in zip(zip(*terms, strict=True), (1, 0), strict=True)
        )
        A, B = (
            tra.from_array(array, keys, tile=(edge, edge), name=keys[0] + keys[1])
            for array, keys in ((left, ("i", "k")), (right, ("k", "j")))
        )
        runs: dict[str, Run] = {"tra": lambda: session.compute(A @ B)[0], "numpy": lambda: _summed(terms)}
        runs |= {name: run(terms) for name, run in PRODUCTS.items() if find_spec(name)}
        for who, run in runs.items():
            check_close(who, run(), expected)
        return interleaved(runs, rounds)


def _summed(terms: list[tuple[np.ndarray, ...]]) -> np.ndarray:
    with threadpool_limits(THREADS):
        total = terms[0][0] @ terms[0][1]
        for x, y in terms[1:]:
            total += x @ y
        return total


def _scipy_products(terms: list[tuple[np.ndarray, ...]]) -> Run:
    """BLAS adds to what is there: (xy)ᵀ = yᵀxᵀ, since it writes by columns."""
    sgemm = import_module("scipy.linalg.blas").sgemm

    def run() -> np.ndarray:
        with threadpool_limits(THREADS):
            total = sgemm(1.0, terms[0][1].T, terms[0][0].T)
            for x, y in terms[1:]:
                total = sgemm(1.0, y.T, x.T, beta=1.0, c=total, overwrite_c=True)
            return total.T

    return run


def _torch_products(terms: list[tuple[np.ndarray, ...]]) -> Run:
    torch = import_module("torch")
    torch.set_num_threads(THREADS)
    given = [tuple(torch.from_numpy(array) for array in term) for term in terms]

    def run() -> np.ndarray:
        total = given[0][0] @ given[0][1]
        for x, y in given[1:]:
            total.addmm_(x, y)
        return total.numpy()

    return run


PRODUCTS = {"scipy": _scipy_products, "torch": _torch_products}


# -- a chain of element functions -----------------------------------------------------------------


def chains(length: int, rounds: int) -> Times:
    """Seconds of a chain of element functions."""
    rng = np.random.default_rng(0)
    x, y, z = (rng.standard_normal(length, dtype=np.float32) for _ in range(3))
    X, Y, Z = (
        tra.from_array(array, keys=("i",), name=name) for array, name in ((x, "X"), (y, "Y"), (z, "Z"))
    )
    with tra.connect("local", threads=THREADS, progress=False) as session:
        query = tra.exp(X) * Y + tra.relu(Z)
        runs: dict[str, Run] = {
            "tra": lambda: session.compute(query)[0],
            "numpy": lambda: np.exp(x) * y + np.maximum(z, np.float32(0)),
        }
        runs |= {name: run(x, y, z) for name, run in CHAINS.items() if find_spec(name)}
        expected = runs["numpy"]()
        for who, run in runs.items():
            check_close(who, run(), expected)
        return interleaved(runs, rounds)


def _numexpr_chain(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Run:
    numexpr = import_module("numexpr")
    numexpr.set_num_threads(THREADS)
    given = {"x": x, "y": y, "z": z}
    return lambda: numexpr.evaluate("exp(x)*y + where(z > 0, z, 0)", given, casting="same_kind")


def _numba_chain(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Run:
    numba = import_module("numba")
    numba.set_num_threads(THREADS)

    @numba.njit(parallel=True, fastmath=False)  # type: ignore[untyped-decorator]
    def run(x: Any, y: Any, z: Any) -> Any:
        return np.exp(x) * y + np.maximum(z, np.float32(0))

    return lambda: run(x, y, z)


def _torch_chain(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Run:
    torch = import_module("torch")
    torch.set_num_threads(THREADS)
    a, b, c = (torch.from_numpy(array) for array in (x, y, z))
    return lambda: (torch.exp(a) * b + torch.relu(c)).numpy()


CHAINS = {"numexpr": _numexpr_chain, "numba": _numba_chain, "torch": _torch_chain}


# -- the page -------------------------------------------------------------------------------------


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    rounds = rounds_of(settings.quick)
    edge, length = (QUICK_EDGE, QUICK_LENGTH) if settings.quick else (EDGE, LENGTH)
    missing = [name for name in NEEDED if not find_spec(name)]
    return [
        *paragraph(HEAD),
        *(paragraph(f"Not installed: {', '.join(missing)}.") if missing else []),
        *_table(f"{TERMS} products of {edge}×{edge}, added up", products(edge, rounds)),
        *_table(f"{FORMULA} of {length:,} elements", chains(length, rounds)),
    ]


def _table(what: str, times: Mapping[str, list[float]]) -> list[str]:
    rows = [
        (who, f"{median(seconds):.3f}", f"{ratio(times, 'tra', who):.2f}") for who, seconds in times.items()
    ]
    return table([what, "seconds", "tra / who"], rows)


HEAD = (
    "Two pieces of what the engine does inside of a stage, beside libraries that might do them in its place; "
    f"float32, {THREADS} threads each, from arrays to an array. SciPy's BLAS adds to its result (`beta=1`), "
    "where NumPy makes each product first."
)

if __name__ == "__main__":
    alone(__file__)
