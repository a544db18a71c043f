"""Plots of the products: seconds, memory and bytes per shape and system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks import plotting
from benchmarks.cluster_products import MACHINE, USUAL, Clustered
from benchmarks.local_products import Local
from benchmarks.page import Settings, image, write_csv
from benchmarks.pairs import Times

BEST = "dask.array, best"
THOUSAND = "dask.array, chunks of 1000"
COLOURS = {"tra": "C0", "numpy": "C1", "torch": "C2", BEST: "C3", THOUSAND: "C4", MACHINE: "C7"}
Series = dict[str, list[float | None]]


def draw(
    settings: Settings, local: Sequence[Local], cluster: Sequence[Clustered], linked: Sequence[Clustered]
) -> list[str]:
    """Three plots with their data, and the lines that show them."""
    times = {"threads": _seconds(local), "cluster": _seconds(cluster), "hosts": _seconds(linked)}
    times = {where: series for where, series in times.items() if series}
    memory = _memory(local)
    moved = {"cluster": _moved(cluster), "hosts": _moved(linked)}
    moved = {where: series for where, series in moved.items() if series}
    groups = [row.shape.name for row in local]
    _plot(settings, "products_seconds", groups, times, "seconds")
    _plot(settings, "products_memory", groups, {"threads": memory}, "part of inputs and output")
    _plot(settings, "products_bytes", groups, moved, "MB between workers")
    return [
        *image("products_seconds.svg", "seconds of products by shape and system"),
        *image("products_memory.svg", "memory of products beyond inputs and output"),
        *image("products_bytes.svg", "bytes that products move between workers"),
    ]


def _plot(
    settings: Settings, name: str, groups: Sequence[str], panels: Mapping[str, Series], label: str
) -> None:
    """One plot, a panel for each place, and its data."""
    drawn, axes = plotting.figure(columns=len(panels), width=3.6 * len(panels) + 0.6, height=3.2)
    for one, (where, series) in zip([axes] if len(panels) == 1 else axes, panels.items(), strict=True):
        plotting.grouped_bars(one, groups, series, label, COLOURS)
        one.set_title(where)
    plotting.save(drawn, settings.plots / f"{name}.svg")
    rows = [
        (where, group, who, f"{value:.6g}")
        for where, series in panels.items()
        for who, values in series.items()
        for group, value in zip(groups, values, strict=True)
        if value is not None
    ]
    write_csv(settings.plots / f"{name}.csv", ["where", "shape", "who", label], rows)


def _seconds(rows: Sequence[Local] | Sequence[Clustered]) -> Series:
    """Median seconds of the systems that every plot shows."""
    series: Series = {}
    for place, row in enumerate(rows):
        shown = {"tra": "tra", "numpy": "numpy", "torch": "torch", BEST: row.dask}
        shown |= {THOUSAND: USUAL, MACHINE: MACHINE} if isinstance(row, Clustered) else {}
        for label, who in shown.items():
            if (seconds := _median(row.times, who)) is not None:
                series.setdefault(label, [None] * len(rows))[place] = seconds
    return series


def _median(times: Times, who: str) -> float | None:
    return median(times[who]) if who in times else None


def _memory(rows: Sequence[Local]) -> Series:
    """Memory beyond inputs and output."""
    return {
        "tra": [row.memory["tra"].beyond for row in rows],
        "numpy": [row.memory["numpy"].beyond for row in rows],
        BEST: [row.memory[row.dask].beyond for row in rows],
    }


def _moved(rows: Sequence[Clustered]) -> Series:
    """Megabytes between workers."""
    if not rows:
        return {}
    return {
        "tra": [row.moved["tra"] / 1e6 for row in rows],
        BEST: [row.moved[row.dask] / 1e6 for row in rows],
        THOUSAND: [row.moved.get(USUAL, 0) / 1e6 for row in rows],
    }
