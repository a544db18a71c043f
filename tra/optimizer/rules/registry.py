"""The rules in order, and the loops that apply them to a fixpoint.

Every rule has a class: *structural* rules move data or drop work and change no bit; *regroup* rules reorder a
fold; *distribute* rules change which products are formed. Any rule can be switched off by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from tra.algebra.nodes import Expr, Node, postorder
from tra.errors import PlanError, near_name
from tra.optimizer.plan import Plan, plan_order
from tra.optimizer.rules import expressions, plans

RuleClass = Literal["structural", "regroup", "distribute"]
N = TypeVar("N", bound=Node)


@dataclass(frozen=True)
class Rule:
    """A rule in the list.

    Attributes:
        function: from a node to an equal node, or None where the rule does not apply.
        rule_class: the class of equality it claims.
        absorbs: the operand is made part of the new node; another user of it would make it again.
    """

    function: Callable[[Any], Any]
    rule_class: RuleClass
    absorbs: bool = False

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
    Rule(plans.exchange_exchange_keep_last, "structural", absorbs=True),
    Rule(plans.exchange_satisfied_drop, "structural"),
    Rule(plans.aggregate_shuffle_aggregate_first, "regroup", absorbs=True),
    Rule(plans.aggregate_join_contract, "structural", absorbs=True),
    Rule(plans.map_map_fuse, "structural", absorbs=True),
)
RULES = (*NORMALISE, *CLEAN_UP)
_MAX_ROUNDS = 100


def rules_without(names: Sequence[str], rules: Sequence[Rule] = RULES) -> tuple[Rule, ...]:
    """The rules but some.

    Example:
        >>> [rule.name for rule in rules_without(["map_map_fuse", "exchange_satisfied_drop"], CLEAN_UP)]
        ['exchange_exchange_keep_last', 'aggregate_shuffle_aggregate_first', 'aggregate_join_contract']

    Raises:
        PlanError: there is no rule of that name.
    """
    known = [rule.name for rule in RULES]
    for name in names:
        if name not in known:
            raise PlanError(
                f"there is no rule {name!r}{near_name(name, known)}; rules are {', '.join(known)}"
            )
    return tuple(rule for rule in rules if rule.name not in names)


def normalise(
    roots: tuple[Expr, ...], rules: Sequence[Rule] = NORMALISE
) -> tuple[tuple[Expr, ...], tuple[Fired, ...]]:
    """Applies the expression rules to a fixpoint; types do not change.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> same, fired = normalise((A.transform("identity").expr,))
        >>> same == (A.expr,), fired
        (True, (Fired(name='transform_identity_drop', times=1),))
    """
    return _to_fixpoint(roots, rules, postorder)


def clean_up(
    roots: tuple[Plan, ...], rules: Sequence[Rule] = CLEAN_UP
) -> tuple[tuple[Plan, ...], tuple[Fired, ...]]:
    """Applies the plan rules to a fixpoint; types and placements of results do not change.

    Example:
        >>> from tra.optimizer.compile_table import compile_default
        >>> from tra.optimizer.rules.examples import product
        >>> [fired.name for fired in clean_up(compile_default((product(),), (2,)))[1]]
        ['aggregate_shuffle_aggregate_first', 'aggregate_join_contract']
    """
    return _to_fixpoint(roots, rules, plan_order)


def _to_fixpoint(
    roots: tuple[N, ...], rules: Sequence[Rule], order: Callable[..., Iterator[N]]
) -> tuple[tuple[N, ...], tuple[Fired, ...]]:
    fired: dict[str, int] = {}
    for _ in range(_MAX_ROUNDS):
        rebuilt = _one_round(roots, rules, order, fired)
        if rebuilt == roots:
            return rebuilt, tuple(Fired(name, n) for name, n in fired.items())
        roots = rebuilt
    raise PlanError(f"the rules {', '.join(fired)} do not converge")


def _one_round(
    roots: tuple[N, ...], rules: Sequence[Rule], order: Callable[..., Iterator[N]], fired: dict[str, int]
) -> tuple[N, ...]:
    """Rewrites every node at most once, operands first."""
    made: dict[str, N] = {}
    users = _n_users(roots, order)
    for node in order(*roots):
        current = with_children(node, [made[c.digest] for c in node.children])
        for rule in rules:
            changed = None if _makes_again(rule, node, users) else rule.function(current)
            if changed is not None:
                _check(rule, current, changed)
                fired[rule.name] = fired.get(rule.name, 0) + 1
                current = changed
                break  # its operands may have other users than those counted: look again in the next round
        made[node.digest] = current
    return tuple(made[root.digest] for root in roots)


def _check(rule: Rule, old: Node, new: Node) -> None:
    """Makes sure that a rule kept what every rule keeps: the type, and the place of a plan's result."""
    for what in ("type", "placement"):
        before, after = getattr(old, what, None), getattr(new, what, None)
        if before != after:
            raise PlanError(f"rule {rule.name} changed a {what}: {before} became {after}")


def _n_users(roots: Sequence[Node], order: Callable[..., Iterator[Node]]) -> dict[str, int]:
    users: dict[str, int] = {root.digest: 1 for root in roots}
    for node in order(*roots):
        for child in node.children:
            users[child.digest] = users.get(child.digest, 0) + 1
    return users


def _makes_again(rule: Rule, node: Node, users: Mapping[str, int]) -> bool:
    """Claims that the rule would run again what another user needs anyway."""
    return rule.absorbs and any(users[c.digest] > 1 for c in node.children)


def with_children(node: N, children: Sequence[N]) -> N:
    """The same node over other operands of the same types.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([1.0], name=name) for name in "AB")
        >>> with_children(tra.exp(A).expr, [B.expr]) == tra.exp(B).expr
        True
    """
    if all(a is b for a, b in zip(node.children, children, strict=True)):
        return node
    names = [f.name for f in fields(node)]
    slots = [name for name in ("left", "right", "child") if name in names]
    changed: dict[str, Any] = (
        dict(zip(slots, children, strict=True)) if slots else {"operands": tuple(children)}
    )
    return replace(node, **changed)
