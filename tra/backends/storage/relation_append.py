"""Appending: tiles at keys that a stored relation does not have yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tra.algebra.key_arrays import sort_keys
from tra.algebra.types import Axis, Key, KeyArray, RelType
from tra.backends.storage.manifest import Manifest, manifest_of, to_text
from tra.backends.storage.relation_reader import Folder, RelationReader
from tra.backends.storage.tile_check import with_keys
from tra.errors import SchemaError


def appended(target: Folder, staging: Folder, new: Manifest) -> tuple[Manifest, int]:
    """The manifest of a stored relation and of what is appended to it, and how many parts stay: all.

    Raises:
        SchemaError: they do not fit together; both are shown.
    """
    old = RelationReader(target)
    added = RelationReader(_Written(staging, new)).keys
    type_ = joined_type(old.type, old.keys, new.type, added)
    if old.manifest.column != new.column:
        raise SchemaError(f"cannot append {new.type} to {old.type}: their tiles are called differently")
    parts = (*old.manifest.parts, *new.parts)
    whole = manifest_of(type_, parts, new.column, "several")
    return whole, len(old.manifest.parts)


class _Written:
    """A folder whose manifest is not there yet."""

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        self.keeps = folder.keeps
        self.part = folder.part
        self.stamp = folder.stamp
        self._manifest = manifest

    def manifest(self) -> bytes:
        """The text that it will have."""
        return to_text(self._manifest).encode()


def joined_type(old: RelType, old_keys: KeyArray, new: RelType, new_keys: KeyArray) -> RelType:
    """The type of two relations of different keys together.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> first = replace(tensor_type((6,), "f8", ("i",), 2), keys=(Key("i", 3),))
        >>> later = tensor_type((9,), "f8", ("i",), 2)
        >>> str(joined_type(first, np.array([[0], [1], [2]]), later, np.array([[3], [4]])))
        '[i:5] of 2/9 float64'

    Raises:
        SchemaError: names, sizes or dtypes differ, a key is in both, or a last tile would have to grow.
    """
    if old.names != new.names or old.dtype != new.dtype or not _alike(old, new):
        raise SchemaError(f"cannot append {new} to {old}: keys, tile sizes and dtypes must be the same")
    keys = tuple(Key(a.name, max(a.domain, b.domain)) for a, b in zip(old.keys, new.keys, strict=True))
    axes = tuple(replace(a, extent=max(a.extent, b.extent)) for a, b in zip(old.axes, new.axes, strict=True))
    whole = replace(old, keys=keys, axes=axes)
    for before, its_keys in ((old, old_keys), (new, new_keys)):
        _check_edges(before, whole, its_keys)
    together = sort_keys(np.concatenate([old_keys, new_keys]))
    twice = np.all(together[1:] == together[:-1], axis=1)
    if len(together) > 1 and twice.any():
        key = tuple(together[1:][twice][0].tolist())
        raise SchemaError(
            f"cannot append {new}: there is a tile at key {key} already, and it is not replaced"
        )
    return with_keys(whole, together)


def _alike(old: RelType, new: RelType) -> bool:
    """Claims that axes are cut alike."""
    return len(old.axes) == len(new.axes) and all(
        _cut(a) == _cut(b) and (a.link != () or a.extent == b.extent)
        for a, b in zip(old.axes, new.axes, strict=True)
    )


def _cut(axis: Axis) -> tuple[int, object]:
    return axis.size, axis.link


def _check_edges(type_: RelType, whole: RelType, keys: KeyArray) -> None:
    """Checks that tiles are as long in the whole as they are now."""
    found, expected = type_.tile_lengths(keys), whole.tile_lengths(keys)
    short = np.any(found != expected, axis=1)
    if short.any():
        row = int(np.argmax(short))
        raise SchemaError(
            f"the tile at key {tuple(keys[row].tolist())} is {tuple(found[row].tolist())}, and would be "
            f"{tuple(expected[row].tolist())} in {whole}: no tile can come after a shorter one"
        )
