"""Products on workers: seconds, tasks and bytes of tra and dask.array, on one cluster, in turns.

Inputs are in the workers' memory or in files that they read; the product stays with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client

import tra
from benchmarks.bars import Bar, record
from benchmarks.clusters import homes, persist, received_by_links, settle, shared_cluster, work_done
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import Times, check_close, fastest, interleaved, ratio, rounds_of
from benchmarks.product_plots import BEST, THOUSAND, Series, draw, median_seconds
from benchmarks.profiles import Profile, profile
from benchmarks.report import alone
from benchmarks.shapes import ABOUT, Shape, shapes
from benchmarks.twins import twins
from tra.algebra.relation import Relation
from tra.backends.session import Session

WORKERS = 2
BEST_BARS = {"general": 0.85, "common": 0.8, "two": 0.85}
USUAL_BARS = {"general": 0.6, "common": 0.5, "two": 0.6}
BYTES_BARS = {"general": 0.6, "common": 0.05, "two": 0.85}
MACHINE_BAR = 0.9
MACHINE = "2 × numpy, apart"
USUAL = "dask 1000"
Run = Callable[[], Any]


@dataclass(frozen=True)
class Clustered:
    """One shape by both systems.

    Attributes:
        times: seconds of each round, by system; those of dask.array begin with "dask".
        tasks: that one run took.
        moved: bytes between workers in one run.
        linked: bytes that came in over the workers' links in one run, where they have links.
        profiles: where the workers' seconds went in one run.
    """

    shape: Shape
    times: Times
    tasks: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    linked: dict[str, int] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)

    @property
    def dask(self) -> str:
        """dask.array at its best chunks."""
        return fastest(self.times, "dask")

    def to_best(self, who: str = "tra") -> float:
        """A system's time over that of dask.array at its best chunks."""
        return ratio(self.times, who, self.dask)

    def part_of_bytes(self) -> float:
        """The bytes that tra moves, as a part of those of dask.array at its best chunks."""
        own, other = self.moved["tra"], self.moved[self.dask]
        return own / other if other else float(own and "inf")


# -- the systems ----------------------------------------------------------------------------------


def tra_run(session: Session, A: Relation, B: Relation) -> Run:
    """The product, left on the workers."""
    return lambda: session.persist(A @ B)


def dask_run(client: Client, A: Any, B: Any) -> Run:
    """The product, left on the workers."""
    return lambda: persist(client, [A @ B])


def in_memory(session: Session, client: Client, shape: Shape) -> dict[str, Run]:
    """Both systems, their inputs persisted by each in its own way."""
    left, right = shape.inputs
    A, B = session.persist(
        tra.from_array(left, keys=("i", "k"), name="A"), tra.from_array(right, keys=("k", "j"), name="B")
    )
    runs = {"tra": tra_run(session, A, B)}
    for chunks in shape.chunks:
        stored = persist(client, [da.from_array(a, chunks, name=False) for a in (left, right)])
        runs[f"dask {chunks}"] = dask_run(client, *stored)
    return runs


# -- figures --------------------------------------------------------------------------------------


def compare(
    session: Session,
    client: Client,
    shape: Shape,
    runs: Mapping[str, Run],
    rounds: int,
    apart: bool = False,
    linked: bool = False,
) -> Clustered:
    """Times what runs, checked before; counts tasks and bytes in runs of their own afterwards.

    Args:
        session: tra's, of the same cluster as the client.
        client: dask's.
        shape: of the product.
        runs: by system.
        rounds: that are timed.
        apart: two processes of numpy that send nothing take part.
        linked: the workers have links, whose bytes are counted.
    """
    lie = homes(client)
    check_all(session, client, shape, runs)
    with ExitStack() as opened:
        timed = dict(runs)
        if apart:
            timed[MACHINE] = opened.enter_context(twins(shape)).run
        times = interleaved(timed, rounds, before=lambda: settle(client, lie))
    found = Clustered(shape, times)
    for who, run in runs.items():
        settle(client, lie)
        found.tasks[who], found.moved[who] = work_done(client, run)
        settle(client, lie)
        found.profiles[who] = profile(client, run)
        if linked:
            settle(client, lie)
            found.linked[who] = received_by_links(client, run)
    return found


def check_all(session: Session, client: Client, shape: Shape, runs: Mapping[str, Run]) -> None:
    """Holds every product against NumPy's."""
    left, right = shape.inputs
    expected = left @ right
    for who, run in runs.items():
        kept = run()
        found = session.compute(*kept)[0] if who == "tra" else client.compute(kept[0]).result()
        check_close(f"{who}, {shape.text}", np.asarray(found), expected)


# -- the page -------------------------------------------------------------------------------------


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    rows = run_all(settings)
    found = bars(rows)
    record(settings, "cluster_products", list(found.values()))
    return [*lines(rows, found), *plot(settings, "cluster_products", rows)]


