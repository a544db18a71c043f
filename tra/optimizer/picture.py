"""A plan as a picture: a self-contained SVG, stages as bands, edge width by bytes moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from math import log10
from typing import Any

from tra.optimizer.figures import readable

Node = Mapping[str, Any]  # as in `Explanation.nodes`
Place = tuple[int, int]
_WIDTH, _HEIGHT, _GAP = 240, 46, 28
_LETTERS = 40  # that fit into a box
_MOVES, _STAYS = "#c0392b", "#34495e"


def plan_picture(nodes: Sequence[Node], text: str) -> str:
    """The HTML of a plan: the picture, and a text below it. Exchanges are round, red and dashed.

    Args:
        nodes: the nodes of the plan as they run.
        text: what stands below.

    Example:
        >>> node = {"name": "r0", "stage": 1, "text": "scan A", "operands": [], "bytes_moved": None,
        ...         "type": "[i:2] of 2/4 float64", "placement": "split(i) on 2"}
        >>> plan_picture([node], "a scan").count("<title>")
        1
    """
    bands = [list(band) for _, band in groupby(nodes, key=lambda node: node["stage"])]
    places = _places(bands)
    width = max((x for x, _ in places.values()), default=0) + _WIDTH + _GAP
    height = max((y for _, y in places.values()), default=0) + _HEIGHT + _GAP
    shapes = [_band(number, band, places, width) for number, band in enumerate(bands)]
    for node in nodes:
        shapes += [_edge(places[operand], places[node["name"]], node) for operand in node["operands"]]
    shapes += [_box(node, places[node["name"]]) for node in nodes]
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11"'
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f"<div><svg {style} {size}>{''.join(shapes)}</svg><pre>{escape(text)}</pre></div>"


def _places(bands: Iterable[Sequence[Node]]) -> dict[str, Place]:
    """Rows by depth within a band, band after band; columns in order of appearance."""
    places: dict[str, Place] = {}
    top = _GAP
    for nodes in bands:
        rows: dict[str, int] = {}
        columns: dict[int, int] = {}
        for node in nodes:
            row = 1 + max((rows[o] for o in node["operands"] if o in rows), default=-1)
            column = columns[row] = columns.get(row, -1) + 1
            rows[node["name"]] = row
            places[node["name"]] = (_GAP + column * (_WIDTH + _GAP), top + row * (_HEIGHT + _GAP))
        top += (max(rows.values()) + 1) * (_HEIGHT + _GAP) + _GAP // 2
    return places


def _band(number: int, nodes: Sequence[Node], places: Mapping[str, Place], width: int) -> str:
    heights = [places[node["name"]][1] for node in nodes]
    top = min(heights) - 12
    height = max(heights) + _HEIGHT + 12 - top
    fill = "#f4f6f8" if number % 2 == 0 else "#e9edf1"
    stage = nodes[0]["stage"]
    title = f"stage {stage}" if stage else "given"
    label = f'<text x="{width - 10}" y="{top + 14}" text-anchor="end" fill="#667788">{title}</text>'
    return f'<rect x="4" y="{top}" width="{width - 8}" height="{height}" fill="{fill}" rx="6"/>{label}'


def _sent(node: Node) -> float:
    """Bytes that a node moves: as measured where it was, else as predicted."""
    figures = node["bytes_moved"] or {"predicted": 0, "measured": None}
    return float(figures["predicted"] if figures["measured"] is None else figures["measured"])


def _edge(start: Place, end: Place, node: Node) -> str:
    """From an operand to its user: wider where more is moved."""
    n_bytes = _sent(node)
    thick = 1 + (2 * max(log10(n_bytes) - 2, 0) if n_bytes else 0)
    colour = _MOVES if n_bytes else "#7f8c8d"
    x1, y1, x2, y2 = start[0] + _WIDTH // 2, start[1] + _HEIGHT, end[0] + _WIDTH // 2, end[1]
    path = f"M{x1},{y1} C{x1},{(y1 + y2) // 2} {x2},{(y1 + y2) // 2} {x2},{y2}"
    title = f"<title>{readable('bytes', n_bytes)} moved</title>" if n_bytes else ""
    line = f'fill="none" stroke="{colour}" stroke-width="{thick:.1f}" opacity="0.7"'
    return f'<path d="{path}" {line}>{title}</path>'


def _box(node: Node, place: Place) -> str:
    x, y = place
    first = f"{node['name']} := {node['text']}"
    lines = [_shortened(first), _shortened(f"{node['placement']}{_moves(node)}")]
    texts = "".join(
        f'<text x="{x + 12}" y="{y + 18 + 16 * n}">{escape(line)}</text>' for n, line in enumerate(lines)
    )
    facts = "\n".join(filter(None, [first, node["type"], node["placement"], _moves(node).strip(", ")]))
    return f'<g><title>{escape(facts)}</title><rect x="{x}" y="{y}" {_frame(node)}/>{texts}</g>'


def _frame(node: Node) -> str:
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    if node["bytes_moved"] is None:
        return f'{size} fill="white" stroke="{_STAYS}" rx="4"'
    return f'{size} fill="#fdedec" stroke="{_MOVES}" stroke-dasharray="5 3" rx="{_HEIGHT // 2}"'


def _moves(node: Node) -> str:
    figures = node["bytes_moved"]
    if figures is None:
        return ""
    measured = figures["measured"]
    found = "" if measured is None else f", measured {readable('bytes', measured)}"
    return f", moves {readable('bytes', figures['predicted'])}{found}"


def _shortened(line: str) -> str:
    return line if len(line) <= _LETTERS else line[: _LETTERS - 1] + "…"
