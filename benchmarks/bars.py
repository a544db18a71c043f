"""Bars: figures that were promised, beside what was measured.

A section makes its bars, shows each beside its figure, and records them all; the head of the page lists those
of every section from what was recorded, so that sections may run one by one:

    bars = [Bar("time, tra / dask.array at its best, general", measured, 0.85),
            Bar("GFLOP/s, tra / two of numpy, general", rate, 0.9, at_least=True)]
    lines += table(["shape", "ratio"], [("general", bars[0].text)])
    record(settings, "products", bars)

A figure of None was not measured.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.page import Settings, paragraph, table, write_csv
from benchmarks.reasons import reason

FILE = "bars.csv"
COLUMNS = ["section", "figure", "bar", "measured", "met"]


@dataclass(frozen=True)
class Bar:
    """A figure and its limit.

    Attributes:
        figure: what was measured, in words.
        value: what it was, or None where it could not be measured.
        limit: what it may be at most, or has to be at least.
        at_least: the limit is a least one.
        unit: of the value, as written after it; "%" shows parts of one as percent.

    Example:
        >>> Bar("time", 0.8, 0.85).text
        '0.80 (≤ 0.85: met)'
        >>> Bar("speed", 0.8, 0.9, at_least=True).text
        '0.80 (≥ 0.9: **missed**)'
        >>> Bar("tasks", 4, 200).text
        '4 (≤ 200: met)'
        >>> Bar("memory", 0.042, 0.1, unit="%").text, Bar("call", None, 300, unit="µs").text
        ('4.2 % (≤ 10 %: met)', 'not run (≤ 300 µs)')
    """

    figure: str
    value: float | None
    limit: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Claims that the figure was measured and is within its limit."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def measured(self) -> str:
        """The figure as text."""
        return "not run" if self.value is None else self._shown(self.value)

    @property
    def bar(self) -> str:
        """The limit as text."""
        number = self.limit * 100 if self.unit == "%" else self.limit
        return f"{'≥' if self.at_least else '≤'} {number:g}{self.unit and ' '}{self.unit}"

    @property
    def verdict(self) -> str:
        """Whether it is met, or nothing where it was not measured."""
        return "" if self.value is None else "met" if self.met else "**missed**"

    @property
    def text(self) -> str:
        """The figure with its bar, for a cell of a table."""
        return f"{self.measured} ({self.bar}{self.verdict and ': '}{self.verdict})"

    @property
    def line(self) -> str:
        """The figure, named, as an item of a list.

        Example:
            >>> Bar("time, tra / numpy", 1.0, 1.05).line
            '* time, tra / numpy: 1.00 (≤ 1.05: met)'
        """
        return f"* {self.figure}: {self.text}"

    def _shown(self, value: float) -> str:
        number = value * 100 if self.unit == "%" else value
        if isinstance(value, int):
            return f"{value}{self.unit and ' '}{self.unit}"
        digits = 0 if abs(number) >= 100 else 1 if self.unit == "%" or abs(number) >= 10 else 2
        return f"{number:.{digits}f}{self.unit and ' '}{self.unit}"


def record(settings: Settings, section: str, bars: Sequence[Bar]) -> None:
    """Keeps a section's bars for the head of the page, instead of those it had."""
    path = settings.plots / FILE
    kept = [row for row in read(path) if row["section"] != section]
    rows = [[row[name] for name in COLUMNS] for row in kept]
    rows += [[section, bar.figure, bar.bar, bar.measured, bar.verdict] for bar in bars]
    write_csv(path, COLUMNS, rows)


def read(path: Path) -> list[dict[str, str]]:
    """The bars that were recorded."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(path: Path, titles: Mapping[str, str]) -> list[str]:
    """The table of all bars, in the order of the page; nothing where there are none.

    Args:
        path: the folder of plots and data.
        titles: those of the sections, by module.
    """
    rows = sorted(
        (row for row in read(path / FILE) if row["section"] in titles),
        key=lambda row: list(titles).index(row["section"]),
    )
    if not rows:
        return []
    met = sum(row["met"] == "met" for row in rows)
    cells = [(titles[r["section"]], r["figure"], r["bar"], r["measured"], r["met"]) for r in rows]
    head = [f"{met} of {len(rows)} bars are met.", "", *table(["section", *COLUMNS[1:]], cells)]
    return [*head, *_missed([row for row in rows if "missed" in row["met"]])]


def _missed(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Why bars are missed, each reason once."""
    figures: dict[str, list[str]] = {}
    for row in rows:
        figures.setdefault(reason(row["figure"]), []).append(f"{row['figure']} ({row['measured']})")
    figures.pop("", None)
    lines = [line for why, named in figures.items() for line in paragraph(f"**{'; '.join(named)}.** {why}")]
    return ["### Bars that are missed", "", *lines] if lines else []
