"""Queries beside dask.array on a cluster, and what small queries cost on threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client

import tra
from benchmarks import small_queries
from benchmarks.bars import Bar, record
from benchmarks.clusters import homes, persist, settle, shared_cluster, work_done
from benchmarks.page import Settings, begins, paragraph, table
from benchmarks.pairs import Times, check_close, fastest, interleaved, ratio, rounds_of
from benchmarks.report import alone
from tra.backends.session import Session
from tra.workflows.nearest_neighbours import nearest

WORKERS = 2
CHAIN_BAR, NEAREST_BAR, TASKS_BAR = 0.15, 0.5, 200
CHAIN, QUICK_CHAIN = 8000, 2400
POINTS, QUICK_POINTS = (2000, 20_000, 500), (200, 2000, 100)  # queries, points, dimensions
BLOCKS = 40  # tiles along each axis of the product whose tasks are counted
BLOCK, QUICK_BLOCK = 100, 10
TOLERANCE = 0.2  # that sums may be multiplied out with: a bound, far above what float32 rounds
AS_WRITTEN, EXPANDED = "dask as written", "dask multiplied out"
Run = Callable[[], Any]


@dataclass(frozen=True)
class Compared:
    """A query by both systems.

    Attributes:
        times: seconds of each round, by system; those of dask.array begin with "dask".
        work: tasks and bytes of one run.
    """

    name: str
    times: Times
    work: dict[str, tuple[int, int]]


def compare(session: Session, client: Client, name: str, runs: Mapping[str, Run], rounds: int) -> Compared:
    """Times what runs, and counts its work in a run of its own."""
    begins(f"{name}: {', '.join(runs)}")
    lie = homes(client)
    times = interleaved(runs, rounds, before=lambda: settle(client, lie))
    work = {}
    for who, run in runs.items():
        settle(client, lie)
        work[who] = work_done(client, run)
    return Compared(name, times, work)


def stored(session: Session, client: Client, arrays: Sequence[np.ndarray], keys: Sequence[str]) -> Any:
    """Arrays as relations, persisted."""
    return session.persist(
        *(
            tra.from_array(a, tuple(k), name=f"I{n}")
            for n, (a, k) in enumerate(zip(arrays, keys, strict=True))
        )
    )


# -- (A@B)@v --------------------------------------------------------------------------------------


def chain(session: Session, client: Client, n: int, rounds: int) -> Compared:
    """(A@B)@v as it is written."""
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((n, n), dtype=np.float32) / np.float32(n**0.5) for _ in range(2))
    vector = rng.standard_normal(n, dtype=np.float32)
    A, B, v = stored(session, client, (left, right, vector), ("ij", "jk", "k"))
    runs: dict[str, Run] = {"tra": lambda: session.persist((A @ B) @ v)}
    for chunks in (1000, 2000, n // 2):
        runs[f"dask {chunks}"] = dask_chain(client, (left, right, vector), chunks)
    expected = left @ (right @ vector)
    for who, run in runs.items():
        check_close(f"{who}, (A@B)@v", result(session, client, run()), expected)
    return compare(session, client, f"(A@B)@v, n = {n}", runs, rounds)


def dask_chain(client: Client, arrays: Sequence[np.ndarray], chunks: int) -> Run:
    """(A@B)@v of dask.array, inputs persisted."""
    A, B, v = persist(client, [da.from_array(a, chunks=chunks, name=False) for a in arrays])
    return lambda: persist(client, [(A @ B) @ v])


def result(session: Session, client: Client, kept: Sequence[Any]) -> np.ndarray:
    """What either system left on the workers, as an array."""
    (one,) = kept
    return np.asarray(session.compute(one)[0] if hasattr(one, "sources") else client.compute(one).result())


# -- nearest neighbours ---------------------------------------------------------------------------


def as_written(Q: Any, X: Any, M: Any) -> Any:
    """Nearest rows as one writes it in NumPy: all differences of all pairs."""
    difference = Q[:, None, :] - X[None, :, :]
    return ((difference @ M) * difference).sum(axis=2).argmin(axis=1)


def multiplied_out(Q: Any, X: Any, M: Any) -> Any:
    """Nearest rows by (q − x)M(q − x) = qMq − qMx − xMq + xMx, by hand."""
    QM, XM = Q @ M, X @ M
    square_q, square_x = (QM * Q).sum(axis=1), (XM * X).sum(axis=1)
    return (square_q[:, None] - QM @ X.T - Q @ XM.T + square_x[None, :]).argmin(axis=1)


def neighbours(session: Session, client: Client, settings: Settings) -> list[Compared]:
    """Both forms of dask.array beside tra; the one as written takes minutes, so that it has one round."""
    n, m, d = QUICK_POINTS if settings.quick else POINTS
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((rows, d), dtype=np.float32) for rows in (n, m)]
    half = rng.standard_normal((d, d), dtype=np.float32)
    arrays.append(half @ half.T / np.float32(d))
    Q, X, M = stored(session, client, arrays, ("qi", "xi", "ij"))
    own = {"tra": lambda: session.persist(nearest(Q, X, M))}
    expanded = dask_neighbours(client, arrays, 1000, multiplied_out)
    naive = dask_neighbours(client, arrays, 250, as_written)
    fast = {**own, EXPANDED: expanded}
    for who, run in fast.items():
        check_nearest(who, result(session, client, run()), arrays)
    name = f"nearest of {m} points to {n}, {d} dimensions"
    rows = [compare(session, client, name, fast, rounds_of(settings.quick))]
    return [*rows, once(session, client, name, {**own, AS_WRITTEN: naive}, arrays)]


def dask_neighbours(
    client: Client, arrays: Sequence[np.ndarray], rows: int, form: Callable[[Any, Any, Any], Any]
) -> Run:
    """Nearest rows of dask.array, inputs persisted in chunks of some rows and all columns."""
    Q, X, M = persist(client, [da.from_array(a, chunks=(rows, -1), name=False) for a in arrays])
    M = M.rechunk(-1)
    return lambda: persist(client, [form(Q, X, M)])


def once(
    session: Session, client: Client, name: str, runs: Mapping[str, Run], arrays: Sequence[np.ndarray]
) -> Compared:
    """One round without one that warms up, checked as it runs."""
    begins(f"{name}, one round: {', '.join(runs)}")
    lie, times = homes(client), {}
    for who, run in runs.items():
        settle(client, lie)
        start = time.perf_counter()
        kept = run()
        times[who] = [time.perf_counter() - start]
        check_nearest(who, result(session, client, kept), arrays)
    return Compared(name, times, {})


def check_nearest(who: str, found: np.ndarray, arrays: Sequence[np.ndarray]) -> None:
    """Holds the distances of the rows that were found against the least; the rows may be others."""
    Q, X, M = (array.astype(np.float64) for array in arrays)
    QM, XM = Q @ M, X @ M
    distances = ((QM * Q).sum(1)[:, None] + (XM * X).sum(1)[None, :]) - QM @ X.T - Q @ XM.T
    check_close(who, distances[np.arange(len(Q)), np.asarray(found).ravel()], distances.min(axis=1))


# -- tasks ----------------------------------------------------------------------------------------


def tasks_of_blocks(session: Session, client: Client, block: int) -> int:
    """Tasks of a product of 40×40×40 tiles."""
    n = BLOCKS * block
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    A = tra.from_array(left, keys=("i", "j"), tile=(block, block), name="A")
    B = tra.from_array(right, keys=("j", "k"), tile=(block, block), name="B")
    A, B = session.persist(A, B)
    check_close("tra, tiles", session.compute(*session.persist(A @ B))[0], left @ right)
    return work_done(client, lambda: session.persist(A @ B))[0]


# -- the page -------------------------------------------------------------------------------------


def on_cluster(settings: Settings) -> tuple[list[str], list[Bar]]:
    """The tables and bars of the cluster."""
    with shared_cluster(WORKERS, settings.scheduler, tolerance=TOLERANCE) as (client, session):
        n = QUICK_CHAIN if settings.quick else CHAIN
        chained = chain(session, client, n, rounds_of(settings.quick))
        fast, slow = neighbours(session, client, settings)
        begins("tasks of a product of many tiles")
        tasks = tasks_of_blocks(session, client, QUICK_BLOCK if settings.quick else BLOCK)
    best = fastest(chained.times, "dask")
    bars = [
        Bar("(A@B)@v: time, tra / dask.array at its best", ratio(chained.times, "tra", best), CHAIN_BAR),
        Bar(
            "nearest neighbours: time, tra / dask.array as written",
            ratio(slow.times, "tra", AS_WRITTEN),
            NEAREST_BAR,
        ),
        Bar(
            "nearest neighbours: time, tra / dask.array multiplied out by hand",
            ratio(fast.times, "tra", EXPANDED),
            NEAREST_BAR,
        ),
        Bar(f"tasks of {BLOCKS}×{BLOCKS}×{BLOCKS} tiles on {WORKERS} workers", tasks, TASKS_BAR),
    ]
    lines = [f"### On {WORKERS} workers of one thread", "", *paragraph(HEAD)]
    for row in (chained, fast, slow):
        lines += [f"**{row.name}**{ONCE if row is slow else ''}", "", *outcomes(row)]
    return [*lines, *(bar.line for bar in bars), ""], bars


def outcomes(row: Compared) -> list[str]:
    """Seconds, ratios and work of every system."""
    cells = []
    for who, seconds in row.times.items():
        tasks, moved = row.work.get(who, ("", None))
        shown = "" if moved is None else f"{moved / 1e6:.1f}"
        own = "" if who == "tra" else f"{ratio(row.times, 'tra', who):.3f}"
        cells.append((who, f"{median(seconds):.3f}", own, tasks, shown))
    return table(["who", "seconds", "tra / who", "tasks", "MB moved"], cells)


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    lines, bars = on_cluster(settings)
    begins("small tiles and small queries")
    small_lines, small_bars = small_queries.measured(settings)
    record(settings, "queries", [*bars, *small_bars])
    return [*lines, *small_lines]


HEAD = (
    "Queries as they would be written; float32, inputs persisted first by each system in its own way, "
    "results left on the workers; in turns, ratios within rounds. `(A@B)@v` is rewritten by hand for none. "
    "Nearest neighbours have a metric matrix; dask.array computes them from all differences, as NumPy code "
    "would (chunks of 250 rows, so that a block of differences fits), and multiplied out by hand (chunks of "
    f"1000 rows), which tra does of itself where the user allows the rounding (`tolerance={TOLERANCE:g}`). "
    "The distances of the neighbours found are the least up to 1e-4 of the largest."
)
ONCE = " (one round: it takes minutes)"

if __name__ == "__main__":
    alone(__file__)
