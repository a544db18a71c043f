"""Contractions of many operands: Σ, ⋈, transposes and re-keys read as one sum of products, and written anew.

A *network* is a bag of operands whose keys and tile axes carry labels, and the labels of the result; what is
not among these is summed. Keys and axes have labels of their own, so that any join the algebra can say is
read, whether or not its keys cut its axes. The kernels are asked for one law, `contraction`; a kernel of a
user that promises it is read like matmul.

Source: the generalized distributive law, Aji and McEliece, IEEE Trans. Inf. Theory 46(2), 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.key_function import Opaque, Var
from tra.algebra.labels import LETTERS
from tra.algebra.nodes import Aggregate, Expr, Join, ReKey, Transform
from tra.algebra.operators import aggregate, join, transform
from tra.algebra.types import Axis, RelType
from tra.algebra.whole_tensor import reorder
from tra.errors import KernelError, SchemaError

Tree: TypeAlias = "int | tuple[Tree, Tree]"


@dataclass(frozen=True)
class Term:
    """A relation with a label for each key and each axis of its tiles."""

    expr: Expr
    keys: tuple[int, ...]
    axes: tuple[int, ...]

    def key_name(self, label: int) -> str:
        """The key under a label."""
        return self.expr.type.names[self.keys.index(label)]


@dataclass(frozen=True)
class Network:
    """A sum of products.

    Attributes:
        terms: the operands.
        keys: labels of the result's keys, in order.
        axes: labels of the axes of its tiles, in order.
        tree: the order in which the query as written multiplies the terms.
        n_folded: how many transposes, re-keys and sums of one operand were read into it.
    """

    terms: tuple[Term, ...]
    keys: tuple[int, ...]
    axes: tuple[int, ...]
    tree: Tree
    n_folded: int = 0


def read_network(root: Expr, is_shared: Callable[[Expr], bool]) -> Network | None:
    """The network that a node is the result of, or None where it is no contraction.

    Products that another user needs (`is_shared`) stay operands; transposes and re-keys are read through in
    any case, for they cost nothing.

    Example:
        >>> import tra
        >>> A, B, C = (tra.from_array([[1.0, 2.0], [3.0, 4.0]], name=name) for name in "ABC")
        >>> found = read_network((A @ B @ C.T).expr, lambda node: False)
        >>> [term.expr == operand.expr for term, operand in zip(found.terms, (A, B, C))], found.tree
        ([True, True, True], ((0, 1), 2))
    """
    reader = _Reader(is_shared)
    opened = reader.open(root, alone=True)
    if not reader.n_opened:
        return None
    terms = tuple(
        Term(t.expr, tuple(map(reader.find, t.keys)), tuple(map(reader.find, t.axes))) for t in reader.terms
    )
    if len({t.expr.type.dtype for t in terms} | {root.type.dtype}) > 1 or any(map(_has_diagonal, terms)):
        return None  # the dtype of products would depend on their order
    keys, axes = (tuple(map(reader.find, labels)) for labels in (opened.keys, opened.axes))
    return Network(terms, keys, axes, opened.tree, reader.n_folded)


def _has_diagonal(term: Term) -> bool:
    return len(set(term.keys)) < len(term.keys) or len(set(term.axes)) < len(term.axes)


@dataclass(frozen=True)
class _Opened:
    keys: tuple[int, ...]
    axes: tuple[int, ...]
    tree: Tree


@dataclass
class _Reader:
    """Collects terms; labels that mean the same are united as joins are read."""

    is_shared: Callable[[Expr], bool]
    terms: list[Term] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    n_opened: int = 0
    n_folded: int = 0

    def find(self, label: int) -> int:
        while self.parents[label] != label:
            label = self.parents[label]
        return label

    def unite(self, one: int, other: int) -> None:
        self.parents[self.find(other)] = self.find(one)

    def fresh(self, n: int) -> tuple[int, ...]:
        start = len(self.parents)
        self.parents += range(start, start + n)
        return tuple(range(start, start + n))

    def open(self, node: Expr, alone: bool) -> _Opened:
        """Reads a node; one that is not `alone` is taken apart only where that costs nothing."""
        match node:
            case Aggregate(child=child, by=by, kernel=fold) if alone and fold == ADD:
                return self._sum(child, by)
            case Join(kernel=combine) if alone and self._is_product(node, combine):
                return self._product(node)
            case Transform(child=child, kernel=by) if by.laws.contraction and _is_layout(by, alone):
                return self._transform(child, by, alone)
            case ReKey(child=child, function=function) if not isinstance(function, Opaque):
                names = [part.name for part in function if isinstance(part, Var)]
                if sorted(names) == sorted(child.type.names) and len(function) == len(names):
                    self.n_folded += 1
                    inner = self.open(child, alone and not self.is_shared(child))
                    kept = tuple(inner.keys[child.type.names.index(name)] for name in names)
                    return _Opened(kept, inner.axes, inner.tree)
        return self._leaf(node)

    def _leaf(self, node: Expr) -> _Opened:
        keys, axes = self.fresh(len(node.type.keys)), self.fresh(len(node.type.axes))
        self.terms.append(Term(node, keys, axes))
        return _Opened(keys, axes, len(self.terms) - 1)

    def _sum(self, child: Expr, by: tuple[str, ...]) -> _Opened:
        self.n_opened += 1
        inner = self.open(child, not self.is_shared(child))
        kept = tuple(inner.keys[child.type.names.index(name)] for name in by)
        return _Opened(kept, inner.axes, inner.tree)

    def _transform(self, child: Expr, by: Kernel, alone: bool) -> _Opened:
        self.n_opened += 1
        self.n_folded += 1
        inner = self.open(child, alone and not self.is_shared(child))
        core = self._bind(by.signature.inputs[0], inner.axes)
        n_loops = len(inner.axes) - len(by.signature.inputs[0])
        axes = (*inner.axes[:n_loops], *(core[name] for name in by.signature.output))
        return _Opened(inner.keys, axes, inner.tree)

    def _bind(self, core: tuple[str, ...], axes: tuple[int, ...]) -> dict[str, int]:
        bound: dict[str, int] = {}
        for name, label in zip(core, axes[len(axes) - len(core) :], strict=True):
            self.unite(bound.setdefault(name, label), label)
        return bound

    def _is_product(self, node: Join, combine: Kernel) -> bool:
        """Claims that the join is a plain product: of equal domains, and without stretched axes."""
        if not combine.laws.contraction or combine.laws.linear != {0, 1} or node.truncate:
            return False
        left, right = node.left.type.axes, node.right.type.axes
        cores = combine.signature.inputs
        loops = [axes[: len(axes) - len(core)] for axes, core in zip((left, right), cores, strict=True)]
        return all(_is_like(a, b) for a, b in zip(*(reversed(axes) for axes in loops), strict=False))

    def _product(self, node: Join) -> _Opened:
        self.n_opened += 1
        left, right = (self.open(child, not self.is_shared(child)) for child in node.children)
        lt, rt = node.left.type, node.right.type
        for mine, theirs in node.on:
            self.unite(left.keys[lt.names.index(mine)], right.keys[rt.names.index(theirs)])
        joined = {theirs for _, theirs in node.on}
        free = (label for name, label in zip(rt.names, right.keys, strict=True) if name not in joined)
        one, other = node.kernel.signature.inputs
        core = self._bind(one, left.axes)
        for name, label in self._bind(other, right.axes).items():
            self.unite(core.setdefault(name, label), label)
        n_left, n_right = len(left.axes) - len(one), len(right.axes) - len(other)
        loops = self._loops(left.axes[:n_left], right.axes[:n_right])
        axes = (*loops, *(core[name] for name in node.kernel.signature.output))
        return _Opened((*left.keys, *free), axes, (left.tree, right.tree))

    def _loops(self, left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
        """Loop axes meet from the last; the longer operand has more of them."""
        for one, other in zip(reversed(left), reversed(right), strict=False):
            self.unite(one, other)
        return max(left, right, key=len)


def _is_like(one: Axis, other: Axis) -> bool:
    """Claims that neither axis is stretched to the other's length."""
    return (one.size == 1) == (other.size == 1)


