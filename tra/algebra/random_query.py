"""Random queries for tests: the operators in any order, and beside them what NumPy makes of the whole tensor.

Each step takes a query and grows it by one operator. Where the step means something for the whole tensor, the
array follows; where it does not (holes, keys that say nothing about places), the array is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tra.algebra.live import is_dense
from tra.algebra.nodes import Constant, Iota, Random
from tra.algebra.operators import generated, stack
from tra.algebra.relation import Relation
from tra.algebra.retiling import check_links, free_keys
from tra.algebra.types import RelType, Tile
from tra.errors import KernelError, SchemaError


@dataclass(frozen=True)
class Query:
    """A relation, and the whole tensor it stands for, where that is known."""

    relation: Relation
    array: Tile | None = None

    @property
    def type(self) -> RelType:
        """The type of the relation."""
        return self.relation.expr.type

    def then(self, relation: Relation, array: Tile | None = None) -> Query:
        """The query after one more operator."""
        return Query(relation, array)


class Chooser:
    """Random choices, one number at a time; `integer(low, high)` includes both ends."""

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        self.integer = integer

    def one(self, items: Sequence[Any]) -> Any:
        """One of the items."""
        return items[self.integer(0, len(items) - 1)]

    def some(self, items: Sequence[Any]) -> list[Any]:
        """Some of the items, in random order."""
        order = sorted(items, key=lambda _: self.integer(0, 1000))
        return order[: self.integer(0, len(order))]


def grow(query: Query, choose: Chooser) -> Query:
    """The query with one more operator; unchanged where the operator drawn does not fit it.

    Example:
        >>> import tra
        >>> query, draw = Query(tra.from_array(np.ones(3), tile=2), np.ones(3)), np.random.default_rng(3)
        >>> grow(query, Chooser(lambda low, high: int(draw.integers(low, high + 1))))
        Query(relation=[] of 3 float64, array=array([1., 1., 1.]))
    """
    step: Callable[[Query, Chooser], Query] = choose.one(STEPS)
    try:
        return step(query, choose)
    except (SchemaError, KernelError):
        return query


def _aggregate(query: Query, choose: Chooser) -> Query:
    type_ = query.type
    names = choose.some(type_.names)
    how = choose.one(["add", "max", "min"])
    result = query.relation.aggregate(by=names, kernel=how)
    free = [key.name for key in free_keys(type_)]
    gone = [name for name in type_.names if name not in names]
    if query.array is None or not set(gone) <= set(free):
        return query.then(result)
    folds: dict[str, Any] = {"add": np.add, "max": np.maximum, "min": np.minimum}
    array = folds[how].reduce(query.array, axis=tuple(free.index(n) for n in gone), dtype=type_.dtype)
    left = [name for name in free if name not in gone]
    kept = [name for name in names if name in free]
    return query.then(result, _lead(array, [left.index(name) for name in kept]))


def _lead(array: Tile, order: Sequence[int]) -> Tile:
    """The array with its leading axes permuted."""
    moved: Tile = np.transpose(array, (*order, *range(len(order), array.ndim)))
    return moved


def _join(query: Query, choose: Chooser) -> Query:
    how = choose.one(["add", "mul", "max", "left", "matmul", "outer"])
    other = choose.one([query.relation, query.relation.rekey(lambda *k: k, keys=query.type.names)])
    pairs = choose.one([list(query.type.names), choose.some(query.type.names)])
    result = query.relation.join(other, on=pairs, kernel=how)
    dense: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "left": lambda a, b: a}
    if query.array is None or set(pairs) != set(query.type.names) or how not in dense:
        return query.then(result)
    return query.then(result, dense[how](query.array, query.array))


def _permute(query: Query, choose: Chooser) -> Query:
    names = list(query.type.names)
    order = sorted(range(len(names)), key=lambda _: choose.integer(0, 1000))
    result = query.relation.rekey(lambda *k: tuple(k[p] for p in order), keys=[names[p] for p in order])
    if query.array is None:
        return query.then(result)
    free = [key.name for key in free_keys(query.type)]
    moved = [names[p] for p in order if names[p] in free]
    return query.then(result, _lead(query.array, [free.index(name) for name in moved]))


def _rekey(query: Query, choose: Chooser) -> Query:
    names, by = list(query.type.names), choose.integer(1, 3)
    shapes: list[tuple[Any, list[str]]] = [
        (lambda *k: (k[0] + by, *k[1:]), names),
        (lambda *k: (k[0] // by, k[0] % by, *k[1:]), ["a", "b", *names[1:]]),
        (lambda *k: (k[0] * 4 + k[1], *k[2:]), ["a", *names[2:]]),
        (lambda *k: k[1:], names[1:]),
        (lambda *k: ([2, 0, 3, 1][k[0]], *k[1:]), names),
        (lambda *k: (3, *k), ["c", *names]),
    ]
    function, keys = choose.one(shapes)
    return query.then(query.relation.rekey(function, keys=keys)) if names else query


def _filter(query: Query, choose: Chooser) -> Query:
    bound = choose.integer(0, 3)
    predicates: list[Any] = [
        lambda *k: k[0] >= bound,
        lambda *k: (k[0] < bound) & (k[-1] < 3),
        lambda *k: k[0] == k[-1],
        lambda *k: k[0] in {0, bound},
        lambda *k: sum(k) % 2 == 0,
        lambda *k: ~(k[0] == bound),
        lambda *k: True,
    ]
    return query.then(query.relation.filter(choose.one(predicates))) if query.type.keys else query


def _transform(query: Query, choose: Chooser) -> Query:
    functions: dict[str, Any] = {"neg": np.negative, "abs": np.abs, "square": np.square, "sign": np.sign}
    name = choose.one(
        ["neg", "abs", "square", "sign", "transpose", "diag", "reduce_sum", "reduce_max", "squeeze"]
    )
    result = query.relation.transform(name)
    known = query.array is not None and name in functions
    return query.then(result, functions[name](query.array) if known else None)


def _expand(query: Query, choose: Chooser) -> Query:
    axis = -1 - choose.integer(0, len(query.type.axes))
    result = query.relation.transform("expand_dims", axis=axis)
    return query.then(result, None if query.array is None else np.expand_dims(query.array, axis))


def _tile(query: Query, choose: Chooser) -> Query:
    axis, size = choose.integer(0, max(len(query.type.axes) - 1, 0)), choose.integer(1, 3)
    return query.then(query.relation.tile(axis, size, f"t{len(query.type.keys)}"), query.array)


def _concat(query: Query, choose: Chooser) -> Query:
    if not query.type.keys or not query.type.axes:
        return query
    name, place = choose.one(query.type.names), choose.integer(0, len(query.type.axes) - 1)
    result = query.relation.concat(name, place)
    free = [key.name for key in free_keys(query.type)]
    axis = query.type.axes[place]
    if query.array is None or (name not in free and result.expr.type.linked | {name} != query.type.linked):
        return query.then(result)
    if name not in free:
        return query.then(result, query.array if name in dict(axis.link) else None)
    if axis.link:
        return query.then(result)
    at = len(free) - 1 + place
    moved = np.moveaxis(query.array, free.index(name), at)
    shape = (*moved.shape[:at], moved.shape[at] * moved.shape[at + 1], *moved.shape[at + 2 :])
    return query.then(result, moved.reshape(shape))


def _stack(query: Query, choose: Chooser) -> Query:
    relation = query.relation
    parts = [relation.expr] * choose.integer(1, 2) + (
        [relation.transform("neg").expr] if choose.integer(0, 1) else []
    )
    result = Relation(stack(parts, f"s{len(query.type.keys)}"), relation.sources)
    if query.array is None or len(parts) > 2 or parts[-1] != relation.expr:
        return query.then(result)
    return query.then(result, np.stack([query.array] * len(parts)))


def _retile(query: Query, choose: Chooser) -> Query:
    sizes = [choose.one([None, 1, 2, 3, 7]) for _ in query.relation.shape]
    return query.then(query.relation.retile(*sizes), query.array)


def _fill(query: Query, choose: Chooser) -> Query:
    if is_dense(query.type):
        return query
    return query.then(query.relation.fill(choose.one([0, 1])))


def _generated(query: Query, choose: Chooser) -> Query:
    makers = [Constant(1), Iota(-1), Random("uniform", (0.0, 1.0), 7), Random("normal", (0.0, 1.0), 7)]
    maker = choose.one(makers)
    made = Relation(generated(query.type, maker), {})
    if isinstance(maker, Random) and query.type.dtype.kind != "f":
        return query
    array = None
    if isinstance(maker, Constant) and is_dense(query.type):
        check_links(query.type, "a test")
        array = np.ones(query.type.shape, query.type.dtype)
    return query.then(made, array)


STEPS = (
    _aggregate,
    _join,
    _permute,
    _rekey,
    _filter,
    _transform,
    _expand,
    _tile,
    _tile,
    _concat,
    _concat,
    _stack,
    _retile,
    _fill,
    _generated,
)
