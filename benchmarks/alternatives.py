"""Does the price order plans as they really run? Forced strategies and orders of products, priced and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

import tra
from benchmarks import plotting
from benchmarks.bars import Bar, record
from benchmarks.page import Settings, image, paragraph, table, write_csv
from benchmarks.report import alone
from tra.algebra.relation import Relation
from tra.backends.session import Session

WORKERS, ROUNDS = 2, 5
BAR = 0.9
STRATEGIES = ("broadcast left", "broadcast right", "co-partition", "compute everywhere")
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """One way to run a query.

    Attributes:
        query: what is computed.
        relation: the query.
        how: the strategy asked for, or the order of products.
        strategy: the strategy to hint, or None where the query itself says how.
    """

    query: str
    relation: Relation
    how: str
    strategy: str | None = None


@dataclass(frozen=True)
class Timed:
    """Predicted seconds of one way, and the median of those measured."""

    query: str
    how: str
    predicted: float
    measured: float


def product_shapes(n: int) -> list[Shape]:
    """Rows, inner dimension and columns of products: square, flat, with one long side, and a small one.

    Example:
        >>> product_shapes(1000)
        [(1000, 1000, 1000), (250, 16000, 250), (4000, 250, 1000), (500, 500, 4000), (250, 250, 250)]
    """
    return [
        (n, n, n),
        (n // 4, 16 * n, n // 4),
        (4 * n, n // 4, n),
        (n // 2, n // 2, 4 * n),
        (n // 4, n // 4, n // 4),
    ]


def products(session: Session, n: int) -> list[Case]:
    """Products of several shapes, each by every strategy there is for two sites."""
    cases = []
    for m, k, c in product_shapes(n):
        left, right = stored(session, [(m, k), (k, c)], (("i", "j"), ("j", "k")))
        result = left @ right
        cases += [Case(f"{m}×{k} @ {k}×{c}", result, strategy, strategy) for strategy in STRATEGIES]
    return cases


def chains(session: Session, n: int) -> list[Case]:
    """Products of three matrices, in both orders."""
    keys = (("i", "j"), ("j", "k"), ("k", "l"))
    cases = []
    for sizes in ((n, n // 4, n, n // 4), (n // 4, n, n // 2, n), (n, n, n, 1)):
        shapes = [(sizes[place], sizes[place + 1]) for place in range(3)]
        a, b, c = stored(session, shapes, keys)
        query = " @ ".join("×".join(map(str, shape)) for shape in shapes)
        cases += [Case(query, (a @ b) @ c, "(A@B)@C"), Case(query, a @ (b @ c), "A@(B@C)")]
    return cases


def stored(
    session: Session, shapes: Sequence[tuple[int, int]], keys: Sequence[tuple[str, str]]
) -> tuple[Relation, ...]:
    """Random float32 matrices, persisted, in at least two tiles along each axis."""
    rng = np.random.default_rng(0)
    relations = []
    for shape, names in zip(shapes, keys, strict=True):
        tile = tuple(min(-(-extent // 2), 1000) for extent in shape)
        relations.append(tra.from_array(rng.standard_normal(shape, dtype=np.float32), names, tile))
    return session.persist(*relations)


def run_once(session: Session, case: Case) -> tuple[float, float]:
    """Predicted and measured seconds of one run."""
    if case.strategy is not None:
        session.hint(case.relation, case.strategy)
    try:
        found = session.explain(case.relation, analyze=True).to_dict()["seconds"]
    finally:
        session.hint(case.relation)
    return found["predicted"], found["measured"]


def time_cases(session: Session, cases: Sequence[Case], rounds: int) -> list[Timed]:
    """Every case in turn, over and over; the first round warms up and does not count."""
    found: list[list[tuple[float, float]]] = [[] for _ in cases]
    for number in range(rounds + 1):
        for place, case in enumerate(cases):
            pair = run_once(session, case)
            if number:
                found[place].append(pair)
    return [
        Timed(case.query, case.how, pairs[0][0], median(measured for _, measured in pairs))
        for case, pairs in zip(cases, found, strict=True)
    ]


def run_all(n: int, rounds: int = ROUNDS, scheduler: str | None = None) -> list[Timed]:
    """All alternatives on a cluster; products stay in the order in which they are written."""
    without = ("contraction_reassociate",)
    with tra.connect("dask", scheduler, sites=WORKERS, threads=1, without=without) as session:
        return time_cases(session, [*products(session, n), *chains(session, n)], rounds)


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1; equal values share their mean rank.

    Example:
        >>> ranks([0.3, 0.1, 0.3])
        [2.5, 1.0, 2.5]
    """
    ordered = sorted(values)
    return [ordered.index(v) + (1 + ordered.count(v)) / 2 for v in values]


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation: Pearson's, of ranks.

    Example:
        >>> round(rank_correlation([1, 2, 3, 4], [1, 2, 4, 3]), 3)
        0.8
    """
    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def correlation(rows: Sequence[Timed]) -> float:
    """The rank correlation of predicted and measured seconds."""
    return rank_correlation([row.predicted for row in rows], [row.measured for row in rows])


def plot(rows: Sequence[Timed], settings: Settings) -> list[str]:
    """Measured against predicted seconds, a colour for each query."""
    drawn, axes = plotting.figure(width=7.0, height=5.0)
    for query in dict.fromkeys(row.query for row in rows):
        points = [(row.predicted, row.measured) for row in rows if row.query == query]
        axes.plot(*zip(*points, strict=True), "o", markersize=5, label=query)
    ends = [min(r.predicted for r in rows), max(r.predicted for r in rows)]
    axes.plot(ends, ends, color="black", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="predicted seconds", ylabel="measured seconds")
    axes.legend(fontsize=7)
    plotting.save(drawn, settings.plots / "alternatives.svg")
    return image("alternatives.svg", "measured against predicted seconds of forced alternatives")


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    rows = run_all(*((600, 2) if settings.quick else (2000, ROUNDS)), settings.scheduler)
    cells = [(r.query, r.how, f"{r.predicted:.4f}", f"{r.measured:.4f}") for r in rows]
    head = ["query", "how", "predicted s", "measured s"]
    write_csv(settings.plots / "alternatives.csv", head, cells)
    found = correlation(rows)
    bar = Bar(f"rank correlation (Spearman) over all {len(rows)}", found, BAR, at_least=True)
    record(settings, "alternatives", [bar])
    says = (
        f"{bar.figure}: {bar.text}. Within the "
        f"alternatives of one product it is {within(rows):.2f} in the mean. "
    )
    return [*paragraph(HEAD), *table(head, cells), *paragraph(says + best_text(rows)), *plot(rows, settings)]


def within(rows: Sequence[Timed]) -> float:
    """The mean rank correlation within queries of more than two alternatives."""
    groups = [[r for r in rows if r.query == query] for query in dict.fromkeys(r.query for r in rows)]
    return mean(correlation(group) for group in groups if len(group) > 2)


def best_text(rows: Sequence[Timed]) -> str:
    """How much slower than the fastest alternative what was predicted to be fastest is, at worst."""
    losses = []
    for query in dict.fromkeys(row.query for row in rows):
        group = [row for row in rows if row.query == query]
        chosen = min(group, key=lambda row: row.predicted)
        losses.append(chosen.measured / min(row.measured for row in group))
    worst = max(losses)
    return (
        f"What was predicted to be fastest took at most {worst:.2f} times as long as what was, over "
        f"{len(losses)} queries."
    )


HEAD = (
    "Every strategy of products of several shapes, forced with `session.hint`, and both orders of chains "
    f"of three, on {WORKERS} single-threaded workers: seconds predicted with constants that the session "
    f"measured when it began, and the median of {ROUNDS} runs in turn after one that warms up. float32, "
    "inputs persisted first. Predicted are work, exchanges and latency, not what Dask itself takes for a "
    "graph."
)

if __name__ == "__main__":
    alone(__file__)
