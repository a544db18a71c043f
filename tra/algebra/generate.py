"""Tiles of generated sources: a function of the key alone, so that any site can make any tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tra.algebra.exact.elementary import cos_turns, log1p
from tra.algebra.nodes import Constant, Iota, Maker, Random
from tra.algebra.types import RelType, Tile, TileKey


def generate_tile(type_: RelType, maker: Maker, key: TileKey) -> Tile:
    """The tile of a generated source at `key`.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> generate_tile(tensor_type((5,), "i8", ("i",), 2), Iota(0), (2,))
        array([4])
    """
    shape = tuple(type_.tile_lengths(np.array([key], dtype=np.int64).reshape(1, len(key)))[0].tolist())
    match maker:
        case Constant(value):
            return np.full(shape, value, dtype=type_.dtype)
        case Iota(axis):
            place = axis % len(shape)
            start = type_.tile_starts(key)[place]
            line = np.arange(start, start + shape[place]).astype(type_.dtype)
            return np.broadcast_to(line.reshape([-1 if p == place else 1 for p in range(len(shape))]), shape)
        case Random(distribution, parameters, seed):
            places = _places(type_, key, shape)
            return _random(distribution, parameters, seed, places).astype(type_.dtype)


def _places(type_: RelType, key: TileKey, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """The number of each element in the whole tensor, row-major; it does not depend on the tiling."""
    columns = dict(zip(type_.names, key, strict=True))
    base = 0
    for k in type_.keys:
        if k.name not in type_.linked:
            base = base * k.domain + columns[k.name]
    place: NDArray[np.uint64] = np.full((1,) * len(shape), base, dtype=np.uint64)
    for p, (axis, start) in enumerate(zip(type_.axes, type_.tile_starts(key), strict=True)):
        line = np.arange(start, start + shape[p], dtype=np.uint64)
        place = place * np.uint64(axis.extent) + line.reshape(
            [-1 if q == p else 1 for q in range(len(shape))]
        )
    return np.broadcast_to(place, shape)


def _random(
    distribution: str, parameters: tuple[float, float], seed: int, places: NDArray[np.uint64]
) -> Tile:
    bits = philox(places, seed)
    first, second = ((b >> np.uint64(11)).astype(np.float64) * 2.0**-53 for b in bits)
    if distribution == "uniform":
        low, high = map(float, parameters)
        result: Tile = np.minimum(low + (high - low) * first, np.nextafter(high, low))  # sums may round up
        return result
    mean, deviation = map(float, parameters)
    radius = np.sqrt(-2.0 * log1p(-first))  # by fixed polynomials: the same bits on every machine
    normal: Tile = mean + deviation * radius * cos_turns(second)
    return normal


_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)


def philox(places: NDArray[np.uint64], seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Philox 4×32 with ten rounds, one counter per element: two 64-bit words for each place.

    Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. NumPy's own
    Philox makes a stream; here each element needs its own counter, whatever tile it lies in.

    Example:
        >>> first, _ = philox(np.arange(2, dtype=np.uint64), seed=0)
        >>> [hex(word) for word in first.tolist()]
        ['0x6627e8d5e169c58d', '0x...']
    """
    shift = np.uint64(32)
    c0, c1 = places & _LOW, places >> shift
    c2 = c3 = np.zeros_like(c0)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> shift) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return (c0 << shift) | c1, (c2 << shift) | c3
