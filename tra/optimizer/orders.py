"""In which order a sum of products multiplies its terms: trees, ranked by the work they are.

Work is what one site would do, by the formula that prices operators, from the sizes of labels alone. Where
bytes between sites matter the search decides, among the trees that this ranking leaves it.

Source: subset dynamic programming as for join orders, Moerkotte and Neumann, VLDB 2006; Pfeifer, Haegeman,
Verstraete, Phys. Rev. E 90, 2014 for contractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from tra.optimizer.cost import CostModel
from tra.optimizer.network import Network, Term, Tree
from tra.optimizer.operators import mean_length
from tra.optimizer.work import contraction_work, product_flops

ALL_TREES = 4  # up to so many terms, every tree is a candidate: 15 of them
MAX_TERMS = 10
_KEPT = 6  # candidates of larger networks
_FEW, _KEPT_OF_MANY = 7, 1  # and of those with more terms than that
_MAX_GREEDY = 60


@dataclass(frozen=True)
class Ranked:
    """A tree and its work in seconds."""

    work: float
    tree: Tree


def label_sizes(network: Network) -> tuple[dict[int, float], dict[int, float]]:
    """How many values each label of keys has, and the mean length of each label of axes.

    Example:
        >>> import tra
        >>> from tra.optimizer.network import read_network
        >>> A = tra.from_array([[1.0] * 4] * 6, tile=2, name="A")
        >>> keys, axes = label_sizes(read_network((A @ A.T).expr, lambda node: False))
        >>> sorted(keys.values()), sorted(axes.values())
        ([2.0, 3.0, 3.0], [2.0, 2.0, 2.0])
    """
    keys: dict[int, float] = {}
    axes: dict[int, float] = {}
    for term in network.terms:
        type_ = term.expr.type
        keys.update((c, float(f)) for c, f in zip(term.keys, type_.domains, strict=True))
        axes.update((c, length) for c, length in zip(term.axes, map(mean_length, type_.axes), strict=True))
    return keys, axes


def ranked_trees(network: Network, model: CostModel) -> tuple[list[Ranked], bool]:
    """The trees worth planning, least work first, and whether they are all there are.

    Up to `ALL_TREES` terms these are all trees; up to `MAX_TERMS` the best few that a dynamic program over
    subsets finds; beyond, the one that always multiplies next what is least work.

    Example:
        >>> import tra
        >>> from tra.optimizer.network import read_network
        >>> A, B = (tra.from_array([[1.0] * 50] * 50, name=name) for name in "AB")
        >>> v = tra.from_array([1.0] * 50, name="v")
        >>> found, complete = ranked_trees(read_network((A @ B @ v).expr, lambda node: False), CostModel())
        >>> [ranked.tree for ranked in found], complete
        ([(0, (1, 2)), ((0, 1), 2), ((0, 2), 1)], True)
    """
    n = len(network.terms)
    if n <= 2 or n > _MAX_GREEDY:
        return [], n <= 2
    sizes = _Sizes(network, model)
    if n > MAX_TERMS:
        return [_greedy(n, sizes)], False
    kept = None if n <= ALL_TREES else _KEPT if n <= _FEW else _KEPT_OF_MANY
    best: dict[int, list[Ranked]] = {1 << p: [Ranked(0.0, p)] for p in range(n)}
    for size in range(2, n + 1):
        for chosen in combinations(range(n), size):
            members = sum(1 << p for p in chosen)
            found = list(_trees(members, best, sizes))
            best[members] = nsmallest(len(found) if kept is None else kept, found, key=lambda r: r.work)
    return best[(1 << n) - 1], kept is None


def _greedy(n: int, sizes: _Sizes) -> Ranked:
    """The tree that multiplies next the two of least work."""
    left: dict[int, Ranked] = {1 << p: Ranked(0.0, p) for p in range(n)}
    while len(left) > 1:
        one, other = min(combinations(left, 2), key=lambda pair: sizes.work(*pair))
        a, b = left.pop(one), left.pop(other)
        left[one | other] = Ranked(a.work + b.work + sizes.work(one, other), (a.tree, b.tree))
    return left.popitem()[1]


def _trees(members: int, best: Mapping[int, list[Ranked]], sizes: _Sizes) -> Iterator[Ranked]:
    """Every tree over a set of terms whose branches are among those kept; the first term stays left."""
    first = members & -members
    rest = members ^ first
    part = rest
    while part:
        part = (part - 1) & rest
        left, right = first | part, rest ^ part
        work = sizes.work(left, right)
        for one in best[left]:
            for other in best[right]:
                yield Ranked(one.work + other.work + work, (one.tree, other.tree))


class _Sizes:
    """The work of multiplying two sets of terms."""

    def __init__(self, network: Network, model: CostModel) -> None:
        self.model = model
        keys, axes = label_sizes(network)
        self.sizes = {("k", c): s for c, s in keys.items()} | {("a", c): s for c, s in axes.items()}
        self.labels = [_labels(term) for term in network.terms]
        self.result = frozenset(_labels(network))
        self.dtypes = [term.expr.type.dtype for term in network.terms]
        self._dtypes: dict[int, np.dtype[Any]] = {}
        self._kept: dict[int, frozenset[tuple[str, int]]] = {}
        self._volumes: dict[frozenset[tuple[str, int]], tuple[float, float, int]] = {}

    def kept(self, members: int) -> frozenset[tuple[str, int]]:
        """The labels that the product of a set of terms keeps: those needed outside of it."""
        if members not in self._kept:
            inside, outside = set[tuple[str, int]](), set(self.result)
            for place, labels in enumerate(self.labels):
                (inside if members >> place & 1 else outside).update(labels)
            self._kept[members] = frozenset(inside & outside)
        return self._kept[members]

    def dtype(self, members: int) -> np.dtype[Any]:
        """The type that the product of a set of terms has."""
        if members not in self._dtypes:
            own = {dtype for place, dtype in enumerate(self.dtypes) if members >> place & 1}
            self._dtypes[members] = own.pop() if len(own) == 1 else np.result_type(*own)
        return self._dtypes[members]

    def elements(self, labels: Iterable[tuple[str, int]]) -> float:
        return prod(self.sizes[c] for c in sorted(labels))  # in an order, for floats round

    def volume(self, labels: frozenset[tuple[str, int]]) -> tuple[float, float, int]:
        """Tiles, elements of a tile, and its axes."""
        if labels not in self._volumes:
            axes = [c for c in labels if c[0] == "a"]
            keys = self.elements(c for c in labels if c[0] == "k")
            self._volumes[labels] = keys, self.elements(axes), len(axes)
        return self._volumes[labels]

    def work(self, left: int, right: int) -> float:
        one, other, kept = self.kept(left), self.kept(right), self.kept(left | right)
        n_calls, flops, rank = self.volume(one | other)
        n_kept, n_elements, kept_rank = self.volume(kept)
        is_product = rank > kept_rank
        dtypes = (self.dtype(left), self.dtype(right))
        sizes = [keys * axes for keys, axes, _ in (self.volume(one), self.volume(other))]
        dtype = self.dtype(left | right)
        work = contraction_work(
            dtype,
            (n_calls, product_flops(flops, dtype) if is_product else flops),
            sum(size * own.itemsize for size, own in zip(sizes, dtypes, strict=True)),
            (n_calls * n_elements, n_kept * n_elements),
            is_product,
        )
        return self.model.seconds(work)


def _labels(part: Term | Network) -> frozenset[tuple[str, int]]:
    return frozenset({("k", c) for c in part.keys} | {("a", c) for c in part.axes})
