"""Densities: which part of its tiles a relation with holes has, as a plan assumes and as a run met it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tra.algebra.density import density, n_pairs
from tra.algebra.live import is_dense, n_live, required
from tra.algebra.types import RelType
from tra.optimizer.plan import LocalContract, LocalJoin, Plan, is_exchange


@dataclass(frozen=True)
class Met:
    """What a run met at a node, over all sites.

    Attributes:
        tiles: tiles of the result; None where sites hold parts of them.
        pairs: pairs of tiles that were joined; None where nothing is joined.
    """

    tiles: int | None
    pairs: int | None

    def __add__(self, other: Met) -> Met:
        return Met(_sum(self.tiles, other.tiles), _sum(self.pairs, other.pairs))


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def add_met(total: dict[str, Met], found: Mapping[str, Met]) -> None:
    """Adds what was met at one site, or in one panel, to what was met before.

    Example:
        >>> total = {"r0": Met(1, 2)}
        >>> add_met(total, {"r0": Met(3, 4), "r1": Met(5, None)})
        >>> total
        {'r0': Met(tiles=4, pairs=6), 'r1': Met(tiles=5, pairs=None)}
    """
    for digest, met in found.items():
        total[digest] = total[digest] + met if digest in total else met


@lru_cache(maxsize=256)
def is_holed(node: Plan) -> bool:
    """Claims that a local operator, or what it joins, has holes or may have some; exchanges change nothing.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> is_holed(scan())
        False
    """
    operands: Sequence[Plan] = node.children if isinstance(node, LocalJoin | LocalContract) else ()
    return not is_exchange(node) and not all(is_dense(part.type) for part in (node, *operands))


def counts_pairs(node: Plan) -> bool:
    """Claims that a node joins all pairs that match; of those that few results need nobody keeps count.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> counts_pairs(scan())
        False
    """
    return isinstance(node, LocalJoin) or (isinstance(node, LocalContract) and node.only is None)


def densities(node: Plan, met: Mapping[str, Met] | None) -> dict[str, Any]:
    """The part of its tiles that a node's result has, and of its pairs; None where there are no holes.

    Args:
        node: a node of a plan.
        met: what a run met by digest, or None where none was measured.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> densities(scan(), None)
        {'density': None, 'pairs': None}
    """
    if not is_holed(node):
        return {"density": None, "pairs": None}
    found = (met or {}).get(node.digest, Met(None, None))
    tiles = None if is_dense(node.type) else _figure(density(node.type), found.tiles, _n_most(node.type))
    if not counts_pairs(node):
        return {"density": tiles, "pairs": None}
    assert isinstance(node, LocalJoin | LocalContract)
    left, right = node.left.type, node.right.type
    on = tuple((left.names.index(mine), right.names.index(theirs)) for mine, theirs in node.on)
    most = n_pairs(required(left), required(right), on)
    return {"density": tiles, "pairs": _figure(n_pairs(left, right, on) / max(most, 1), found.pairs, most)}


def _figure(predicted: float, found: int | None, most: float) -> dict[str, float | None]:
    return {"predicted": predicted, "measured": None if found is None else found / max(most, 1)}


def _n_most(type_: RelType) -> int:
    return n_live(required(type_))
