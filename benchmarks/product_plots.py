"""Plots of products: bars by shape and system, a panel for each figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Protocol

from benchmarks import plotting
from benchmarks.page import Settings, image, write_csv
from benchmarks.pairs import Times
from benchmarks.shapes import Shape

BEST = "dask.array, best"
THOUSAND = "dask.array, chunks of 1000"
COLOURS = {"tra": "C0", "numpy": "C1", "torch": "C2", BEST: "C3", THOUSAND: "C4", "2 × numpy, apart": "C7"}
Series = dict[str, list[float | None]]


class Row(Protocol):
    """What was measured of a shape."""

    shape: Shape
    times: Times

    @property
    def dask(self) -> str:
        """The name of dask.array at its best."""


def draw(settings: Settings, name: str, rows: Sequence[Row], panels: Mapping[str, Series]) -> list[str]:
    """A plot with its data, and the lines that show it.

    Args:
        settings: where to.
        name: of the files.
        rows: the shapes.
        panels: values by figure, system and shape.
    """
    groups = [row.shape.name for row in rows]
    if not groups:
        return []
    drawn, axes = plotting.figure(columns=len(panels), width=3.6 * len(panels) + 0.6, height=3.2)
    for one, (label, series) in zip([axes] if len(panels) == 1 else axes, panels.items(), strict=True):
        plotting.grouped_bars(one, groups, series, label, COLOURS)
    plotting.save(drawn, settings.plots / f"{name}.svg")
    found = [
        (label, group, who, f"{value:.6g}")
        for label, series in panels.items()
        for who, values in series.items()
        for group, value in zip(groups, values, strict=True)
        if value is not None
    ]
    write_csv(settings.plots / f"{name}.csv", ["figure", "shape", "who", "value"], found)
    return image(f"{name}.svg", f"{' and '.join(panels)} of products by shape and system")


def median_seconds(rows: Sequence[Row], others: Mapping[str, str] | None = None) -> Series:
    """Median seconds of the systems that every plot shows, and of others by what a plot calls them."""
    series: Series = {}
    for place, row in enumerate(rows):
        shown = {"tra": "tra", "numpy": "numpy", "torch": "torch", BEST: row.dask, **(others or {})}
        for label, who in shown.items():
            if who in row.times:
                series.setdefault(label, [None] * len(rows))[place] = median(row.times[who])
    return series
