"""What was planned and why: the query, the rules, the plan by stages, the price, the strategies that lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from tra.algebra.nodes import Expr
from tra.errors import CatalogError
from tra.optimizer.densities import Met, densities
from tra.optimizer.explain_text import explanation_text
from tra.optimizer.operators import Operator
from tra.optimizer.picture import plan_picture
from tra.optimizer.plan import Plan, is_exchange
from tra.optimizer.plan_text import node_text
from tra.optimizer.planner import Planned, price_of_level
from tra.optimizer.predict import moved
from tra.optimizer.search import Alternative, alternatives

FIGURES = ("bytes_moved", "flops", "peak_bytes_per_site", "tasks", "seconds")


@dataclass(frozen=True)
class Explanation:
    """The plan of a query with its predicted figures, and measured ones after `analyze`.

    ``str`` gives text, a notebook a picture, `to_dict` all of it as numbers and names.

    Attributes:
        planned: the plan and how it was found.
        backend: where it runs.
        origin: where the constants of the cost model come from.
        measured: measured figures by name; empty when it was not run.
        exchanges: measured bytes by exchange, by plan digest.
        met: measured tiles and pairs of relations with holes, by plan digest.
        query: the query text, or None where it cannot be printed.
        passes: where a limit on the memory of the process is kept, the passes that the plan runs in.
        rounds: where the query does not fit the sites, what is cut into how many windows; the plan is that of
            the first window, and predicted totals are of all of them.
        asked: the query as the user wrote it, where the plan is of a part of it.
    """

    planned: Planned
    backend: str
    origin: str = "fixed"
    measured: Mapping[str, float] = field(default_factory=dict)
    exchanges: Mapping[str, int] = field(default_factory=dict)
    met: Mapping[str, Met] = field(default_factory=dict)
    query: str | None = None
    passes: tuple[Mapping[str, Any], ...] = ()
    rounds: tuple[Mapping[str, Any], ...] = ()
    asked: Expr | None = None

    def to_dict(self) -> dict[str, Any]:
        """All there is to say, for `json.dumps`.

        Figures are ``{"predicted": …, "measured": … or None}``. In the paper's count prices are elements
        sent, and no seconds are predicted.
        """
        planned = self.planned
        return {
            **self._figures(),
            "paper_bytes": planned.prediction.paper_bytes,
            "price": {"total": planned.assignment.seconds, "unit": self.unit},
            "model": {"from": self.origin, **asdict(planned.form.context.model)},
            "backend": self.backend,
            "sites": planned.program.n_sites,
            "reproducible": {"level": planned.form.context.level, "price": self.price_of_level},
            "mesh": list(planned.assignment.mesh),
            "optimal": planned.assignment.is_optimal,
            "query": self.query,
            "rules": [[fired.name, fired.times] for fired in planned.fired],
            "forms": [
                {"result": str(root.type), "rule": option.rule, "order": option.order}
                for root, option in planned.form.changes
            ],
            "considered": [{**asdict(form), "orders": list(form.orders)} for form in planned.form.considered],
            "notes": list(planned.form.notes),
            "strategies": self.strategies,
            "stages": len(planned.program.stages),
            "nodes": self.nodes,
            "passes": [dict(one) for one in self.passes],
            "rounds": [dict(one) for one in self.rounds],
            "plan": [root.digest for root in planned.program.roots],
            "digest": self.digest,
        }

    @cached_property
    def price_of_level(self) -> float:
        """What its level of reproducibility is predicted to cost the query, as a multiple of "run"."""
        asked = self.planned.written if self.asked is None else (self.asked,)
        return price_of_level(asked, self.planned.form.context)

    @cached_property
    def digest(self) -> str:
        """What tells this plan from others: its operators, and the windows that it runs in."""
        windows = [(one["loops"], one["results"]) for one in self.passes], self.rounds
        roots = [root.digest for root in self.planned.program.roots]
        if not self.passes and not self.rounds:
            return roots[0]
        return sha256(repr((roots, windows)).encode()).hexdigest()

    @property
    def unit(self) -> str:
        """What prices are counted in."""
        return "elements" if self.planned.form.context.model.paper else "seconds"

    def _figures(self) -> dict[str, dict[str, float | None]]:
        predicted = self.planned.prediction
        figures = {
            name: {"predicted": getattr(predicted, name), "measured": self.measured.get(name)}
            for name in FIGURES
        }
        if self.unit != "seconds":
            figures["seconds"]["predicted"] = None
        return figures

    @cached_property
    def strategies(self) -> list[dict[str, Any]]:
        """For each operator its strategy, and the price of the whole plan with each there is."""
        assignment = self.planned.assignment
        hinted = {hint.operator.digest for hint in self.planned.form.context.hints}
        return [
            {
                "operator": operator_name(operator),
                "strategy": assignment.chosen[digest].rule,
                "hinted": digest in hinted,
                "split": list(assignment.chosen[digest].vector),
                "placement": str(assignment.chosen[digest].output),
                "alternatives": {a.rule: a.seconds for a in self._alternatives[digest]},
            }
            for digest, operator in assignment.operators.items()
        ]

    @cached_property
    def _alternatives(self) -> Mapping[str, tuple[Alternative, ...]]:
        """Those of the search; where there are hints, those that would be there without them too."""
        context = self.planned.form.context
        if not context.hints:
            return self.planned.alternatives
        return alternatives(self.planned.assignment, self.planned.roots, replace(context, hints=()))

    @cached_property
    def nodes(self) -> list[dict[str, Any]]:
        """The plan's nodes as they run, each once; stage 0 is what sites hold before the first."""
        program = self.planned.program
        stages: list[tuple[int, tuple[Plan, ...]]] = [(0, program.given)]
        stages += [(stage.number + 1, stage.nodes) for stage in program.stages]
        names: dict[str, str] = {}
        listed = []
        for number, nodes in stages:
            for node in nodes:
                names[node.digest] = f"r{len(names)}"
                listed.append(self._node(node, number, names))
        return listed

    def _node(self, node: Plan, stage: int, names: Mapping[str, str]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "name": names[node.digest],
            "stage": stage,
            "text": node_text(node, names),
            "operands": [names[child.digest] for child in node.children],
            "type": str(node.type),
            "placement": str(node.placement),
            "bytes_moved": None,
            **densities(node, self.met),
        }
        if is_exchange(node):
            found = self.exchanges.get(node.digest, 0) if self.measured else None
            entry["bytes_moved"] = {"predicted": moved(node), "measured": found}
        return entry

    def save(self, path: Any) -> None:
        """Writes the picture as a self-contained HTML page.

        Raises:
            CatalogError: the suffix is another than .html, or the folder is not there.
        """
        path = Path(path)
        if path.suffix not in (".html", ".htm"):
            raise CatalogError(f"a plan is saved as a page; call it {path.with_suffix('.html')}")
        if not path.parent.is_dir():
            raise CatalogError(f"there is no folder {path.parent} to save {path.name} in")
        page = f"<!doctype html><meta charset='utf-8'><title>plan</title>{self._repr_html_()}"
        path.write_text(page, encoding="utf-8")

    def _repr_html_(self) -> str:
        return plan_picture(self.nodes, str(self))

    def __str__(self) -> str:
        return explanation_text(self.to_dict())

    def __repr__(self) -> str:
        return str(self)


