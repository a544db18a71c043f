"""Products of relations with holes: seconds beside the same product without holes, by block density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

import tra
from benchmarks.bars import Bar, record
from benchmarks.local_products import THREADS, numpy_product
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import Times, check_close, interleaved, ratio, rounds_of
from benchmarks.report import alone
from tra.algebra.relation import Relation
from tra.algebra.types import Tile, TileKey

BLOCKS, TILE = 40, 256
QUICK_BLOCKS = 12
DENSITIES = (0.05, 0.2, 0.5)
SLACK, FIXED = 2.0, 0.020  # times the matching part of the dense product's time, and seconds beside
Tiles = dict[TileKey, Tile]


@dataclass(frozen=True)
class Case:
    """Matrices of random blocks.

    Attributes:
        density: the part of the blocks that are there.
        left: the blocks of one operand, by row and column.
        right: those of the other.
        n_blocks: blocks along each axis.
    """

    density: float
    left: Tiles
    right: Tiles
    n_blocks: int

    @property
    def matching(self) -> float:
        """The part of all pairs of blocks (i, k), (k, j) of which both are there."""
        ours, theirs = (_present(tiles, self.n_blocks) for tiles in (self.left, self.right))
        return float((ours @ theirs).sum() / self.n_blocks**3)


@dataclass(frozen=True)
class Row:
    """One density by all systems.

    Attributes:
        times: seconds of each round, by system.
        results: the part of the result's blocks that are there.
    """

    case: Case
    times: Times
    results: float

    @property
    def allowance(self) -> float:
        """The product's time as a part of what it may take, the median over rounds; at most 1 is promised."""
        dense = self.times["dense"]
        allowed = [min(SLACK * seconds * self.case.matching + FIXED, seconds) for seconds in dense]
        return median(a / b for a, b in zip(self.times["holes"], allowed, strict=True))


def _present(tiles: Tiles, n: int) -> np.ndarray:
    found = np.zeros((n, n))
    found[tuple(np.array(list(tiles), dtype=np.int64).reshape(-1, 2).T)] = 1
    return found


def make(density: float, n_blocks: int, tile: int) -> Case:
    """Two matrices whose blocks are there with a chance, from a generator of fixed seed.

    Example:
        >>> case = make(0.5, 4, 2)
        >>> 0 < case.matching < 1
        True
    """
    rng = np.random.default_rng(0)

    def blocks() -> Tiles:
        there = zip(*np.nonzero(rng.random((n_blocks, n_blocks)) < density), strict=True)
        return {(int(i), int(j)): rng.standard_normal((tile, tile), dtype=np.float32) for i, j in there}

    return Case(density, blocks(), blocks(), n_blocks)


def without_holes(tiles: Tiles, n_blocks: int, tile: int) -> np.ndarray:
    """The whole matrix, with zeros where no block is.

    Example:
        >>> without_holes({(0, 1): np.ones((1, 1))}, 2, 1).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    whole = np.zeros((n_blocks * tile, n_blocks * tile), dtype=np.float32)
    for (i, j), block in tiles.items():
        whole[i * tile : (i + 1) * tile, j * tile : (j + 1) * tile] = block
    return whole


def measure(case: Case, tile: int, rounds: int) -> Row:
    """One density: with holes, without, and by NumPy, checked first."""
    n = case.n_blocks
    whole = [without_holes(tiles, n, tile) for tiles in (case.left, case.right)]
    with tra.connect("local", threads=THREADS, progress=False) as session:
        holed = _product(*(_holed(t, k, n) for t, k in ((case.left, "ik"), (case.right, "kj"))))
        full = _product(
            *(tra.from_array(a, tuple(k), tile) for a, k in zip(whole, ("ik", "kj"), strict=True))
        )
        runs = {
            "holes": lambda: session.tiles(holed),
            "dense": lambda: session.compute(full)[0],
            "numpy": numpy_product(*whole),
        }
        found, expected = runs["holes"](), runs["numpy"]()
        check_close("tra", without_holes(found, n, tile), expected)
        check_close("tra without holes", runs["dense"](), expected)
        del expected
        return Row(case, interleaved(runs, rounds), len(found) / n**2)


def _holed(tiles: Tiles, keys: str, n_blocks: int) -> Relation:
    return tra.from_tiles(tiles, tuple(keys), domain=(n_blocks, n_blocks))


def _product(left: Relation, right: Relation) -> Relation:
    return left @ right


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    n_blocks = QUICK_BLOCKS if settings.quick else BLOCKS
    rows = [measure(make(density, n_blocks, TILE), TILE, rounds_of(settings.quick)) for density in DENSITIES]
    bars = verdict(rows)
    record(settings, "holes", bars)
    shape = f"**{n_blocks}×{n_blocks} blocks of {TILE}×{TILE}, float32, {THREADS} threads**"
    return [*paragraph(HEAD), shape, "", *lines(rows), *(bar.line for bar in bars), ""]


def lines(rows: Sequence[Row]) -> list[str]:
    """The table: seconds, and parts of the dense product."""
    head = ["blocks there", "pairs that match", "blocks of the result", "with holes", "without", "numpy"]
    head += ["with / without", "with / numpy"]
    cells = []
    for row in rows:
        parts = (row.case.density, row.case.matching, row.results)
        seconds = (f"{median(row.times[who]):.3f} s" for who in ("holes", "dense", "numpy"))
        ratios = (f"{ratio(row.times, 'holes', who):.4f}" for who in ("dense", "numpy"))
        cells.append((*(f"{part:.2%}" for part in parts), *seconds, *ratios))
    return table(head, cells)


def verdict(rows: Sequence[Row]) -> list[Bar]:
    """The bars: each density's time, as a part of what it may take."""
    return [
        Bar(
            f"product with holes: time, as a part of the allowed, {row.case.density:.0%} of blocks",
            row.allowance,
            1.0,
        )
        for row in rows
    ]


HEAD = (
    "Products of two matrices of which only some blocks are there, at random, beside the same product of "
    "whole matrices with zeros in the holes, by tra and by NumPy. With holes the result is its blocks, "
    f"without them one array. Allowed is {SLACK:g} times the dense product's time for the pairs of blocks "
    f"that match, plus {FIXED * 1e3:g} ms, and never more than the dense product's time. All run in turns; "
    "seconds are medians, ratios the median of those within rounds."
)

if __name__ == "__main__":
    alone(__file__)
