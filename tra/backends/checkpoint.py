"""Checkpoints: what a training carries from step to step, at rest, so that it can go on where it was.

A checkpoint is a folder of relations and a manifest. It is written beside its place, brought to the disk, and
then renamed: a writer that is killed leaves the checkpoint before, and a folder that the next writer removes.
A training keeps others out of its folder by a lock, a file that names its process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tra.algebra.live import live_keys
from tra.algebra.nodes import Cut
from tra.algebra.relation import Relation
from tra.algebra.retiling import retile
from tra.algebra.sources import TilesSource
from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.same_training import differences
from tra.backends.storage import open_source, save
from tra.backends.storage.regular_files import open_regular
from tra.backends.storage.unfinished import claim, disclaim, is_dead, remove_abandoned, writer_tag
from tra.errors import CatalogError

Tiles = Iterable[tuple[TileKey, Tile]]
FORMAT, _MANIFEST, _LOCK = 2, "manifest.json", ".lock"
_EPOCH = re.compile(r"epoch-[0-9]{8}")
_BESIDE = ".writing-"


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
        return _no_link(self.path / f"{self.relations.index(name)}.tra")


def _no_link(path: Path) -> Path:
    """The path, which must not lead out of the folder of checkpoints.

    Raises:
        CatalogError: it is a link.
    """
    if path.is_symlink():
        raise CatalogError(f"{path} is a link, which is not followed")
    return path


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
    return [tuple(key) for key in live_keys(type_).tolist()]


def write_checkpoint(
    folder: Path, about: Mapping[str, Any], values: Mapping[str, tuple[RelType, Callable[[], Tiles]]]
) -> None:
    """Writes a checkpoint; those before it are removed once it is there.

    Args:
        folder: where checkpoints are kept; it is made where it is not there.
        about: what the manifest says; with the epoch, which is the checkpoint's name.
        values: types and tiles by name.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_checkpoint(Path(folder), {"epoch": 3, "step": 9}, {})
        ...     found_checkpoint(Path(folder), {}).step
        9

    Raises:
        CatalogError: it cannot be written.
    """
    beside = folder / f"{_BESIDE}{writer_tag()}"
    claim(beside)
    try:
        beside.mkdir(parents=True)
        for place, (type_, tiles) in enumerate(values.values()):
            save(beside / f"{place}.tra", type_, tiles())
        manifest = {"format": FORMAT, **about, "relations": list(values)}
        (beside / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _put_in_place(beside, folder / f"epoch-{about['epoch']:08d}")
    except OSError as error:
        raise CatalogError(f"cannot write a checkpoint to {folder}: {error}") from error
    finally:
        _remove([beside])
        disclaim(beside)


def _put_in_place(beside: Path, target: Path) -> None:
    """Brings a folder to the disk and renames it; at each moment it or what was there before is there."""
    for path in [*beside.rglob("*"), beside]:
        _sync(path)
    if target.exists():
        _put_aside(target)
    beside.rename(target)
    _sync(target.parent)
    _remove(path for path in _checkpoints(target.parent) if path != target)
    remove_abandoned(target.parent, _BESIDE, "")


def _put_aside(target: Path) -> None:
    """Frees a name; what had it is found under the one before, unless another checkpoint is there."""
    before = target.with_name(f"epoch-{int(target.name[-8:]) - 1:08d}")
    if before.exists():
        _remove([target])
    else:
        target.rename(before)


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, in order; nothing else that is kept there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _EPOCH.fullmatch(path.name) and path.is_dir())


@contextmanager
def only_training(folder: Path | None) -> Iterator[None]:
    """Keeps other trainings out of a folder of checkpoints, as long as this one runs.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, only_training(Path(folder)):
        ...     os.listdir(folder)
        ['.lock']

    Raises:
        CatalogError: another training is running there; or the folder cannot be written.
    """
    if folder is None:
        yield
        return
    lock = Path(os.path.realpath(folder)) / _LOCK
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        _take_over(lock)
        _lock(lock)
    except OSError as error:
        raise CatalogError(f"cannot write checkpoints to {folder}: {error}") from error
    try:
        yield
    finally:
        disclaim(lock)
        with suppress(OSError):
            lock.unlink()


def _lock(lock: Path) -> None:
    try:
        number = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        raise CatalogError(
            f"another training keeps its checkpoints in {lock.parent}: {_holder(lock)}\n"
            f"  hint: give another folder; if none is running, remove {lock}"
        ) from None
    claim(lock)
    with os.fdopen(number, "w") as file:
        file.write(f"{os.getpid()} {socket.gethostname()}")


def _take_over(lock: Path) -> None:
    """Removes the lock of a process that runs no more; one that was made in between is put back."""
    written = _read(lock)
    if not _is_stale(written, lock):
        return
    aside = lock.with_name(f"{_LOCK}-{uuid4().hex[:12]}")
    with suppress(FileNotFoundError):
        lock.rename(aside)
        if _read(aside) != written:
            os.link(aside, lock)
        aside.unlink()


def _is_stale(written: str, lock: Path) -> bool:
    pid, _, host = written.partition(" ")
    return pid.isdecimal() and is_dead(int(pid), host, lock)


def _read(lock: Path) -> str:
    try:
        with os.fdopen(open_regular(lock)) as file:
            return file.read(200)
    except FileNotFoundError:
        return ""


def _holder(lock: Path) -> str:
    pid, _, host = _read(lock).partition(" ")
    return f"process {pid} on {host}" if host else "a process that has just begun"


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

    Values of parameters before the first step are not compared: a training that goes on does not use them.

    Args:
        folder: where checkpoints are kept.
        about: what the training is; a checkpoint of another is not gone on from.

    Example:
        >>> found_checkpoint(Path("nowhere"), {}) is None
        True

    Raises:
        CatalogError: the checkpoint is of another training, and says in what; or it is damaged.
    """
    paths = _checkpoints(folder)
    if not paths:
        return None
    last = _no_link(paths[-1])
    try:
        with os.fdopen(open_regular(last / _MANIFEST), encoding="utf-8") as file:
            manifest = json.load(file)
        _check_same(last, manifest, about)
        epoch, step, names = int(manifest["epoch"]), int(manifest["step"]), tuple(manifest["relations"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, CatalogError):
            raise
        raise CatalogError(f"{last} is no checkpoint, or a damaged one: {error}") from error
    return Checkpoint(last, epoch, step, names)


def _check_same(path: Path, manifest: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    if manifest["format"] != FORMAT:
        raise CatalogError(f"{path} has format {manifest['format']}; this version reads {FORMAT}")
    lines = differences(manifest, about)
    if lines:
        raise CatalogError(
            "\n  ".join([f"{path} is of another training", *lines])
            + "\n  hint: give another folder, or remove this one to begin anew"
        )
