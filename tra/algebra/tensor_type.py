"""The type of a whole tensor, from its shape and what the user says of keys and tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tra.algebra.arguments import given_list, key_names
from tra.algebra.live import required
from tra.algebra.nodes import Cut
from tra.algebra.retiling import cut_axis
from tra.algebra.type_rules import distinct
from tra.algebra.types import Box, Key, RelType
from tra.algebra.whole_tensor import default_tile
from tra.errors import SchemaError

DEFAULT_NAMES = "ijklmnopqrstuvwxyz"


def tensor_type(
    shape: Sequence[int],
    dtype: Any,
    keys: Sequence[str] | str | None = None,
    tile: Sequence[int] | int | None = None,
) -> RelType:
    """The type of a whole tensor cut into tiles; key p cuts axis p, the axes after the last key are not cut.

    Example:
        >>> str(tensor_type((5, 4), "f4", ("i",), 2))
        '[i:3] of 2/5×4 float32'

    Raises:
        SchemaError: more keys than axes, keys named twice or all in one text, or tile sizes that do not fit.
    """
    rank = len(shape)
    names = _names(keys, shape)
    sizes = _tile_sizes(tile, [int(extent) for extent in shape], len(names))
    cuts = [
        *(Cut(size, name) for size, name in zip(sizes, names, strict=False)),
        *[Cut()] * (rank - len(names)),
    ]
    axes = tuple(cut_axis(cut, int(extent)) for cut, extent in zip(cuts, shape, strict=True))
    found = tuple(Key(name, axis.n_tiles) for name, axis in zip(names, axes, strict=False))
    return required(RelType(found, axes, np.dtype(dtype), Box(())))


def _names(keys: Sequence[str] | str | None, shape: Sequence[int]) -> tuple[str, ...]:
    rank = len(shape)
    names = tuple(default_names(rank)) if keys is None else key_names(keys)
    if isinstance(keys, str) and len(keys) == rank > 1:
        raise SchemaError(
            f"keys={keys!r} is one key, called {keys}, for an array of {rank} axes\n"
            f"  hint: keys={tuple(keys)} names one per axis; keys={(keys,)} cuts axis 0 alone"
        )
    if len(names) > rank:
        raise SchemaError(
            f"{len(names)} keys ({', '.join(names)}) for an array of {rank} axes, shape {tuple(shape)}"
        )
    distinct(names, "a tensor")
    return names


def default_names(n: int) -> list[str]:
    """Names for the keys of a tensor: i, j, k, … z, then k18, k19, ….

    Example:
        >>> default_names(2)
        ['i', 'j']
    """
    return [DEFAULT_NAMES[p] if p < len(DEFAULT_NAMES) else f"k{p}" for p in range(n)]


def _tile_sizes(tile: Sequence[int] | int | None, shape: Sequence[int], n_keys: int) -> list[int]:
    if tile is None:
        return [max(size, 1) for size in default_tile(shape)]
    sizes: list[Any] = [tile] * n_keys if isinstance(tile, (float, int, np.number)) else given_list(tile)
    if len(sizes) not in (n_keys, len(shape)):
        raise SchemaError(f"tile={tuple(sizes)} has {len(sizes)} sizes for {n_keys} keys")
    if any(not isinstance(size, (int, np.integer)) or size < 1 for size in sizes):
        raise SchemaError(f"tile sizes are integers of at least 1; got tile={tuple(sizes)}")
    for place in range(n_keys, len(sizes)):
        if sizes[place] < shape[place]:
            raise SchemaError(
                f"tile={tuple(sizes)} cuts axis {place}, extent {shape[place]}, but no key counts its tiles"
            )
    return [int(size) for size in sizes]
