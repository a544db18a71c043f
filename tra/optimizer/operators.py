"""The operators a plan is chosen for: expression nodes, with Σ over ⋈ taken together as one contraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from tra.algebra.kernel import Kernel, flops_of
from tra.algebra.live import n_live
from tra.algebra.nodes import (
    Aggregate, Concat, Expr, Filter, Generated, Join, ReKey, Retile, Source, Stack, Tile, Transform, postorder,
)  # fmt: skip
from tra.algebra.operators import joined_names
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes, n_elements


@dataclass(frozen=True)
class Operator:
    """One thing to place: an expression node, or an Aggregate with the Join below it.

    Attributes:
        expr: the node whose result this is.
        join: the Join that is fused into it, or None.
    """

    expr: Expr
    join: Join | None = None

    @property
    def digest(self) -> str:
        """The digest of the result."""
        return self.expr.digest

    @property
    def type(self) -> RelType:
        """The type of the result."""
        return self.expr.type

    @property
    def children(self) -> tuple[Expr, ...]:
        """The operands."""
        return self.join.children if self.join is not None else self.expr.children

    @property
    def labelled(self) -> RelType:
        """The relation whose keys a plan may split: the join of a contraction, the child of a one-operand node."""
        match self.expr:
            case Aggregate(child=child):
                return self.join.type if self.join is not None else child.type
            case Filter(child=child) | Transform(child=child) | Tile(child=child) | Concat(child=child) | ReKey(child=child):
                return child.type
            case _:
                return self.type

    @cached_property
    def input_keys(self) -> tuple[Mapping[str, str], ...]:
        """For each operand, its own name of each label."""
        join = self.join or self.expr
        if isinstance(join, Join):
            left, right = join.left.type, join.right.type
            names = joined_names(left, right, join.on)
            unequal = {l for l, r in join.on if left.domain(l) != right.domain(r)}
            both = ({n: n for n in left.names}, {new: old for old, new in names.items()})
            return tuple({k: v for k, v in own.items() if k not in unequal} for own in both)
        if isinstance(self.expr, Stack):
            return tuple({n: n for n in child.type.names} for child in self.children)
        return tuple({n: n for n in child.type.names} for child in self.children)

    def output_key(self, label: str) -> str | None:
        """The result's name of a label, or None when it ends here."""
        match self.expr:
            case ReKey(child=child, keys=keys, function=function):
                return _moved_key(child.type, self.type, keys, function, label)
            case _:
                return label if label in self.type.names else None

    @property
    def kernel(self) -> Kernel | None:
        """The kernel applied to each tile or pair, if any."""
        match self.join or self.expr:
            case Join(kernel=kernel) | Transform(kernel=kernel):
                return kernel
            case _:
                return None

    @cached_property
    def flops(self) -> float:
        """Floating-point operations over all sites, from mean tile sizes."""
        match self.join or self.expr:
            case Join(left=left, right=right, kernel=kernel, type=type_):
                folded = _fold_flops(type_, self.type) if self.join is not None else 0.0
                return n_live(type_) * _call_flops(kernel, [left.type, right.type], type_) + folded
            case Transform(child=child, kernel=kernel):
                return n_live(child.type) * _call_flops(kernel, [child.type], self.type)
            case Aggregate(child=child):
                return _fold_flops(child.type, self.type)
            case _:
                return 0.0

    @cached_property
    def bytes_touched(self) -> int:
        """Bytes read and written by the operator over all sites."""
        return sum(n_bytes(child.type) for child in self.children) + n_bytes(self.type)


def _moved_key(old: RelType, new: RelType, keys: tuple[str, ...], function: object, label: str) -> str | None:
    from tra.algebra.key_function import Var

    if not isinstance(function, tuple):
        return None
    for name, expr in zip(keys, function, strict=True):
        if expr == Var(label) and new.domain(name) == old.domain(label):
            return name
    return None


def _fold_flops(before: RelType, after: RelType) -> float:
    return max(float(n_elements(before) - n_elements(after)), 0.0)


def _call_flops(kernel: Kernel, operands: list[RelType], result: RelType) -> float:
    dims: dict[str, float] = {}
    loops = 1.0
    for core, operand in zip(kernel.signature.inputs, operands, strict=True):
        lengths = [axis.extent / axis.n_tiles if axis.link else float(axis.size) for axis in operand.axes]
        n_loops = len(lengths) - len(core)
        loops = max(loops, prod(lengths[:n_loops]))
        dims.update(zip(core, lengths[n_loops:], strict=True))
    dims.update((name, float(size)) for name, size in kernel.sizes)
    return flops_of(kernel, dims, loops)  # type: ignore[arg-type]


def operator_graph(*roots: Expr) -> dict[str, Operator]:
    """The operators of a query by digest, operands first; a Join with one user, an Aggregate, is fused into it.

    Source: fused contraction; the products of an einsum are never stored (Yuan et al. 2021, R1-6 and R2-5).
    """
    users: dict[str, list[Expr]] = {}
    order = list(postorder(*roots))
    for node in order:
        for child in node.children:
            users.setdefault(child.digest, []).append(node)
    kept = {root.digest for root in roots}
    fused = {
        node.digest: node for node in order
        if isinstance(node, Join) and node.digest not in kept
        and [type(u) for u in users.get(node.digest, [])] == [Aggregate]
    }  # fmt: skip
    graph = {}
    for node in order:
        if node.digest in fused:
            continue
        below = fused.get(node.child.digest) if isinstance(node, Aggregate) else None
        graph[node.digest] = Operator(node, below)
    return graph


def is_leaf(operator: Operator) -> bool:
    """Claims that the operator is a source."""
    return isinstance(operator.expr, (Source, Generated))


def is_retile(operator: Operator) -> bool:
    """Claims that the operator is itself an exchange."""
    return isinstance(operator.expr, Retile)
