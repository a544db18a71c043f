"""The rules in order, and the loops that apply them to a fixpoint.

Every rule has a class: *structural* rules move data or drop work and change no bit; *regroup* rules reorder a
fold; *distribute* rules change which products are formed. Any rule can be switched off by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tra.algebra.nodes import Expr, Node, postorder
from tra.optimizer.plan import Plan, plan_order
from tra.optimizer.rules import expressions, plans
from tra.errors import PlanError, near_name

RuleClass = Literal["structural", "regroup", "distribute"]


@dataclass(frozen=True)
class Rule:
    """A rule in the list: its function, and the class of equality it claims."""

    function: Callable[[Any], Any]
    rule_class: RuleClass

    @property
    def name(self) -> str:
        """The name of the rule, by which it is shown and switched off."""
        return self.function.__name__


@dataclass(frozen=True)
class Fired:
    """A rule that fired, and how often."""

    name: str
    times: int


NORMALISE: tuple[Rule, ...] = (
    Rule(expressions.filter_filter_fuse, "structural"),
    Rule(expressions.rekey_rekey_fuse, "structural"),
    Rule(expressions.rekey_identity_drop, "structural"),
    Rule(expressions.concat_tile_cancel, "structural"),
    Rule(expressions.retile_same_drop, "structural"),
    Rule(expressions.retile_retile_fuse, "structural"),
    Rule(expressions.transform_identity_drop, "structural"),
)
CLEAN_UP: tuple[Rule, ...] = (
    Rule(plans.exchange_exchange_keep_last, "structural"),
    Rule(plans.exchange_satisfied_drop, "structural"),
    Rule(plans.aggregate_shuffle_aggregate_first, "regroup"),
    Rule(plans.aggregate_join_contract, "structural"),
    Rule(plans.map_map_fuse, "structural"),
)
RULES = (*NORMALISE, *CLEAN_UP)
_MAX_ROUNDS = 100


def rules_without(names: Sequence[str]) -> tuple[Rule, ...]:
    """The rules but some.

    Raises:
        PlanError: there is no rule of that name.
    """
    known = [rule.name for rule in RULES]
    for name in names:
        if name not in known:
            raise PlanError(f"there is no rule {name!r}{near_name(name, known)}; rules are {', '.join(known)}")
    return tuple(rule for rule in RULES if rule.name not in names)


def normalise(roots: tuple[Expr, ...], rules: Sequence[Rule] = NORMALISE) -> tuple[tuple[Expr, ...], tuple[Fired, ...]]:
    """Applies the expression rules to a fixpoint; types do not change."""
    return _to_fixpoint(roots, rules, postorder)


def clean_up(roots: tuple[Plan, ...], rules: Sequence[Rule] = CLEAN_UP) -> tuple[tuple[Plan, ...], tuple[Fired, ...]]:
    """Applies the plan rules to a fixpoint; types and placements of results do not change."""
    return _to_fixpoint(roots, rules, plan_order)


def _to_fixpoint(roots: Any, rules: Sequence[Rule], order: Callable[..., Any]) -> Any:
    fired: dict[str, int] = {}
    for _ in range(_MAX_ROUNDS):
        rebuilt = _one_round(roots, rules, order, fired)
        if all(a == b for a, b in zip(roots, rebuilt, strict=True)):
            return rebuilt, tuple(Fired(name, n) for name, n in fired.items())
        roots = rebuilt
    raise PlanError(f"the rules {', '.join(fired)} do not converge")


def _one_round(roots: Any, rules: Sequence[Rule], order: Callable[..., Any], fired: dict[str, int]) -> Any:
    """Rewrites every node once, operands first."""
    made: dict[str, Any] = {}
    users = _n_users(roots, order)
    for node in order(*roots):
        current = with_children(node, [made[c.digest] for c in node.children])
        for rule in rules:
            if _duplicates_work(rule, node, users):
                continue
            changed = rule.function(current)
            if changed is not None:
                if changed.type != current.type:
                    raise PlanError(f"rule {rule.name} changed a type: {current.type} became {changed.type}")
                fired[rule.name] = fired.get(rule.name, 0) + 1
                current = changed
        made[node.digest] = current
    return tuple(made[root.digest] for root in roots)


def _n_users(roots: Any, order: Callable[..., Any]) -> dict[str, int]:
    users: dict[str, int] = {root.digest: 1 for root in roots}
    for node in order(*roots):
        for child in node.children:
            users[child.digest] = users.get(child.digest, 0) + 1
    return users


def _duplicates_work(rule: Rule, node: Any, users: dict[str, int]) -> bool:
    """Claims that a plan rule would run again what another user needs anyway: it absorbs an operand with other users."""
    return rule in CLEAN_UP and any(users[c.digest] > 1 for c in node.children)


def with_children(node: Any, children: Sequence[Node]) -> Any:
    """The same node over other operands of the same types."""
    if all(a is b for a, b in zip(node.children, children, strict=True)):
        return node
    if "operands" in node.__dataclass_fields__:
        return replace(node, operands=tuple(children))
    if "left" in node.__dataclass_fields__:
        return replace(node, left=children[0], right=children[1])
    return replace(node, child=children[0])
