"""What a plan costs: bytes that cross between sites, work on the slowest site, and seconds made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tra.algebra.live import frontier
from tra.algebra.nodes import Retile
from tra.algebra.types import RelType
from tra.algebra.volume import n_bytes
from tra.optimizer.exchange import exchange_bytes, paper_elements, received, repartition_pieces
from tra.optimizer.placement import ALL, Parts, Placement, Scattered, Split, n_sites
from tra.optimizer.strategies import Choice


@dataclass(frozen=True)
class CostModel:
    """Constants of the cluster that turn counts into seconds.

    Attributes:
        bandwidth: bytes per second that one site receives.
        flop_rate: floating-point operations per second of one site.
        memory_bandwidth: bytes per second that one site reads and writes in memory.
        latency: seconds for one exchange, whatever its size.
        upload: bytes per second from the client to the sites; 0 when data is in the same process.
        paper: counts elements sent as the paper does, and nothing else.
    """

    bandwidth: float = 1.0e9
    flop_rate: float = 5.0e10
    memory_bandwidth: float = 5.0e9
    latency: float = 4.0e-3
    upload: float = 0.0
    paper: bool = False

    def transfer(self, type_: RelType, have: Placement, need: Placement) -> float:
        """Seconds to bring a relation from one placement to another, by the cheapest route."""
        if have == need:
            return 0.0
        return sum(self._step(type_, a, b) for a, b in route(type_, have, need))

    def _step(self, type_: RelType, have: Placement, need: Placement) -> float:
        if self.paper:
            return float(paper_elements(type_, have, need))
        most = max(received(type_, have, need), default=0)
        return most / self.bandwidth + (self.latency if most else 0.0)

    def repartition(self, expr: Retile, have: tuple[Placement, ...], need: Placement) -> float:
        """Seconds to cut tensors anew."""
        types = tuple(o.type for o in expr.operands)
        found = repartition_pieces(types, have, expr.type, need, expr.along, expr.windows)
        totals = [0] * n_sites(need.mesh)
        for piece, _, n in found:
            if piece.source != piece.target:
                totals[piece.target] += n * expr.type.dtype.itemsize
        if self.paper:
            return float(sum(totals) // expr.type.dtype.itemsize)
        return max(totals) / self.bandwidth + (self.latency if any(totals) else 0.0)

    def work(self, choice: Choice) -> float:
        """Seconds of computing on the slowest site."""
        if self.paper:
            return 0.0
        share = choice.share
        return share * (choice.flops / self.flop_rate + choice.bytes_touched / self.memory_bandwidth)

    def load(self, type_: RelType, placement: Placement, uploads: bool) -> float:
        """Seconds to bring a source to its sites; copies cost, so that a split is preferred to a copy."""
        if self.paper:
            return 0.0
        copies = 1
        for g, role in zip(placement.mesh, placement.roles, strict=True):
            copies *= g if role == ALL else 1
        sent = n_bytes(type_) * copies
        slowest = sent / max(n_sites(placement.mesh), 1) / self.memory_bandwidth
        return slowest + (sent / self.upload if uploads and self.upload else 0.0)


@lru_cache(maxsize=1 << 14)
def route(type_: RelType, have: Placement, need: Placement) -> tuple[tuple[Placement, Placement], ...]:
    """The steps of a conversion: parts that end up everywhere go by way of a split, where one pays.

    A reduce-scatter and an all-gather move 2(1 − 1/g)·n per site, sending all parts to all (g − 1)·n.
    """
    if not have.parts or not all(need.roles[d] == ALL for d in have.parts):
        return ((have, need),)
    best, best_bytes = ((have, need),), exchange_bytes(type_, have, need)
    for name, extent in zip(type_.names, frontier(type_), strict=True):
        if extent < 2 or Split(name) in need.roles:
            continue
        roles = tuple(Split(name) if d in have.parts else r for d, r in enumerate(need.roles))
        middle = Placement(need.mesh, roles)
        total = exchange_bytes(type_, have, middle) + exchange_bytes(type_, middle, need)
        if total < best_bytes:
            best, best_bytes = ((have, middle), (middle, need)), total
    return best


def is_legal(have: Placement, need: Placement) -> bool:
    """Claims that an exchange from one placement to the other exists: nothing turns into parts or scatters."""
    return all(
        have.roles[d] == role if isinstance(role, (Parts, Scattered)) else True for d, role in enumerate(need.roles)
    )
