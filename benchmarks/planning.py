"""How long planning takes: deep networks on several sites, relations of very many tiles, and of listed ones.

Every query is planned in a process of its own, so that nothing is known from the one before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from multiprocessing import get_context

import numpy as np

import tra
from benchmarks.bars import Bar, record
from benchmarks.page import Settings, paragraph, table
from benchmarks.report import alone
from tra.algebra.nodes import Expr
from tra.algebra.relation import Relation
from tra.optimizer.context import Context
from tra.optimizer.operators import is_leaf, operator_graph
from tra.optimizer.planner import plan_query

ROWS, WIDTH = 4096, 1024
LAYERS, SITES = (12, 25, 50, 100), (2, 4, 8)
BARS = {"forward": 2.0, "training": 5.0}  # seconds, at 50 layers
BAR_LAYERS = 50
HOLED_KEYS, HOLED_SITES = (10**3, 10**4, 10**5, 10**6), 4


@dataclass(frozen=True)
class Case:
    """A query to plan: what it is, its size, and for how many sites."""

    what: str
    size: int
    sites: int


@dataclass(frozen=True)
class Planning:
    """How long a case took.

    Attributes:
        operators: what was placed, without sources.
        optimal: claims that no cheaper plan was left out.
        again: seconds to plan it once more, when all that is counted is known.
    """

    case: Case
    operators: int
    seconds: float
    tasks: int
    optimal: bool
    again: float = 0.0


def tensor(
    name: str, shape: tuple[int, ...], keys: tuple[str, ...], tile: tuple[int, ...] | None = None
) -> Relation:
    """A float32 tensor that takes no memory."""
    return tra.from_array(np.broadcast_to(np.float32(0), shape), keys=keys, tile=tile, name=name)


def forward(layers: int) -> list[Relation]:
    """A pass through layers of ReLU(H·W + b)."""
    hidden = tensor("X", (ROWS, WIDTH), ("n", "d"))
    for layer in range(layers):
        hidden = tra.relu(hidden @ _weights(layer) + _bias(layer))
    return [hidden]


def training(layers: int) -> list[Relation]:
    """One step of gradient descent on such layers: the new weights and biases."""
    hidden = [tensor("X", (ROWS, WIDTH), ("n", "d"))]
    activations, new = [], []
    for layer in range(layers):
        activations.append(hidden[-1] @ _weights(layer) + _bias(layer))
        hidden.append(tra.relu(activations[-1]))
    back = hidden[-1] - tensor("Y", (ROWS, WIDTH), ("n", "d"))
    for layer in reversed(range(layers)):
        back = back * tra.step(activations[layer])
        new.append(_weights(layer) - 0.1 * (hidden[layer].T @ back))
        new.append(_bias(layer) - 0.1 * back.sum(0))
        back = back @ _weights(layer).T
    return new


def _weights(layer: int) -> Relation:
    return tensor(f"W{layer}", (WIDTH, WIDTH), ("d", "h"))


def _bias(layer: int) -> Relation:
    return tensor(f"b{layer}", (WIDTH,), ("h",))


def tiled_product(n_tiles: int) -> list[Relation]:
    """ReLU(X·W + b) where X has so many tiles, by its rows."""
    rows = 2 * n_tiles
    x = tensor("X", (rows, WIDTH), ("n", "d"), (2, WIDTH))
    return [tra.relu(x @ _weights(0) + _bias(0))]


def holed_product(n_keys: int) -> list[Relation]:
    """A product with a relation of so many tiles, listed one by one, a quarter of those there might be."""
    side = int((4 * n_keys) ** 0.5) + 1
    codes = np.random.default_rng(0).choice(side * side, n_keys, replace=False).tolist()
    tile = np.zeros((2, 2), dtype=np.float32)
    tiles = {divmod(code, side): tile for code in codes}
    holed = tra.from_tiles(tiles, ("i", "j"), domain=(side, side), name="S")
    dense = tensor("V", (2 * side, 8), ("j",), (2,))
    return [holed.join(dense, on="j", kernel="matmul").aggregate(by="i")]


QUERIES = {"forward": forward, "training": training, "tiles": tiled_product, "holed": holed_product}


def plan_once(case: Case) -> Planning:
    """Plans a case here and now, after a small one so that imports do not count."""
    plan_query(_roots(tiled_product(1)), Context())
    roots = _roots(QUERIES[case.what](case.size))
    times = [time.process_time()]
    for _ in range(2):
        planned = plan_query(roots, Context(n_sites=case.sites))
        times.append(time.process_time())
    seconds, again = np.diff(times).tolist()
    operators = [op for op in operator_graph(*planned.roots).values() if not is_leaf(op)]
    optimal = planned.assignment.is_optimal
    return Planning(case, len(operators), seconds, planned.program.n_tasks, optimal, again)


def _roots(relations: Sequence[Relation]) -> tuple[Expr, ...]:
    return tuple(relation.expr for relation in relations)


def plan_all(cases: Iterable[Case]) -> list[Planning]:
    """Plans each case in a process of its own, one after the other."""
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.map(plan_once, list(cases), chunksize=1)


def cases(layers: Sequence[int], sites: Sequence[int], tiles: Sequence[int]) -> list[Case]:
    """All there is to plan."""
    deep = [Case(what, n, p) for what in BARS for n in layers for p in sites]
    return deep + [Case("tiles", n, p) for n in tiles for p in sites]


def growth(rows: Sequence[Planning], what: str, sites: int) -> tuple[float, float]:
    """How planning grew from the fewest layers to the most, and how n·log n would have."""
    found = {row.case.size: row.seconds for row in rows if (row.case.what, row.case.sites) == (what, sites)}
    few, many = min(found), max(found)
    return found[many] / found[few], many * log(many) / (few * log(few))


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    layers = (4, 12) if settings.quick else LAYERS
    sites = (2, 8) if settings.quick else SITES
    keys = HOLED_KEYS[:2] if settings.quick else HOLED_KEYS
    rows = plan_all(cases(layers, sites, (10, 10**6)) + [Case("holed", n, HOLED_SITES) for n in keys])
    lines = paragraph(HEAD)
    for what in BARS:
        lines += [f"**{what}**", "", *deep_table(rows, what, layers, sites)]
    lines += ["**one layer, rows cut into tiles**", "", *tile_table(rows, sites)]
    lines += [*paragraph(HOLED), *holed_table(rows)]
    bars = verdict(rows, sites)
    record(settings, "planning", bars)
    return [*lines, *(bar.line for bar in bars), tiles_text(rows, sites), ""]


def deep_table(rows: Sequence[Planning], what: str, layers: Sequence[int], sites: Sequence[int]) -> list[str]:
    """Seconds by layers and sites."""
    found = {(row.case.size, row.case.sites): row for row in rows if row.case.what == what}
    head = ["layers", "operators", *(f"{p} sites" for p in sites), "tasks", "growth, n log n"]
    cells = []
    for before, n in zip((None, *layers), layers, strict=False):
        grown = ""
        if before is not None:
            worst = max(found[n, p].seconds / found[before, p].seconds for p in sites)
            grown = f"{worst:.1f}×, {n * log(n) / (before * log(before)):.1f}×"
        seconds = [f"{found[n, p].seconds:.2f} s" for p in sites]
        cells.append((n, found[n, sites[0]].operators, *seconds, found[n, sites[-1]].tasks, grown))
    return table(head, cells)


def tile_table(rows: Sequence[Planning], sites: Sequence[int]) -> list[str]:
    """Milliseconds by tiles and sites."""
    found = {(row.case.size, row.case.sites): row for row in rows if row.case.what == "tiles"}
    sizes = sorted({n for n, _ in found})
    cells = [(f"{n:,}", *(f"{found[n, p].seconds * 1e3:.0f} ms" for p in sites)) for n in sizes]
    return table(["tiles", *(f"{p} sites" for p in sites)], cells)


def holed_table(rows: Sequence[Planning]) -> list[str]:
    """Milliseconds by listed keys, for the first plan and for the second."""
    found = [row for row in rows if row.case.what == "holed"]
    cells = [(f"{r.case.size:,}", f"{r.seconds * 1e3:.0f} ms", f"{r.again * 1e3:.0f} ms") for r in found]
    return table(["listed keys", "first plan", "second plan"], cells)


def linear_growth(rows: Sequence[Planning]) -> tuple[float, float]:
    """How planning grew from the fewest listed keys to the most, and how these did."""
    found = {row.case.size: row.seconds for row in rows if row.case.what == "holed"}
    return found[max(found)] / found[min(found)], max(found) / min(found)


def verdict(rows: Sequence[Planning], sites: Sequence[int]) -> list[Bar]:
    """The bars."""
    bars = []
    for what, limit in BARS.items():
        timed = [r.seconds for r in rows if (r.case.what, r.case.size) == (what, BAR_LAYERS)]
        if timed:
            bars.append(Bar(f"{what}, {BAR_LAYERS} layers, at most", max(timed), limit, unit="s"))
        grown, allowed = max((growth(rows, what, p) for p in sites), key=lambda pair: pair[0])
        figure = f"{what}: growth from the fewest to the most layers, beside that of n log n"
        bars.append(Bar(figure, grown, round(allowed, 1), unit="×"))
    grown, allowed = linear_growth(rows)
    figure = "listed keys: growth from the fewest to the most, beside that of their number"
    return [*bars, Bar(figure, grown, allowed, unit="×")]


def tiles_text(rows: Sequence[Planning], sites: Sequence[int]) -> str:
    """How planning grows with the number of tiles, at worst."""
    tiles = [[r.seconds for r in rows if (r.case.what, r.case.sites) == ("tiles", p)] for p in sites]
    worst = max(seconds[-1] / seconds[0] for seconds in tiles)
    return f"* tiles: the most take {worst:.1f}× as long to plan as the fewest, at worst"


HEAD = (
    "Seconds of one core to plan, each in a fresh process: forward passes through layers of ReLU(H·W + "
    f"b), H {ROWS}×{WIDTH}, and whole training steps with gradients written out. Nothing runs. Growth is "
    "the worst over the site counts, from one row to the next, beside that of n log n."
)
HOLED = (
    "**a relation with holes**, whose live keys are listed, joined with a dense one and added up on "
    f"{HOLED_SITES} sites. What lies below each corner of a box of keys is added up once, so planning is "
    "linear in the keys once; after that it does not depend on them."
)

if __name__ == "__main__":
    alone(__file__)
