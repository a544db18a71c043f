"""Checkpoints: what a training carries from step to step, at rest, so that it can go on where it was.

A checkpoint is a folder of relations and a manifest. It is written beside its place, brought to the disk, and
then renamed: a writer that is killed leaves the checkpoint before, and a folder that the next writer removes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tra.algebra.nodes import Cut
from tra.algebra.relation import Relation
from tra.algebra.retiling import retile
from tra.algebra.sources import TilesSource
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.storage import open_source, save
from tra.errors import CatalogError

Tiles = Iterable[tuple[TileKey, Tile]]
FORMAT = 1
_MANIFEST, _PREFIX, _BESIDE = "manifest.json", "epoch-", ".writing-"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is there.

    Attributes:
        path: its folder.
        epoch: how many epochs were done.
        step: how many steps were done.
    """

    path: Path
    epoch: int
    step: int
    relations: tuple[str, ...]

    def load(self, types: Mapping[str, RelType]) -> dict[str, Relation]:
        """The values that were saved, in tiles of these types; they are read here, and not by workers.

        Raises:
            CatalogError: a file is damaged.
        """
        return {name: _relation(self._file(name), type_) for name, type_ in types.items()}

    def _file(self, name: str) -> Path:
        return self.path / f"{self.relations.index(name)}.tra"


def _relation(path: Path, type_: RelType) -> Relation:
    """A relation at rest, cut as a type says."""
    node, source = open_source(path)
    keys = _live_keys(node.type)
    held = Relation(node, {node.id: TilesSource({key: source.read(key) for key in keys})})
    if node.type == type_:
        return held
    cuts = [Cut(axis.size, axis.link[0][0]) if axis.link else Cut() for axis in type_.axes]
    return Relation(retile([node], cuts), held.sources)


def _live_keys(type_: RelType) -> list[TileKey]:
    from tra.algebra.live import live_keys

    return [tuple(key) for key in live_keys(type_).tolist()]


def write_checkpoint(
    folder: Path, about: Mapping[str, Any], values: Mapping[str, tuple[RelType, Callable[[], Tiles]]]
) -> None:
    """Writes a checkpoint; those before it are removed once it is there.

    Args:
        folder: where checkpoints are kept; it is made where it is not there.
        about: what the manifest says; with the epoch, which is the checkpoint's name.
        values: types and tiles by name.

    Raises:
        CatalogError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove(folder.glob(f"{_BESIDE}*"))
        beside = folder / f"{_BESIDE}{uuid4().hex[:12]}"
        beside.mkdir()
        for place, (type_, tiles) in enumerate(values.values()):
            save(beside / f"{place}.tra", type_, tiles())
        manifest = {"format": FORMAT, **about, "relations": list(values)}
        (beside / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _put_in_place(beside, folder / f"{_PREFIX}{about['epoch']:08d}")
    except OSError as error:
        raise CatalogError(f"cannot write a checkpoint to {folder}: {error}") from error


def _put_in_place(beside: Path, target: Path) -> None:
    """Brings a folder to the disk and renames it; a crash leaves either it or what was there before."""
    for path in [*beside.rglob("*"), beside]:
        _sync(path)
    before = [path for path in target.parent.glob(f"{_PREFIX}*") if path != target]
    if target.exists():  # of a training that went on from an earlier one
        target.rename(target.with_name(f"{_BESIDE}{uuid4().hex[:12]}"))
    beside.rename(target)
    _sync(target.parent)
    _remove([*before, *target.parent.glob(f"{_BESIDE}*")])


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def found_checkpoint(folder: Path, about: Mapping[str, Any]) -> Checkpoint | None:
    """The last checkpoint in a folder, or None where there is none.

    Args:
        folder: where checkpoints are kept.
        about: what the training is; a checkpoint of another is not gone on from.

    Raises:
        CatalogError: the checkpoint is of another training, and says in what; or it is damaged.
    """
    paths = sorted(folder.glob(f"{_PREFIX}*"), reverse=True)
    if not paths:
        return None
    try:
        manifest = json.loads((paths[0] / _MANIFEST).read_text(encoding="utf-8"))
        _check_same(paths[0], manifest, about)
        epoch, step, names = int(manifest["epoch"]), int(manifest["step"]), tuple(manifest["relations"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, CatalogError):
            raise
        raise CatalogError(f"{paths[0]} is no checkpoint, or a damaged one: {error}") from error
    return Checkpoint(paths[0], epoch, step, names)


def _check_same(path: Path, manifest: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    if manifest["format"] != FORMAT:
        raise CatalogError(f"{path} has format {manifest['format']}; this version reads {FORMAT}")
    differing = [name for name in about if manifest[name] != about[name]]
    if not differing:
        return
    lines = [f"{name}: {manifest[name]} there, {about[name]} here" for name in differing]
    raise CatalogError(
        f"{path} is of another training\n  "
        + "\n  ".join(lines)
        + "\n  hint: give another folder, or remove this one to begin anew"
    )
