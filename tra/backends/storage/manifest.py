"""The manifest of a relation at rest: what it holds, and where in its parts every batch lies.

``manifest.json`` is one JSON object, sealed with a checksum of itself (`type_text`). What it says is taken
for what a stranger claims: numbers are whole and in range, parts have plain names, and every batch lies
within the bytes of its part, before anything is read or allocated by it.

===============  ======================================================================================
``keys``         name and domain of each key
``axes``         size of a full tile, link to keys, extent of the whole tensor, for each axis
``dtype``        as NumPy writes it
``live``         a range per key, or ``"listed"``: the key columns say
``frontier``     one past the largest key, per component
``placement``    how the tiles lay on the sites that wrote them, such as ``split(i) on 2``
``tiles``        the name of the column of tiles
``parts``        for each part its ``file``, ``bytes``, tile ``shape`` and ``batches``
===============  ======================================================================================

A batch is ``rows``, the places of its key columns (``keys``) and of its tiles (``tiles``) in bytes from the
beginning of the file, and a CRC-32 of each (``keys_crc32``, of the keys row by row; ``tiles_crc32``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from tra.algebra.live import frontier
from tra.algebra.types import RelType, TileKey
from tra.backends.storage.type_text import seal, type_from_json, type_to_json, unseal, whole_number

MANIFEST = "manifest.json"
VERSION = 2
MAX_BYTES = 1 << 30  # of a manifest: one of a relation of 10 TB takes some 200 MB
PART_NAME = re.compile(r"part-[0-9a-z-]{1,64}\.arrow")
KEY_BYTES = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of rows in a part.

    Attributes:
        rows: how many tiles.
        keys: where each key column begins, in bytes.
        keys_crc32: the checksum of the keys, row by row.
        tiles: where the tiles begin, in bytes.
        tiles_crc32: the checksum of the tiles.
    """

    rows: int
    keys: tuple[int, ...]
    keys_crc32: int
    tiles: int
    tiles_crc32: int


@dataclass(frozen=True, slots=True)
class Part:
    """A file of tiles of one shape.

    Attributes:
        file: its name in the folder.
        bytes: its size.
        shape: the shape of each tile.
        batches: its rows, in order.
    """

    file: str
    bytes: int
    shape: TileKey
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        """How many tiles it has."""
        return sum(batch.rows for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A relation at rest.

    Attributes:
        type: its type; listed live keys are in the parts.
        parts: its files.
        column: the name of the column of tiles.
        placement: how it lay when it was written.
        frontier: one past the largest key, per component.
    """

    type: RelType
    parts: tuple[Part, ...]
    column: str
    placement: str
    frontier: TileKey

    def named(self, names: Iterable[str]) -> Manifest:
        """The same relation, its parts under other names."""
        parts = tuple(replace(part, file=name) for part, name in zip(self.parts, names, strict=True))
        return replace(self, parts=parts)


def manifest_of(type_: RelType, parts: Iterable[Part], column: str, placement: str) -> Manifest:
    """The manifest of a relation whose live keys are known.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> manifest_of(tensor_type((5,), "f8", tile=2), (), "tile", "one site").frontier
        (3,)
    """
    return Manifest(type_, tuple(parts), column, placement, frontier(type_))


def to_text(manifest: Manifest) -> str:
    """The manifest as sealed JSON.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> empty = manifest_of(tensor_type((5,), "f8", tile=2), (), "tile", "one site")
        >>> from_text(to_text(empty)) == empty
        True
    """
    data = {
        **type_to_json(manifest.type),
        "frontier": manifest.frontier,
        "placement": manifest.placement,
        "tiles": manifest.column,
        "parts": [asdict(part) for part in manifest.parts],
    }
    return seal(data, VERSION)


def from_text(text: bytes | str) -> Manifest:
    """The manifest back, whatever claims are in it checked.

    Example:
        >>> from_text(b'{"format": "parquet"}')
        Traceback (most recent call last):
        ValueError: it was not written by this engine

    Raises:
        ValueError: it is none, was changed, is of another version, or says what cannot be.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"its manifest has {len(text)} bytes, {MAX_BYTES} at most")
    data = unseal(text, VERSION)
    type_ = type_from_json(data)
    parts = tuple(_part(part, type_) for part in _listed(data["parts"], "parts"))
    if len({part.file for part in parts}) < len(parts):
        raise ValueError("its manifest names a part twice")
    if not type_.keys and sum(part.rows for part in parts) > 1:
        raise ValueError("its manifest has several tiles, and no key")
    column, placement = data["tiles"], data["placement"]
    if not isinstance(column, str) or not isinstance(placement, str):
        raise ValueError("its manifest is damaged")
    edge = tuple(whole_number(n, "a frontier") for n in _listed(data["frontier"], "the frontier"))
    return Manifest(type_, parts, column, placement, edge)


def _part(data: Any, type_: RelType) -> Part:
    """A part, and every batch within its bytes."""
    name = data["file"]
    if not isinstance(name, str) or not PART_NAME.fullmatch(name):
        raise ValueError(f"its manifest names a part {name!r}, which is no name of a part")
    shape = tuple(whole_number(n, f"the shape of {name}") for n in _listed(data["shape"], "a shape"))
    if len(shape) != len(type_.axes):
        raise ValueError(f"{name} has tiles of rank {len(shape)}, its manifest says {len(type_.axes)}")
    n_bytes = whole_number(data["bytes"], f"the size of {name}")
    batches = tuple(_batch(batch, len(type_.keys), name) for batch in _listed(data["batches"], "batches"))
    tile = prod(shape) * type_.dtype.itemsize
    for batch in batches:
        ends = [*(at + batch.rows * KEY_BYTES for at in batch.keys), batch.tiles + batch.rows * tile]
        if max(ends) > n_bytes:
            raise ValueError(f"its manifest has rows of {name} behind its end, at byte {max(ends)}")
    return Part(name, n_bytes, shape, batches)


def _batch(data: Any, n_keys: int, name: str) -> Batch:
    places = tuple(whole_number(at, f"a place in {name}") for at in _listed(data["keys"], "places of keys"))
    if len(places) != n_keys:
        raise ValueError(f"{name} has {len(places)} columns of keys, its manifest says {n_keys}")
    rows, tiles = (whole_number(data[what], f"{what} of {name}") for what in ("rows", "tiles"))
    keys_crc32, tiles_crc32 = (
        whole_number(data[what], f"a checksum of {name}") for what in ("keys_crc32", "tiles_crc32")
    )
    return Batch(rows, places, keys_crc32, tiles, tiles_crc32)


def _listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"its manifest is damaged: {what} are no list")
    return value
