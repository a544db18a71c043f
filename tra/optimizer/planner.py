"""From a query to a program: normalise, choose, build, clean up, cut into stages."""

from __future__ import annotations

from dataclasses import dataclass

from tra.algebra.nodes import Expr
from tra.optimizer.build import build
from tra.optimizer.predict import Prediction, predict
from tra.optimizer.rules.registry import Fired, clean_up, normalise
from tra.optimizer.search import Assignment, Context, search
from tra.optimizer.stages import Program, program


@dataclass(frozen=True)
class Planned:
    """A planned query.

    Attributes:
        written: the expressions as the user wrote them.
        roots: the expressions after the rules that always help.
        fired: the rules that fired, in order.
        assignment: the strategy of every operator, and the alternatives that lost.
        program: stages and tasks.
        prediction: what it will cost.
    """

    written: tuple[Expr, ...]
    roots: tuple[Expr, ...]
    fired: tuple[Fired, ...]
    assignment: Assignment
    program: Program
    prediction: Prediction


def plan_query(roots: tuple[Expr, ...], context: Context) -> Planned:
    """Plans one or several results together, so that what they share is made once.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> plan_query(((A @ A).expr,), Context(n_sites=2)).program.n_tasks
        4
    """
    normal, fired = normalise(roots)
    targets = {new.digest: context.targets[old.digest] for old, new in zip(roots, normal, strict=True) if old.digest in context.targets}
    settled = Context(context.n_sites, context.model, context.placed, context.uploads, targets)
    assignment = search(normal, settled)
    plans, cleaned = clean_up(build(assignment, normal, targets))
    made = program(plans)
    return Planned(roots, normal, (*fired, *cleaned), assignment, made, predict(made, assignment))
