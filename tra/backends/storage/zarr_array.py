"""Whole tensors as zarr arrays, for the world of dask and xarray; zarr is an optional import.

In zarr a chunk that is not there means zeros, so a chunk file that was lost is not noticed.
"""

from __future__ import annotations

import json
from math import prod
from types import ModuleType
from typing import Any

from tra.algebra.types import Tile, TileKey
from tra.backends.storage.location import Location
from tra.backends.storage.places import Place
from tra.backends.storage.tile_check import native
from tra.backends.storage.writer import TensorWriter
from tra.errors import CatalogError, SchemaError


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
    codecs = [metadata.get(part) for part in ("codecs", "compressor", "filters")]
    if "pickle" in json.dumps(codecs):
        raise ValueError("its chunks are pickled, which is never read")
    array = _zarr_module().open_array(location.path, mode="r")
    native(array.dtype)
    return array


def _metadata(location: Location) -> bytes:
    if not location.is_remote:
        return location.stamped.read_bytes()
    from tra.backends.storage.remote import RemoteFile

    file = RemoteFile(location.path)
    return file.read(".zarray" if file.exists(".zarray") else "zarr.json")


class ZarrWriter(TensorWriter):
    """Writes a `.zarr` folder: a chunk per tile, not compressed."""

    _array: Any = None

    def is_own(self) -> bool:
        return is_array(self.place)

    def begin(self) -> None:
        zarr = _zarr_module()
        if self.type.dtype.names is not None:
            raise SchemaError(f"zarr has no stable type for {self.type}; save as .tra or .npy")
        n_free = len(self.type.shape) - len(self.type.axes)
        self._array = zarr.create_array(
            store=str(self.place.temporary),
            shape=self.type.shape,
            chunks=(1,) * n_free + tuple(max(axis.size, 1) for axis in self.type.axes),
            dtype=self.type.dtype,
            compressors=None,
            fill_value=0,
            config={"write_empty_chunks": True},  # zeros that are left out would lose the sign of −0.0
        )

    def put(self, key: TileKey, tile: Tile) -> None:
        if prod(tile.shape):
            self._array[self.window(key)] = tile

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
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get("node_type") == "array"
