"""A plan as a picture: a self-contained SVG, stages as bands, edge width by bytes moved."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from tra.optimizer.plan import Plan, is_exchange, plan_graph
from tra.optimizer.plan_text import node_text
from tra.optimizer.predict import moved
from tra.optimizer.stages import Program

_WIDTH, _HEIGHT, _GAP = 230, 44, 26


def plan_picture(program: Program, text: str) -> str:
    """The HTML of a plan: the picture, and a text below it.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import program
        >>> plan_picture(program((scan(),)), "a scan")[:10]
        '<div><svg '
    """
    bands = [(f"stage {stage.number + 1}", stage.nodes) for stage in program.stages]
    if program.given:
        bands.insert(0, ("given", program.given))
    places = _places([nodes for _, nodes in bands])
    graph = plan_graph(*program.roots)
    width = max(x for x, _ in places.values()) + _WIDTH + _GAP
    height = max(y for _, y in places.values()) + _HEIGHT + _GAP
    shapes = [
        _band(number, title, [places[node.digest] for node in nodes], width)
        for number, (title, nodes) in enumerate(bands)
    ]
    for source, target in graph.edges:
        shapes.append(_edge(places[source], places[target], moved(graph.nodes[target]["plan"])))
    for digest, (x, y) in places.items():
        shapes.append(_box(graph.nodes[digest]["plan"], x, y))
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11"'
    svg = f'<svg {style} width="{width}" height="{height}">{"".join(shapes)}</svg>'
    return f"<div>{svg}<pre>{escape(text)}</pre></div>"


def _places(bands: Sequence[tuple[Plan, ...]]) -> dict[str, tuple[int, int]]:
    """Rows by depth within a band, band after band; columns in order of appearance."""
    places: dict[str, tuple[int, int]] = {}
    top = _GAP
    for nodes in bands:
        rows: dict[str, int] = {}
        here = {node.digest for node in nodes}
        for node in nodes:
            rows[node.digest] = 1 + max(
                (rows[c.digest] for c in node.children if c.digest in here), default=-1
            )
        columns: dict[int, int] = {}
        for node in nodes:
            row = rows[node.digest]
            column = columns[row] = columns.get(row, -1) + 1
            places[node.digest] = (_GAP + column * (_WIDTH + _GAP), top + row * (_HEIGHT + _GAP))
        top += (max(rows.values()) + 1) * (_HEIGHT + _GAP) + _GAP // 2
    return places


def _band(number: int, title: str, places: Sequence[tuple[int, int]], width: int) -> str:
    top = min(y for _, y in places) - 10
    height = max(y for _, y in places) + _HEIGHT + 10 - top
    fill = "#f4f6f8" if number % 2 == 0 else "#e9edf1"
    label = f'<text x="{width - 60}" y="{top + 14}" fill="#678">{title}</text>'
    return f'<rect x="4" y="{top}" width="{width - 8}" height="{height}" fill="{fill}" rx="6"/>{label}'


def _edge(start: tuple[int, int], end: tuple[int, int], n_bytes: int) -> str:
    thick = 1 + (2 * max(log10(n_bytes) - 2, 0) if n_bytes else 0)
    colour = "#c0392b" if n_bytes else "#7f8c8d"
    x1, y1, x2, y2 = start[0] + _WIDTH // 2, start[1] + _HEIGHT, end[0] + _WIDTH // 2, end[1]
    path = f"M{x1},{y1} C{x1},{(y1 + y2) // 2} {x2},{(y1 + y2) // 2} {x2},{y2}"
    title = f"<title>{n_bytes} bytes moved</title>"
    line = f'fill="none" stroke="{colour}" stroke-width="{thick:.1f}" opacity="0.7"'
    return f'<path d="{path}" {line}>{title}</path>'


def _box(node: Plan, x: int, y: int) -> str:
    stroke = "#c0392b" if is_exchange(node) else "#34495e"
    first = node_text(node)
    lines = [first if len(first) < 40 else first[:38] + "…", str(node.placement)[:40]]
    texts = "".join(
        f'<text x="{x + 8}" y="{y + 17 + 16 * n}">{escape(line)}</text>' for n, line in enumerate(lines)
    )
    title = f"<title>{escape(first)} {escape(str(node.type))}</title>"
    frame = (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" fill="white" stroke="{stroke}" rx="4"/>'
    )
    return f"<g>{title}{frame}{texts}</g>"
