"""Where the best way to run a product changes with its shape: every strategy forced in turn and priced.

C[i, k] = Σ A[i, j]·B[j, k] on 8 sites, its inputs evenly spread before, by the paper's count of elements sent
and by the cost model in seconds. Nothing runs. A strategy is forced with a hint; the planner's own choice has
to be the cheapest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isclose, sqrt
from multiprocessing import get_context
from typing import Any

from benchmarks import plotting
from benchmarks.page import Settings, image, paragraph, table, write_csv
from benchmarks.report import alone
from tra.algebra.nodes import Expr, Source
from tra.algebra.operators import aggregate, join
from tra.algebra.sources import tensor_type
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.hint import Hint
from tra.optimizer.search import search

SITES = 8
N_TILES = 64  # along each key: cut evenly by every mesh of 8 sites
MODELS = {"paper": CostModel(paper=True), "seconds": CostModel()}
UNITS = {"paper": "elements sent", "seconds": "seconds"}
STRATEGIES = {
    "broadcast left": "broadcast left",
    "broadcast right": "broadcast right",
    "co-partition": "split of the inner dimension",
    "2-D split": "2-D split",
    "replicate (3-D)": "3-D split",
    "replicate (mixed split)": "inner dimension and one other",
    "compute everywhere": "everything everywhere",
}  # by the planner's name
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Sweep:
    """A family of products (m×k)·(k×n) of one size.

    Attributes:
        name: on the page and in plots.
        label: the size.
        shape: m, k and n from the size.
        sizes: the smallest and the largest.
        expected: where the paper's count changes to each strategy, worked out by hand.
    """

    name: str
    label: str
    shape: Callable[[int], Shape]
    sizes: tuple[int, int]
    expected: dict[str, float]


# By the paper's count each of A, B and C costs its elements once for every copy or part of it, and nothing
# where there is one; the numbers of copies of A and B and of parts of C are the sizes of a mesh, 8 together.
SWEEPS = (
    Sweep(
        "m of (m×1024)·(1024×16384)", "m", lambda m: (m, 1024, 16384), (64, 1 << 20),
        {"2-D split": 16384 / 2, "broadcast right": 2 * 16384},
    ),
    Sweep(
        "k of (6144×k)·(k×4096)", "k", lambda k: (6144, k, 4096), (64, 1 << 18),
        {"replicate (mixed split)": 4096, "co-partition": 3 * 4096},
    ),
    Sweep(
        "k of (384×k)·(k×256)", "k", lambda k: (384, k, 256), (64, 1 << 18),
        {"replicate (mixed split)": 256, "co-partition": 3 * 256},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Priced:
    """What one shape costs: the planner's choice, and every strategy by its name."""

    size: int
    chosen: str
    cost: float
    by_strategy: dict[str, float]


@dataclass(frozen=True)
class Crossing:
    """Where the choice changes: the first size of the new one, and what it costs there."""

    size: int
    before: str
    after: str
    cost: float


