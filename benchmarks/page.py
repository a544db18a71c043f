"""The page that benchmarks write: sections under headings, Markdown tables, where plots and data go."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any


@dataclass(frozen=True)
class Settings:
    """How benchmarks run.

    Attributes:
        quick: small sizes and samples.
        plots: the folder for plots and data.
        scheduler: the address of a Dask scheduler for all systems, or None for clusters of their own.
    """

    quick: bool
    plots: Path
    scheduler: str | None = None


def begins(part: str) -> None:
    """Says on stderr which part of a section runs now, for who waits."""
    print(f"  {part} …", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table; numbers are shown as they are given.

    Example:
        >>> table(["sites", "ratio"], [(8, "1.00")])
        ['| sites | ratio |', '|---|---|', '| 8 | 1.00 |', '']
    """
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def paragraph(text: str) -> list[str]:
    """A paragraph, wrapped.

    Example:
        >>> paragraph("One line.")
        ['One line.', '']
    """
    return [*wrap(text.strip(), 110, break_long_words=False, break_on_hyphens=False), ""]


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes rows beside the plots, for whoever wants to draw them otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def image(name: str, says: str) -> list[str]:
    """A plot on the page."""
    return [f"![{says}](plots/{name})", ""]


def read_sections(text: str) -> dict[str, list[str]]:
    """The lines of a page by heading, those before the first heading under "".

    Example:
        >>> read_sections("# Page\\n\\n## One\\n\\nText")
        {'': ['# Page', ''], 'One': ['', 'Text']}
    """
    sections: dict[str, list[str]] = {"": []}
    lines = sections[""]
    for line in text.splitlines():
        if line.startswith("## "):
            lines = sections[line[3:]] = []
        else:
            lines.append(line)
    return sections


def write_page(path: Path, sections: Mapping[str, Sequence[str]]) -> None:
    """Writes the sections in their order."""
    parts = []
    for title, lines in sections.items():
        body = "\n".join(lines).strip()
        parts.append(f"## {title}\n\n{body}" if title else body)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
