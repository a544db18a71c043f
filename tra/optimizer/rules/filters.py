"""Rules on filters: fused, dropped, and moved towards the sources, where they leave less to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial

from tra.algebra.join_type import joined_names
from tra.algebra.key_function import Const, KeyExpr, Op, Opaque, Var, substitute, variables
from tra.algebra.nodes import Aggregate, Expr, Filter, Join, ReKey, Stack, Transform
from tra.algebra.operators import aggregate, filter_keys, join, rekey, stack, transform
from tra.optimizer.rules.equal import is_known, same_type
from tra.optimizer.rules.predicates import conjunction, conjuncts, is_total, simplified


def filter_filter_fuse(node: Expr) -> Expr | None:
    """σ_f(σ_g(R)) = σ_(f∧g)(R).

    Applies when: both predicates have a value on every key of R, and as much is known of the keys left.
    Source: R1-1.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> twice = A.filter(lambda i, j: i == 0).filter(lambda i, j: j == 1)
        >>> filter_filter_fuse(twice.expr).child == A.expr
        True
    """
    match node:
        case Filter(child=Filter(child=child, predicate=inner), predicate=outer):
            if not isinstance(inner, Opaque) and not isinstance(outer, Opaque) and is_total(outer):
                return same_type(node, lambda: filter_keys(child, Op("and", inner, outer)))
    return None


def filter_true_drop(node: Expr) -> Expr | None:
    """σ_f(R) = R where f holds on every live key.

    Applies when: the live keys are known, and all are kept.
    Source: R1-1, with f true.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> filter_true_drop(A.filter(lambda i: i < 5).expr) == A.expr
        True
    """
    match node:
        case Filter(child=child) if node.type == child.type and is_known(child):
            return child
    return None


def filter_rekey_push(node: Expr) -> Expr | None:
    """σ_f(ReKey_g(R)) = ReKey_g(σ_(f∘g)(R)).

    Applies when: both functions are traced, and the keys keep their domains.
    Source: R1-3.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> turned = A.rekey(lambda i, j: (j, i), keys=("a", "b")).filter(lambda a, b: a == 0)
        >>> filter_rekey_push(turned.expr).child == A.filter(lambda i, j: j == 0).expr
        True
    """
    match node:
        case Filter(child=ReKey(child=child, keys=keys, function=tuple(function)), predicate=predicate):
            if not isinstance(predicate, Opaque):
                before = substitute(predicate, dict(zip(keys, function, strict=True)))
                return same_type(node, lambda: rekey(filter_keys(child, before), function, keys))
    return None


def filter_transform_push(node: Expr) -> Expr | None:
    """σ_f(λ(R)) = λ(σ_f(R)).

    Applies when: always; a kernel does not see keys.
    Source: R1-3.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> filter_transform_push(tra.exp(A).filter(lambda i: i == 0).expr).child.child == A.expr
        True
    """
    match node:
        case Filter(child=Transform(child=child, kernel=kernel), predicate=predicate):
            return same_type(node, lambda: transform(filter_keys(child, predicate), kernel))
    return None


def filter_aggregate_push(node: Expr) -> Expr | None:
    """σ_f(Σ_g(R)) = Σ_g(σ_f(R)): f reads only keys in g, and whole groups stay or go.

    Applies when: the predicate is traced.
    Source: R1-5.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> summed = A.aggregate(by="i").filter(lambda i: i == 1)
        >>> filter_aggregate_push(summed.expr).child == A.filter(lambda i, j: i == 1).expr
        True
    """
    match node:
        case Filter(child=Aggregate(child=child, by=by, kernel=kernel), predicate=predicate):
            if not isinstance(predicate, Opaque):
                return same_type(node, lambda: aggregate(filter_keys(child, predicate), by, kernel))
    return None


def filter_join_push(node: Expr) -> Expr | None:
    """σ_f(L ⋈ R) = σ_h(σ_f'(L) ⋈ σ_f''(R)): each part of f goes where its keys are, to both sides if it can.

    Applies when: a part of the conjunction reads keys of one side only, and has a value on all of them.
    Source: R1-7.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name=n) for n in "AB")
        >>> both = A.join(B, on=[("j", "i")], kernel="matmul").filter(lambda i, j, j_2: (i == 0) & (i < j_2))
        >>> pushed = filter_join_push(both.expr)
        >>> pushed.child.left == A.filter(lambda i, j: i == 0).expr, pushed.child.right == B.expr
        (True, True)
    """
    match node:
        case Filter(child=Join() as joined, predicate=predicate) if not isinstance(predicate, Opaque):
            theirs = {
                new: Var(old)
                for old, new in joined_names(joined.left.type, joined.right.type, joined.on).items()
            }
            parts = list(conjuncts(predicate))
            of_left = [part for part in parts if _reads(part, joined.left.type.names)]
            of_right = [part for part in parts if _reads(part, theirs)]
            rest = [part for part in parts if part not in of_left and part not in of_right]
            if len(rest) < len(parts):
                moved = [substitute(part, theirs) for part in of_right]
                return same_type(node, lambda: _pushed(joined, of_left, moved, rest))
    return None


def _reads(part: KeyExpr, names: Collection[str]) -> bool:
    """Claims that a part of a predicate can be asked of one side: it reads some of its keys alone."""
    return bool(variables(part)) and all(name in names for name in variables(part)) and is_total(part)


def _pushed(
    joined: Join, of_left: Sequence[KeyExpr], of_right: Sequence[KeyExpr], rest: Sequence[KeyExpr]
) -> Expr:
    left, right = _kept(joined.left, of_left), _kept(joined.right, of_right)
    return _kept(join(left, right, joined.on, joined.kernel, truncate=joined.truncate), rest)


def _kept(expr: Expr, parts: Sequence[KeyExpr]) -> Expr:
    return filter_keys(expr, conjunction(parts)) if parts else expr


def filter_join_equate(node: Expr) -> Expr | None:
    """σ_(l=r)(L ⋈ R) = ReKey(L ⋈_(l=r) R): pairs that are thrown away are not made.

    Applies when: a part of the conjunction equates a key of L with one of R, neither is joined yet, and tiles
    and domains come out the same; the ReKey writes the joined key twice.
    Source: own; the textbook's selection over a product.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name=n) for n in "AB")
        >>> pairs = A.join(B, on=[], kernel="matmul").filter(lambda i, j, i_2, j_2: j == i_2)
        >>> equated = filter_join_equate(pairs.expr)
        >>> equated.child == A.join(B, on=[("j", "i")], kernel="matmul").expr, equated.keys
        (True, ('i', 'j', 'i_2', 'j_2'))
    """
    match node:
        case Filter(child=Join() as joined, predicate=predicate) if not isinstance(predicate, Opaque):
            parts = list(conjuncts(predicate))
            for place, left, right in _equalities(joined, parts):
                rest = parts[:place] + parts[place + 1 :]
                found = same_type(node, partial(_equated, joined, (left, right), rest))
                if found is not None:
                    return found
    return None


def _equalities(joined: Join, parts: Sequence[KeyExpr]) -> Iterator[tuple[int, str, str]]:
    """The parts that equate a key of the left with one of the right, both under their own names."""
    mine, theirs = ({pair[side] for pair in joined.on} for side in (0, 1))
    names = joined_names(joined.left.type, joined.right.type, joined.on)
    of_right = {new: old for old, new in names.items() if old not in theirs}
    of_left = set(joined.left.type.names) - mine
    for place, part in enumerate(parts):
        match part:
            case Op("==", Var(a), Var(b)):
                for left, right in ((a, b), (b, a)):
                    if left in of_left and right in of_right:
                        yield place, left, of_right[right]


def _equated(joined: Join, pair: tuple[str, str], rest: Sequence[KeyExpr]) -> Expr:
    left, right = joined.left, joined.right
    before = joined_names(left.type, right.type, joined.on)
    narrower = join(left, right, (*joined.on, pair), joined.kernel, truncate=joined.truncate)
    after = joined_names(left.type, right.type, (*joined.on, pair))
    shown = {name: Var(name) for name in left.type.names} | {before[n]: Var(after[n]) for n in before}
    names = joined.type.names
    return _kept(rekey(narrower, tuple(shown[name] for name in names), names), rest)


def filter_stack_push(node: Expr) -> Expr | None:
    """σ_f(Stack(R0, …)) = Stack(σ_(f, key = 0)(R0), …).

    Applies when: the predicate has a value on every key.
    Source: own; Stack is a disjoint union.

    Example:
        >>> import tra
        >>> from tra.algebra.operators import stack
        >>> A, B = (tra.from_array([1.0, 2.0], tile=1, name=name).expr for name in "AB")
        >>> kept = filter_keys(stack([A, B], "n"), lambda n, i: (n == 1) | (i == 0))
        >>> [type(operand).__name__ for operand in filter_stack_push(kept).operands]
        ['Filter', 'Source']
    """
    match node:
        case Filter(child=Stack(operands=operands, key=key), predicate=predicate):
            if not isinstance(predicate, Opaque) and is_total(predicate):
                asked = [simplified(substitute(predicate, {key: Const(n)})) for n in range(len(operands))]
                pairs = list(zip(operands, asked, strict=True))
                return same_type(node, lambda: stack([_if(*pair) for pair in pairs], key))
    return None


def _if(expr: Expr, predicate: KeyExpr) -> Expr:
    if isinstance(predicate, Const) and predicate.value:
        return expr
    return filter_keys(expr, predicate)
