"""Every choice of the search as a rule with a name: from the compile table to the plan, one rule at a time.

Each step is a plan by itself: it computes what the query asks for, on the mesh of the plan that was chosen.
What the search does not choose follows the compile table, so that a plan can be read as a series of small
changes, and each of them checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tra.algebra.nodes import Expr, postorder
from tra.errors import PlanError
from tra.optimizer.build import build
from tra.optimizer.compile_table import START, default_choice
from tra.optimizer.hint import Hint
from tra.optimizer.operators import Operator
from tra.optimizer.plan import Plan, plan_order
from tra.optimizer.planner import Planned
from tra.optimizer.regions import exchanged
from tra.optimizer.rules.registry import CLEAN_UP, NORMALISE, RuleClass, class_of, rules_without
from tra.optimizer.rules.rewriting import rewrites
from tra.optimizer.search import Assignment
from tra.optimizer.strategies import Choice
from tra.optimizer.tile_choice import with_chosen_tiles

_CONTRACT = "aggregate_join_contract"


@dataclass(frozen=True)
class Step:
    """One rule, and the plan after it.

    Attributes:
        rule: the name of the rule, or of the strategy; `START` for the plan before any.
        rule_class: the class of equality it claims.
        plans: a plan for each result.
    """

    rule: str
    rule_class: RuleClass
    plans: tuple[Plan, ...]


def replay(planned: Planned, hints: Sequence[Hint] = ()) -> Iterator[Step]:
    """The rules that lead from the compile table to a plan, each with the plan that it makes.

    First come the rules on expressions, then those that choose the order of products, then for each operator
    its strategy where that is not the compile table's, sources first, and at last the rules on plans. The
    plans of the last step are those of the program.

    Args:
        planned: a planned query.
        hints: the hints it was planned with.

    Example:
        >>> from tra.optimizer.context import Context
        >>> from tra.optimizer.planner import plan_query
        >>> from tra.optimizer.rules.examples import product
        >>> planned = plan_query((product(4000),), Context(n_sites=2))
        >>> steps = list(replay(planned))
        >>> steps[0].rule, steps[-1].plans == planned.program.roots
        ('compile table', True)

    Raises:
        PlanError: the plan was made in another way, with other hints for instance.
    """
    context = planned.form.context
    marked = (*planned.written, *(hint.operator for hint in hints))
    roots = with_chosen_tiles(marked, context.open, context.n_sites)
    replayed = _Replay(planned)
    yield Step(START, "structural", replayed.default(roots))
    hinted = roots[len(planned.written) :]
    for rewrite in rewrites(roots, rules_without(context.without, NORMALISE), postorder, hinted):
        roots = rewrite.roots()
        yield Step(rewrite.rule.name, rewrite.rule.rule_class, replayed.default(roots))
    normal, chosen = roots, dict[str, Expr]()
    for region, option in planned.form.changes:
        chosen[region.digest] = option.expr
        roots = exchanged(normal, chosen)
        yield Step(option.rule, class_of(option.rule), replayed.default(roots))
    _check(roots[: len(planned.roots)] == planned.roots, "expressions")
    yield from replayed.strategies()
    plans = replayed.mixed(planned.assignment.operators.values(), planned.assignment.operators)
    for step in rewrites(plans, rules_without(context.without, CLEAN_UP), plan_order):
        plans = step.roots()
        yield Step(step.rule.name, step.rule.rule_class, plans)
    _check(plans == planned.program.roots, "plans")


def _check(is_same: bool, what: str) -> None:
    if not is_same:
        raise PlanError(f"the rules lead to other {what}: give the hints that the query was planned with")


class _Replay:
    """Plans on the mesh of a planned query, in which some operators follow the compile table."""

    def __init__(self, planned: Planned) -> None:
        self.assignment = planned.assignment
        self.context, self.roots = planned.form.context, planned.roots
        self.targets = [self.context.targets.get(root.digest) for root in self.roots]

    def default(self, roots: tuple[Expr, ...]) -> tuple[Plan, ...]:
        """The compile table's plan of the results; what comes after them in `roots` are hinted operators."""
        return self.mixed(map(Operator, postorder(*roots[: len(self.roots)])), (), roots)

    def strategies(self) -> Iterator[Step]:
        """One step for each operator whose strategy makes another plan than the compile table does."""
        operators = self.assignment.operators
        done: set[str] = set()
        before = self.mixed(operators.values(), done)
        for digest, operator in operators.items():
            done.add(digest)
            plans = self.mixed(operators.values(), done)
            if plans != before:
                rule = self.assignment.chosen[digest].rule
                if not self.assignment.mesh and operator.join is not None:
                    rule = _CONTRACT
                yield Step(rule, class_of(rule), plans)
            before = plans

    def mixed(
        self, operators: Iterable[Operator], done: Collection[str], roots: tuple[Expr, ...] | None = None
    ) -> tuple[Plan, ...]:
        """The plan in which the operators `done` are as chosen, and all others as the compile table has them.

        Operators that are not done are single nodes: the table knows no contractions.
        """
        mesh, made, chosen = self.assignment.mesh, dict[str, Operator](), dict[str, Choice]()
        for operator in operators:
            is_done = operator.digest in done
            for part in [operator] if is_done else _nodes(operator):
                made[part.digest] = part
                have = [chosen[child.digest].output for child in part.children]
                chosen[part.digest] = (
                    self.assignment.chosen[part.digest]
                    if is_done
                    else default_choice(part, have, mesh, self.context.placed)
                )
        results = (self.roots if roots is None else roots)[: len(self.roots)]
        wanted = {
            root.digest: target
            for root, target in zip(results, self.targets, strict=True)
            if target is not None
        }
        return build(Assignment(mesh, made, chosen, 0.0), results, wanted)


def _nodes(operator: Operator) -> list[Operator]:
    return [operator] if operator.join is None else [Operator(operator.join), Operator(operator.expr)]
