"""Rules on what is not there: relations without a live key, and what they take part in."""

from __future__ import annotations

from tra.algebra.live import is_empty
from tra.algebra.makers import Constant
from tra.algebra.nodes import Aggregate, Expr, Generated, Source, Stack
from tra.algebra.operators import aggregate, generated, stack
from tra.optimizer.rules.equal import is_known, same_type


def empty_drop(node: Expr) -> Expr | None:
    """Whatever has no live key is the empty relation: nothing is read or moved for it.

    Applies when: the live keys are known, and there are none.
    Source: own; dead results dropped.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> empty_drop(A.filter(lambda i: i > 5).expr).children
        ()
    """
    if isinstance(node, Source | Generated) or not is_known(node) or not is_empty(node.type):
        return None
    return generated(node.type, Constant(0))


def aggregate_stack_drop(node: Expr) -> Expr | None:
    """Σ_g(Stack(R, ∅, S)) = Σ_g(Stack(R, S)).

    Applies when: the number of the operand is folded away, and some operand, but not all, has no live key.
    Source: own; dead results dropped.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> both = stack([A.expr, A.filter(lambda i: i > 5).expr], "n")
        >>> aggregate_stack_drop(aggregate(both, ["i"], "add")) == A.aggregate(by="i").expr
        True
    """
    match node:
        case Aggregate(child=Stack(operands=operands, key=key), by=by, kernel=fold) if key not in by:
            alive = [o for o in operands if not is_known(o) or not is_empty(o.type)]
            if 0 < len(alive) < len(operands):
                return same_type(
                    node, lambda: aggregate(stack(alive, key) if len(alive) > 1 else alive[0], by, fold)
                )
    return None
