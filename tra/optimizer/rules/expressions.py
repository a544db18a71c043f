"""Rules on expressions that always help: fused re-keys, undone cuts, nodes that do nothing."""

from __future__ import annotations

from tra.algebra.key_function import Var, substitute
from tra.algebra.nodes import Concat, Expr, ReKey, Retile, Tile, Transform
from tra.algebra.operators import rekey
from tra.algebra.retiling import full_windows, retile
from tra.optimizer.rules.equal import same_type


def rekey_rekey_fuse(node: Expr) -> Expr | None:
    """ReKey_f(ReKey_g(R)) = ReKey_(f∘g)(R).

    Applies when: both functions are traced.
    Source: R1-2.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> twice = A.rekey(lambda i, j: (j, i), keys=("a", "b")).rekey(lambda a, b: (b, a), keys=("x", "y"))
        >>> rekey_rekey_fuse(twice.expr).child == A.expr
        True
    """
    match node:
        case ReKey(
            child=ReKey(child=child, keys=middle, function=tuple(inner)), keys=keys, function=tuple(outer)
        ):
            bindings = dict(zip(middle, inner, strict=True))
            fused = tuple(substitute(expr, bindings) for expr in outer)
            return same_type(node, lambda: rekey(child, fused, keys))
    return None


def rekey_identity_drop(node: Expr) -> Expr | None:
    """ReKey_id(R) = R.

    Applies when: every component is the key it replaces, under the same name.
    Source: R1-2.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> rekey_identity_drop(A.rekey(lambda i: i, keys="i").expr) == A.expr
        True
    """
    match node:
        case ReKey(child=child, keys=keys, function=tuple(function)) if node.type == child.type:
            if keys == child.type.names and function == tuple(map(Var, keys)):
                return child
    return None


def concat_tile_cancel(node: Expr) -> Expr | None:
    """Concat_(κ,a)(Tile_(a,t,κ)(R)) = R.

    Applies when: the key and axis of the Concat are those of the Tile.
    Source: Yuan et al. 2021, section 2 (worked example).

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], keys=(), name="A")
        >>> concat_tile_cancel(A.tile(0, 2, "k").concat("k", 0).expr) == A.expr
        True
    """
    match node:
        case Concat(child=Tile(child=child, axis=tiled, key=cut), key=key, axis=axis) if (key, axis) == (
            cut,
            tiled,
        ):
            return child if node.type == child.type else None
    return None


def retile_same_drop(node: Expr) -> Expr | None:
    """Retile(R) = R where R is cut like this already.

    Applies when: one operand, full windows, equal types.
    Source: own; Retile means Concat and Tile.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=2, name="A")
        >>> retile_same_drop(A.retile(2).expr) == A.expr
        True
    """
    match node:
        case Retile(operands=(child,), windows=(windows,)) if windows == full_windows(child.type):
            return child if node.type == child.type else None
    return None


def retile_retile_fuse(node: Expr) -> Expr | None:
    """Retile_c(Retile_d(R)) = Retile_c(R).

    Applies when: both have one operand and full windows, and the keys come in the same order.
    Source: R2-1, for exchanges of elements.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=1, name="A")
        >>> retile_retile_fuse(A.retile(2).retile(3).expr).children == (A.expr,)
        True
    """
    match node:
        case Retile(operands=(Retile(operands=(child,), windows=(inner,)) as middle,), windows=(outer,)):
            if inner == full_windows(child.type) and outer == full_windows(middle.type):
                return same_type(node, lambda: retile([child], node.cuts))
    return None


def transform_identity_drop(node: Expr) -> Expr | None:
    """λ_id(R) = R.

    Applies when: the kernel is once its argument, by its laws.
    Source: R1-2.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0], name="A")
        >>> transform_identity_drop(A.transform("identity").expr) == A.expr
        True
    """
    match node:
        case Transform(child=child, kernel=kernel) if kernel.laws.coefficients == (1.0,):
            return child if node.type == child.type else None
    return None


def transform_inverse_drop(node: Expr) -> Expr | None:
    """λ_g(λ_f(R)) = R where g undoes f: −(−R) = R.

    Applies when: each kernel is its argument or its negative, by its laws, and both together change nothing.
    Source: R1-2.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0], name="A")
        >>> transform_inverse_drop((-(-A)).expr) == A.expr
        True
    """
    match node:
        case Transform(child=Transform(child=child, kernel=first), kernel=then) if node.type == child.type:
            if first.laws.coefficients == then.laws.coefficients == (-1.0,):
                return child
    return None
