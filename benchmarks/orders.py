"""Queries as users write them, where the order of products matters: tra beside dask.array on two workers."""

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
from benchmarks.clusters import dask_client, persist, work_done
from benchmarks.page import Settings, paragraph, table
from benchmarks.report import alone
from tra.backends.session import Session
from tra.workflows.benchmark import workload

WORKERS, ROUNDS = 2, 5
FIVE = "ij,jk,kl,lm,mn->in"


@dataclass(frozen=True)
class Query:
    """A query over named tensors, for both systems.

    Attributes:
        name: as it is written.
        keys: key names of each input.
        shapes: shapes of the inputs, from a size.
        tra: results from relations.
        dask: results from dask arrays.
    """

    name: str
    keys: tuple[tuple[str, ...], ...]
    shapes: Callable[[int], Sequence[tuple[int, ...]]]
    tra: Callable[..., Sequence[Any]]
    dask: Callable[..., Sequence[Any]]


def _chain(*operands: Any) -> tuple[Any]:
    product = operands[0]
    for operand in operands[1:]:
        product = product @ operand
    return (product,)


_TRAINING = workload("ffnn")
QUERIES = (
    Query("(A@B)@v", (("i", "j"), ("j", "k"), ("k",)), lambda n: [(n, n), (n, n), (n,)], _chain, _chain),
    Query(
        "A@B@C", (("i", "j"), ("j", "k"), ("k", "l")),
        lambda n: [(n, n // 10), (n // 10, n), (n, n // 10)], _chain, _chain,
    ),
    Query(
        f"einsum('{FIVE}', …)", tuple((pair[0], pair[1]) for pair in FIVE[:-4].split(",")),
        lambda n: [(n, n // 10), (n // 10, n)] * 2 + [(n, n // 10)],
        lambda *operands: (tra.einsum(FIVE, *operands),),
        lambda *operands: (da.einsum(FIVE, *operands, optimize=True),),
    ),
    Query(
        "feed-forward training step", _TRAINING.keys,
        lambda n: [(n // 2, n // 2), (n // 2, n // 4), (n // 2, n // 2), (n // 2, n // 4)],
        _TRAINING.query, lambda *operands: _TRAINING.dense(da, *operands),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one system did with a query.

    Attributes:
        who: the system, with its chunks.
        seconds: the median of the rounds.
        ratio: its time over that of tra in the same round, the median.
    """

    query: str
    who: str
    seconds: float
    ratio: float
    tasks: int
    bytes_moved: int


def inputs(query: Query, size: int) -> list[np.ndarray]:
    """Random float32 inputs, scaled so that results stay of size one."""
    rng = np.random.default_rng(0)
    shapes = query.shapes(size)
    return [rng.standard_normal(s, dtype=np.float32) / np.float32(s[0] ** 0.5) for s in shapes]


def runners(session: Session, client: Client, query: Query, size: int) -> dict[str, Callable[[], Any]]:
    """What runs the query in each system, its inputs persisted by each in its own way."""
    arrays = inputs(query, size)
    named = enumerate(zip(arrays, query.keys, strict=True))
    stored = session.persist(*(tra.from_array(array, keys, name=f"I{n}") for n, (array, keys) in named))
    results = tuple(query.tra(*stored))
    found: dict[str, Callable[[], Any]] = {"tra": lambda: session.persist(*results)}
    for chunk in chunks(query, size):
        chunked = persist(client, [da.from_array(array, chunks=chunk) for array in arrays])
        found[f"dask.array, chunks {chunk}"] = _dask_runner(client, query, chunked)
    return found


def chunks(query: Query, size: int) -> tuple[int, int]:
    """Chunks for dask.array: a quarter and a half of the longest side, so that both workers have some."""
    longest = max(max(shape) for shape in query.shapes(size))
    return longest // 4, longest // 2


def _dask_runner(client: Client, query: Query, chunked: Sequence[Any]) -> Callable[[], Any]:
    return lambda: persist(client, query.dask(*chunked))


def interleaved(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each runner in every round; all run in turn, and one round before does not count."""
    seconds: dict[str, list[float]] = {who: [] for who in runs}
    for number in range(rounds + 1):
        for who, run in runs.items():
            start = time.perf_counter()
            kept = run()
            if number:
                seconds[who].append(time.perf_counter() - start)
            del kept
    return seconds


def check_alike(runs: Mapping[str, Callable[[], Any]], session: Session, client: Client) -> None:
    """Makes sure that all systems give the same numbers."""
    expected = session.compute(*runs["tra"]())
    for who, run in runs.items():
        if who != "tra":
            for one, other in zip(expected, client.gather(client.compute(run())), strict=True):
                assert np.allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(one).max()), who


def compare(session: Session, client: Client, query: Query, size: int, rounds: int = ROUNDS) -> list[Outcome]:
    """A query in both systems."""
    runs = runners(session, client, query, size)
    check_alike(runs, session, client)
    seconds = interleaved(runs, rounds)
    rows = []
    for who, times in seconds.items():
        cluster = session.backend.client if who == "tra" else client  # type: ignore[attr-defined]
        tasks, moved = work_done(cluster, runs[who])
        ratio = median(t / own for t, own in zip(times, seconds["tra"], strict=True))
        rows.append(Outcome(query.name, who, median(times), ratio, tasks, moved))
    return rows


def run_all(size: int, rounds: int = ROUNDS, scheduler: str | None = None) -> list[Outcome]:
    """Every query in both systems, each with a cluster of its own, or both on one that is there."""
    rows = []
    with (
        tra.connect("dask", scheduler, sites=WORKERS, threads=1) as session,
        dask_client(WORKERS, scheduler) as client,
    ):
        for query in QUERIES:
            rows += compare(session, client, query, size, rounds)
    return rows


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    size, rounds = (400, 2) if settings.quick else (4000, ROUNDS)
    rows = run_all(size, rounds, settings.scheduler)
    lines = paragraph(HEAD)
    for query in QUERIES:
        lines += [f"**{query.name}** {shapes_text(query, size)}", ""]
        lines += outcome_table([row for row in rows if row.query == query.name])
    return lines + verdict(rows)


def shapes_text(query: Query, size: int) -> str:
    """The shapes of the inputs.

    Example:
        >>> shapes_text(QUERIES[0], 10)
        '10×10, 10×10, 10'
    """
    return ", ".join("×".join(map(str, shape)) for shape in query.shapes(size))


def outcome_table(rows: Sequence[Outcome]) -> list[str]:
    """The outcomes of one query."""
    cells = [
        (row.who, f"{row.seconds:.3f}", f"{row.ratio:.2f}", row.tasks, f"{row.bytes_moved / 1e6:.2f}")
        for row in rows
    ]
    return table(["who", "seconds", "time / tra", "tasks", "MB moved"], cells)


def verdict(rows: Sequence[Outcome]) -> list[str]:
    """Whether tra has fewer tasks and bytes than dask.array everywhere."""
    lines = []
    for query in dict.fromkeys(row.query for row in rows):
        own, *others = (row for row in rows if row.query == query)
        if not all(own.tasks < row.tasks and _is_less(own, row) for row in others):
            lines.append(f"* {query}: tra does **not** have fewer tasks and bytes than every other row.")
    return [*(lines or ["tra has fewer tasks and moves fewer bytes than dask.array in every table."]), ""]


def _is_less(own: Outcome, other: Outcome) -> bool:
    """Claims that fewer bytes moved, or none in either."""
    return own.bytes_moved < other.bytes_moved or own.bytes_moved == other.bytes_moved == 0


HEAD = (
    f"Queries as they would be written, on {WORKERS} single-threaded workers: float32, inputs persisted "
    "first by each system in its own way, each system on a cluster of its own with its own defaults. All "
    f"run in turn, in {ROUNDS} rounds after one that warms up; medians, ratios within rounds. Tasks are "
    "those the scheduler saw run, after whatever optimisation there was, bytes those in the workers' logs "
    "of transfers, of one run each. dask.array has chunks of a quarter and of half the longest side. "
    "`da.einsum` has `optimize=True`: without it NumPy would multiply all five operands in one loop."
)

if __name__ == "__main__":
    alone(__file__)
