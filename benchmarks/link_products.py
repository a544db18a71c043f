"""Products on four hosts with links of 1 Gbit/s, of both systems, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import tra
from benchmarks import netlab
from benchmarks.bars import Bar, record
from benchmarks.cluster_products import Clustered, compare, in_memory, outcomes, plot
from benchmarks.clusters import copies_kept
from benchmarks.page import Settings, paragraph
from benchmarks.pairs import rounds_of
from benchmarks.profiles import Profile
from benchmarks.report import alone
from benchmarks.shapes import ABOUT, NAMES, Shape, linked

HOSTS, RATE = 4, "1gbit"
BARS = {"general": 0.9, "common": 0.5, "two": 1.0}


def measure(client: Any, shapes: Sequence[Sequence[Any]], rounds: int) -> list[dict[str, Any]]:
    """Every shape, beside the scheduler of the hosts; as plain data."""
    rows = []
    with copies_kept(client), tra.connect("dask", scheduler=client, progress=False) as session:
        for given in shapes:
            shape = Shape(*given)
            runs = in_memory(session, client, shape)
            rows.append(asdict(compare(session, client, shape, runs, rounds, linked=True)))
            del runs
    return rows


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    rows = run_all(settings)
    limits = bars(rows)
    record(settings, "link_products", limits)
    return [*lines(rows, limits), *plot(settings, "link_products", rows)]


def run_all(settings: Settings) -> list[Clustered]:
    """Every shape; nothing where there can be no hosts."""
    if not netlab.is_there():
        return []
    given = {
        "shapes": [(s.name, s.n, s.k, s.m) for s in linked(settings.quick)],
        "rounds": rounds_of(settings.quick),
    }
    rows = netlab.on_hosts("benchmarks.link_products", "measure", given, HOSTS, RATE)
    return [_read(row) for row in rows]


def _read(row: dict[str, Any]) -> Clustered:
    """A row from plain data."""
    profiles = {who: Profile(**found) for who, found in row["profiles"].items()}
    return Clustered(**{**row, "shape": Shape(**row["shape"]), "profiles": profiles})


def bars(rows: Sequence[Clustered]) -> list[Bar]:
    """The bars of the hosts; not run where there are none."""
    found = {row.shape.name: row.to_best() for row in rows}
    return [
        Bar(
            f"{HOSTS} hosts, 1 Gbit/s: time, tra / dask.array at its best, {name}",
            found.get(name),
            BARS[name],
        )
        for name in NAMES
    ]


def lines(rows: Sequence[Clustered], limits: Sequence[Bar]) -> list[str]:
    """The part of the page."""
    text = [*paragraph(ABOUT), *paragraph(HEAD)]
    if not rows:
        return [*text, *paragraph(f"{netlab.NOT_RUN}.")]
    for row in rows:
        text += [f"**{row.shape.text}**", "", *outcomes(row)]
    return [*text, *(bar.line for bar in limits), ""]


HEAD = (
    "As on the cluster, inputs in memory, on hosts made by `benchmarks/netlab`: one worker of one thread "
    "each, in a network namespace behind a link of 1 Gbit/s in both directions. All share this machine's "
    "cores. MB over links are what the network interfaces of the workers received in one run, headers and "
    "messages of the scheduler included."
)

if __name__ == "__main__":
    alone(__file__)
