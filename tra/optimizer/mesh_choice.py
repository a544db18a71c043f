"""Which meshes to search: all where there are few, else those that look best operator by operator.

On a thousand sites there are hundreds of meshes. Each is ranked by what its operators would receive and
compute at least, each in its own best split and its operands lying as well as they can; the search proper
then prices the few best exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from math import prod

from tra.algebra.live import frontier
from tra.algebra.nodes import Retile
from tra.algebra.volume import n_bytes
from tra.optimizer.cost import CostModel
from tra.optimizer.meshes import Mesh, meshes
from tra.optimizer.operators import Operator, is_leaf
from tra.optimizer.strategies import split_labels

MAX_SEARCHED = 8
_BEST = 4
_MAX_TOLD_APART = 256  # operators: beyond, orders of a mesh's dimensions are not worth their time


@dataclass(frozen=True)
class _Shape:
    """What the ranking knows of an operator: frontiers of its labels, bytes of its operands and result."""

    frontiers: tuple[tuple[str, int], ...]
    operands: tuple[tuple[frozenset[str], int], ...]
    result: tuple[frozenset[str], int]
    work: float


def meshes_to_search(
    graph: Mapping[str, Operator], n_sites: int, model: CostModel, ordered: bool
) -> tuple[list[Mesh], bool]:
    """The meshes to search, and whether these are all there are.

    Two orders of a mesh's dimensions differ where a key that both split is needed split by one of them: the
    first cuts coarse ranges. That takes two operators, relations that lie somewhere, or a Retile.

    Args:
        graph: the operators.
        n_sites: how many sites there are.
        model: the cost model, which ranks meshes where there are too many.
        ordered: relations lie somewhere already, or have to in the end.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.rules.examples import product as example
        >>> meshes_to_search(operator_graph(example(2000)), 8, CostModel(), ordered=False)
        ([(8,), (4, 2), (2, 2, 2)], True)
    """
    operators = [operator for operator in graph.values() if not is_leaf(operator)]
    told_apart = ordered or _tells_orders_apart(operators)
    found = meshes(n_sites, ordered or (told_apart and len(operators) <= _MAX_TOLD_APART))
    if not ordered and len(found) > MAX_SEARCHED:
        found = meshes(n_sites, ordered=False)
    if len(found) <= MAX_SEARCHED:
        return found, not told_apart or _are_all_orders(found)
    shapes = [_shape(operator, model) for operator in operators]
    price = {mesh: sum(_least(shape, mesh, model.bandwidth) for shape in shapes) for mesh in found}
    kept = sorted(found, key=lambda mesh: price[mesh])[:_BEST]
    return [mesh for mesh in found if mesh in kept or len(mesh) == 1], False


def _tells_orders_apart(operators: Sequence[Operator]) -> bool:
    return len(operators) > 1 or any(isinstance(operator.expr, Retile) for operator in operators)


def _are_all_orders(found: Collection[Mesh]) -> bool:
    return all(order in found for mesh in found for order in permutations(mesh))


def _shape(operator: Operator, model: CostModel) -> _Shape:
    labels = split_labels(operator)
    frontiers = dict(zip(operator.labelled.names, frontier(operator.labelled), strict=True))
    operands = zip(operator.input_keys, operator.children, strict=True)
    return _Shape(
        tuple((label, frontiers[label]) for label in labels),
        tuple((_among(labels, own), n_bytes(child.type)) for own, child in operands),
        (frozenset(c for c in labels if operator.output_key(c) is not None), n_bytes(operator.type)),
        model.work(operator),
    )


def _among(labels: Collection[str], own: Collection[str]) -> frozenset[str]:
    return frozenset(label for label in labels if label in own)


@lru_cache(maxsize=1 << 16)
def _least(shape: _Shape, mesh: Mesh, bandwidth: float) -> float:
    """Seconds of an operator in its best split, its operands evenly spread before."""
    names = [name for name, _ in shape.frontiers]
    return min(_price(shape, mesh, vector, bandwidth) for vector in product([*names, None], repeat=len(mesh)))


def _price(shape: _Shape, mesh: Mesh, vector: tuple[str | None, ...], bandwidth: float) -> float:
    parts = {
        name: prod(g for g, c in zip(mesh, vector, strict=True) if c == name) for name, _ in shape.frontiers
    }
    share = {name: -(-f // parts[name]) / f for name, f in shape.frontiers}
    spread = 1 / prod(mesh)
    received = sum(
        size * max(prod(share[c] for c in sorted(labels)) - spread, 0.0) for labels, size in shape.operands
    )
    kept, size = shape.result
    folded = prod(n for name, n in parts.items() if name not in kept)
    received += size * prod(share[c] for c in sorted(kept)) * (1 - 1 / folded)
    return received / bandwidth + shape.work * prod(share.values())
