"""Plots as SVG files that come out the same when the numbers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update(
    {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "font.size": 9,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "svg.hashsalt": "tra",
    }
)

from matplotlib import pyplot  # noqa: E402  (after the backend is chosen)


def figure(rows: int = 1, columns: int = 1, width: float = 7.0, height: float = 3.6) -> tuple[Any, Any]:
    """A figure and its axes."""
    return pyplot.subplots(rows, columns, figsize=(width, height))


def save(drawn: Any, path: Path) -> None:
    """Writes a figure as SVG, without the date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, metadata={"Date": None})
    pyplot.close(drawn)


def grouped_bars(
    axes: Any,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    label: str,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Bars side by side in groups.

    Args:
        axes: to draw on.
        groups: their names.
        series: by name a value for each group, None where there is none.
        label: of the values.
        colours: by name; in turn where there are none.
    """
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        left = [place - 0.4 + (number + 0.5) * width for place in range(len(groups))]
        heights = [0.0 if value is None else value for value in values]
        colour = (colours or {}).get(name, f"C{number}")
        axes.bar(left, heights, width * 0.9, label=name, color=colour)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(label)
    axes.margins(y=0.4)  # for the legend
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize=7)
