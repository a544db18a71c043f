"""Elements received per site by planned square products, against the tight lower bound.

Nothing runs: a product of two n×n matrices is planned for every number of sites, by a cost model that counts
received elements and nothing else. Inputs lie evenly spread before, each element at one site, wherever that
is best, and the output is evenly spread after. Counted are the elements that the busiest site receives in
the whole plan.

Source of the bound: Al Daas, Ballard, Grigori, Kumar, Rouse, "Tight memory-independent parallel matrix
multiplication communication lower bounds", SPAA 2022: 3·n²/p^(2/3) − 3·n²/p for a square product.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from multiprocessing import get_context

import numpy as np

from benchmarks import plotting
from benchmarks.page import Settings, image, paragraph, table, write_csv
from benchmarks.report import alone
from tra.algebra.nodes import Expr, Source
from tra.algebra.operators import aggregate, join
from tra.algebra.sources import tensor_type
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel, route
from tra.optimizer.exchange import received
from tra.optimizer.meshes import MAX_IDLE, n_sites
from tra.optimizer.pricing import settled
from tra.optimizer.search import Assignment, search

N = 720_720  # rows and columns, of one element per tile: cut evenly by every number to 16
NEVER = 1e300  # per second: what is not counted
ELEMENTS = CostModel(
    bandwidth=4.0, flop_rate=NEVER, element_rate=NEVER, memory_bandwidth=NEVER, latency=0.0
)  # seconds are float32 elements at the busiest receiver
COUNTS = (*range(4, 513), 1024, 2048, 4096)
QUICK = (4, 5, 8, 11, 15, 27)
SELECTED = (4, 6, 8, 12, 16, 27, 32, 48, 64, 100, 125, 128, 216, 256, 343, 500, 512, 1024, 2048, 4096)
EQUAL = 1.0005  # what rounding leaves
CHUNK = 16  # counts in a row share meshes, and with them what is already priced


@dataclass(frozen=True)
class Found:
    """One planned product.

    Attributes:
        sites: how many sites there were.
        mesh: the mesh that was chosen.
        elements: received by the busiest site.
        bound: what it receives at least.
        optimal: claims that the search left nothing out.
    """

    sites: int
    mesh: str
    elements: int
    bound: float
    optimal: bool

    @property
    def ratio(self) -> float:
        """Elements over bound."""
        return self.elements / self.bound


def square_product(n: int) -> Expr:
    """The product of two n×n float32 matrices cut into single elements."""
    named = {"A": ("i", "j"), "B": ("j", "k")}
    left, right = (Source(tensor_type((n, n), "f4", keys, 1), a, "0", a) for a, keys in named.items())
    return aggregate(join(left, right, "j", "matmul"), ("i", "k"), "add")


def received_each(found: Assignment, root: Expr) -> np.ndarray:
    """Elements that each site receives over the whole plan of one result, which ends folded."""
    total = np.zeros(n_sites(found.mesh), dtype=np.int64)
    for digest, operator in found.operators.items():
        choice = found.chosen[digest]
        needs = zip(operator.children, choice.inputs, strict=False)
        steps = [(c.type, found.chosen[c.digest].output, need) for c, need in needs if need is not None]
        if digest == root.digest:
            steps.append((operator.type, choice.output, settled(operator.type, choice.output)))
        for type_, have, need in steps:
            for before, after in route(type_, have, need) if have != need else ():
                total += np.array(received(type_, before, after)) // type_.dtype.itemsize
    return total


def plan_product(p: int, n: int = N) -> Found:
    """Plans the product for one number of sites."""
    root = square_product(n)
    found = search((root,), Context(n_sites=p, model=ELEMENTS, spread=True))
    assert found is not None
    mesh = "×".join(map(str, sorted(found.mesh, reverse=True)))
    bound = 3 * n**2 / p ** (2 / 3) - 3 * n**2 / p
    return Found(p, mesh, int(received_each(found, root).max()), bound, found.is_optimal)


def least_of_grids(p: int) -> float:
    """What the best mesh receives in multiples of n², among all that leave few sites idle; by formula.

    On a×b×c = q sites a site needs 1/ab of one matrix, 1/bc and 1/ca of the others, and has 1/q of each.

    Example:
        >>> [round(least_of_grids(p), 3) for p in (5, 8)]
        [0.8, 0.375]
    """
    least = -int(-p * (1 - MAX_IDLE) // 1)
    grids = (
        (a, b, q // (a * b))
        for q in range(least, p + 1)
        for a in range(1, q + 1) if q % a == 0
        for b in range(1, a + 1) if q // a % b == 0
    )  # fmt: skip
    return min(1 / (a * b) + 1 / (b * c) + 1 / (c * a) - 3 / (a * b * c) for a, b, c in grids)


def sweep(counts: Sequence[int], n: int = N, processes: int | None = None) -> list[Found]:
    """Plans the product for many numbers of sites, several at a time."""
    workers = processes or os.cpu_count() or 1
    if workers == 1:
        return [plan_product(p, n) for p in counts]
    chunk = min(CHUNK, -(-len(counts) // (2 * workers)))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return list(pool.map(plan_product, counts, [n] * len(counts), chunksize=chunk))


def summary(rows: Sequence[Found]) -> list[str]:
    """How many counts are how near to the bound, and the farthest."""
    limits = [("equal", EQUAL), ("within 1.05×", 1.05), ("within 1.1×", 1.1), ("within 1.3×", 1.3)]
    near = [(name, sum(row.ratio <= limit for row in rows), len(rows)) for name, limit in limits]
    equal = ", ".join(str(row.sites) for row in rows if row.ratio <= EQUAL)
    lines = table(["against the bound", "counts", "of"], near)
    best = sum(row.elements / N**2 <= EQUAL * least_of_grids(row.sites) for row in rows)
    lines += paragraph(
        f"Equal at {equal or 'none'}. At {best} of {len(rows)} counts the plan receives what the best of all "
        f"meshes with at most {MAX_IDLE:.0%} of the sites idle receives, by the formula 1/ab + 1/bc + 1/ca "
        "− 3/abc; with more of them idle some would be nearer to the bound, but compute longer. The farthest:"
    )
    return lines + details(sorted(rows, key=lambda row: -row.ratio)[:12])


def details(rows: Iterable[Found]) -> list[str]:
    """A table of single counts, elements in multiples of n²."""
    shown = [
        (r.sites, r.mesh, f"{r.elements / N**2:.5f}", f"{r.bound / N**2:.5f}", f"{r.ratio:.4f}") for r in rows
    ]
    return table(["sites", "mesh", "received / n²", "bound / n²", "ratio"], shown)


def plot(rows: Sequence[Found], settings: Settings) -> list[str]:
    """The ratio against the number of sites."""
    drawn, axes = plotting.figure()
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.axhline(1.1, color="tab:orange", linewidth=0.8, linestyle="--", label="1.1×")
    axes.axhline(1.3, color="tab:red", linewidth=0.8, linestyle="--", label="1.3×")
    axes.plot([r.sites for r in rows], [r.ratio for r in rows], ".", markersize=3, label="planned")
    for row in sorted(rows, key=lambda row: -row.ratio)[:3]:
        axes.annotate(str(row.sites), (row.sites, row.ratio), xytext=(4, 0), textcoords="offset points")
    axes.set(xscale="log", xlabel="sites", ylabel="elements received / lower bound", ylim=(0.95, None))
    axes.legend(loc="upper right")
    plotting.save(drawn, settings.plots / "lower_bound.svg")
    return image(
        "lower_bound.svg", "ratio of elements received to the lower bound, against the number of sites"
    )


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    rows = sweep(QUICK if settings.quick else COUNTS)
    head = [*(field.name for field in fields(Found)), "ratio"]
    write_csv(settings.plots / "lower_bound.csv", head, [(*astuple(r), round(r.ratio, 5)) for r in rows])
    lines = paragraph(HEAD) + summary(rows) + plot(rows, settings)
    return [*lines, "Selected counts:", "", *details(row for row in rows if row.sites in SELECTED)]


HEAD = (
    "The product of two n×n matrices, planned for p sites and not run. Inputs lie evenly spread over the "
    "sites of the plan's mesh, each element at one of them; so does the output. Counted are the elements "
    "that the busiest site receives, against 3·n²/p^(2/3) − 3·n²/p, which no plan with the work evenly "
    "spread over p sites can beat (Al Daas et al., SPAA 2022). Where p has no three factors near each "
    "other a mesh may leave sites idle. All counts are in [lower_bound.csv](plots/lower_bound.csv); n = "
    f"{N:,}."
)

if __name__ == "__main__":
    alone(__file__)