def explain_plan(
    planned: Planned,
    backend: str,
    origin: str,
    measured: Any = None,
    query: str | None = None,
    passes: Sequence[Mapping[str, Any]] = (),
    rounds: Sequence[Mapping[str, Any]] = (),
    asked: Expr | None = None,
) -> Explanation:
    """An explanation of a plan, with the figures of a run where there was one.

    With passes the peak is that of the whole process in the largest of them.

    Example:
        >>> from tra.optimizer.planner import plan_query
        >>> from tra.optimizer.context import Context
        >>> from tra.optimizer.rules.examples import product
        >>> planned = plan_query((product(),), Context(n_sites=2))
        >>> print(str(explain_plan(planned, "local", "fixed")).splitlines()[0])
        plan ... for local, 2 sites, reproducible='run'
    """
    figures: dict[str, float] = {}
    exchanges, met = {}, {}
    if measured is not None:
        figures = {name: getattr(measured, name) for name in FIGURES if hasattr(measured, name)}
        exchanges, met = measured.exchanges, measured.met
    if passes:
        peak = max(one["resident_bytes"] for one in passes)
        planned = replace(planned, prediction=replace(planned.prediction, peak_bytes_per_site=peak))
    windows = tuple(passes), tuple(rounds)
    return Explanation(planned, backend, origin, figures, exchanges, met, query, *windows, asked)


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
