"""Tools for testing queries and kernels: `check_kernel`, `check_type`, Hypothesis strategies of relations.

The strategies need Hypothesis, which is not installed with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tra.algebra import current, reference
from tra.algebra.kernel_check import check_kernel, random_tile
from tra.algebra.live import box_keys, live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.random_query import Chooser, Query, grow
from tra.algebra.relation import Relation, from_array, from_tiles
from tra.algebra.retiling import check_whole
from tra.algebra.type_check import check_type
from tra.algebra.types import Axis, Box, Key, KeySet, RelType, Tile, TileKey, as_link
from tra.errors import PlanError

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

T = TypeVar("T")
DTYPES = ("float64", "float32", "int64", "int32", "bool", "complex64")
_NAMES = "ijkl"


class ReferenceEngine:
    """A session that runs queries on the reference evaluator, and checks the type of every result."""

    def tiles(self, relation: Relation) -> dict[TileKey, Tile]:
        """Tiles by key, in order."""
        tiles = reference.evaluate(relation.expr, relation.sources)
        check_type(relation.expr, tiles)
        return dict(sorted(tiles.items()))

    def compute(self, *relations: Relation) -> tuple[Tile, ...]:
        """Whole tensors as arrays."""
        for relation in relations:
            check_whole(relation.expr.type, "compute")
        return tuple(reference.to_array(self.tiles(r), r.expr.type) for r in relations)

    def __getattr__(self, name: str) -> Any:
        raise PlanError(f"the reference evaluator computes and does nothing else; {name} needs a session")


@contextmanager
def reference_session() -> Iterator[ReferenceEngine]:
    """Makes the reference evaluator the session in force.

    Example:
        >>> with reference_session():
        ...     (from_array(np.eye(2)) * 3).compute()
        array([[3., 0.],
               [0., 3.]])
    """
    engine = ReferenceEngine()
    current.push(engine)
    try:
        yield engine
    finally:
        current.remove(engine)


@cache
def _composite(build: Callable[..., T]) -> Callable[..., SearchStrategy[T]]:
    """A strategy for each function that draws: made once, as making one reads the source of the function."""
    from hypothesis import strategies as st

    return st.composite(build)


def dtypes() -> SearchStrategy[np.dtype[Any]]:
    """Dtypes of tiles: floats and integers of both sizes, truth values, complex numbers.

    Example:
        >>> from hypothesis import find
        >>> find(dtypes(), lambda dtype: dtype.kind == "c")
        dtype('complex64')
    """
    from hypothesis import strategies as st

    return st.sampled_from([np.dtype(name) for name in DTYPES])


def arrays(shape: Sequence[int], dtype: Any = None) -> SearchStrategy[Tile]:
    """Arrays of small values that floats hold exactly.

    Example:
        >>> from hypothesis import find
        >>> find(arrays((2, 3), "float32"), lambda array: array.any()).shape
        (2, 3)
    """
    return _composite(_draw_array)(tuple(shape), dtype)


def _draw_array(draw: DrawFn, shape: tuple[int, ...], dtype: Any) -> Tile:
    from hypothesis import strategies as st

    found = draw(dtypes()) if dtype is None else np.dtype(dtype)
    return random_tile(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), shape, found)


@dataclass(frozen=True)
class Tensor:
    """A relation, and the whole tensor it stands for."""

    relation: Relation
    array: Tile


def shapes(max_rank: int = 3, min_rank: int = 0) -> SearchStrategy[tuple[int, ...]]:
    """Shapes with prime, unit and zero extents.

    Example:
        >>> from hypothesis import find
        >>> find(shapes(max_rank=2), lambda shape: len(shape) == 2), find(shapes(), lambda shape: 0 in shape)
        ((3, 3), (0,))
    """
    from hypothesis import strategies as st

    extents = st.sampled_from([3, 5, 7, 2, 4, 1, 1, 0])
    return st.lists(extents, min_size=min_rank, max_size=max_rank).map(tuple)


def tensors(
    shape: Sequence[int] | None = None, dtype: Any = None, max_rank: int = 3, min_rank: int = 0
) -> SearchStrategy[Tensor]:
    """Whole tensors cut at random: ragged tiles, tiles of tiles, one tile, tiles of one element, uncut axes.

    Args:
        shape: the shape of the tensor; random when left out.
        dtype: the dtype; random when left out.
        max_rank: the largest rank of a random shape.
        min_rank: the smallest rank of a random shape.

    Example:
        >>> from hypothesis import find
        >>> ragged = find(tensors((3,), "float64"), lambda tensor: tensor.relation.tile_shape == (2,))
        >>> str(ragged.relation.expr.type), ragged.array.shape
        ('[i:2] of 2/3 float64', (3,))
    """
    return _composite(_draw_tensor)(shape, dtype, max_rank, min_rank)


def _draw_tensor(
    draw: DrawFn, shape: Sequence[int] | None, dtype: Any, max_rank: int, min_rank: int
) -> Tensor:
    from hypothesis import strategies as st

    extents = draw(shapes(max_rank, min_rank)) if shape is None else tuple(shape)
    array = draw(arrays(extents, dtype))
    names = draw(st.permutations(_NAMES))[: draw(st.integers(0, len(extents)))]
    sizes = [draw(st.integers(1, 8)) for _ in names]
    relation = from_array(array, keys=names, tile=sizes)
    for place, axis in enumerate(relation.expr.type.axes):
        divisors = [d for d in (1, 2, 3) if axis.size and axis.size % d == 0]
        if divisors and draw(st.integers(0, 3)) == 0:
            relation = relation.tile(place, draw(st.sampled_from(divisors)), f"{place}_")
    return Tensor(relation, array)


def relations(dtype: Any = None, max_keys: int = 3, max_rank: int = 3) -> SearchStrategy[Relation]:
    """Relations of any kind: keys that cut no axis, one or two, mixed-radix links, holes, no keys, no tiles.

    Args:
        dtype: the dtype; random when left out.
        max_keys: the largest number of keys.
        max_rank: the largest rank of the tiles.

    Example:
        >>> from hypothesis import find
        >>> find(relations("float64", max_keys=1), lambda relation: relation.nbytes == 0).tiles()
        {}
    """
    return _composite(_draw_relation)(dtype, max_keys, max_rank)


def _draw_relation(draw: DrawFn, dtype: Any, max_keys: int, max_rank: int) -> Relation:
    from hypothesis import strategies as st

    found = draw(dtypes()) if dtype is None else np.dtype(dtype)
    keys = tuple(Key(name, draw(st.integers(1, 4))) for name in _NAMES[: draw(st.integers(0, max_keys))])
    axes = tuple(draw(_axes(keys)) for _ in range(draw(st.integers(0, max_rank))))
    whole = with_live(RelType(keys, axes, found, Box(())), Box(tuple((0, key.domain) for key in keys)))
    every = box_keys(whole) if isinstance(whole.live, Box) else live_keys(whole)
    kept = draw(st.sampled_from(["all", "all", "some", "none"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chosen = every[random.random(len(every)) < {"all": 1.0, "some": 0.6, "none": 0.0}[kept]]
    lengths = whole.tile_lengths(chosen).tolist()
    tiles = {
        tuple(key): random_tile(random, tuple(shape), found)
        for key, shape in zip(chosen.tolist(), lengths, strict=True)
    }
    relation = from_tiles(tiles, [k.name for k in keys], axes, [k.domain for k in keys])
    if not tiles:
        source = replace(relation.expr, type=replace(whole, live=KeySet(chosen)))
        return Relation(source, dict(relation.sources))
    return relation


def queries(max_steps: int = 6) -> SearchStrategy[list[Query]]:
    """Queries made of the operators in random order: each with the one it grew from before it.

    Args:
        max_steps: the largest number of operators.

    Example:
        >>> from hypothesis import find
        >>> grown = find(queries(), lambda queries: len(queries) == 3)
        >>> [type(query).__name__ for query in grown]
        ['Query', 'Query', 'Query']
    """
    return _composite(_draw_queries)(max_steps)


def _draw_queries(draw: DrawFn, max_steps: int) -> list[Query]:
    from hypothesis import strategies as st

    choose = Chooser(lambda low, high: draw(st.integers(low, high)))
    if draw(st.booleans()):
        tensor = draw(tensors())
        grown = [Query(tensor.relation, tensor.array)]
    else:
        grown = [Query(draw(relations()))]
    for _ in range(draw(st.integers(0, max_steps))):
        query = grow(grown[-1], choose)
        if query is not grown[-1] and query.relation.nbytes < 1 << 18:
            grown.append(query)
    return grown


def _axes(keys: Sequence[Key]) -> SearchStrategy[Axis]:
    """Axes cut by no key, by one, or by two as a tile of a tile; some extents leave keys without a tile."""
    return _composite(_draw_axis)(keys)


def _draw_axis(draw: DrawFn, keys: Sequence[Key]) -> Axis:
    from hypothesis import strategies as st

    cut = draw(st.permutations(keys))[: draw(st.integers(0, min(len(keys), 2)))]
    size = draw(st.sampled_from([2, 3, 1, 4, 0] if not cut else [2, 3, 1, 4]))
    if not cut:
        return Axis(size, (), size)
    factors = [prod(key.domain for key in cut[place + 1 :]) for place in range(len(cut))]
    reach = size * prod(key.domain for key in cut)
    extent = draw(st.integers(1, reach) | st.integers(max(reach - size, 0) + 1, reach))
    return Axis(size, as_link({key.name: f for key, f in zip(cut, factors, strict=True)}), extent)


__all__ = [
    "DTYPES", "ReferenceEngine", "Tensor", "arrays", "check_kernel", "check_type", "dtypes", "queries",
    "reference_session", "relations", "shapes", "tensors",
]  # fmt: skip
