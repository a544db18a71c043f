"""What a plan costs: bytes that cross between sites, work on the slowest site, and seconds made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from tra.algebra.live import frontier
from tra.algebra.nodes import Retile
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes, n_elements
from tra.optimizer.exchange import paper_elements, received, received_at_most
from tra.optimizer.meshes import n_sites
from tra.optimizer.operators import Operator
from tra.optimizer.placement import Placement, splitting
from tra.optimizer.repartition import repartition_received
from tra.optimizer.roles import ALL, Parts, Scattered, Split
from tra.optimizer.work import Work


@dataclass(frozen=True)
class CostModel:
    """Constants of the cluster that turn counts into seconds.

    Attributes:
        bandwidth: bytes per second that one site receives.
        flop_rate: operations per second of one site in products of large float64 tiles, complex ones too.
        half_edge: the edge of a tile at which products run at half that rate.
        single_speedup: how much faster they are for numbers of half the size.
        element_rate: operations per second of one site in other kernels, and in products of integers.
        memory_bandwidth: bytes per second that one site reads and writes in memory.
        latency: seconds for one exchange, whatever its size.
        upload: bytes per second from the client to the sites; 0 when data is in the same process.
        decoding: bytes per second that one site makes of chunks that are encoded, such as those of zarr.
        paper: counts elements sent as the paper does, and nothing else.
        tie_break: what a second counts in elements then, so that of equal counts the fastest is chosen.
    """

    bandwidth: float = 1.0e9
    flop_rate: float = 5.0e10
    half_edge: float = 0.0
    single_speedup: float = 1.0
    element_rate: float = 5.0e9
    memory_bandwidth: float = 5.0e9
    latency: float = 4.0e-3
    upload: float = 0.0
    decoding: float = 5.0e8
    paper: bool = False
    tie_break: float = 1e-3

    def transfer(self, type_: RelType, have: Placement, need: Placement) -> float:
        """Seconds to bring a relation from one placement to another, by the cheapest route."""
        if have == need:
            return 0.0
        return sum(self._step(type_, a, b) for a, b in route(type_, have, need))

    def _step(self, type_: RelType, have: Placement, need: Placement) -> float:
        seconds = self._sent_seconds(received(type_, have, need))
        return self._counted(paper_elements(type_, have, need), seconds) if self.paper else seconds

    def _counted(self, elements: int, seconds: float) -> float:
        """The paper's count, and what decides between equal counts."""
        return elements + self.tie_break * seconds

    def _sent_seconds(self, received_bytes: tuple[int, ...]) -> float:
        """What the busiest site receives, and the latency: an exchange ends a stage, whatever it sends."""
        return max(received_bytes, default=0) / self.bandwidth + self.latency

    def repartition(self, expr: Retile, have: tuple[Placement, ...], need: Placement) -> float:
        """Seconds to cut tensors anew; in the paper's count a shuffle."""
        types = tuple(o.type for o in expr.operands)
        moved = repartition_received(types, have, expr.type, need, expr.along, expr.windows)
        seconds = self._sent_seconds(moved)
        return self._counted(n_elements(expr.type), seconds) if self.paper else seconds

    def work(self, operator: Operator) -> float:
        """The price of an operator on one site: seconds, or next to nothing in the paper's count."""
        seconds = self.seconds(operator.work)
        return self._counted(0, seconds) if self.paper else seconds

    def seconds(self, work: Work) -> float:
        """Seconds that one site would take for some work."""
        return work.flops / self.rate(work) + work.bytes_touched / self.memory_bandwidth

    def rate(self, work: Work) -> float:
        """Operations per second of one site: products that BLAS runs depend on their size and numbers."""
        if not work.product_edge:
            return self.element_rate
        speedup = self.single_speedup if work.is_single else 1.0
        return self.flop_rate * speedup * work.product_edge / (work.product_edge + self.half_edge)

    def load(
        self, type_: RelType, placement: Placement, uploads: bool = False, is_encoded: bool = False
    ) -> float:
        """Seconds to bring a source to its sites; copies cost, so that a split is preferred to a copy.

        Args:
            type_: the source.
            placement: where it is needed.
            uploads: the client sends it.
            is_encoded: whoever reads it decodes it.
        """
        copies = n_copies(placement)
        sent = n_bytes(type_) * copies
        each = sent / n_sites(placement.mesh)
        seconds = each / self.memory_bandwidth + (each / self.decoding if is_encoded else 0.0)
        seconds += sent / self.upload if uploads and self.upload else 0.0
        if not self.paper:
            return seconds
        return self._counted(n_elements(type_) * copies if copies > 1 else 0, seconds)


def n_copies(placement: Placement) -> int:
    """How many copies of each tile there are.

    Example:
        >>> n_copies(Placement((2, 3), (ALL, Split("i"))))
        2
    """
    return prod(g for g, role in zip(placement.mesh, placement.roles, strict=True) if role == ALL)


@lru_cache(maxsize=1 << 14)
def route(type_: RelType, have: Placement, need: Placement) -> tuple[tuple[Placement, Placement], ...]:
    """The steps of a conversion: parts that end up everywhere go by way of a split, where one pays.

    A reduce-scatter and an all-gather move 2(1 − 1/g)·n per site, sending all parts to all (g − 1)·n.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.algebra.sources import tensor_type
        >>> t = tensor_type((12, 4), "f8", ("i", "j"), (1, 4))
        >>> [str(step) for _, step in route(t, Placement((4,), (Parts(ADD),)), Placement((4,), (ALL,)))]
        ['split(i) on 4', 'all on 4']
    """
    straight = ((have, need),)
    if have.mesh != need.mesh or not have.parts or not all(need.roles[d] == ALL for d in have.parts):
        return straight
    found: list[tuple[tuple[Placement, Placement], ...]] = [straight]
    for name, extent in zip(type_.names, frontier(type_), strict=True):
        if extent > 1 and not splitting(need, name):
            roles = tuple(Split(name) if d in have.parts else r for d, r in enumerate(need.roles))
            middle = Placement(need.mesh, roles)
            found.append(((have, middle), (middle, need)))
    return min(found, key=lambda steps: sum(sum(received_at_most(type_, a, b)) for a, b in steps))


def is_legal(have: Placement, need: Placement) -> bool:
    """Claims that an exchange from one placement to the other exists: nothing turns into parts or scatters.

    Example:
        >>> is_legal(Placement((2,), (ALL,)), Placement((2,), (Split("i"),)))
        True
    """
    fixed = (Parts, Scattered)
    if have.mesh != need.mesh:
        return not any(isinstance(role, fixed) for role in need.roles)
    kept = {role for role in need.roles if isinstance(role, Parts)}
    if any(h in kept and h != n for h, n in zip(have.roles, need.roles, strict=True)):
        return False  # ranges of one key nest: one dimension alone says nothing
    return all(h == n for h, n in zip(have.roles, need.roles, strict=True) if isinstance(n, fixed))
