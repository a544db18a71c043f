"""Testing what a static type claims of tiles: which keys are live, how long tiles are, their dtype."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tra.algebra.live import is_empty, is_listable, live_keys, ranges
from tra.algebra.live_rules import with_live
from tra.algebra.nodes import Expr
from tra.algebra.types import AtMost, RelType, Tile, TileKey, as_link


def check_type(expr: Expr, tiles: Mapping[TileKey, Tile]) -> None:
    """Checks that tiles are what the static type of an expression says: live keys, tile shapes, dtype.

    Example:
        >>> import tra
        >>> A = tra.from_array(np.zeros(3), keys="i", tile=2)
        >>> check_type(A.expr, {(0,): np.zeros(2), (1,): np.zeros(2)})
        Traceback (most recent call last):
        AssertionError: the tile at key (1,) of [i:2] of 2/3 float64 has shape (2,), not (1,)

    Raises:
        AssertionError: names the key, the shape or the dtype that is not as it should be.
    """
    type_ = expr.type
    _check_well_formed(type_)
    keys = np.array(sorted(tiles), dtype=np.int64).reshape(len(tiles), len(type_.keys))
    if is_listable(type_):
        live = {tuple(key) for key in live_keys(type_).tolist()}
        extra, missing = sorted(set(tiles) - live), sorted(live - set(tiles))
        assert not extra, f"the key {extra[0]} has a tile, but is not live in {type_}"
        assert not missing, f"the key {missing[0]} is live in {type_}, but has no tile"
    for (low, high), column in zip(ranges(type_), keys.T, strict=True):
        assert not len(column) or (low <= column.min() and column.max() < high), f"{type_}: keys out of range"
    for key, lengths in zip(sorted(tiles), type_.tile_lengths(keys).tolist(), strict=True):
        tile = tiles[key]
        where = f"the tile at key {key} of {type_}"
        assert tile.shape == tuple(lengths), f"{where} has shape {tile.shape}, not {tuple(lengths)}"
        assert tile.dtype == type_.dtype, f"{where} has dtype {tile.dtype}"


def _check_well_formed(type_: RelType) -> None:
    """Checks a type in itself: distinct keys, positive links to keys that exist, one form of the live set.

    Raises:
        AssertionError: says what is wrong.
    """
    assert len(set(type_.names)) == len(type_.names), f"{type_} names a key twice"
    assert all(key.domain >= 1 for key in type_.keys), f"{type_} has an empty domain"
    for axis in type_.axes:
        assert axis.link == as_link(dict(axis.link)), f"the link of {axis!r} is not in its one form"
        for name, coef in axis.link:
            assert name in type_.names and coef > 0, f"{axis!r} of {type_} is linked to {coef}·{name}"
        assert axis.size >= 0 and axis.extent >= 0, f"{axis!r} is negative"
        assert axis.link or axis.size == axis.extent, f"{axis!r} is not cut, but longer than its tile"
    assert with_live(type_, type_.live).live == type_.live, f"the live set of {type_} is not in its one form"
    if not isinstance(type_.live, AtMost) and not is_empty(type_):
        for (low, high), key in zip(ranges(type_), type_.keys, strict=True):
            assert 0 <= low < high <= key.domain, f"live keys of {type_} leave the domain"
