"""A cost model for queries whose sources lie evenly spread before, wherever that is best."""

from __future__ import annotations

from dataclasses import dataclass

from tra.algebra.types import RelType
from tra.optimizer.cost import CostModel, n_copies
from tra.optimizer.placement import Placement

FORBIDDEN = 1e18  # seconds


@dataclass(frozen=True)
class SpreadSources(CostModel):
    """Sources come without copies: whoever needs one has to have it sent.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.placement import ALL, Split
        >>> rows = tensor_type((8, 4), "f8", ("i", "j"), 2)
        >>> SpreadSources().load(rows, Placement((2,), (ALL,)), uploads=False) == FORBIDDEN
        True
    """

    def load(self, type_: RelType, placement: Placement, uploads: bool) -> float:
        """Seconds to bring a source to its sites; so many that nobody takes it, where there are copies."""
        return FORBIDDEN if n_copies(placement) > 1 else super().load(type_, placement, uploads)
