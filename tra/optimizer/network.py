"""Contractions of many operands: Σ, ⋈, transposes and re-keys read as one sum of products, and written anew.

A *network* is a bag of operands whose keys and tile axes carry labels, and the labels of the result; what is
not among these is summed. Keys and axes have labels of their own, so that any join the algebra can say is
read, whether or not its keys cut its axes. The kernels are asked for one law, `contraction`; a kernel of a
user that promises it is read like matmul.

Source: the generalized distributive law, Aji and McEliece, IEEE Trans. Inf. Theory 46(2), 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tra.algebra.kernel import Kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.key_function import Opaque, Var
from tra.algebra.labels import LETTERS
from tra.algebra.nodes import Aggregate, Expr, Join, ReKey, Transform
from tra.algebra.types import Axis

_MAX_DEPTH = 120  # nodes under each other: what lies deeper is a network of its own
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
        kernels: the products as written, by the einsum that they are: a user's kernel serves where it can.
    """

    terms: tuple[Term, ...]
    keys: tuple[int, ...]
    axes: tuple[int, ...]
    tree: Tree
    n_folded: int = 0
    kernels: Mapping[str, Kernel] = field(default_factory=dict)


def read_network(root: Expr, is_shared: Callable[[Expr], bool], folds_layouts: bool = True) -> Network | None:
    """The network that a node is the result of, or None where it is no contraction.

    Products that another user needs (`is_shared`) stay operands; transposes and re-keys are read through in
    any case, for they cost nothing. Without `folds_layouts` transposes are operands too: a product is that of
    its operands as they are written.

    Example:
        >>> import tra
        >>> A, B, C = (tra.from_array([[1.0, 2.0], [3.0, 4.0]], name=name) for name in "ABC")
        >>> found = read_network((A @ B @ C.T).expr, lambda node: False)
        >>> [term.expr == operand.expr for term, operand in zip(found.terms, (A, B, C))], found.tree
        ([True, True, True], ((0, 1), 2))
    """
    reader = _Reader(is_shared, folds_layouts)
    opened = reader.open(root, alone=True)
    if not reader.n_opened:
        return None
    terms = tuple(
        Term(t.expr, tuple(map(reader.find, t.keys)), tuple(map(reader.find, t.axes))) for t in reader.terms
    )
    if any(map(_has_diagonal, terms)):
        return None
    keys, axes = (tuple(map(reader.find, labels)) for labels in (opened.keys, opened.axes))
    return Network(terms, keys, axes, opened.tree, reader.n_folded, reader.kernels)


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
    folds_layouts: bool = True
    terms: list[Term] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    n_opened: int = 0
    n_folded: int = 0
    depth: int = 0
    kernels: dict[str, Kernel] = field(default_factory=dict)

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
        if self.depth >= _MAX_DEPTH:
            return self._leaf(node)
        self.depth += 1
        try:
            return self._opened(node, alone)
        finally:
            self.depth -= 1

    def _opened(self, node: Expr, alone: bool) -> _Opened:
        match node:
            case Aggregate(child=child, by=by, kernel=fold) if alone and fold == ADD:
                return self._sum(child, by)
            case Join(kernel=combine) if alone and self._is_product(node, combine):
                return self._product(node)
            case Transform(child=child, kernel=by) if by.laws.contraction and self._is_read(by, alone):
                return self._transform(child, by, alone)
            case ReKey(child=child, function=function) if not isinstance(function, Opaque):
                names = [part.name for part in function if isinstance(part, Var)]
                if sorted(names) == sorted(child.type.names) and len(function) == len(names):
                    self.n_folded += 1
                    inner = self.open(child, alone and not self.is_shared(child))
                    kept = tuple(inner.keys[child.type.names.index(name)] for name in names)
                    return _Opened(kept, inner.axes, inner.tree)
        return self._leaf(node)

    def _is_read(self, by: Kernel, alone: bool) -> bool:
        """Claims that taking the kernel into a product is free: it moves elements, or sums for it alone."""
        moves = sorted(by.signature.inputs[0]) == sorted(by.signature.output)
        return self.folds_layouts if moves else alone

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
        self.kernels.setdefault(_spec_of(node.kernel), node.kernel)
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


def _spec_of(combine: Kernel) -> str:
    """The einsum that a product of tiles without further axes is."""
    one, other = combine.signature.inputs
    names = {name: LETTERS[place] for place, name in enumerate(dict.fromkeys((*one, *other)))}
    words = ("".join(names[name] for name in core) for core in (one, other, combine.signature.output))
    return "{},{}->{}".format(*words)


def _is_like(one: Axis, other: Axis) -> bool:
    """Claims that neither axis is stretched to the other's length."""
    return (one.size == 1) == (other.size == 1)
