"""Rules on aggregations: fused, dropped, and moved below what the kernels' laws let them pass."""

from __future__ import annotations

from collections.abc import Sequence

from tra.algebra.density import n_expected
from tra.algebra.join_type import joined_names
from tra.algebra.key_function import Var
from tra.algebra.live import frontier
from tra.algebra.nodes import Aggregate, Expr, Join, ReKey, Transform
from tra.algebra.operators import aggregate, join, transform
from tra.algebra.volume import n_bytes
from tra.algebra.whole_tensor import reorder
from tra.optimizer.rules.equal import commutes, same_type


def aggregate_aggregate_fuse(node: Expr) -> Expr | None:
    """Σ_g(Σ_h(R)) = Σ_g(R).

    Applies when: both fold with one kernel, which is associative and commutative as every aggregation.
    Source: own; R2-5 read from right to left, where nothing is between the two.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> aggregate_aggregate_fuse(A.aggregate(by="i").aggregate().expr) == A.aggregate().expr
        True
    """
    match node:
        case Aggregate(child=Aggregate(child=child, kernel=first), by=by, kernel=fold) if first == fold:
            return same_type(node, lambda: aggregate(child, by, fold))
    return None


def aggregate_identity_drop(node: Expr) -> Expr | None:
    """Σ_g(R) = R where g are all keys of R: every group is one tile.

    Applies when: always; keys in another order are re-keyed.
    Source: own.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> aggregate_identity_drop(A.aggregate(by="i").expr) == A.expr
        True
    """
    match node:
        case Aggregate(child=child, by=by) if len(by) == len(child.type.names):
            return same_type(node, lambda: reorder(child, by))
    return None


def aggregate_rekey_fold(node: Expr) -> Expr | None:
    """Σ_g(ReKey_f(R)) = ReKey(Σ_f⁻¹(g)(R)): keys that are folded away need no new names.

    Applies when: each key of g is a key of R, moved.
    Source: R1-2, for the key part alone.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> turned = A.rekey(lambda i, j: (j, i), keys=("a", "b"))
        >>> aggregate_rekey_fold(turned.aggregate(by="a").expr).child == A.aggregate(by="j").expr
        True
    """
    match node:
        case Aggregate(child=ReKey(child=child, keys=keys, function=tuple(function)), by=by, kernel=fold):
            moved = dict(zip(keys, function, strict=True))
            old = [part.name for part in (moved[name] for name in by) if isinstance(part, Var)]
            if len(set(old)) == len(by):
                renamed = dict(zip(old, by, strict=True))
                return same_type(node, lambda: reorder(aggregate(child, old, fold), old, renamed))
    return None


def aggregate_transform_push(node: Expr) -> Expr | None:
    """Σ_g(λ(R)) = λ(Σ_g(R)): the kernel runs once for every group.

    Applies when: the kernel is linear and tiles are added, or it distributes over the aggregation; there are
    fewer groups than tiles, and the kernel does not make tiles smaller, so that folding first moves no more.
    Source: R1-4.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> aggregate_transform_push((-A).aggregate().expr).child == A.aggregate().expr
        True
        >>> aggregate_transform_push(tra.tanh(A).aggregate().expr) is None
        True
    """
    match node:
        case Aggregate(child=Transform(child=child, kernel=kernel) as mapped, by=by, kernel=fold):
            fewer = n_expected(node.type) < n_expected(child.type)
            if (
                fewer
                and n_bytes(child.type) <= n_bytes(mapped.type)
                and commutes(kernel, 0, fold, child.type, mapped.type)
            ):
                return same_type(node, lambda: transform(aggregate(child, by, fold), kernel))
    return None


def aggregate_join_push(node: Expr) -> Expr | None:
    """Σ_k(L ⋈ R) = Σ_k(L) ⋈ R where only L has k, and so for R: eager aggregation.

    Applies when: the kernel is linear in that operand and tiles are added, or it distributes over the
    aggregation; k has several values. Keys that both have are folded after the join.
    Source: R3, Yuan et al. 2021; eager aggregation, Yan and Larson, VLDB 1995.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name=n) for n in "AB")
        >>> rows = A.join(B, on=[("j", "i")], kernel="matmul").aggregate(by="i")
        >>> pushed = aggregate_join_push(rows.expr)
        >>> pushed.child.right == B.aggregate(by="i").expr, pushed.child.left == A.expr
        (True, True)
    """
    match node:
        case Aggregate(child=Join() as joined):
            shown = joined_names(joined.left.type, joined.right.type, joined.on)
            kept = [
                [name for name in joined.left.type.names if not _goes(joined, 0, name, name, node)],
                [name for name in joined.right.type.names if not _goes(joined, 1, name, shown[name], node)],
            ]
            if any(_shrinks(joined, side, kept[side]) for side in (0, 1)):
                return same_type(node, lambda: _pushed(joined, kept, node))
    return None


def _goes(joined: Join, side: int, name: str, shown: str, node: Aggregate) -> bool:
    """Claims that a key of one side, shown under a name in the join, can be folded away before the join."""
    operand = joined.children[side]
    alone = name not in {pair[side] for pair in joined.on} and shown not in node.by
    return alone and commutes(joined.kernel, side, node.kernel, operand.type, joined.type)


def _shrinks(joined: Join, side: int, kept: Sequence[str]) -> bool:
    type_ = joined.children[side].type
    return any(f > 1 for name, f in zip(type_.names, frontier(type_), strict=True) if name not in kept)


def _pushed(joined: Join, kept: Sequence[Sequence[str]], node: Aggregate) -> Expr:
    left, right = (
        aggregate(child, names, node.kernel) if len(names) < len(child.type.names) else child
        for child, names in zip(joined.children, kept, strict=True)
    )
    made = join(left, right, joined.on, joined.kernel, truncate=joined.truncate)
    before = joined_names(joined.left.type, joined.right.type, joined.on)
    after = joined_names(left.type, right.type, joined.on)
    now = {name: name for name in left.type.names} | {before[name]: after[name] for name in after}
    order = [now[name] for name in node.by]
    if len(order) < len(made.type.names):
        made = aggregate(made, order, node.kernel)
    return reorder(made, order, dict(zip(order, node.by, strict=True)))
