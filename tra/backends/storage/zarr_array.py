"""Tensors as zarr arrays, for the world of dask and xarray; zarr is an optional import.

In zarr a chunk that is not there means zeros, so a chunk file that was lost is not noticed. The holes of a
relation are chunks that are not there, and its live keys an attribute, so that other tools read zeros and
this engine holes. Keys are the names of dimensions.
"""

from __future__ import annotations

import json
import os
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from tra.algebra.coordinates import coordinate_names
from tra.algebra.key_arrays import sort_keys
from tra.algebra.live import is_dense, live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.types import AtMost, KeySet, RelType, Tile, TileKey
from tra.backends.storage.location import Location
from tra.backends.storage.part_writers import PartWriter, ZarrPart
from tra.backends.storage.places import Place
from tra.backends.storage.regular_files import open_regular
from tra.backends.storage.tile_check import native
from tra.backends.storage.type_text import seal, type_from_json, type_to_json, unseal
from tra.backends.storage.writer import TensorWriter
from tra.backends.storage.zarr_chunks import ZarrChunks
from tra.errors import CatalogError, SchemaError

ATTRIBUTE = "tra"


def _zarr_module() -> ModuleType:
    """The zarr package.

    Raises:
        CatalogError: it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise CatalogError(
            ".zarr files need the package zarr: pip install 'tra-engine[peers]', or '.[peers]' in a checkout"
        ) from error
    return zarr


def open_zarr(location: Location) -> Any:
    """The zarr array of a folder.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "zarr.json").write_text('{"codecs": [{"name": "pickle"}]}')
        ...     open_zarr(Location(folder, ".zarr"))
        Traceback (most recent call last):
        ValueError: its chunks are pickled, which is never read
    """
    metadata = json.loads(_metadata(location))
    if not isinstance(metadata, dict):
        raise ValueError("it is no zarr array, or its description is damaged")
    codecs = [metadata.get(part) for part in ("codecs", "compressor", "filters")]
    if "pickle" in json.dumps(codecs):
        raise ValueError("its chunks are pickled, which is never read")
    array = _zarr_module().open_array(_store(location), mode="r")
    native(array.dtype)
    return ZarrChunks(array)


def _store(location: Location) -> Any:
    """What zarr reads from: a URL, or a folder in which no link is followed."""
    if location.is_remote:
        return location.path
    from tra.backends.storage.zarr_store import FolderStore  # zarr may be missing

    return FolderStore(location.path, read_only=True)


def dimension_keys(array: Any) -> tuple[str, ...] | None:
    """The names of all dimensions, where they have such, as names of keys.

    Example:
        >>> from types import SimpleNamespace as Array
        >>> dimension_keys(Array(metadata=Array(dimension_names=("time", "place"))))
        ('time', 'place')
    """
    names: Any = getattr(array.metadata, "dimension_names", None) or ()
    known = (
        names
        and all(isinstance(name, str) and name and name.isprintable() for name in names)
        and len(set(names)) == len(names)
    )
    return tuple(names) if known else None


def holed_type(array: Any) -> RelType | None:
    """The type of a relation with holes that was written here; None where it is another array.

    Raises:
        ValueError: it says that it is one, and is not.
    """
    text = array.attrs.get(ATTRIBUTE)
    if text is None:
        return None
    data = unseal(str(text))
    type_ = type_from_json(data)
    keys = np.array(data["live_keys"], dtype=np.int64).reshape(-1, len(type_.keys))
    inside = np.all((keys >= 0) & (keys < np.array(type_.domains, np.int64)))
    if tuple(array.shape) != type_.shape or native(array.dtype) != type_.dtype or not inside:
        raise ValueError("its attributes are those of another array")
    return with_live(type_, KeySet(sort_keys(keys)))


def is_cut_plainly(type_: RelType) -> bool:
    """Claims that each key cuts the axis of its place, as those of an array do.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> is_cut_plainly(tensor_type((5, 4), "f8", tile=2))
        True
    """
    links = [axis.link for axis in type_.axes]
    return links == [((key.name, 1),) for key in type_.keys] and all(axis.size for axis in type_.axes)


def _metadata(location: Location) -> bytes:
    if not location.is_remote:
        with os.fdopen(open_regular(location.stamped), "rb") as local:
            return local.read()
    from tra.backends.storage.remote import RemoteFile

    file = RemoteFile(location.path)
    return file.read(".zarray" if file.exists(".zarray") else "zarr.json")


class ZarrWriter(TensorWriter):
    """Writes a `.zarr` folder: a chunk per tile, not compressed."""

    _array: Any = None

    def check_places(self, type_: RelType) -> None:
        """Takes relations with holes, where each key cuts the axis of its place."""
        if isinstance(type_.live, AtMost) or not is_cut_plainly(type_):
            super().check_places(type_)

    def is_own(self) -> bool:
        return is_array(self.place)

    def begin(self) -> None:
        zarr = _zarr_module()
        if self.type.dtype.names is not None:
            raise SchemaError(f"zarr has no stable type for {self.type}; save as .tra or .npy")
        n_free = len(self.type.shape) - len(self.type.axes)
        zarr.create_array(
            store=str(self.place.temporary),
            shape=self.type.shape,
            chunks=(1,) * n_free + tuple(max(axis.size, 1) for axis in self.type.axes),
            dtype=self.type.dtype,
            compressors=None,
            fill_value=0,
            dimension_names=coordinate_names(self.type) if self.type.shape else None,
            attributes=self._attributes(),
        )
        from tra.backends.storage.chunk_store import ChunkStore, array_of  # zarr may be missing

        self._array = array_of(ChunkStore(self.place.temporary))

    def _attributes(self) -> dict[str, str]:
        """What says which tiles are holes."""
        if is_dense(self.type):
            return {}
        live = live_keys(self.type).tolist()
        return {ATTRIBUTE: seal({**type_to_json(self.type), "live_keys": live})}

    def put(self, key: TileKey, tile: Tile) -> None:
        if prod(tile.shape):
            self._array[self.window(key)] = tile

    def part(self, name: str) -> PartWriter | None:
        return ZarrPart(self.location, self.place.temporary, self.type)

    def finish(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self._array = None


def is_array(place: Place) -> bool:
    """Claims that a folder is a zarr array (a group is not)."""
    if place.exists(".zarray"):
        return True
    try:
        with place.open("zarr.json") as file:
            data = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("node_type") == "array"
