"""Panels: a stage at a site as several tasks, each for a range of one key of its results.

What a stage receives is cut along the same key, so that the first panels are computed while the pieces for
the others are still on their way. Each panel is a pure task that owns what it makes: nothing is added up
across tasks, so that any of them may run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod, sqrt

from tra.algebra.join_type import joined_names
from tra.algebra.key_function import Var
from tra.algebra.types import RelType
from tra.algebra.volume import n_elements
from tra.optimizer.boxes import Ranges, box_of, cut
from tra.optimizer.cost import CostModel
from tra.optimizer.exchange import received
from tra.optimizer.meshes import n_sites
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalConcat,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    LocalTile,
    Make,
    Plan,
    Repartition,
    Scan,
    Shuffle,
)

MOST = 8  # panels of a stage at a site
PANEL_BYTES = 1 << 20  # bytes that are worth a piece of their own
REPACKED = 0.025  # of a product's time, that each more panel adds


@dataclass(frozen=True)
class Panels:
    """How a stage is cut.

    Attributes:
        labels: for each node whose tiles are cut, taken ones included, the key that cuts them.
        count: how many panels there are at each site.
    """

    labels: Mapping[str, str]
    count: int

    def narrowed(self, node: Plan, box: Ranges, site: int, panel: int) -> Ranges:
        """A box of a node's keys without what other panels have."""
        name = self.labels.get(node.digest)
        if name is None:
            return box
        place = node.type.names.index(name)
        low, high = box_of(node.type, node.placement, site)[place]
        first, last = (low + edge for edge in cut(high - low, self.count, panel))
        start, stop = box[place]
        return (*box[:place], (max(start, first), min(stop, last)), *box[place + 1 :])


