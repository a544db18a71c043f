"""The meaning of an expression: the definitions executed literally, key by key and tile by tile.

Slow on purpose and obvious on purpose. Every plan on every backend is held to it, and it is held to dense
NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from itertools import product
from typing import Protocol

import numpy as np

from tra.algebra import key_function
from tra.algebra.generate import generate_tile
from tra.algebra.image import check_image
from tra.algebra.live import box_keys, hole_text, missing_key, sort_keys
from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Retile,
    Source,
    Stack,
    Tile,
    Transform,
    postorder,
)
from tra.algebra.retiling import free_keys
from tra.algebra.types import AtMost, KeyArray, KeySet, RelType, TileKey
from tra.algebra.types import Tile as Array
from tra.errors import SchemaError

Relation = dict[TileKey, Array]


class TileReader(Protocol):
    """Where the tiles of a source come from."""

    def read(self, key: TileKey) -> Array:
        """The tile at a live key."""
        ...


def evaluate(
    expr: Expr, sources: Mapping[str, TileReader], known: Mapping[str, Relation] | None = None
) -> Relation:
    """The relation an expression denotes, as a dict from key to tile.

    Args:
        expr: the expression.
        sources: what reads the tiles of its sources, by their id.
        known: relations that parts of it denote, by digest: they are not evaluated again.

    Example:
        The diagonal blocks' diagonals of a 4×4 matrix of 2×2 tiles.

        >>> import tra
        >>> A = tra.from_array(np.arange(16.0).reshape(4, 4), keys=("i", "j"), tile=(2, 2))
        >>> D = A.filter(lambda i, j: i == j).rekey(lambda i, j: i, keys=("i",)).transform("diag")
        >>> {key: tile.tolist() for key, tile in evaluate(D.expr, D.sources).items()}
        {(0,): [0.0, 5.0], (1,): [10.0, 15.0]}
    """
    done = dict(known or {})
    for node in postorder(expr):
        if node.digest not in done:
            done[node.digest] = _node(node, [done[child.digest] for child in node.children], sources)
    return done[expr.digest]


def _node(node: Expr, inputs: list[Relation], sources: Mapping[str, TileReader]) -> Relation:
    match node:
        case Source(id=id_, type=type_):
            return {key: sources[id_].read(key) for key in _keys(type_)}
        case Generated(type=type_, maker=maker):
            return {key: generate_tile(type_, maker, key) for key in _keys(type_)}
        case Aggregate(child=child, by=by, kernel=kernel):
            groups = _groups(inputs[0], [child.type.names.index(name) for name in by])
            return {g: reduce(kernel, (tile for _, tile in members)) for g, members in groups.items()}
        case Join():
            return _join(node, *inputs)
        case ReKey(child=child, function=function):
            keys = list(inputs[0])
            old = _array(keys, child.type)
            image = key_function.apply(function, child.type.names, old).reshape(len(keys), len(node.keys))
            check_image(old, image)
            return {tuple(new): inputs[0][key] for key, new in zip(keys, image.tolist(), strict=True)}
        case Filter(child=child, predicate=predicate):
            keys = list(inputs[0])
            holds = key_function.holds(predicate, child.type.names, _array(keys, child.type))
            return {key: inputs[0][key] for key, keep in zip(keys, holds, strict=True) if keep}
        case Transform(kernel=kernel):
            return {key: kernel(tile) for key, tile in inputs[0].items()}
        case Tile():
            return _tile(node, inputs[0])
        case Concat(child=child, key=name, axis=axis):
            position = child.type.names.index(name)
            groups = _groups(inputs[0], [p for p in range(len(child.type.keys)) if p != position])
            return {
                g: np.concatenate([tile for _, tile in members], axis=axis) for g, members in groups.items()
            }
        case Stack():
            return {(n, *key): tile for n, relation in enumerate(inputs) for key, tile in relation.items()}
        case Retile():
            return _retile(node, inputs)


def _keys(type_: RelType) -> list[TileKey]:
    keys = type_.live.keys if isinstance(type_.live, KeySet) else box_keys(type_)
    return [tuple(key) for key in keys.tolist()]


def _array(keys: list[TileKey], type_: RelType) -> KeyArray:
    return np.array(keys, dtype=np.int64).reshape(len(keys), len(type_.keys))


def _groups(relation: Relation, positions: list[int]) -> dict[TileKey, list[tuple[TileKey, Array]]]:
    groups: dict[TileKey, list[tuple[TileKey, Array]]] = {}
    for key in sorted(relation):
        groups.setdefault(tuple(key[p] for p in positions), []).append((key, relation[key]))
    return groups


def _join(node: Join, left: Relation, right: Relation) -> Relation:
    lt, rt = node.left.type, node.right.type
    pairs = [(lt.names.index(mine), rt.names.index(theirs)) for mine, theirs in node.on]
    rest = [p for p in range(len(rt.keys)) if p not in {theirs for _, theirs in pairs}]
    return {
        lk + tuple(rk[p] for p in rest): node.kernel(left[lk], right[rk])
        for lk, rk in product(sorted(left), sorted(right))
        if all(lk[mine] == rk[theirs] for mine, theirs in pairs)
    }


def _tile(node: Tile, child: Relation) -> Relation:
    pieces: Relation = {}
    n = node.type.domain(node.key)
    for key, tile in child.items():
        for number in range(n):
            window = [slice(None)] * tile.ndim
            window[node.axis] = slice(number * node.size, (number + 1) * node.size)
            piece = tile[tuple(window)]
            if piece.shape[node.axis] or not node.type.axes[node.axis].size:
                pieces[(*key, number)] = piece
    return pieces


def whole(relation: Relation, type_: RelType) -> dict[TileKey, Array]:
    """The whole tensors: every linked key concatenated, one array per value of the keys that cut no axis.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> whole({(0,): np.ones(2), (1,): np.zeros(1)}, tensor_type((3,), "f8", ("i",), 2))
        {(): array([1., 1., 0.])}

    Raises:
        SchemaError: a required tile is missing, which is known only now where the keys were too many to list.
    """
    if isinstance(type_.live, AtMost):
        _check_complete(relation, type_)
    free = [type_.names.index(k.name) for k in free_keys(type_)]
    shape = tuple(axis.extent for axis in type_.axes)
    tensors: Relation = {}
    for key, tile in relation.items():
        group = tuple(key[p] for p in free)
        if group not in tensors:
            tensors[group] = np.zeros(shape, dtype=type_.dtype)
        starts = zip(type_.tile_starts(key), tile.shape, strict=True)
        tensors[group][tuple(slice(start, start + length) for start, length in starts)] = tile
    return tensors


def _check_complete(relation: Relation, type_: RelType) -> None:
    found = replace(type_, live=KeySet(sort_keys(_array(list(relation), type_))))
    if missing_key(found) is not None:
        raise SchemaError(f"{hole_text(found)}; fill the holes with .fill(0)")


def to_array(relation: Relation, type_: RelType) -> Array:
    """One array: the keys that cut no axis lead, then the axes at full extent.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> to_array({(0,): np.ones(2), (1,): np.zeros(1)}, tensor_type((3,), "f8", ("i",), 2))
        array([1., 1., 0.])
    """
    out = np.zeros(type_.shape, dtype=type_.dtype)
    for group, tensor in whole(relation, type_).items():
        out[group] = tensor
    return out


def _retile(node: Retile, inputs: list[Relation]) -> Relation:
    tensors = [whole(r, o.type) for r, o in zip(inputs, node.operands, strict=True)]
    laid: Relation = {}
    for group in tensors[0]:
        parts = [
            tensor[group][tuple(_steps(w.start, w.step, w.count) for w in windows)]
            for tensor, windows in zip(tensors, node.windows, strict=True)
        ]
        laid[group] = np.concatenate(parts, axis=node.along) if parts[0].ndim else parts[0]
    free = [node.type.names.index(k.name) for k in free_keys(node.type)]
    pieces: Relation = {}
    for key in _keys(node.type):
        pieces[key] = laid[tuple(key[p] for p in free)][node.type.tile_window(key)]
    return pieces


def _steps(start: int, step: int, count: int) -> slice:
    stop = start + step * count
    return slice(start, stop if stop >= 0 else None, step) if count else slice(0, 0)
