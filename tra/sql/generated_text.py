"""Canonical text of generated relations."""

from __future__ import annotations

from typing import assert_never

from tra.sql import syntax as s
from tra.sql.expression_text import function_text, literal_text, name_text


def generated_text(query: s.Constant | s.Iota | s.Random) -> str:
    """A generated relation, always on one line.

    Example:
        >>> layout = s.Layout((s.Domain(s.Name("i"), s.Integer(3)),), ())
        >>> generated_text(s.Constant(layout, s.Literal(0.0), s.Name("float32"), s.LiveBox(((0, 2),))))
        'CONSTANT (i: 3) AXES () VALUE 0.0 TYPE float32 KEYS (0:2)'
    """
    layout = _layout(query.layout)
    ending = f"TYPE {name_text(query.dtype)}{_live(query.live)}"
    match query:
        case s.Constant(value=value):
            return f"CONSTANT {layout} VALUE {literal_text(value.value)} {ending}"
        case s.Iota(axis=axis):
            return f"IOTA {layout} ALONG {axis.value} {ending}"
        case s.Random(distribution=name, parameters=parameters, seed=seed):
            drawn = ", ".join([literal_text(parameter.value) for parameter in parameters])
            return f"RANDOM {layout} {function_text(name)}({drawn}) SEED {seed.value} {ending}"
        case _:
            assert_never(query)


def _layout(layout: s.Layout) -> str:
    domains = ", ".join([f"{name_text(domain.key)}: {domain.size.value}" for domain in layout.domains])
    return f"({domains}) AXES ({', '.join(map(_axis, layout.axes))})"


def _axis(axis: s.Axis) -> str:
    link = f" BY {' + '.join(map(_link_term, axis.link))}" if axis.link else ""
    extent = "" if axis.extent is None else f" TO {axis.extent.value}"
    return f"{axis.size.value}{link}{extent}"


def _link_term(term: s.LinkTerm) -> str:
    return name_text(term.key) if term.coefficient == 1 else f"{term.coefficient}*{name_text(term.key)}"


def _live(live: s.Live | None) -> str:
    match live:
        case None:
            return ""
        case s.LiveKeys(keys):
            shown = [f"({', '.join(map(component_text, key))})" for key in keys]
        case s.LiveBox(ranges):
            shown = list(map(component_text, ranges))
        case _:
            assert_never(live)
    return f" KEYS ({', '.join(shown)})"


def component_text(component: int | s.Range) -> str:
    """A component of a key, or several.

    Example:
        >>> component_text(3), component_text((0, 3))
        ('3', '0:3')
    """
    return str(component) if isinstance(component, int) else f"{component[0]}:{component[1]}"
