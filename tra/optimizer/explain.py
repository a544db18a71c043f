"""What was planned and why: the query, the rules, the plan by stages, the price, the strategies that lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tra.algebra.key_function import Opaque, text
from tra.optimizer.picture import plan_picture
from tra.optimizer.plan import (
    Broadcast, LocalAggregate, LocalConcat, LocalContract, LocalFilter, LocalJoin, LocalMap, LocalStack, LocalTile,
    Make, Plan, Repartition, Scan, Shuffle, is_exchange,
)  # fmt: skip
from tra.optimizer.planner import Planned
from tra.optimizer.predict import moved

FIGURES = ("bytes_moved", "flops", "peak_bytes_per_site", "tasks", "seconds")


@dataclass(frozen=True)
class Explanation:
    """The plan of a query with its predicted figures, and measured ones after `analyze`.

    ``str`` gives text, a notebook a picture, `to_dict` the figures.

    Attributes:
        planned: the plan and how it was found.
        backend: where it runs.
        measured: measured figures by name; empty when it was not run.
        exchanges: measured bytes by exchange, by plan digest.
        query: the query text, or None where it cannot be printed.
    """

    planned: Planned
    backend: str
    measured: Mapping[str, float]
    exchanges: Mapping[str, int]
    query: str | None

    def to_dict(self) -> dict[str, Any]:
        """Figures as ``{"predicted": …, "measured": … or None}``, the rules, the strategies and the plan digest."""
        predicted = self.planned.prediction
        figures: dict[str, Any] = {
            name: {"predicted": getattr(predicted, name), "measured": self.measured.get(name)} for name in FIGURES
        }
        return {
            **figures,
            "paper_bytes": predicted.paper_bytes,
            "backend": self.backend,
            "sites": self.planned.program.n_sites,
            "mesh": list(self.planned.assignment.mesh),
            "stages": len(self.planned.program.stages),
            "rules": [[fired.name, fired.times] for fired in self.planned.fired],
            "strategies": self._strategies(),
            "plan": [root.digest for root in self.planned.program.roots],
        }

    def _strategies(self) -> list[dict[str, Any]]:
        assignment = self.planned.assignment
        return [
            {
                "operator": operator_name(operator.expr, operator.join is not None),
                "strategy": assignment.chosen[digest].rule,
                "placement": str(assignment.chosen[digest].output),
                "alternatives": {a.rule: a.seconds for a in assignment.alternatives[digest]},
            }
            for digest, operator in assignment.operators.items()
        ]

    def save(self, path: Any) -> None:
        """Writes the picture as a self-contained HTML page."""
        from pathlib import Path

        Path(path).write_text(f"<!doctype html><meta charset='utf-8'><title>plan</title>{self._repr_html_()}")

    def _repr_html_(self) -> str:
        return plan_picture(self)

    def __str__(self) -> str:
        parts = []
        if self.query:
            parts += ["query", *_indented(self.query.strip().splitlines()), ""]
        if self.planned.fired:
            parts += ["rules", *_indented([f"{f.name} ×{f.times}" for f in self.planned.fired]), ""]
        sites = self.planned.program.n_sites
        parts += [f"plan {self.planned.program.roots[0].digest[:8]} for {self.backend}, {sites} site{'s' * (sites > 1)}"]
        parts += _indented(plan_lines(self.planned, self.exchanges if self.measured else None))
        parts += ["", *self._choice_lines(), "", *self._figure_lines()]
        return "\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def _choice_lines(self) -> list[str]:
        lines = ["strategies (whole plan in ms; cheapest of those that lost)"]
        for entry in self._strategies():
            lost = {rule: s for rule, s in entry["alternatives"].items() if rule != entry["strategy"]}
            if not lost:
                continue
            shown = ", ".join(f"{rule} {s * 1e3:.3g}" for rule, s in list(lost.items())[:3])
            lines.append(f"  {entry['operator']}: {entry['strategy']} {self.planned.assignment.seconds * 1e3:.3g}; not {shown}")
        return lines if len(lines) > 1 else ["strategies: one site, nothing to choose"]

    def _figure_lines(self) -> list[str]:
        predicted = self.planned.prediction
        lines = [f"{'':22}{'predicted':>12}" + (f"{'measured':>12}" if self.measured else "")]
        for name in FIGURES:
            value = self.measured.get(name)
            shown = f"{readable(name, getattr(predicted, name)):>12}"
            if self.measured:
                shown += f"{readable(name, value) if value is not None else '':>12}"
            lines.append(f"{name.replace('_', ' '):22}{shown}")
        return lines


def explain_plan(planned: Planned, backend: str, measured: Any, query: str | None) -> Explanation:
    """An explanation of a plan, with the figures of a run where there was one."""
    figures = {}
    if measured is not None:
        figures = {name: getattr(measured, name) for name in FIGURES if hasattr(measured, name)}
    return Explanation(planned, backend, figures, measured.exchanges if measured is not None else {}, query)


def readable(name: str, value: float) -> str:
    """A figure with its unit.

    Example:
        >>> readable("bytes_moved", 2_500_000), readable("seconds", 0.0123)
        ('2.5 MB', '12.3 ms')
    """
    if name == "seconds":
        return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"
    if name == "tasks":
        return str(int(value))
    unit = "B" if "bytes" in name else "flop"
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}"


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def plan_lines(planned: Planned, measured: Mapping[str, int] | None = None) -> list[str]:
    """The plan by stages, each node once, as ``r3 := operator(r1, r2)``."""
    names: dict[str, str] = {}
    lines = []
    for stage in planned.program.stages:
        lines.append(f"stage {stage.number + 1}")
        for node in stage.nodes:
            names[node.digest] = f"r{len(names)}"
            line = f"  {names[node.digest]} := {node_text(node, names)}  {node.type}, {node.placement}"
            if is_exchange(node):
                line += f"  moves {readable('bytes', moved(node))}"
                if measured is not None:
                    line += f" (measured {readable('bytes', measured.get(node.digest, 0))})"
            lines.append(line)
    return lines


def node_text(node: Plan, names: Mapping[str, str] | None = None) -> str:
    """One plan node in a line, operands by the names given to them."""
    args = ", ".join((names or {}).get(c.digest, c.digest[:6]) for c in node.children)
    match node:
        case Scan(name=name):
            return f"scan {name}"
        case Make(maker=maker):
            return f"make {maker}"
        case Broadcast():
            return f"broadcast({args})"
        case Shuffle():
            return f"shuffle({args})"
        case Repartition(along=along):
            return f"repartition({args}" + (f", along={along})" if len(node.children) > 1 else ")")
        case LocalJoin(on=on, kernel=kernel):
            return f"join({args}, on={_on(on)}, {kernel})"
        case LocalContract(on=on, kernel=kernel, by=by, fold=fold):
            return f"contract({args}, on={_on(on)}, {kernel}, by=({', '.join(by)}), {fold})"
        case LocalAggregate(by=by, kernel=kernel):
            return f"aggregate({args}, by=({', '.join(by)}), {kernel})"
        case LocalFilter(predicate=predicate):
            return f"filter({args}, {text(predicate)})"
        case LocalMap(function=function, kernels=kernels):
            keys = [] if function is None else [_keys(function)]
            return f"map({', '.join([args, *keys, *map(str, kernels)])})"
        case LocalTile(axis=axis, size=size, key=key):
            return f"tile({args}, axis={axis}, size={size}, key={key})"
        case LocalConcat(key=key, axis=axis):
            return f"concat({args}, key={key}, axis={axis})"
        case LocalStack(key=key):
            return f"stack({args}, key={key})"


def _on(on: tuple[tuple[str, str], ...]) -> str:
    return "(" + ", ".join(l if l == r else f"{l}={r}" for l, r in on) + ")"


def _keys(function: Any) -> str:
    return text(function) if isinstance(function, Opaque) else f"({', '.join(map(text, function))})"


def operator_name(expr: Any, contracted: bool) -> str:
    """A short name of an operator: what it is, and its kernel or source."""
    kind = "Contraction" if contracted else type(expr).__name__
    detail = getattr(expr, "name", "") or str(getattr(expr, "kernel", ""))
    return f"{kind} {detail} {expr.type}".replace("  ", " ")
