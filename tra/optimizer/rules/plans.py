"""Rules on plans that always help: exchanges that nothing needs, maps that run as one."""

from __future__ import annotations

from tra.optimizer.placement import is_satisfied
from tra.optimizer.plan import Broadcast, LocalAggregate, LocalContract, LocalJoin, LocalMap, Plan, Shuffle


def exchange_exchange_keep_last(node: Plan) -> Plan | None:
    """SHUF_a(SHUF_b(R)) = SHUF_a(R), and so for BCAST: only the last exchange matters.

    Applies when: R holds no parts, or the first exchange leaves them as they are.
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
        >>> import tra
        >>> from tra.optimizer.compile_table import compile_default
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> type(aggregate_join_contract(compile_default(((A @ A).expr,), ())[0])).__name__
        'LocalContract'
    """
    match node:
        case LocalAggregate(child=LocalJoin(left=left, right=right, on=on, kernel=kernel), by=by, kernel=fold):
            return LocalContract(node.type, node.placement, left, right, on, kernel, by, fold)
    return None


def aggregate_shuffle_aggregate_first(node: Plan) -> Plan | None:
    """Σᴸ_g(SHUF_p(R)) = Σᴸ_g(SHUF_p(Σᴸ_g(R))): each site folds what it has before sending.

    Applies when: the shuffle keeps to keys in g, and R is not folded yet; equal partial sums stay apart (a bag).
    Source: R2-5, two-phase aggregation.

    Example:
        >>> import tra
        >>> from tra.optimizer.compile_table import compile_default
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> plan = aggregate_shuffle_aggregate_first(compile_default(((A @ A).expr,), (2,))[0])
        >>> type(plan.child.child).__name__, str(plan.child.child.placement)
        ('LocalAggregate', 'parts(add) on 2')
    """
    from tra.optimizer.placement import Parts, Placement, Split

    match node:
        case LocalAggregate(child=Shuffle(child=child, placement=target), by=by, kernel=kernel):
            if child.placement.parts or child.type.names == by:
                return None
            if any(isinstance(r, Split) and r.key not in by for r in target.roles):
                return None
            roles = tuple(r if isinstance(r, Split) and r.key in by else Parts(kernel) for r in child.placement.roles)
            if not any(isinstance(r, Parts) for r in roles) or any(str(r) == "all" for r in child.placement.roles):
                return None
            first = LocalAggregate(node.type, Placement(target.mesh, roles), child, by, kernel)
            return LocalAggregate(node.type, node.placement, Shuffle(node.type, target, first), by, kernel)
    return None


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
        case LocalMap(child=LocalMap(child=child, function=inner, kernels=first), function=outer, kernels=then):
            if inner is None or outer is None:
                return LocalMap(node.type, node.placement, child, inner if outer is None else outer, (*first, *then))
    return None
