"""Applying rules to a fixpoint, one node at a time: every rewrite is checked, and may be looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from tra.algebra.nodes import Node
from tra.errors import PlanError
from tra.optimizer.rules.rule import Rule

N = TypeVar("N", bound=Node)
Order: TypeAlias = Callable[..., Iterator[N]]
_MIN_ROUNDS = 100  # a rule may move a node past every other, one a round


@dataclass(frozen=True)
class Rewrite(Generic[N]):
    """A rule that fired at one node; `roots` makes the results as they are then, until the next one fires."""

    rule: Rule
    roots: Callable[[], tuple[N, ...]]


def rewrites(
    roots: tuple[N, ...], rules: Sequence[Rule], order: Order[N], fixed: Sequence[N] = ()
) -> Iterator[Rewrite[N]]:
    """Applies rules until none fires; after the last rewrite its `roots` are the fixpoint.

    Args:
        roots: the results, as expressions or plans.
        rules: the rules, in order; the first that applies to a node fires there.
        order: lists the nodes below some roots, operands first.
        fixed: nodes that stay the operators they are; only their operands change.

    Example:
        >>> import tra
        >>> from tra.algebra.nodes import postorder
        >>> from tra.optimizer.rules.registry import NORMALISE
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> query = (-(-A)).transform("identity")
        >>> for step in rewrites((query.expr,), NORMALISE, postorder):
        ...     print(step.rule.name, [type(node).__name__ for node in postorder(*step.roots())])
        transform_inverse_drop ['Source', 'Transform']
        transform_identity_drop ['Source']

    Raises:
        PlanError: a rule changes a type or a placement, or the rules do not converge.
    """
    names: dict[str, None] = {}
    held = {node.digest for node in fixed}
    for _ in range(_MIN_ROUNDS + 2 * sum(1 for _ in order(*roots))):
        made: dict[str, N] = {}
        n_fired = 0
        for rule in _round(roots, rules, order, held, made):
            n_fired += 1
            names[rule.name] = None
            yield Rewrite(rule, partial(_rebuilt, roots, order, made))
        if not n_fired:
            return
        roots = tuple(made[root.digest] for root in roots)
        held = {made[digest].digest for digest in held if digest in made}
    raise PlanError(f"the rules {', '.join(names)} do not converge")


def _round(
    roots: tuple[N, ...],
    rules: Sequence[Rule],
    order: Order[N],
    held: Collection[str],
    made: dict[str, N],
) -> Iterator[Rule]:
    """Rewrites every node at most once, operands first, and puts what becomes of it into `made`."""
    users = _n_users(roots, order)
    for node in order(*roots):
        current = with_children(node, [made[c.digest] for c in node.children])
        made[node.digest] = current
        for rule in rules if node.digest not in held else ():
            changed = None if _makes_again(rule, node, users) else rule.function(current)
            if changed is not None:
                _check(rule, current, changed)
                made[node.digest] = changed
                yield rule
                break  # its operands may have other users than those counted: look again in the next round


def _rebuilt(roots: tuple[N, ...], order: Order[N], made: Mapping[str, N]) -> tuple[N, ...]:
    """The results with what was made so far; nodes above it are as they were."""
    known = dict(made)
    for node in order(*roots):
        if node.digest not in known:
            known[node.digest] = with_children(node, [known[c.digest] for c in node.children])
    return tuple(known[root.digest] for root in roots)


def _check(rule: Rule, old: Node, new: Node) -> None:
    """Makes sure that a rule kept what every rule keeps: the type, and the place of a plan's result."""
    for what in ("type", "placement"):
        before, after = getattr(old, what, None), getattr(new, what, None)
        if before != after:
            raise PlanError(f"rule {rule.name} changed a {what}: {before} became {after}")


def _n_users(roots: Sequence[N], order: Order[N]) -> dict[str, int]:
    users: dict[str, int] = {root.digest: 1 for root in roots}
    for node in order(*roots):
        for child in node.children:
            users[child.digest] = users.get(child.digest, 0) + 1
    return users


def _makes_again(rule: Rule, node: Node, users: Mapping[str, int]) -> bool:
    """Claims that the rule would run again what another user needs anyway."""
    return rule.absorbs and any(users[part.digest] > 1 for part in rule.absorbed(node))


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