def product(shape: Shape) -> Expr:
    """The product of an m×k and a k×n matrix in float32."""
    m, k, n = shape
    left, right = (
        Source(
            tensor_type(extents, "f4", keys, tuple(max(e // N_TILES, 1) for e in extents)), name, "0", name
        )
        for name, extents, keys in (("A", (m, k), ("i", "j")), ("B", (k, n), ("j", "k")))
    )
    return aggregate(join(left, right, "j", "matmul"), ("i", "k"), "add")


def chosen(shape: Shape, model: CostModel) -> tuple[str, float]:
    """The planner's choice for a shape, and its cost."""
    root = product(shape)
    found = search((root,), Context(n_sites=SITES, model=model, spread=True))
    assert found is not None
    return family(found.chosen[root.digest].rule), found.seconds


def priced(size: int, shape: Shape, model: CostModel) -> Priced:
    """A shape under every strategy."""
    root, costs = product(shape), {}
    context = Context(n_sites=SITES, model=model, spread=True)
    for strategy in STRATEGIES:
        found = search((root,), replace(context, hints=(Hint(root, strategy),)))
        if found is not None:
            costs[strategy] = found.seconds
    return Priced(size, *chosen(shape, model), costs)


def family(rule: str) -> str:
    """The strategy without what is said of its sum.

    Example:
        >>> family("co-partition, aggregate before shuffle")
        'co-partition'
    """
    return rule.partition(",")[0]


def run_sweep(sweep: Sweep, model: CostModel, n_points: int) -> list[Priced]:
    """Prices a family of products at sizes evenly spread on a log scale."""
    low, high = sweep.sizes
    sizes = [rounded(low * (high / low) ** (step / (n_points - 1))) for step in range(n_points)]
    return [priced(size, sweep.shape(size), model) for size in dict.fromkeys(sizes)]


def rounded(size: float) -> int:
    """The nearest size that tiles cut evenly."""
    return max(round(size / N_TILES), 1) * N_TILES


def crossings(rows: Sequence[Priced], sweep: Sweep, model: CostModel) -> list[Crossing]:
    """Where the choice changes along a sweep, to the tile."""
    found = []
    for before, after in pairwise(rows):
        while after.chosen != before.chosen:
            crossing = _first(before, after, sweep, model)
            found.append(crossing)
            before = replace(before, size=crossing.size, chosen=crossing.after)
    return found


def _first(before: Priced, after: Priced, sweep: Sweep, model: CostModel) -> Crossing:
    """The first size between two at which the choice is not as it was, by bisection."""
    low, high, rule, cost = before.size, after.size, after.chosen, after.cost
    while high - low > N_TILES:
        middle = rounded(sqrt(low * high)) if high > 4 * low else rounded((low + high) / 2)
        if middle in (low, high):
            break
        now, there = chosen(sweep.shape(middle), model)
        if now == before.chosen:
            low = middle
        else:
            high, rule, cost = middle, now, there
    return Crossing(high, before.chosen, rule, cost)


def envelope_holds(rows: Sequence[Priced]) -> bool:
    """Claims that what was chosen costs what the cheapest forced strategy costs, everywhere."""
    return all(isclose(row.cost, min(row.by_strategy.values()), rel_tol=1e-9) for row in rows)


def draw(axes: Any, sweep: Sweep, name: str, rows: Sequence[Priced], found: Sequence[Crossing]) -> None:
    """One sweep under one model: every strategy relative to the cheapest, so that the best is at 1."""
    for strategy, title in STRATEGIES.items():
        priced_ = [row for row in rows if strategy in row.by_strategy]
        relative = [row.by_strategy[strategy] / min(row.by_strategy.values()) for row in priced_]
        axes.plot([row.size for row in priced_], relative, linewidth=1.2, label=title)
    lowest = [row.cost / min(row.by_strategy.values()) for row in rows]
    axes.plot([r.size for r in rows], lowest, color="black", linewidth=4, alpha=0.25, label="chosen")
    for crossing in found:
        axes.axvline(crossing.size, color="black", linewidth=0.6, linestyle=":")
    axes.set(xscale="log", ylim=(0.9, 4), title=sweep.name, xlabel=sweep.label)
    axes.set_ylabel(f"{UNITS[name]} / least")


def run_one(which: int, name: str, n_points: int) -> tuple[list[Priced], list[Crossing]]:
    """One sweep under one model: its points, and where the choice changes."""
    rows = run_sweep(SWEEPS[which], MODELS[name], n_points)
    return rows, crossings(rows, SWEEPS[which], MODELS[name])


def run_all(
    whiches: Sequence[int], n_points: int
) -> dict[tuple[int, str], tuple[list[Priced], list[Crossing]]]:
    """Some of the sweeps under every model, several at a time."""
    places = [(which, name) for which in whiches for name in MODELS]
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn")) as pool:
        futures = {place: pool.submit(run_one, *place, n_points) for place in places}
        return {place: future.result() for place, future in futures.items()}


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    results = run_all(*(([2], 3) if settings.quick else (range(len(SWEEPS)), 20)))
    drawn, axes = plotting.figure(len(SWEEPS), len(MODELS), width=9, height=3.2 * len(SWEEPS))
    cells, data, held = [], [], []
    for (which, name), (rows, found) in results.items():
        sweep = SWEEPS[which]
        draw(axes[which][list(MODELS).index(name)], sweep, name, rows, found)
        cells += cells_of(sweep, name, rows, found)
        held.append(envelope_holds(rows))
        data += [
            (sweep.name, name, r.size, r.chosen, r.cost, *map(r.by_strategy.get, STRATEGIES)) for r in rows
        ]
    drawn.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plotting.save(drawn, settings.plots / "crossovers.svg")
    columns = ["sweep", "cost model", "size", "chosen", "cost", *STRATEGIES]
    write_csv(settings.plots / "crossovers.csv", columns, data)
    head = ["sweep", "cost model", "changes at", "from", "to", "cost there", "by hand"]
    kept = "is" if all(held) else "**is not always**"
    says = (
        f"At all {len(data)} points priced the planner's choice {kept} the cheapest of the forced strategies."
    )
    drawing = image(
        "crossovers.svg", "cost of every strategy relative to the cheapest, against a size of the product"
    )
    return [*paragraph(HEAD), *table(head, cells), says, "", *drawing]


def cells_of(
    sweep: Sweep, name: str, rows: Sequence[Priced], found: Sequence[Crossing]
) -> list[tuple[str, ...]]:
    """The rows of the table for one sweep under one model."""
    if not found:
        return [(sweep.name, name, "never", STRATEGIES[rows[0].chosen], "", "", "")]
    by_hand = {to: f"{size:,.0f}" for to, size in sweep.expected.items()} if name == "paper" else {}
    cells: list[tuple[str, ...]] = []
    for c in found:
        change = (f"{c.size:,}", STRATEGIES[c.before], STRATEGIES[c.after], cost_text(name, c.cost))
        cells.append((sweep.name, name, *change, by_hand.get(c.after, "")))
    return cells


def cost_text(name: str, cost: float) -> str:
    """A cost with its unit.

    Example:
        >>> cost_text("paper", 2e6), cost_text("seconds", 0.0123)
        ('2.00 M elements', '12.30 ms')
    """
    return f"{cost / 1e6:.2f} M elements" if name == "paper" else f"{cost * 1e3:.2f} ms"


HEAD = (
    f"A product of an m×k and a k×n matrix of float32 on {SITES} sites, inputs evenly spread, as one size "
    "grows. Every strategy is forced in turn and priced, by the paper's count of elements sent and in "
    "seconds with fixed constants; nothing runs. The table says where the planner's own choice changes. "
    "By the paper's count a relation costs once for every copy or part of it and nothing where there is "
    "one, so that on 8 sites no 3-D split is cheaper than one of the inner dimension and another. In "
    "seconds it may be, since there a site is not sent what it has. *By hand* is where the paper's counts "
    "cross."
)

if __name__ == "__main__":
    alone(__file__)
