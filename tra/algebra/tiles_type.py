"""The type of a relation that is given tile by tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tra.algebra.live import has_length, sort_keys
from tra.algebra.live_rules import with_live
from tra.algebra.type_rules import distinct
from tra.algebra.types import (
    LARGEST,
    Axis,
    Box,
    Key,
    KeySet,
    RelType,
    Tile,
    TileKey,
    as_link,
    is_element,
    shown_number,
)
from tra.errors import SchemaError


def tiles_type(
    tiles: Mapping[TileKey, Tile],
    names: tuple[str, ...],
    axes: Sequence[Axis] | None = None,
    domain: Sequence[int] | None = None,
) -> RelType:
    """The type of the relation with these tiles; keys that are not given are holes.

    Example:
        >>> str(tiles_type({(0,): np.ones(3), (2,): np.ones(1)}, ("i",)))
        '[i:3] of 3/7 float64'

    Raises:
        SchemaError: keys, axes, domain, ranks or dtypes do not fit together.
    """
    if not tiles and (axes is None or domain is None):
        raise SchemaError("an empty relation needs axes= and domain=")
    distinct(names, "a relation")
    _check_keys(tiles, names)
    dtype = _common_dtype(tiles)
    listed = sort_keys(np.array(list(tiles), dtype=np.int64).reshape(len(tiles), len(names)))
    sizes = [int(m) + 1 for m in listed.max(axis=0)] if domain is None else [int(d) for d in domain]
    _check_domain(tiles, names, sizes)
    keys = tuple(map(Key, names, sizes))
    found = _guessed_axes(tiles, keys) if axes is None else tuple(map(_canonical, axes))
    _check_axes(tiles, keys, found)
    base = RelType(keys, found, dtype, Box(()))
    return with_live(base, KeySet(listed[has_length(base, listed)]))


def _check_keys(tiles: Mapping[TileKey, Tile], names: tuple[str, ...]) -> None:
    wrong = next((key for key in tiles if len(key) != len(names) or min(key, default=0) < 0), None)
    if wrong is not None:
        raise SchemaError(
            f"key {wrong} does not fit the keys ({', '.join(names)}): one non-negative integer each"
        )
    large = next((key for key in tiles if max(key, default=0) >= LARGEST), None)
    if large is not None:
        shown = ", ".join(map(shown_number, large))
        raise SchemaError(f"key ({shown}) is too large: components of keys are {LARGEST - 1} at most")


def _common_dtype(tiles: Mapping[TileKey, Tile]) -> np.dtype[np.generic]:
    dtypes, ranks = {t.dtype for t in tiles.values()}, {t.ndim for t in tiles.values()}
    if len(dtypes) > 1 or len(ranks) > 1:
        shown = ", ".join(sorted(map(str, dtypes)))
        raise SchemaError(
            f"tiles of one relation have one dtype and one rank; got {shown} and ranks {sorted(ranks)}"
        )
    dtype: np.dtype[np.generic] = dtypes.pop() if dtypes else np.dtype(np.float64)
    if not is_element(dtype):
        raise SchemaError(f"tiles are of booleans or numbers; got {dtype}")
    return dtype


def _check_domain(tiles: Mapping[TileKey, Tile], names: tuple[str, ...], domain: Sequence[int]) -> None:
    if len(domain) != len(names) or min(domain, default=1) < 1:
        raise SchemaError(
            f"domain={tuple(domain)} does not fit the keys ({', '.join(names)}): one positive number each"
        )
    outside = next((key for key in tiles if any(k >= d for k, d in zip(key, domain, strict=True))), None)
    if outside is not None:
        raise SchemaError(f"key {outside} lies outside the domain {tuple(domain)}")


def _guessed_axes(tiles: Mapping[TileKey, Tile], keys: Sequence[Key]) -> tuple[Axis, ...]:
    """Key p cuts axis p when there are as many keys as axes; otherwise all tiles have one shape."""
    rank = next(iter(tiles.values())).ndim
    axes = []
    for place in range(rank):
        size = max(t.shape[place] for t in tiles.values())
        if rank != len(keys):
            axes.append(Axis(size, (), size))
            continue
        key = keys[place]
        last = [t.shape[place] for at, t in tiles.items() if at[place] == key.domain - 1]
        extent = size * (key.domain - 1) + (last[0] if last else size)
        axes.append(Axis(size, ((key.name, 1),), extent))
    return tuple(axes)


def _canonical(axis: Axis) -> Axis:
    return Axis(axis.size, as_link(dict(axis.link)), axis.extent)


def _check_axes(tiles: Mapping[TileKey, Tile], keys: Sequence[Key], axes: Sequence[Axis]) -> None:
    domains = {key.name: key.domain for key in keys}
    ranks = {tile.ndim for tile in tiles.values()}
    if ranks and ranks != {len(axes)}:
        raise SchemaError(f"axes= describes {len(axes)} axes, but the tiles have {ranks.pop()}")
    for place, axis in enumerate(axes):
        unknown = next((name for name, _ in axis.link if name not in domains), None)
        if unknown is not None:
            raise SchemaError(f"axis {place} is linked to {unknown!r}, but the keys are {', '.join(domains)}")
        if axis.size < 0 or any(coef < 1 for _, coef in axis.link):
            raise SchemaError(
                f"axis {place}: sizes are not negative, and coefficients of links are positive; got {axis!r}"
            )
        reach = axis.size * (1 + sum(coef * (domains[name] - 1) for name, coef in axis.link))
        if not 0 <= axis.extent <= reach or (not axis.link and axis.extent != axis.size):
            raise SchemaError(f"axis {place} has extent {axis.extent}, but its tiles reach {reach}")