def _is_layout(by: Kernel, alone: bool) -> bool:
    """Claims that taking the kernel into a product is free: it moves elements, or sums for it alone."""
    return alone or sorted(by.signature.inputs[0]) == sorted(by.signature.output)


def write_network(network: Network, tree: Tree, type_: RelType) -> Expr | None:
    """The network as pairwise contractions in the order of a tree, or None where tiles do not allow it.

    Args:
        network: the terms and the result.
        tree: which terms are multiplied first.
        type_: the type that the result must have, names of keys included.

    Example:
        >>> import tra
        >>> A, B, v = (tra.from_array(a, name=n) for a, n in (([[1.0]], "A"), ([[2.0]], "B"), ([3.0], "v")))
        >>> written = (A @ B @ v).expr
        >>> other = write_network(read_network(written, lambda node: False), (0, (1, 2)), written.type)
        >>> other == (A @ (B @ v)).expr
        True
    """
    try:
        made = finished(write_terms(network, tree), network, type_)
    except (SchemaError, KernelError):
        return None
    return made if made.type == type_ else None


def write_terms(network: Network, tree: Tree) -> Term:
    """The contraction of all terms in the order of a tree.

    Raises:
        SchemaError: tiles of unequal lengths would have to be summed.
        KernelError: tiles have unequal lengths along a label.
    """
    return _write(network, tree, _needed(network))


