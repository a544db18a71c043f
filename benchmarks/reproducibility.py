"""What each level of reproducibility costs, and how many different results it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from statistics import median

import numpy as np

import tra
from benchmarks.bars import Bar, record
from benchmarks.local_products import THREADS
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import Times, check_close, interleaved, ratio, rounds_of
from benchmarks.report import alone
from tra.backends.session import Session
from tra.optimizer.reproducible.level import Level

EDGE, QUICK_EDGE, TILE = 4000, 2048, 1000
TWO_SLICES = 1e-10  # a tolerance for which products of float64 take two slices
SYSTEMS: Mapping[str, tuple[Level, float]] = {
    "off": ("off", 0.0),
    "run": ("run", 0.0),
    "tiling": ("tiling", 0.0),
    "exact, two slices": ("exact", TWO_SLICES),
    "exact": ("exact", 0.0),
}
ALLOWED = {"run": 1.03, "tiling": 1.2, "exact, two slices": 6.5}  # times the time of "off"
NEAR = ("off", "run", "tiling")  # whose prices are so near that they are measured in more rounds
MORE = 2
TILINGS = (1000, 700, 411, 250, 128)  # of the inner dimension
HASH_EDGE, HASH_INNER = 96, 2000


@dataclass(frozen=True)
class Row:
    """A product of one type of numbers.

    Attributes:
        dtype: the type.
        edge: the edge of both matrices.
        near: seconds of each round of the levels that cost little, by system.
        dear: those of the levels that cost much.
        errors: the largest error of each system, as a part of the largest element, against longdouble sums.
    """

    dtype: str
    edge: int
    near: Times
    dear: Times
    errors: Mapping[str, float]

    def times(self, who: str) -> Times:
        """The rounds that a system was measured in."""
        return self.near if who in self.near else self.dear

    def price(self, who: str) -> float:
        """The median over rounds of a system's time over that of "off" in the same round."""
        return ratio(self.times(who), who, "off")


def open_sessions() -> dict[str, Session]:
    """A session for each system.

    Example:
        >>> sessions = open_sessions()
        >>> for session in reversed(sessions.values()):
        ...     session.close()
        >>> list(sessions)[:2]
        ['off', 'run']
    """
    return {
        who: tra.connect("local", threads=THREADS, reproducible=level, tolerance=tolerance, progress=False)
        for who, (level, tolerance) in SYSTEMS.items()
    }


def measure(dtype: str, edge: int, rounds: int) -> Row:
    """The general product of one type of numbers at each level, checked first."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((edge, edge)).astype(dtype) for _ in range(2))
    product = tra.from_array(a, ("i", "j"), TILE) @ tra.from_array(b, ("j", "k"), TILE)
    sessions = open_sessions()
    try:
        runs = {who: (lambda s=session: s.compute(product)[0]) for who, session in sessions.items()}
        if dtype != "float64":
            del runs["exact, two slices"]  # what is below the tolerance is lost in these numbers anyway
        wide = a[:8].astype(np.longdouble) @ b.astype(np.longdouble)
        errors = {}
        for who, run in runs.items():
            found = run()
            check_close(who, found[:8], wide.astype(dtype))
            errors[who] = float(np.max(np.abs(found[:8] - wide)) / np.max(np.abs(wide)))
        near = interleaved({who: runs[who] for who in NEAR}, MORE * rounds)
        dear = interleaved({who: run for who, run in runs.items() if who not in NEAR[1:]}, rounds)
        return Row(dtype, edge, near, dear, errors)
    finally:
        for session in reversed(sessions.values()):
            session.close()


def n_results() -> dict[str, int]:
    """How many different results each level gives over tilings, sites and threads."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((HASH_EDGE, HASH_INNER)), rng.standard_normal((HASH_INNER, HASH_EDGE))
    found: dict[str, set[str]] = {who: set() for who in SYSTEMS}
    for who, (level, tolerance) in SYSTEMS.items():
        for tile in TILINGS:
            A, B = tra.from_array(a, ("i", "j"), (48, tile)), tra.from_array(b, ("j", "k"), (tile, 48))
            for sites in (1, 2, 3):
                with tra.connect(
                    "local", threads=THREADS, sites=sites, reproducible=level, tolerance=tolerance
                ) as session:
                    (result,) = session.compute(A @ B)
                found[who].add(sha256(result.tobytes()).hexdigest())
    return {who: len(hashes) for who, hashes in found.items()}


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    edge = QUICK_EDGE if settings.quick else EDGE
    rows = [measure(dtype, edge, rounds_of(settings.quick)) for dtype in ("float64", "float32")]
    counts = n_results()
    bars = verdict(rows[0], counts)
    record(settings, "reproducibility", bars)
    others = table(["query, float64", *SYSTEMS], other_prices(edge, rounds_of(settings.quick)))
    found = [*paragraph(HEAD), *lines(rows, counts), *paragraph(OTHERS), *others]
    return [*found, *(bar.line for bar in bars), ""]


def other_prices(edge: int, rounds: int) -> list[tuple[str, ...]]:
    """What levels cost queries that read each number once: seconds of "off", and times that of the others."""
    rng = np.random.default_rng(0)
    A = tra.from_array(rng.standard_normal((edge, edge)), ("i", "j"), TILE)
    v = tra.from_array(rng.standard_normal(edge), ("j",), TILE)
    queries = {"A @ v": A @ v, "A.sum()": A.sum(), "exp(A)": tra.exp(A), "softmax(A)": tra.softmax(A)}
    sessions = open_sessions()
    try:
        found = []
        for name, query in queries.items():
            runs = {who: (lambda s=session, q=query: s.compute(q)) for who, session in sessions.items()}
            times = interleaved(runs, rounds)
            prices = [f"{ratio(times, who, 'off'):.1f}" for who in list(SYSTEMS)[1:]]
            found.append((name, f"{median(times['off']):.3f} s", *prices))
        return found
    finally:
        for session in reversed(sessions.values()):
            session.close()


def lines(rows: Sequence[Row], counts: Mapping[str, int]) -> list[str]:
    """The table: seconds, the price, the error, and how many results there were."""
    head = ["numbers", "level", "seconds", "times off", "largest error", "different results"]
    cells = [
        (
            f"{row.dtype}, {row.edge}³", who, f"{median(row.times(who)[who]):.3f} s",
            f"{row.price(who):.2f}", f"{row.errors[who]:.1e}",
            str(counts[who]) if row is rows[0] else "",
        )
        for row in rows
        for who in row.errors
    ]  # fmt: skip
    return table(head, cells)


def verdict(row: Row, counts: Mapping[str, int]) -> list[Bar]:
    """The bars: the price of each level, that a level gives one result where that is promised, others not."""
    prices = [Bar(f"reproducible: {who}, times off", row.price(who), most) for who, most in ALLOWED.items()]
    free = Bar("reproducible: off, results", counts["off"], 3, at_least=True)
    promised = ("tiling", "exact, two slices", "exact")
    return [*prices, free, *(Bar(f"reproducible: {who}, results", counts[who], 1) for who in promised)]


OTHERS = """
Where each number is read once a level costs more of the time: seconds of "off", and what others take as
multiples of that, on a square matrix of the same edge.
"""
HEAD = """
The general product by the [levels](reproducibility.md) of `tra.connect(reproducible=…)`, in turns. *Times
off* is the median over rounds of a level's time over that of "off"; the error is that of eight rows against
sums in extended precision, as a part of the largest element. *Different results* counts the results of one
product, in float64, over five tilings of the inner dimension and one to three sites: "off" and "run" promise
nothing there.
"""

if __name__ == "__main__":
    alone(__file__)
