"""Putting a relation in its place: parts first, then the manifest, which is seen whole or not at all.

A relation is written into a folder beside its place. Where nothing is there yet the folder is renamed. Where
a relation is, the parts move into its folder under new names, the manifest is replaced by one rename, and
what no manifest lists any more is removed. Writers do this one after the other, under a lock that the system
takes back from a process that dies; parts that such a process left are removed by the next writer.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tra.backends.storage.durable import sync
from tra.backends.storage.manifest import MANIFEST, PART_NAME, Manifest, to_text
from tra.backends.storage.relation_reader import Folder, LocalFolder
from tra.backends.storage.unfinished import remove
from tra.errors import CatalogError

LOCK = ".lock"
LOCK_SECONDS = 60.0
_NEW_MANIFEST = ".manifest.new"
Joined = Callable[[Folder, Folder, Manifest], tuple[Manifest, int]]


def replaced(target: Folder, staging: Folder, new: Manifest) -> tuple[Manifest, int]:
    """What an overwritten relation is: the new one, and how many of its first parts are there already.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.backends.storage.manifest import manifest_of
        >>> new = manifest_of(tensor_type((5,), "f8", tile=2), (), "tile", "one site")
        >>> replaced(LocalFolder("A.tra"), LocalFolder(".new"), new) == (new, 0)
        True
    """
    return new, 0


def publish(staging: Path, target: Path, new: Manifest, joined: Joined = replaced) -> None:
    """Makes what was written at `staging` a relation at `target`, or part of the one there.

    Args:
        staging: the folder of its parts; it is gone afterwards, or empty.
        target: its place.
        new: the manifest of what was written.
        joined: what becomes of a relation that is there.

    Raises:
        CatalogError: others do not let go of the relation that is there.
    """
    _sweep(staging, {part.file for part in new.parts})  # parts of writers that were given up
    new = new.named(_move(staging, staging, new, 0))
    if not target.exists() and _is_first(staging, target, new):
        return
    with locked(target):
        whole, n_kept = joined(LocalFolder(str(target)), LocalFolder(str(staging)), new)
        names = [part.file for part in whole.parts[:n_kept]] + _move(staging, target, new, _free(target))
        listed = whole.named(names)
        _write(target / _NEW_MANIFEST, to_text(listed))
        sync(target)
        (target / _NEW_MANIFEST).replace(target / MANIFEST)
        sync(target)
        _sweep(target, {part.file for part in listed.parts})


def _is_first(staging: Path, target: Path, new: Manifest) -> bool:
    """Gives a folder its name; False where another writer was first."""
    _write(staging / MANIFEST, to_text(new))
    sync(staging)
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    sync(target.parent)
    return True


def _free(target: Path) -> int:
    """The first number that no part has, nor any after it."""
    return max([0, *(int(number) + 1 for name in _parts(target) if (number := name[5:-6]).isdecimal())])


def _move(staging: Path, target: Path, new: Manifest, first: int) -> list[str]:
    """Moves the new parts in, under numbers."""
    names = [f"part-{n}.arrow" for n in range(first, first + len(new.parts))]
    for part, name in zip(new.parts, names, strict=True):
        (staging / part.file).rename(target / name)
    return names


def _parts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if PART_NAME.fullmatch(path.name)]


def _sweep(folder: Path, listed: set[str]) -> None:
    """Removes parts that the manifest does not list; whatever else lies there stays."""
    for name in set(_parts(folder)) - listed:
        remove(folder / name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other writers of a relation waiting until the end of the ``with``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
        ...     [path.name for path in Path(folder).iterdir()]
        ['.lock']

    Raises:
        CatalogError: another does not let go of it.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        _take(number, folder)
        yield
    finally:
        os.close(number)


def _take(number: int, folder: Path) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise CatalogError(
                    f"{folder} is being written by another, which did not end within {LOCK_SECONDS:.0f} s"
                ) from None
            time.sleep(0.01)


def _write(path: Path, text: str) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
