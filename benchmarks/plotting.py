"""Plots as SVG files that come out the same when the numbers do."""

from __future__ import annotations

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
