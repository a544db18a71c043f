"""The plan language: the paper's implementation algebra over sites.

A plan says where each relation lies (its placement) and how it is made there. Local operators work on the
tiles of one site; exchanges move tiles between sites. Nodes are frozen data with a content digest, like
expressions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

from tra.algebra.kernel import Kernel
from tra.algebra.key_function import KeyExpr, KeyFunction, Opaque
from tra.algebra.nodes import Cut, Maker, Node, Window
from tra.algebra.types import KeySet
from tra.optimizer.placement import Placement


@dataclass(frozen=True, eq=False, repr=False)
class PlanNode(Node):
    """What all plan nodes have: a relation type, and the placement of the result."""

    placement: Placement


@dataclass(frozen=True, eq=False, repr=False)
class Scan(PlanNode):
    """Each site reads its share of a stored relation."""

    id: str
    version: str
    name: str


@dataclass(frozen=True, eq=False, repr=False)
class Make(PlanNode):
    """Each site makes its share of a generated source."""

    maker: Maker


@dataclass(frozen=True, eq=False, repr=False)
class Broadcast(PlanNode):
    """Every tile to every site."""

    child: Plan

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Shuffle(PlanNode):
    """Every tile to the sites its placement names; parts arrive as a bag."""

    child: Plan

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class Repartition(PlanNode):
    """Cuts whole tensors anew and sends each piece where it is needed: one exchange of boxes of elements."""

    operands: tuple[Plan, ...]
    along: int
    windows: tuple[tuple[Window, ...], ...]
    cuts: tuple[Cut, ...]

    @property
    def children(self) -> tuple[Plan, ...]:
        """All operands."""
        return self.operands


@dataclass(frozen=True, eq=False, repr=False)
class LocalJoin(PlanNode):
    """⋈ᴸ: pairs the tiles of one site."""

    left: Plan
    right: Plan
    on: tuple[tuple[str, str], ...]
    kernel: Kernel

    @property
    def children(self) -> tuple[Plan, ...]:
        """Left, right."""
        return (self.left, self.right)


@dataclass(frozen=True, eq=False, repr=False)
class LocalContract(PlanNode):
    """Σᴸ∘⋈ᴸ fused: pairs the tiles of one site and folds the results as they come; none is kept.

    Attributes:
        only: the keys of the result that anybody needs, or None for all; tiles at others may be left out.
    """

    left: Plan
    right: Plan
    on: tuple[tuple[str, str], ...]
    kernel: Kernel
    by: tuple[str, ...]
    fold: Kernel
    only: KeySet | None = None

    @property
    def children(self) -> tuple[Plan, ...]:
        """Left, right."""
        return (self.left, self.right)


@dataclass(frozen=True, eq=False, repr=False)
class LocalAggregate(PlanNode):
    """Σᴸ: folds the tiles of one site."""

    child: Plan
    by: tuple[str, ...]
    kernel: Kernel

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class LocalFilter(PlanNode):
    """σᴸ: keeps tiles of one site by key."""

    child: Plan
    predicate: KeyExpr | Opaque

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class LocalMap(PlanNode):
    """λᴸ: maps the keys of one site's tiles (`function`; None for identity) and the tiles through kernels."""

    child: Plan
    function: KeyFunction | None
    kernels: tuple[Kernel, ...]

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class LocalTile(PlanNode):
    """Cuts each tile of one site along an axis."""

    child: Plan
    axis: int
    size: int
    key: str

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class LocalConcat(PlanNode):
    """Glues the tiles of one site along an axis in the order of a key."""

    child: Plan
    key: str
    axis: int

    @property
    def children(self) -> tuple[Plan, ...]:
        """The one operand."""
        return (self.child,)


@dataclass(frozen=True, eq=False, repr=False)
class LocalStack(PlanNode):
    """Disjoint union at one site."""

    operands: tuple[Plan, ...]
    key: str

    @property
    def children(self) -> tuple[Plan, ...]:
        """All operands."""
        return self.operands


Exchange: TypeAlias = Broadcast | Shuffle | Repartition
Plan: TypeAlias = (
    Scan
    | Make
    | Broadcast
    | Shuffle
    | Repartition
    | LocalJoin
    | LocalContract
    | LocalAggregate
    | LocalFilter
    | LocalMap
    | LocalTile
    | LocalConcat
    | LocalStack
)


def is_exchange(node: Plan) -> bool:
    """Claims that the node moves tiles between sites.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> is_exchange(scan()), is_exchange(Shuffle(scan().type, scan().placement, scan()))
        (False, True)
    """
    return isinstance(node, Broadcast | Shuffle | Repartition)


def plan_order(*roots: Plan) -> Iterator[Plan]:
    """Every plan node below the roots, operands first, in an order that depends on the plan alone.

    Example:
        >>> from tra.optimizer.rules.examples import scan, split
        >>> [type(node).__name__ for node in plan_order(Shuffle(scan().type, split("j"), scan()))]
        ['Scan', 'Shuffle']
    """
    seen: set[str] = set()
    stack: list[tuple[Plan, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node.digest in seen:
            continue
        if ready:
            seen.add(node.digest)
            yield node
        else:
            stack.append((node, True))
            stack.extend((cast(Plan, child), False) for child in reversed(node.children))