def finished(term: Term, network: Network, type_: RelType) -> Expr:
    """The result in the order of keys and axes that the network asks for, keys called as in the type.

    Raises:
        SchemaError: tiles of unequal lengths would have to be summed.
    """
    term = summed(term, network.keys, network.axes)
    order = [term.key_name(label) for label in network.keys]
    return reorder(term.expr, order, dict(zip(order, type_.names, strict=True)))


def _needed(network: Network) -> tuple[dict[int, int], dict[int, int]]:
    """In how many terms, the result counted as one, each label of keys and of axes stands."""
    keys: dict[int, int] = {}
    axes: dict[int, int] = {}
    parts = [(part.keys, part.axes) for part in network.terms]
    for of_keys, of_axes in (*parts, (network.keys, network.axes)):
        for counts, labels in ((keys, of_keys), (axes, of_axes)):
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
    return keys, axes


def _write(network: Network, tree: Tree, count: tuple[dict[int, int], dict[int, int]]) -> Term:
    members = _leaves(tree)
    inside = _needed(replace(network, terms=tuple(network.terms[m] for m in members), keys=(), axes=()))
    keys, axes = (
        {label for label in used if total[label] > used[label]}
        for used, total in zip(inside, count, strict=True)
    )
    if isinstance(tree, int):
        term = network.terms[tree]
        kept = [tuple(c for c in own if c in keep) for own, keep in ((term.keys, keys), (term.axes, axes))]
        return summed(term, *kept)
    left, right = _write(network, tree[0], count), _write(network, tree[1], count)
    if len(members) == len(network.terms):
        return multiplied(left, right, network.keys, network.axes)
    both = [tuple(dict.fromkeys((*a, *b))) for a, b in ((left.keys, right.keys), (left.axes, right.axes))]
    return multiplied(
        left,
        right,
        *(tuple(c for c in own if c in keep) for own, keep in zip(both, (keys, axes), strict=True)),
    )


def _leaves(tree: Tree) -> tuple[int, ...]:
    return (tree,) if isinstance(tree, int) else (*_leaves(tree[0]), *_leaves(tree[1]))


def summed(term: Term, keys: Sequence[int], axes: Sequence[int]) -> Term:
    """The term with these labels in this order along its axes; all others are summed.

    Raises:
        SchemaError: tiles of unequal lengths would have to be summed.
    """
    expr = term.expr
    if tuple(axes) != term.axes:
        expr = transform(expr, _layout_kernel(term.axes, axes))
    if set(keys) != set(term.keys):
        expr = aggregate(expr, [term.key_name(label) for label in keys], ADD)
        return Term(expr, tuple(keys), tuple(axes))
    return Term(expr, term.keys, tuple(axes))


def _layout_kernel(old: Sequence[int], new: Sequence[int]) -> Kernel:
    if set(old) == set(new):
        return kernel("transpose", axes=tuple(old.index(label) for label in new))
    letters = _letters([old])
    return einsum_kernel(f"{_word(old, letters)}->{_word(new, letters)}")


def multiplied(left: Term, right: Term, keys: Sequence[int], axes: Sequence[int]) -> Term:
    """The contraction of two terms to these labels, in this order: one Join, and one Aggregate if keys end.

    Raises:
        SchemaError: the tiles do not meet.
        KernelError: the tiles have unequal lengths along a label.
    """
    on = [(left.key_name(label), right.key_name(label)) for label in left.keys if label in right.keys]
    product = join(left.expr, right.expr, on, _product_kernel(left.axes, right.axes, axes))
    made = Term(product, (*left.keys, *(c for c in right.keys if c not in left.keys)), tuple(axes))
    if set(keys) == set(made.keys):
        return made
    return Term(aggregate(product, [made.key_name(c) for c in keys], ADD), tuple(keys), tuple(axes))


def _product_kernel(left: tuple[int, ...], right: tuple[int, ...], out: Sequence[int]) -> Kernel:
    longest = max(left, right, key=len)
    if tuple(out) == longest and all(longest[len(longest) - len(o) :] == o for o in (left, right)):
        return kernel("mul")
    letters = _letters([left, right])
    return einsum_kernel(f"{_word(left, letters)},{_word(right, letters)}->{_word(out, letters)}")


def _letters(groups: Sequence[Sequence[int]]) -> dict[int, str]:
    return {c: LETTERS[p] for p, c in enumerate(dict.fromkeys(c for group in groups for c in group))}


def _word(labels: Sequence[int], letters: dict[int, str]) -> str:
    return "".join(letters[label] for label in labels)