def plot(settings: Settings, name: str, rows: Sequence[Clustered]) -> list[str]:
    """Seconds, and megabytes between workers."""
    shown = {"tra": ["tra"] * len(rows), BEST: [row.dask for row in rows], THOUSAND: [USUAL] * len(rows)}
    moved: Series = {
        label: [row.moved.get(who, 0) / 1e6 for row, who in zip(rows, names, strict=True)]
        for label, names in shown.items()
    }
    panels = {
        "seconds": median_seconds(rows, {THOUSAND: USUAL, MACHINE: MACHINE}),
        "MB between workers": moved,
    }
    return draw(settings, name, rows, panels)


def run_all(settings: Settings) -> list[Clustered]:
    """Every shape, on one cluster."""
    rows = []
    with shared_cluster(WORKERS, settings.scheduler) as (client, session):
        for shape in shapes(settings.quick):
            runs = in_memory(session, client, shape)
            here = settings.scheduler is None
            rows.append(compare(session, client, shape, runs, rounds_of(settings.quick), apart=here))
            del runs
    return rows


def bars(rows: Sequence[Clustered]) -> dict[tuple[str, str], Bar]:
    """The bars of the cluster, by shape and by what is measured."""
    found = {}
    for row in rows:
        name, where = row.shape.name, "cluster"
        found[name, "best"] = Bar(
            f"{where}: time, tra / dask.array at its best, {name}", row.to_best(), BEST_BARS[name]
        )
        found[name, "usual"] = Bar(
            f"{where}: time, tra / dask.array at chunks of 1000, {name}",
            ratio(row.times, "tra", USUAL),
            USUAL_BARS[name],
        )
        found[name, "bytes"] = Bar(
            f"{where}: bytes, tra / dask.array at its best, {name}", row.part_of_bytes(), BYTES_BARS[name]
        )
        rate = ratio(row.times, MACHINE, "tra") if MACHINE in row.times else None
        found[name, "machine"] = Bar(
            f"{where}: GFLOP/s, tra / numpy in two processes apart, {name}", rate, MACHINE_BAR, at_least=True
        )
    return found


def lines(rows: Sequence[Clustered], found: Mapping[tuple[str, str], Bar]) -> list[str]:
    """The part of the page: a table for each shape, its bars below."""
    about = f"{WORKERS} workers of one thread, inputs in their memory. {HEAD}"
    text = [*paragraph(ABOUT), *paragraph(about)]
    for row in rows:
        limits = [found[row.shape.name, what] for what in ("best", "usual", "bytes", "machine")]
        text += [f"**{row.shape.text}**", "", *outcomes(row), *(bar.line for bar in limits), ""]
    return text


def outcomes(row: Clustered) -> list[str]:
    """Seconds, ratios, tasks, bytes and rate of every system."""
    cells, is_linked = [], bool(row.linked)
    for who, seconds in row.times.items():
        cells.append(
            (
                f"{who} (best)" if who == row.dask else who,
                f"{median(seconds):.3f}",
                f"{row.to_best(who):.2f}",
                f"{ratio(row.times, who, USUAL):.2f}" if USUAL in row.times else "",
                row.tasks.get(who, ""),
                f"{row.moved[who] / 1e6:.1f}" if who in row.moved else "",
                *([f"{row.linked.get(who, 0) / 1e6:.1f}"] if is_linked else []),
                *_seconds_of(row.profiles.get(who)),
                f"{row.shape.flops / median(seconds) / 1e9:.0f}",
            )
        )
    head = ["who", "seconds", "time / dask's best", "time / dask 1000", "tasks", "MB moved"]
    spent = ["s computing", "s receiving", "idle"]
    return table([*head, *(["MB over links"] if is_linked else []), *spent, "GFLOP/s"], cells)


def _seconds_of(found: Profile | None) -> list[str]:
    """Where the seconds of one run went, for a row."""
    if found is None:
        return ["", "", ""]
    return [f"{found.compute:.2f}", f"{found.transfer:.2f}", f"{found.idle:.0%}"]


HEAD = (
    "A @ B, left on the workers. Both systems run on one cluster, with Dask's own defaults; inputs are "
    "persisted first by each in its own way, and lie so before every run: copies that an earlier run made "
    "are dropped. dask.array has chunks of 1000, of 2000 and of half the smallest extent (not below 500); "
    "the best is the one with the least median. Tasks and bytes are those of one run that is not timed, by "
    "one ruler: what the scheduler saw run, and the workers' logs of transfers. Seconds computing and "
    "receiving are those of a worker in another such run, in the mean, by Dask's task stream; idle is the "
    "part of the run in which it computed nothing. The last row is the machine's limit: two processes of "
    "numpy with one thread each, each with a half of the product, that send nothing."
)

if __name__ == "__main__":
    alone(__file__)
