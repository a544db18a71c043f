"""The operators a plan is chosen for: expression nodes, with Σ over ⋈ taken together as one contraction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from tra.algebra.density import n_expected
from tra.algebra.kernel import Kernel, flops_of
from tra.algebra.key_function import KeyFunction, Opaque, Var
from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Source,
    Tile,
    Transform,
    postorder,
)
from tra.algebra.operators import joined_names
from tra.algebra.types import Axis, KeySet, RelType
from tra.algebra.volume import n_bytes, n_elements
from tra.optimizer.work import Work, contraction_work, product_flops


@dataclass(frozen=True)
class Operator:
    """One thing to place: an expression node, or an Aggregate with the Join below it.

    Attributes:
        expr: the node whose result this is.
        join: the Join that is fused into it, or None.
        needed: the part of its tiles that is computed, where what it is joined with has holes.
    """

    expr: Expr
    join: Join | None = None
    needed: float = 1.0

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
        """The relation whose keys a plan may split: a contraction's join, the child of a one-operand node."""
        match self.expr:
            case Aggregate(child=child):
                return self.join.type if self.join is not None else child.type
            case (
                Filter(child=child)
                | Transform(child=child)
                | Tile(child=child)
                | Concat(child=child)
                | ReKey(child=child)
            ):
                return child.type
            case _:
                return self.type

    @cached_property
    def input_keys(self) -> tuple[Mapping[str, str], ...]:
        """For each operand, its own name of each label; labels that operands cut differently are left out."""
        join = self.join or self.expr
        if not isinstance(join, Join):
            return tuple({name: name for name in child.type.names} for child in self.children)
        left, right = join.left.type, join.right.type
        unequal = {mine for mine, theirs in join.on if left.domain(mine) != right.domain(theirs)}
        names = joined_names(left, right, join.on)
        both = ({name: name for name in left.names}, {new: old for old, new in names.items()})
        return tuple({label: own for label, own in side.items() if label not in unequal} for side in both)

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
    def work(self) -> Work:
        """What it does over all sites, from mean tile sizes."""
        operand_bytes, n_made = sum(n_bytes(child.type) for child in self.children), n_elements(self.type)
        match self.join or self.expr:
            case Join(type=joined):
                calls = (self.needed * n_expected(joined), self.flops_per_call)
                n_joined = n_elements(joined) if self.join is not None else n_made
                made = (self.needed * n_joined, self.needed * n_made)
                dtype, is_product = self.type.dtype, self.is_product
                return contraction_work(dtype, calls, operand_bytes, made, is_product)
            case Transform(child=child):
                flops = n_expected(child.type) * self.flops_per_call
            case Aggregate(child=child):
                flops = max(float(n_elements(child.type) - n_made), 0.0)
            case _:
                flops = 0.0
        return Work(flops, operand_bytes + n_bytes(self.type))

    @property
    def flops(self) -> float:
        """Floating-point operations over all sites."""
        return self.work.flops

    @property
    def is_product(self) -> bool:
        """Claims that the kernel multiplies two operands and sums, as a matrix product does."""
        kernel = self.kernel
        if kernel is None or not kernel.laws.contraction or kernel.arity != 2:
            return False
        return len({d for core in kernel.signature.inputs for d in core}) > len(kernel.signature.output)

    @cached_property
    def flops_per_call(self) -> float:
        """Operations of the kernel on tiles of mean size; what it declares is for real numbers."""
        node = self.join or self.expr
        if not isinstance(node, Join | Transform):
            return 0.0
        flops = _call_flops(node.kernel, [child.type for child in node.children])
        return product_flops(flops / 2, self.type.dtype) if self.is_product else flops


def _moved_key(
    old: RelType, new: RelType, keys: Sequence[str], function: KeyFunction, label: str
) -> str | None:
    if isinstance(function, Opaque):
        return None
    for name, expr in zip(keys, function, strict=True):
        if expr == Var(label) and new.domain(name) == old.domain(label):
            return name
    return None


def _call_flops(kernel: Kernel, operands: Sequence[RelType]) -> float:
    """Operations of one call on tiles of mean size: those of full tiles, less what ragged axes lack."""
    dims: dict[str, int] = dict(kernel.sizes)
    loops = ragged = 1.0
    for core, operand in zip(kernel.signature.inputs, operands, strict=True):
        n_loops = len(operand.axes) - len(core)
        loops = max(loops, prod(map(mean_length, operand.axes[:n_loops])))
        for name, axis in zip(core, operand.axes[n_loops:], strict=True):
            if name not in dims:
                dims[name] = axis.size
                ragged *= mean_length(axis) / max(axis.size, 1)
    return flops_of(kernel, dims, loops) * ragged


def mean_length(axis: Axis) -> float:
    """The mean length of the tiles along an axis.

    Example:
        >>> mean_length(Axis(2, (("i", 1),), 7))
        1.75
    """
    return axis.extent / axis.n_tiles if axis.link else float(axis.size)


def operator_graph(*roots: Expr) -> dict[str, Operator]:
    """The operators of a query by digest, operands first; a Join that one Aggregate uses is fused into it.

    Source: fused contraction; the products of an einsum are never stored (Yuan et al. 2021, R1-6 and R2-5).

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> [type(operator.expr).__name__ for operator in operator_graph(product()).values()]
        ['Source', 'Source', 'Aggregate']
    """
    users: dict[str, list[Expr]] = {}
    order = list(postorder(*roots))
    for node in order:
        for child in node.children:
            users.setdefault(child.digest, []).append(node)
    kept = {root.digest for root in roots}
    fused: dict[str, Join] = {}
    for node in order:
        alone = [type(user) for user in users.get(node.digest, [])] == [Aggregate]
        if isinstance(node, Join) and alone and node.digest not in kept:
            fused[node.digest] = node
    found: dict[str, Operator] = {}
    for node in order:
        if node.digest not in fused:
            join = fused.get(node.child.digest) if isinstance(node, Aggregate) else None
            needed = 1.0 if join is None else _needed(node, users, kept)
            found[node.digest] = Operator(node, join, needed)
    return found


def _needed(product: Expr, users: Mapping[str, Sequence[Expr]], kept: Collection[str]) -> float:
    """The part of a product's tiles that its only user joins, where that joins all of its keys.

    Source: the rule `join_contract_mask`, which leaves out the others.
    """
    above = users.get(product.digest, []) if product.digest not in kept else []
    match above:
        case [ReKey() | Transform() as user] if n_expected(user.type) == n_expected(product.type):
            return _needed(user, users, kept)
        case [Join(left=left, right=right) as user] if left != right and len(user.on) == len(
            product.type.keys
        ):
            other = right if left == product else left
            if isinstance(other.type.live, KeySet) and len(other.type.keys) == len(user.on):
                return min(n_expected(user.type) / max(n_expected(product.type), 1.0), 1.0)
    return 1.0


def is_leaf(operator: Operator) -> bool:
    """Claims that the operator is a source, stored or generated.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> [is_leaf(operator) for operator in operator_graph(product()).values()]
        [True, True, False]
    """
    return isinstance(operator.expr, Source | Generated)
