"""A relation as a picture for notebooks: its type, and the grid of its tiles over the first two cut axes."""

from __future__ import annotations

from html import escape

from tra.algebra.live import frontier
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes

_SIDE = 180


def relation_picture(name: str, type_: RelType) -> str:
    """HTML with an inline SVG; nothing is read and nothing is loaded from elsewhere.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> relation_picture("A", tensor_type((4, 2), "f8", ("i", "j"), (2, 2))).count("<line")
        5
    """
    rows = [
        ("relation", f"{name or 'query'} {type_}"),
        ("whole tensor", "×".join(map(str, type_.shape)) or "scalar"),
        ("frontier", str(frontier(type_))),
        ("bytes", f"{n_bytes(type_):,}"),
    ]
    cells = "".join(f"<tr><th style='text-align:left'>{k}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    return f"<div style='display:flex;gap:1em'><table>{cells}</table>{_grid(type_)}</div>"


def _grid(type_: RelType) -> str:
    """Rows are cut by one axis and columns by another; many tiles are drawn as fewer lines."""
    cut = [axis for axis in type_.axes if axis.link][:2]
    if not cut or not all(axis.extent for axis in cut):
        return ""
    high, wide = (cut[0], cut[1]) if len(cut) == 2 else (None, cut[0])
    height = _SIDE * (high.extent / max(high.extent, wide.extent)) if high else 30.0
    width = _SIDE * (wide.extent / max(high.extent, wide.extent)) if high else float(_SIDE)
    height, width = max(height, 20.0), max(width, 20.0)
    lines = [_line(x * width, 0, x * width, height) for x in _marks(wide.size, wide.extent)]
    if high:
        lines += [_line(0, y * height, width, y * height) for y in _marks(high.size, high.extent)]
    else:
        lines += [_line(0, 0, width, 0), _line(0, height, width, height)]
    size = (
        f"width='{width + 2:.0f}' height='{height + 2:.0f}' viewBox='-1 -1 {width + 2:.1f} {height + 2:.1f}'"
    )
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{''.join(lines)}</svg>"


def _marks(size: int, extent: int) -> list[float]:
    n = -(-extent // max(size, 1))
    step = max(n // 40, 1)
    return [min(p * size, extent) / extent for p in range(0, n, step)] + [1.0]


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='#34495e' stroke-width='1'/>"
    )
