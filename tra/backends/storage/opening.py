"""Opening a relation at rest: a source node for the query, and the tiles behind it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tra.algebra.arguments import given_name, key_names
from tra.algebra.nodes import Source
from tra.algebra.sources import TileSource, tensor_type
from tra.algebra.types import Key, RelType
from tra.backends.storage.failures import reading
from tra.backends.storage.location import Location, locate
from tra.backends.storage.numpy_files import with_member
from tra.backends.storage.relation_reader import CHECKS
from tra.backends.storage.sources import ArrayFile, TableFile, open_file
from tra.backends.storage.table_reader import TableReader
from tra.backends.storage.tile_check import native
from tra.backends.storage.zarr_array import dimension_keys, holed_type
from tra.errors import CatalogError, SchemaError, near_name

Sizes = Sequence[int] | int


def open_source(
    path: str | os.PathLike[str],
    keys: Sequence[str] | None = None,
    tile: Sizes | None = None,
    name: str | None = None,
    base: Path | None = None,
    check: str = "read",
) -> tuple[Source, TileSource]:
    """A source over a file; no tile is read.

    Args:
        path: ends with .tra, .parquet, .npy, .npz (with ``:member`` where there are several) or .zarr.
        keys: a name per cut axis of an array; for a relation (.tra, .parquet) new names for its keys.
        tile: tile sizes of an array, chosen by the engine when left out; a relation keeps its own.
        name: the name in plans and query text; the member's or the file's when left out.
        base: the folder that relative paths start from; the working directory when left out.
        check: when the checksums of a `.tra` relation are compared: ``"read"`` when a tile is first read,
            ``"open"`` all of them now, ``"never"``.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> np.save(Path(folder.name) / "A.npy", np.arange(6.0).reshape(2, 3))
        >>> source, tiles = open_source("A.npy", tile=(1, 2), base=Path(folder.name))
        >>> source.name, str(source.type)
        ('A', '[i:2, j:2] of 1/2×2/3 float64')
        >>> tiles.read((1, 1))
        array([[5.]])
        >>> folder.cleanup()

    Raises:
        CatalogError: the file is not there, of no known format, or damaged.
        SchemaError: `keys` or `tile` do not fit what is stored, or the name is none.
    """
    given_name(name)
    location = locate(path, base)
    if location.suffix == ".tra" and Path(location.path).is_file():
        raise CatalogError(
            f"{location} is a file, and a relation at rest is a folder; a query is run with `tra run`"
        )
    _check_check(check, location)
    with reading(location):
        location = with_member(location)
        reader, version = open_file(location, check=check)
        stored = reader.type if isinstance(reader, TableReader) else None
        holed = holed_type(reader) if location.suffix == ".zarr" else None
    name = name or location.member or location.stem
    if stored is not None:
        type_ = _as_asked(stored, keys, tile, location)
        return Source(type_, str(location), str(version), name), TableFile(location, version, check)
    if holed is not None:
        type_ = _as_asked(holed, keys, tile, location)
        return Source(type_, str(location), str(version), name), ArrayFile(location, version, type_)
    if keys is None and location.suffix == ".zarr":
        keys = dimension_keys(reader)
    type_ = tensor_type(reader.shape, native(reader.dtype), keys, tile)
    array = ArrayFile(location, version, type_, is_open=tile is None)
    return Source(type_, str(location), str(version), name), array


def _check_check(check: str, location: Location) -> None:
    if check not in CHECKS:
        raise CatalogError(
            f"check is one of {', '.join(CHECKS)}; got {check!r}{near_name(str(check), CHECKS)}"
        )
    if check != "read" and location.suffix != ".tra":
        raise CatalogError(
            f"check={check!r} is for relations in .tra folders; {location} has no such checksums"
        )


def _as_asked(stored: RelType, keys: Sequence[str] | None, tile: Sizes | None, location: Location) -> RelType:
    if tile is not None and not _has_tiles(stored, tile):
        raise SchemaError(
            f"{location} is stored as {stored}, not in tiles of {tile}; open it as it is and use .retile"
        )
    if keys is None:
        return stored
    keys = key_names(keys)
    if len(keys) != len(stored.keys):
        raise SchemaError(
            f"{location} is stored as {stored}, with {len(stored.keys)} keys; "
            f"{len(keys)} names are given: {', '.join(keys)}"
        )
    if len(set(keys)) < len(keys):
        raise SchemaError(f"a key is named twice: {', '.join(keys)}")
    names = dict(zip(stored.names, keys, strict=True))
    return replace(
        stored,
        keys=tuple(Key(names[key.name], key.domain) for key in stored.keys),
        axes=tuple(axis.renamed(names) for axis in stored.axes),
    )


def _has_tiles(stored: RelType, tile: Sizes) -> bool:
    """Claims that tile sizes, one for all or one per cut axis or per axis, are the stored ones."""
    axes = stored.axes
    cut = tuple(axis for axis in axes if axis.link)
    if isinstance(tile, (int, np.integer)):
        return all(axis.size == min(tile, axis.extent) for axis in cut)
    return any(
        len(tile) == len(some)
        and all(axis.size == min(size, axis.extent) for axis, size in zip(some, tile, strict=True))
        for some in (axes, cut)
    )
