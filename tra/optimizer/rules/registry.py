"""The rules in order, and what applies them.

Every rule has a class: *structural* rules move data or drop work and change no bit; *regroup* rules reorder a
fold; *distribute* rules change which products are formed. Any rule can be switched off by name. Rules that
always help are functions here; those that have alternatives are names only, and the search applies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, overload

from tra.algebra.nodes import Expr, postorder
from tra.errors import PlanError, near_name
from tra.optimizer.plan import Plan, plan_order
from tra.optimizer.rules import (
    absent,
    aggregates,
    constants,
    exchanges,
    expressions,
    filters,
    kernels,
    masks,
    plans,
    slices,
)
from tra.optimizer.rules.priced import FORMS, STRATEGIES
from tra.optimizer.rules.rewriting import N, Rewrite, rewrites, with_children
from tra.optimizer.rules.rule import PricedRule, Rule, RuleClass


@dataclass(frozen=True)
class Fired:
    """A rule that fired, and how often.

    Attributes:
        name: the name of the rule.
        times: how often it fired.
        rule_class: the class of equality it claims; that of the rule called so, where left out.
    """

    name: str
    times: int
    rule_class: RuleClass | None = None

    def __post_init__(self) -> None:
        if self.rule_class is None:
            object.__setattr__(self, "rule_class", class_of(self.name))


SLICES: tuple[Rule, ...] = (
    Rule(slices.slice_slice_fuse, "structural"),
    Rule(slices.slice_rekey_push, "structural", absorbs=True),
    Rule(slices.slice_transform_push, "regroup", absorbs=True),
    Rule(slices.slice_join_push, "regroup", absorbs=True),
    Rule(slices.slice_aggregate_push, "regroup", absorbs=True, absorbed=slices.absorbed),
)
NORMALISE: tuple[Rule, ...] = (
    Rule(absent.empty_drop, "structural"),
    Rule(absent.aggregate_stack_drop, "structural", absorbs=True),
    Rule(filters.filter_true_drop, "structural"),
    Rule(filters.filter_filter_fuse, "structural"),
    Rule(constants.generated_filter_fold, "structural"),
    Rule(filters.filter_rekey_push, "structural", absorbs=True),
    Rule(filters.filter_transform_push, "structural", absorbs=True),
    Rule(filters.filter_aggregate_push, "structural", absorbs=True),
    Rule(filters.filter_join_push, "structural", absorbs=True),
    Rule(filters.filter_join_equate, "structural", absorbs=True),
    Rule(filters.filter_stack_push, "structural", absorbs=True),
    Rule(expressions.rekey_rekey_fuse, "structural"),
    Rule(expressions.rekey_identity_drop, "structural"),
    Rule(expressions.concat_tile_cancel, "structural"),
    Rule(expressions.retile_same_drop, "structural"),
    Rule(expressions.retile_retile_fuse, "structural"),
    *SLICES,
    Rule(expressions.transform_identity_drop, "distribute"),
    Rule(expressions.transform_inverse_drop, "distribute"),
    Rule(constants.transform_neutral_drop, "structural"),
    Rule(constants.join_neutral_drop, "structural"),
    Rule(constants.constant_cut_fold, "structural"),
    Rule(constants.constant_transform_fold, "structural"),
    Rule(constants.constant_join_fold, "structural"),
    Rule(constants.constant_aggregate_fold, "regroup"),
    Rule(aggregates.aggregate_identity_drop, "structural"),
    Rule(aggregates.aggregate_rekey_fold, "regroup", absorbs=True),
    Rule(aggregates.aggregate_aggregate_fuse, "regroup", absorbs=True),
    Rule(aggregates.aggregate_transform_push, "distribute", absorbs=True),
    Rule(aggregates.aggregate_join_push, "distribute", absorbs=True),
)
CLEAN_UP: tuple[Rule, ...] = (
    Rule(plans.exchange_exchange_keep_last, "structural", absorbs=True),
    Rule(plans.exchange_satisfied_drop, "structural"),
    Rule(exchanges.filter_exchange_push, "structural", absorbs=True),
    Rule(plans.aggregate_shuffle_aggregate_first, "regroup", absorbs=True),
    Rule(plans.map_map_fuse, "structural", absorbs=True),
    Rule(exchanges.map_exchange_push, "structural", absorbs=True),
    Rule(exchanges.exchange_map_push, "structural", absorbs=True),
    Rule(kernels.map_join_fuse, "structural", absorbs=True),
    Rule(plans.aggregate_join_contract, "structural", absorbs=True),
    Rule(kernels.join_map_fuse, "structural", absorbs=True),
    Rule(masks.join_contract_mask, "structural", absorbs=True, absorbed=masks.masked),
)
AnyRule: TypeAlias = Rule | PricedRule
R = TypeVar("R", bound=AnyRule)
RULES: tuple[AnyRule, ...] = (*NORMALISE, *FORMS, *STRATEGIES, *CLEAN_UP)
_CLASSES: dict[str, RuleClass] = {rule.name: rule.rule_class for rule in RULES}
_ORDER: tuple[RuleClass, ...] = ("structural", "regroup", "distribute")


def rules_named(strategy: str) -> tuple[str, ...]:
    """The rules that a strategy is made of.

    Example:
        >>> rules_named("co-partition, aggregate before shuffle")
        ('co-partition', 'aggregate before shuffle')
    """
    return tuple(strategy.split(", "))


def class_of(name: str) -> RuleClass:
    """The class of a rule; for a strategy that is made of several, the one that changes most.

    Example:
        >>> class_of("map_map_fuse"), class_of("co-partition, aggregate before shuffle")
        ('structural', 'regroup')

    Raises:
        PlanError: there is no rule of that name.
    """
    for part in rules_named(name):
        _check_known(part)
    return max((_CLASSES[part] for part in rules_named(name)), key=_ORDER.index)


def _check_known(name: str) -> None:
    if name not in _CLASSES:
        raise PlanError(
            f"there is no rule {name!r}{near_name(name, _CLASSES)}; rules are {', '.join(_CLASSES)}"
        )


@overload
def rules_without(names: Sequence[str]) -> tuple[AnyRule, ...]: ...
@overload
def rules_without(names: Sequence[str], rules: Sequence[R]) -> tuple[R, ...]: ...
def rules_without(names: Sequence[str], rules: Sequence[AnyRule] = RULES) -> tuple[AnyRule, ...]:
    """The rules but some.

    Example:
        >>> len(CLEAN_UP) - len(rules_without(["map_map_fuse", "broadcast left"], CLEAN_UP))
        1

    Raises:
        PlanError: there is no rule of that name.
    """
    for name in names:
        _check_known(name)
    return tuple(rule for rule in rules if rule.name not in names)


def normalise(
    roots: tuple[Expr, ...], rules: Sequence[Rule] = NORMALISE, fixed: Sequence[Expr] = ()
) -> tuple[tuple[Expr, ...], tuple[Fired, ...]]:
    """Applies the expression rules to a fixpoint; types do not change.

    Args:
        roots: the results.
        rules: the rules, in order.
        fixed: nodes that stay the operators they are; only their operands change.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> same, fired = normalise((A.transform("identity").expr,))
        >>> same == (A.expr,), fired
        (True, (Fired(name='transform_identity_drop', times=1, rule_class='distribute'),))
    """
    return _last(roots, rewrites(roots, rules, postorder, fixed))


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
    return _last(roots, rewrites(roots, rules, plan_order))


def _last(roots: tuple[N, ...], steps: Iterator[Rewrite[N]]) -> tuple[tuple[N, ...], tuple[Fired, ...]]:
    """The results after the last step, and the rules that fired in order of their first time."""
    classes: dict[str, RuleClass] = {}
    names: list[str] = []
    step = None
    for step in steps:
        classes[step.rule.name] = step.rule.rule_class
        names.append(step.rule.name)
    fired = tuple(Fired(name, names.count(name), rule_class) for name, rule_class in classes.items())
    return (step.roots() if step is not None else roots), fired


__all__ = [
    "CLEAN_UP", "FORMS", "NORMALISE", "RULES", "SLICES", "STRATEGIES", "Fired", "PricedRule", "Rule",
    "RuleClass", "class_of", "clean_up", "normalise", "rules_named", "rules_without", "with_children",
]  # fmt: skip
