"""Rules on plans that always help: exchanges that nothing needs, maps that run as one."""

from __future__ import annotations

from tra.algebra.kernel import Kernel
from tra.algebra.types import RelType
from tra.optimizer.placement import Placement, is_satisfied
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalContract,
    LocalJoin,
    LocalMap,
    Plan,
    Shuffle,
)
from tra.optimizer.roles import Parts, Role, Scattered, Split, parts_over


def exchange_exchange_keep_last(node: Plan) -> Plan | None:
    """SHUF_a(SHUF_b(R)) = SHUF_a(R), and so for BCAST: only the last exchange matters.

    Applies when: R holds no parts.
    Source: R2-1.

    Example:
        >>> from tra.optimizer.rules.examples import scan, split, everywhere
        >>> R = scan()
        >>> twice = Shuffle(R.type, split("j"), Shuffle(R.type, split("i"), R))
        >>> exchange_exchange_keep_last(twice).child == R
        True
    """
    match node:
        case Broadcast(child=Shuffle(child=child) | Broadcast(child=child)):
            return Broadcast(node.type, node.placement, child) if not child.placement.parts else None
        case Shuffle(child=Shuffle(child=child) | Broadcast(child=child)):
            return Shuffle(node.type, node.placement, child) if not child.placement.parts else None
    return None


def exchange_satisfied_drop(node: Plan) -> Plan | None:
    """Σᴸ(SHUF_p(R)) = Σᴸ(R) where R lies as the shuffle would put it.

    Applies when: the placement of R is the one asked for.
    Source: R2-4, shuffle elimination.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> R = scan()
        >>> exchange_satisfied_drop(Shuffle(R.type, R.placement, R)) == R
        True
    """
    match node:
        case Shuffle(child=child) | Broadcast(child=child) if is_satisfied(child.placement, node.placement):
            return child
    return None


def aggregate_join_contract(node: Plan) -> Plan | None:
    """Σᴸ_g(⋈ᴸ(L, R)) = the contraction that folds each product as it is made.

    Applies when: the Join stands directly below.
    Source: R1-6; the products of an einsum are never stored.

    Example:
        >>> from tra.optimizer.compile_table import compile_default
        >>> from tra.optimizer.rules.examples import product
        >>> type(aggregate_join_contract(compile_default((product(),), ())[0])).__name__
        'LocalContract'
    """
    match node:
        case LocalAggregate(
            child=LocalJoin(left=left, right=right, on=on, kernel=kernel), by=by, kernel=fold
        ):
            return LocalContract(node.type, node.placement, left, right, on, kernel, by, fold)
    return None


def aggregate_shuffle_aggregate_first(node: Plan) -> Plan | None:
    """Σᴸ_g(SHUF_p(R)) = Σᴸ_g(SHUF_p(Σᴸ_g(R))): each site folds what it has before sending; so for BCAST.

    Where the tiles that agree on g lie together already, the second fold has nothing to do and goes.

    Applies when: the shuffle keeps to keys in g, and R holds no parts; equal partial sums stay apart (a bag).
    Source: R2-5, two-phase aggregation; R2-4.

    Example:
        >>> from tra.optimizer.compile_table import compile_default
        >>> from tra.optimizer.rules.examples import product
        >>> plan = aggregate_shuffle_aggregate_first(compile_default((product(),), (2,))[0])
        >>> type(plan.child.child).__name__, str(plan.child.child.placement)
        ('LocalAggregate', 'parts(add) on 2')
    """
    match node:
        case LocalAggregate(
            child=(Shuffle(child=child) | Broadcast(child=child)) as sent, by=by, kernel=kernel
        ):
            target = sent.placement
            if any(isinstance(role, Split) and role.key not in by for role in target.roles):
                return None
            if child.placement.parts or child.placement.mesh != target.mesh:
                return None
            roles = tuple(_partial(role, child.type, by, kernel) for role in child.placement.roles)
            first = LocalAggregate(node.type, Placement(target.mesh, roles), child, by, kernel)
            again = type(sent)(node.type, target, first)
            return (
                LocalAggregate(node.type, node.placement, again, by, kernel)
                if first.placement.parts
                else again
            )
    return None


def _partial(role: Role, type_: RelType, by: tuple[str, ...], kernel: Kernel) -> Role:
    """What a role becomes when each site folds its own tiles: parts, where a key that ends was split."""
    match role:
        case Split(key=key, is_minor=True) if key not in by:
            return Parts(kernel)
        case Split(key=key) if key not in by:
            return parts_over(kernel, type_, key, by)
        case Scattered():
            return Parts(kernel)
        case _:
            return role


def map_map_fuse(node: Plan) -> Plan | None:
    """λᴸ_(f1,g1)(λᴸ_(f2,g2)(R)) = λᴸ_(f1∘f2,g1∘g2)(R).

    Applies when: at most one of the two changes keys.
    Source: R1-2.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> R = scan()
        >>> inner = LocalMap(R.type, R.placement, R, None, (kernel("neg"),))
        >>> fused = map_map_fuse(LocalMap(R.type, R.placement, inner, None, (kernel("exp"),)))
        >>> [k.name for k in fused.kernels]
        ['neg', 'exp']
    """
    match node:
        case LocalMap(
            child=LocalMap(child=child, function=inner, kernels=first), function=outer, kernels=then
        ):
            if inner is None or outer is None:
                return LocalMap(
                    node.type, node.placement, child, inner if outer is None else outer, (*first, *then)
                )
    return None
