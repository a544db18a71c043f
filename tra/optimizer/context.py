"""What planning knows besides the query: the cluster, where relations lie, and what the user wishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tra.optimizer.cost import CostModel
from tra.optimizer.hint import Hint
from tra.optimizer.placement import Placement
from tra.optimizer.reproducible.level import Level


@dataclass(frozen=True)
class Context:
    """What the search knows of the cluster and of stored relations.

    Attributes:
        n_sites: how many sites there are.
        model: the cost model.
        placed: placements of stored relations, by source id.
        uploads: source ids whose tiles the client has to send.
        encoded: source ids whose tiles are decoded by whoever reads them: chunks of zarr, Parquet.
        targets: placements that results must end in, by digest.
        memory_limit: bytes that one operator may use at one site, or None.
        without: names of rules that are switched off.
        hints: what the user asks of operators, and not the cost.
        tolerance: rounding that rules may add, as a part of the largest product: multiplying sums out does.
        open: ids of sources whose tile sizes may be chosen, because the results are wanted as whole tensors.
        spread: sources lie evenly spread before the query begins, wherever that is best, and copies of them
            have to be sent.
        tile_bytes: the most that a tile of an open source should have, or None: a run in windows of few
            tiles needs small ones.
        level: how little the bits of results may depend on how they are computed.
        is_written: the query is written as the level has it already.
        cuttable: ids of sources that are read in whatever tiles, at no cost.
    """

    n_sites: int = 1
    model: CostModel = field(default_factory=CostModel)
    placed: Mapping[str, Placement] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset()
    encoded: frozenset[str] = frozenset()
    targets: Mapping[str, Placement] = field(default_factory=dict)
    memory_limit: int | None = None
    without: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    tolerance: float = 0.0
    open: frozenset[str] = frozenset()
    spread: bool = False
    tile_bytes: int | None = None
    level: Level = "run"
    is_written: bool = False
    cuttable: frozenset[str] = frozenset()
