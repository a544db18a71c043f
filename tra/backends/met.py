"""What a stage meets at a site where relations have holes: how many tiles, and how many pairs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tra.algebra.density import n_matches
from tra.backends.tiles import Tiles
from tra.optimizer.densities import Met, counts_pairs, is_holed
from tra.optimizer.meshes import site_coordinates
from tra.optimizer.placement import Placement
from tra.optimizer.plan import LocalContract, LocalJoin, Plan
from tra.optimizer.roles import Replicated


def met_at(node: Plan, made: Tiles, inputs: Sequence[Tiles], site: int) -> Met | None:
    """What a node met at a site; None where nothing has holes, or another site counts the same.

    Args:
        node: the node.
        made: its result.
        inputs: its operands; none where it ran in one pass with others, which counts no pairs.
        site: the site.

    Example:
        >>> import numpy as np
        >>> from tra.optimizer.rules.examples import scan
        >>> met_at(scan(), Tiles(np.array([[0, 0]]), [np.eye(2)]), [], 0) is None  # it is dense
        True
    """
    if not is_holed(node) or not _counts(node.placement, site):
        return None
    pairs = None
    if inputs and counts_pairs(node):
        assert isinstance(node, LocalJoin | LocalContract)
        names = [(node.left.type.names.index(a), node.right.type.names.index(b)) for a, b in node.on]
        mine, theirs = zip(*names, strict=True) if names else ((), ())
        pairs = n_matches(inputs[0].keys[:, mine], inputs[1].keys[:, theirs])
    return Met(None if node.placement.parts else len(made.keys), pairs)


@lru_cache(maxsize=1 << 12)
def _counts(placement: Placement, site: int) -> bool:
    """Claims that a site is the first of those that hold the same."""
    coords = site_coordinates(placement.mesh, site)
    return all(
        c == 0 for c, role in zip(coords, placement.roles, strict=True) if isinstance(role, Replicated)
    )
