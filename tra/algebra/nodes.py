"""Expression nodes: the seven operators of the algebra, and what they cannot say.

Nodes are frozen data. They hold no arrays and no user methods; the constructors in `operators` check them
and compute their type. A content digest, made once from the fields with children by their digests, serves
for hash, equality and names, so that a shared node costs nothing to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any, TypeAlias

from tra.algebra.kernel import Kernel
from tra.algebra.key_function import KeyExpr, KeyFunction, Opaque
from tra.algebra.makers import Constant, Iota, Maker, Random
from tra.algebra.types import RelType


@dataclass(frozen=True, eq=False)
class Node:
    """What all nodes have: a type, and a digest of everything else."""

    type: RelType
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        hidden = ("digest", "type") if self.children else ("digest",)  # the type follows from the operands
        named = [f.name for f in fields(self) if f.name not in hidden]
        parts = [type(self).__name__, *(f"{name}={digest_text(getattr(self, name))}" for name in named)]
        object.__setattr__(self, "digest", sha256("\0".join(parts).encode()).hexdigest()[:24])

    @property
    def children(self) -> tuple[Any, ...]:
        """The operands, left to right."""
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __dask_tokenize__(self) -> tuple[str, str]:
        """The digest: without it Dask walks every shared node again and again."""
        return (type(self).__name__, self.digest)

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{self.digest[:8]} {self.type}>"


def digest_text(value: Any) -> str:
    """A text that is equal exactly when the field values are.

    Example:
        >>> digest_text((1, ("i", None))), digest_text((1.0, ("i", None)))
        ("(1,('i',None))", "(1.0,('i',None))")
    """
    match value:
        case Node():
            return value.digest
        case Kernel():
            return repr(value.identity_key)
        case Opaque():
            return f"opaque {value.digest}"
        case RelType():
            return f"{value.keys!r} {value.axes!r} {value.dtype!r} {value.live!r}"
        case tuple():
            return "(" + ",".join(map(digest_text, value)) + ")"
        case _:
            return repr(value)


@dataclass(frozen=True, eq=False, repr=False)
class Source(Node):
    """A stored relation, known by id and version; the session binds it to data."""

    id: str
    version: str
    name: str


@dataclass(frozen=True, eq=False, repr=False)
class Generated(Node):
    """A relation that is computed from its keys wherever it is needed: constant, iota, random."""

    maker: Maker


@dataclass(frozen=True, eq=False, repr=False)
class Aggregate(Node):
    """Σ: fold the tiles that agree on the keys `by`."""

    child: Expr
    by: tuple[str, ...]
    kernel: Kernel

    @property
    def children(self) -> tuple[Expr, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Join(Node):
    """⋈: pair the tiles whose keys agree on `on` (left name, right name), and apply a kernel to each pair."""

    left: Expr
    right: Expr
    on: tuple[tuple[str, str], ...]
    kernel: Kernel
    truncate: bool

    @property
    def children(self) -> tuple[Expr, ...]:
        """Left, right."""
        return (self.left, self.right)


@dataclass(frozen=True, eq=False, repr=False)
class ReKey(Node):
    """Replace each key by a function of it; the keys stay unique."""

    child: Expr
    keys: tuple[str, ...]
    function: KeyFunction

    @property
    def children(self) -> tuple[Expr, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Filter(Node):
    """σ: keep the tuples whose key satisfies the predicate."""

    child: Expr
    predicate: KeyExpr | Opaque

    @property
    def children(self) -> tuple[Expr, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Transform(Node):
    """λ: apply a kernel to each tile."""

    child: Expr
    kernel: Kernel

    @property
    def children(self) -> tuple[Expr, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Tile(Node):
    """Cut each tile along an axis; the piece number becomes the last key."""

    child: Expr
    axis: int
    size: int
    key: str

    @property
    def children(self) -> tuple[Expr, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Node):
    """Glue the tiles along an axis in the order of a key; the key disappears."""

    child: Expr
    key: str
    axis: int

    @property
    def children(self) -> tuple[Expr, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Stack(Node):
    """Disjoint union of relations under a new first key."""

    operands: tuple[Expr, ...]
    key: str

    @property
    def children(self) -> tuple[Expr, ...]:
        """All operands."""
        return self.operands


@dataclass(frozen=True, slots=True)
class Cut:
    """How one axis is cut: tile size and key name, or not at all (both None)."""

    size: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The elements ``start, start + step, …`` (`count` of them) along an axis of the whole tensor."""

    start: int
    step: int
    count: int


@dataclass(frozen=True, eq=False, repr=False)
class Retile(Node):
    """Windows of whole tensors, laid end to end along an axis and cut anew; physically one exchange.

    With one operand and full windows this means Concat and Tile per axis; slices are narrower windows and
    concatenation has several operands.
    """

    operands: tuple[Expr, ...]
    along: int
    windows: tuple[tuple[Window, ...], ...]
    cuts: tuple[Cut, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        """All operands."""
        return self.operands


Expr: TypeAlias = (
    Source | Generated | Aggregate | Join | ReKey | Filter | Transform | Tile | Concat | Stack | Retile
)


def name_of(expr: Expr) -> str:
    """The name of a source; empty for what is computed.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0], name="A")
        >>> name_of(A.expr), name_of((A + 1).expr)
        ('A', '')
    """
    return expr.name if isinstance(expr, Source) else ""


def shown(expr: Expr) -> str:
    """What messages call an expression: its type, and its name where it has one.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0], name="A")
        >>> shown(A.expr), shown((A + 1).expr)
        ('A[i:1] of 1 float64', '[i:1] of 1 float64')
    """
    return f"{name_of(expr)}{expr.type}"


def postorder(*roots: Expr) -> Iterator[Expr]:
    """Every node below the roots, operands before users, each once.

    Example:
        >>> from tra.algebra.operators import join, transform
        >>> from tra.algebra.sources import tensor_type
        >>> A = Source(tensor_type((4,), "f8", ("i",), 2), "a", "0", "A")
        >>> [type(n).__name__ for n in postorder(join(A, transform(A, "exp"), "i", "mul"))]
        ['Source', 'Transform', 'Join']
    """
    seen: set[str] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node.digest in seen:
            continue
        if ready:
            seen.add(node.digest)
            yield node
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children) if child.digest not in seen)


__all__ = [
    "Aggregate", "Concat", "Constant", "Cut", "Expr", "Filter", "Generated", "Iota", "Join", "Maker", "Node",
    "Random", "ReKey", "Retile", "Source", "Stack", "Tile", "Transform", "Window", "digest_text", "name_of",
    "postorder",
]  # fmt: skip
