"""What was planned and why: the query, the rules, the plan by stages, the price, the strategies that lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tra.optimizer.figures import readable
from tra.optimizer.operators import Operator
from tra.optimizer.picture import plan_picture
from tra.optimizer.plan import is_exchange
from tra.optimizer.plan_text import node_text
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
        """Figures as ``{"predicted": …, "measured": … or None}``, rules, strategies and plan digests."""
        predicted = self.planned.prediction
        figures: dict[str, Any] = {
            name: {"predicted": getattr(predicted, name), "measured": self.measured.get(name)}
            for name in FIGURES
        }
        return {
            **figures,
            "paper_bytes": predicted.paper_bytes,
            "backend": self.backend,
            "sites": self.planned.program.n_sites,
            "mesh": list(self.planned.assignment.mesh),
            "optimal": self.planned.assignment.is_optimal,
            "stages": len(self.planned.program.stages),
            "rules": [[fired.name, fired.times] for fired in self.planned.fired],
            "strategies": self._strategies(),
            "plan": [root.digest for root in self.planned.program.roots],
        }

    def _strategies(self) -> list[dict[str, Any]]:
        assignment = self.planned.assignment
        return [
            {
                "operator": operator_name(operator),
                "strategy": assignment.chosen[digest].rule,
                "placement": str(assignment.chosen[digest].output),
                "alternatives": {a.rule: a.seconds for a in self.planned.alternatives[digest]},
            }
            for digest, operator in assignment.operators.items()
        ]

    def save(self, path: Any) -> None:
        """Writes the picture as a self-contained HTML page."""
        page = f"<!doctype html><meta charset='utf-8'><title>plan</title>{self._repr_html_()}"
        Path(path).write_text(page, encoding="utf-8")

    def _repr_html_(self) -> str:
        return plan_picture(self.planned.program, str(self))

    def __str__(self) -> str:
        parts = []
        if self.query:
            parts += ["query", *_indented(self.query.strip().splitlines()), ""]
        if self.planned.fired:
            parts += ["rules", *_indented([f"{f.name} ×{f.times}" for f in self.planned.fired]), ""]
        sites = self.planned.program.n_sites
        digest = self.planned.program.roots[0].digest[:8]
        parts += [f"plan {digest} for {self.backend}, {sites} site{'s' * (sites > 1)}"]
        parts += _indented(plan_lines(self.planned, self.exchanges if self.measured else None))
        parts += ["", *self._choice_lines(), "", *self._figure_lines()]
        return "\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def _choice_lines(self) -> list[str]:
        proven = "optimal" if self.planned.assignment.is_optimal else "bounded"
        lines = [f"strategies, {proven} (whole plan in ms; cheapest of those that lost)"]
        whole = f"{self.planned.assignment.seconds * 1e3:.3g}"
        for entry in self._strategies():
            lost = {rule: s for rule, s in entry["alternatives"].items() if rule != entry["strategy"]}
            shown = ", ".join(f"{rule} {s * 1e3:.3g}" for rule, s in list(lost.items())[:3])
            if shown:
                lines.append(f"  {entry['operator']}: {entry['strategy']} {whole}; not {shown}")
        return lines if len(lines) > 1 else ["strategies: nothing to choose"]

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


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def plan_lines(planned: Planned, measured: Mapping[str, int] | None = None) -> list[str]:
    """The plan by stages, each node once, as ``r3 := operator(r1, r2)``; first what sites hold already."""
    names: dict[str, str] = {}
    lines = []
    given = ("given", planned.program.given)
    stages = [(f"stage {stage.number + 1}", stage.nodes) for stage in planned.program.stages]
    for title, nodes in [given, *stages] if given[1] else stages:
        lines.append(title)
        for node in nodes:
            names[node.digest] = f"r{len(names)}"
            line = f"  {names[node.digest]} := {node_text(node, names)}  {node.type}, {node.placement}"
            if is_exchange(node):
                line += f"  moves {readable('bytes', moved(node))}"
                if measured is not None:
                    line += f" (measured {readable('bytes', measured.get(node.digest, 0))})"
            lines.append(line)
    return lines


def operator_name(operator: Operator) -> str:
    """A short name of an operator: what it is, and its kernel or source.

    Example:
        >>> import tra
        >>> operator_name(Operator(tra.exp(tra.from_array([1.0, 2.0], name="A")).expr))
        'Transform exp [i:1] of 2 float64'
    """
    kind = "Contraction" if operator.join is not None else type(operator.expr).__name__
    kernel = operator.kernel or getattr(operator.expr, "kernel", None)
    detail = getattr(operator.expr, "name", "") or ("" if kernel is None else str(kernel))
    return f"{kind} {detail} {operator.type}".replace("  ", " ")
