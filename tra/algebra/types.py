"""What is known of a relation before it runs: its keys, its axes, its dtype and which keys are live.

A *key* has a name and a domain: components lie in ``[0, domain)``. An *axis* carries the size of a full
tile, a *link* to the keys that cut it, and the extent of the whole tensor along it. The tile at offset
``c = Σ coef·key`` (counted in tiles) has length ``clip(extent − size·c, 0, size)``: the last tile along
an axis may be shorter, nothing is padded. *Live* says which keys have a tile; the rest are holes.

The forms of live keys are in `live_sets`, questions about them are answered in `live`; what the operators
make of types is said in `type_rules`, `join_type` and `concat_type`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tra.algebra.live_sets import AtMost, Box, KeyArray, KeySet, Live
from tra.errors import SchemaError

Link: TypeAlias = tuple[tuple[str, int], ...]
Tile: TypeAlias = NDArray[Any]
TileKey: TypeAlias = tuple[int, ...]
LARGEST = (1 << 62) - 1  # of domains, sizes and extents: sums of two are still of 64 bits


def check_size(size: int, what: str) -> None:
    """Checks that a domain, a size or an extent fits the integers that count with it.

    Example:
        >>> check_size(1 << 62, "an extent")
        Traceback (most recent call last):
        tra.errors.SchemaError: an extent is 4611686018427387903 at most; got 4611686018427387904

    Raises:
        SchemaError: it is too large.
    """
    if size > LARGEST:
        raise SchemaError(f"{what} is {LARGEST} at most; got {shown_number(size)}")


def shown_number(value: Any) -> str:
    """A value, or of an integer that nobody reads how long it is.

    Example:
        >>> shown_number(2.5), shown_number(10**400)
        ('2.5', 'one of 1329 bits')
    """
    n_bits = value.bit_length() if isinstance(value, int) else 0
    return repr(value) if n_bits <= 256 else f"one of {n_bits} bits"


@dataclass(frozen=True, slots=True)
class Key:
    """A key component: its name, and one past the largest value it may take."""

    name: str
    domain: int

    def __post_init__(self) -> None:
        check_size(self.domain, f"the domain of key {self.name}")

    def __str__(self) -> str:
        name = self.name if self.name.isprintable() else ascii(self.name)  # it may be from a file
        return f"{name}:{self.domain}"


@dataclass(frozen=True, slots=True)
class Axis:
    """A tile axis: full size, link to the keys that cut it (sorted by name), extent of the whole tensor.

    Example:
        >>> axis = Axis(4, (("i", 1),), 10)
        >>> axis.n_tiles, str(axis)
        (3, '4/10')
    """

    size: int
    link: Link
    extent: int

    def __post_init__(self) -> None:
        check_size(self.size, "a tile size")
        check_size(self.extent, "an extent")

    @property
    def n_tiles(self) -> int:
        """How many offsets have a tile: ⌈extent / size⌉, and one when the extent is 0."""
        return -(-self.extent // self.size) if self.size else 1

    def offset(self, columns: Mapping[str, KeyArray | int]) -> KeyArray | int:
        """The offset ``c`` in tiles, for key columns given by name.

        Example:
            >>> axis = Axis(4, (("i", 2), ("ii", 1)), 20)
            >>> axis.offset({"i": np.array([0, 1, 2]), "ii": 1})
            array([1, 3, 5])
        """
        total: KeyArray | int = 0
        for name, coef in self.link:
            total = total + columns[name] * coef
        return total

    def lengths(self, columns: Mapping[str, KeyArray], n: int) -> KeyArray:
        """The length of this axis in each of `n` tiles.

        Example:
            >>> Axis(4, (("i", 1),), 10).lengths({"i": np.array([0, 1, 2, 3])}, 4)
            array([4, 4, 2, 0])
        """
        offset = np.broadcast_to(np.asarray(self.offset(columns), dtype=np.int64), (n,))
        return np.clip(self.extent - self.size * offset, 0, self.size)

    def renamed(self, names: Mapping[str, str]) -> Axis:
        """The same axis with the keys of its link renamed.

        Example:
            >>> Axis(4, (("i", 1),), 10).renamed({"i": "row"})
            Axis(size=4, link=(('row', 1),), extent=10)
        """
        return Axis(self.size, as_link({names.get(k, k): c for k, c in self.link}), self.extent)

    def __str__(self) -> str:
        if self.extent == self.size:
            return str(self.size)
        return f"{self.size}/{self.extent}"


def as_link(coefs: Mapping[str, int]) -> Link:
    """A link in canonical form: sorted by key name, zero coefficients dropped.

    Example:
        >>> as_link({"j": 1, "i": 4, "k": 0})
        (('i', 4), ('j', 1))
    """
    return tuple(sorted((name, coef) for name, coef in coefs.items() if coef))


@dataclass(frozen=True)
class RelType:
    """The static type of a relation: keys, axes, dtype and live keys.

    Example:
        >>> axes = (Axis(4, (("i", 1),), 10), Axis(7, (), 7))
        >>> str(RelType((Key("i", 3),), axes, np.dtype("f4"), Box(((0, 3),))))
        '[i:3] of 4/10×7 float32'
    """

    keys: tuple[Key, ...]
    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]
    live: Live

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    @cached_property
    def _hash(self) -> int:
        """Of this process alone, where strings have hashes of their own: it does not travel."""
        return hash((self.keys, self.axes, self.dtype, self.live))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The key names, in order."""
        return tuple(key.name for key in self.keys)

    @cached_property
    def domains(self) -> tuple[int, ...]:
        """The key domains, in order."""
        return tuple(key.domain for key in self.keys)

    @cached_property
    def tile_shape(self) -> tuple[int, ...]:
        """The shape of a full tile."""
        return tuple(axis.size for axis in self.axes)

    @cached_property
    def linked(self) -> frozenset[str]:
        """The keys that cut some axis."""
        return frozenset(name for axis in self.axes for name, _ in axis.link)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The whole tensor: domains of the keys that cut no axis, then the extents."""
        linked = self.linked
        free = tuple(key.domain for key in self.keys if key.name not in linked)
        return free + tuple(axis.extent for axis in self.axes)

    def domain(self, name: str) -> int:
        """The domain of the key called `name`."""
        return self.domains[self.names.index(name)]

    def columns(self, keys: KeyArray) -> dict[str, KeyArray]:
        """Key columns by name, of an array with one key per row."""
        return {name: keys[:, p] for p, name in enumerate(self.names)}

    def tile_lengths(self, keys: KeyArray) -> KeyArray:
        """The tile shape of each key: an array of shape (n keys, rank)."""
        columns = self.columns(keys)
        n = len(keys)
        lengths = [axis.lengths(columns, n) for axis in self.axes]
        return np.stack(lengths, axis=1) if lengths else np.zeros((n, 0), dtype=np.int64)

    def tile_starts(self, key: Sequence[int]) -> tuple[int, ...]:
        """Where the tile at `key` begins in the whole tensor, in elements along each axis.

        Example:
            >>> axes = (Axis(4, (("i", 1),), 10), Axis(7, (), 7))
            >>> RelType((Key("i", 3),), axes, np.dtype("f4"), Box(((0, 3),))).tile_starts((2,))
            (8, 0)
        """
        columns = dict(zip(self.names, map(int, key), strict=True))
        return tuple(int(axis.offset(columns)) * axis.size for axis in self.axes)

    def tile_window(self, key: Sequence[int]) -> tuple[slice, ...]:
        """The place of the tile at `key` in the whole tensor, clipped by the extents.

        Example:
            >>> axes = (Axis(4, (("i", 1),), 10), Axis(7, (), 7))
            >>> RelType((Key("i", 3),), axes, np.dtype("f4"), Box(((0, 3),))).tile_window((2,))
            (slice(8, 10, None), slice(0, 7, None))
        """
        starts = zip(self.tile_starts(key), self.axes, strict=True)
        return tuple(slice(start, min(start + axis.size, axis.extent)) for start, axis in starts)

    def __str__(self) -> str:
        keys = ", ".join(map(str, self.keys))
        tile = "×".join(map(str, self.axes)) or "scalars"
        return f"[{keys}] of {tile} {dtype_name(self.dtype)}"


def is_element(dtype: np.dtype[Any]) -> bool:
    """Claims that tiles may be of a dtype: truth values, numbers, or pairs of a value and an index of these.

    Example:
        >>> is_element(np.dtype("f4")), is_element(np.dtype([("value", "f8"), ("index", "i8")]))
        (True, True)
        >>> is_element(np.dtype("S8")), is_element(np.dtype([("x", "f8")]))
        (False, False)
    """
    if dtype.names is None:
        return dtype.kind in "biufc"
    return dtype.names == ("value", "index") and all(dtype[name].kind in "biufc" for name in dtype.names)


def dtype_name(dtype: np.dtype[Any]) -> str:
    """The dtype as users write it; a pair of value and index by its value's dtype.

    Example:
        >>> dtype_name(np.dtype("f4")), dtype_name(np.dtype([("value", "f8"), ("index", "i8")]))
        ('float32', 'pair(float64)')
    """
    return str(dtype) if dtype.names is None else f"pair({dtype[0]})"


def scalar_type(dtype: np.dtype[Any]) -> RelType:
    """The type of a relation without keys whose one tile is a scalar.

    Example:
        >>> str(scalar_type(np.dtype("f8")))
        '[] of scalars float64'
    """
    return RelType((), (), dtype, Box(()))


__all__ = [
    "LARGEST", "AtMost", "Axis", "Box", "Key", "KeyArray", "KeySet", "Link", "Live", "RelType", "Tile",
    "TileKey", "as_link", "check_size", "dtype_name", "is_element", "scalar_type", "shown_number",
]  # fmt: skip