def panels_of(nodes: Sequence[Plan], outputs: Sequence[str], model: CostModel) -> Panels | None:
    """How to cut a stage along a key of what it receives, or None where that cannot be or does not pay.

    Args:
        nodes: the nodes of the stage, in order.
        outputs: digests of its results.
        model: what transfers and products cost.

    Example:
        >>> from tra.optimizer.compile_table import compile_default
        >>> from tra.optimizer.rules.examples import product
        >>> from tra.optimizer.stages import cut_stages
        >>> slow = CostModel(bandwidth=1e6)
        >>> stages = cut_stages(compile_default((product(16384),), (2,)))
        >>> [(panels.count, sorted(set(panels.labels.values()))) for s in stages
        ...  if (panels := panels_of(s.nodes, s.outputs, slow))]
        [(2, ['i'])]
    """
    arriving = [node for node in nodes if isinstance(node, Broadcast | Shuffle)]
    if not arriving or any(isinstance(node, Repartition) for node in nodes):
        return None
    largest = max(arriving, key=_received)
    count = _best_count(_received(largest) / model.bandwidth, _seconds(nodes, model), model.latency)
    for name in largest.type.names:
        possible = min(count, _received(largest) // PANEL_BYTES, _least_range(largest, name))
        labels = _labels(nodes, largest, name) if possible > 1 else None
        if labels is not None and all(digest in labels for digest in outputs):
            return Panels(labels, possible)
    return None


def _best_count(sending: float, computing: float, latency: float) -> int:
    """How many panels are done soonest; one where none saves time.

    With c of them, what is not hidden is the transfer of the first, 1/c of all, and what each costs: a task,
    and packing the other operand anew.
    """
    each = latency / 2 + REPACKED * computing
    exposed = {count: sending / count + each * count for count in range(2, MOST + 1)} if computing else {}
    best = min(exposed, key=lambda count: exposed[count], default=1)
    return best if exposed.get(best, sending) < sending else 1


def _seconds(nodes: Sequence[Plan], model: CostModel) -> float:
    """Seconds that the products of a stage take at a site."""
    products = (n for n in nodes if isinstance(n, LocalContract | LocalJoin) and n.kernel.laws.contraction)
    return sum(2.0 * _multiplications(node) / _rate(node.type, model) for node in products)


def _multiplications(node: LocalContract | LocalJoin) -> float:
    """n·k·m of them where n·k and k·m elements give n·m; a little more where the result is not added up."""
    sizes = [n_elements(n.type, box_of(n.type, n.placement, 0)) for n in (node.left, node.right, node)]
    return sqrt(prod(sizes))


def _rate(type_: RelType, model: CostModel) -> float:
    is_single = type_.dtype.itemsize <= 4
    return model.flop_rate * (model.single_speedup if is_single else 1.0)


def _received(node: Plan) -> int:
    """Bytes that the busiest site receives."""
    assert isinstance(node, Broadcast | Shuffle)
    return max(received(node.child.type, node.child.placement, node.placement), default=0)


def _least_range(node: Plan, name: str) -> int:
    place = node.type.names.index(name)
    sites = range(n_sites(node.placement.mesh))
    boxes = (box_of(node.type, node.placement, site)[place] for site in sites)
    return min(high - low for low, high in boxes)


def _labels(nodes: Sequence[Plan], start: Plan, name: str) -> dict[str, str] | None:
    """What cuts each node when one is cut by a key; None where a result would need more than one panel's."""
    labels = {start.digest: name}
    inner = [node for node in nodes if not isinstance(node, Broadcast | Shuffle | Scan | Make)]
    if not all(_label(node, labels) for node in inner):
        return None
    found = dict(labels)  # leaves that were cut late may have been used whole before
    return found if all(_label(node, labels) for node in inner) and labels == found else None


def _label(node: Plan, labels: dict[str, str]) -> bool:
    """Labels a node by its operands; claims that each panel of it needs one panel of them."""
    match node:
        case LocalJoin(left=left, right=right, on=on):
            return _label_pair(node, left, right, on, node.type.names, labels)
        case LocalContract(left=left, right=right, on=on, by=by):
            return _label_pair(node, left, right, on, by, labels)
        case LocalMap(child=child, function=function) if child.digest in labels:
            return _label_mapped(node, labels[child.digest], function, labels)
        case LocalFilter(child=child) | LocalTile(child=child) if child.digest in labels:
            labels[node.digest] = labels[child.digest]
            return True
        case LocalAggregate(child=child, by=by) if labels.get(child.digest) in by:
            labels[node.digest] = labels[child.digest]
            return True
        case LocalConcat(child=child, key=key) if labels.get(child.digest, key) != key:
            labels[node.digest] = labels[child.digest]
            return True
        case _:
            return False  # it would be done anew for each panel


def _label_mapped(node: Plan, name: str, function: object, labels: dict[str, str]) -> bool:
    if function is None:
        labels[node.digest] = name
        return True
    places = (
        [p for p, part in enumerate(function) if part == Var(name)] if isinstance(function, tuple) else []
    )
    if places:
        labels[node.digest] = node.type.names[places[0]]
    return bool(places)


def _label_pair(
    node: Plan,
    left: Plan,
    right: Plan,
    on: Sequence[tuple[str, str]],
    kept: Sequence[str],
    labels: dict[str, str],
) -> bool:
    names = joined_names(left.type, right.type, on)
    found = {labels.get(left.digest), names.get(labels.get(right.digest, ""))} - {None}
    if len(found) != 1 or not found <= set(kept):
        return False
    (name,) = found
    assert name is not None
    theirs = next((own for own, joined in names.items() if joined == name), None)
    labels[node.digest] = name
    mine = name if name in left.type.names else None
    return all(_cut_alike(side, key, labels) for side, key in ((left, mine), (right, theirs)))


def _cut_alike(operand: Plan, name: str | None, labels: dict[str, str]) -> bool:
    """Labels an operand that has the key: a leaf, if it is not cut yet; claims that nothing else cuts it."""
    if name is not None:
        labels.setdefault(operand.digest, name)
    return labels.get(operand.digest) == name
