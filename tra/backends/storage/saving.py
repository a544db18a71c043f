"""Saving a relation: the suffix of the path decides the format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.storage.location import Location, locate
from tra.backends.storage.numpy_files import NpyWriter, NpzWriter
from tra.backends.storage.writer import TileWriter
from tra.backends.storage.zarr_array import ZarrWriter
from tra.errors import CatalogError

Writers = Callable[[Location, RelType], TileWriter]


def _parquet_writer(location: Location, type_: RelType) -> TileWriter:
    from tra.backends.storage.parquet import ParquetWriter  # PyArrow takes a while to load

    return ParquetWriter(location, type_)


WRITERS: dict[str, Writers] = {
    ".parquet": _parquet_writer,
    ".npy": NpyWriter,
    ".npz": NpzWriter,
    ".zarr": ZarrWriter,
}


def tile_writer(
    path: str | os.PathLike[str] | Location,
    type_: RelType,
    base: Path | None = None,
    append: bool = False,
    placement: str = "one site",
) -> TileWriter:
    """A writer for tiles that come one by one, a context manager; arguments are those of `save`.

    Example:
        >>> import tempfile, numpy as np
        >>> from tra.algebra.sources import tensor_type
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with tile_writer("A.npy", tensor_type((3,), "f8", tile=2), base=Path(folder)) as out:
        ...         out.write((1,), np.full(1, 7.0))
        ...         out.write((0,), np.zeros(2))
        ...     np.load(f"{folder}/A.npy")
        array([0., 0., 7.])

    Raises:
        CatalogError: the suffix is of no known format.
        SchemaError: the relation has holes and the format holds whole tensors only.
    """
    location = locate(path, base)
    if location.suffix == ".tra":
        from tra.backends.storage.relation_writer import RelationWriter  # PyArrow takes a while to load

        return RelationWriter(location, type_, append, placement)
    if append:
        raise CatalogError(f"cannot append to {location}: only a relation in a .tra folder grows")
    return WRITERS[location.suffix](location, type_)


def save(
    path: str | os.PathLike[str] | Location,
    type_: RelType,
    tiles: Iterable[tuple[TileKey, Tile]],
    base: Path | None = None,
    append: bool = False,
    placement: str = "one site",
) -> None:
    """Writes a relation; what was at the path stays until all tiles are written, then it is replaced.

    Args:
        path: ends with .tra or .parquet, which hold any relation; or with .npy, .npz (``:member`` may
            follow) or .zarr, which hold whole tensors.
        type_: the type of the relation.
        tiles: keys and tiles, in any order, each taken once and not kept.
        base: the folder that relative paths start from; the working directory when left out.
        append: adds the tiles to the `.tra` relation that is there, where one is, instead of replacing it.
        placement: how the tiles lie on the sites that made them, for the manifest of a `.tra` folder.

    Example:
        >>> import tempfile, numpy as np
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.backends.storage.opening import open_source
        >>> folder = tempfile.TemporaryDirectory()
        >>> tiles = [((1,), np.full(1, 7.0)), ((0,), np.zeros(2))]
        >>> save("A.tra", tensor_type((3,), "f8", tile=2), tiles, base=Path(folder.name))
        >>> open_source("A.tra", base=Path(folder.name))[1].read((1,))
        array([7.])
        >>> folder.cleanup()

    Raises:
        CatalogError: the path is of no known format, or holds something else, or cannot be written.
        SchemaError: tiles do not fit the type, or are missing, or the format holds no holes; or what is
            appended has keys that are there, or other names, tile sizes or dtype.
    """
    with tile_writer(path, type_, base, append, placement) as out:
        out.write_all(tiles)
