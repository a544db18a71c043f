"""Files open in this process: opened once, a bounded number at a time, never changed unnoticed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from typing import Any
from uuid import uuid4

from tra.backends.memory import drop_pages
from tra.backends.storage.location import Location
from tra.backends.storage.table_reader import TableReader

MAX_OPEN = 64


@dataclass(frozen=True)
class Version:
    """What changes with the content of a file, and what tells two files apart that had the name.

    Attributes:
        stamp: when it was written and how long it is; the same of copies of a file.
        file: the process that saw the file, and its device and number there; None behind a URL.
        digest: of the manifest, where it has one.
    """

    stamp: str
    file: tuple[str, int, int] | None = None
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.stamp}/{self.digest}" if self.digest else self.stamp

    def is_same_file(self, other: Version) -> bool:
        """Claims that both are of one time and length, and where one process saw both, of one file.

        Example:
            >>> seen, replaced = Version("5-80", ("a", 1, 2)), Version("5-80", ("a", 1, 3))
            >>> seen.is_same_file(replaced), seen.is_same_file(Version("5-80", ("b", 7, 9)))
            (False, True)
        """
        here = self.file is not None and other.file is not None and self.file[0] == other.file[0]
        return self.stamp == other.stamp and (not here or self.file == other.file)


@dataclass
class _Entry:
    """A file that is open, or about to be; the lock lets one thread open it while others wait."""

    lock: Lock = field(default_factory=Lock)
    opened: tuple[Any, Version] | None = None


_open: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()
_lock = Lock()
_PROCESS = uuid4().hex


def opened(
    location: Location, open_: Callable[[Location], Any], version: Version | None = None, way: str = ""
) -> tuple[Any, Version]:
    """The reader of a file, opened where this process has not done so, and the version of its content.

    Args:
        location: the file.
        open_: makes the reader.
        version: the version that a source was made for.
        way: how it is opened, where there are several ways.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        ...     where = Location(file.name, ".npy")
        ...     opened(where, open_=lambda _: object())[0] is opened(where, open_=lambda _: object())[0]
        True

    Raises:
        ValueError: the file is not of that version any more; or is a pipe or a device, which is never
            waited for.
    """
    found, changed = _look(location)
    if version is not None and not version.is_same_file(found):
        raise _changed()
    entry = _entry((location, found, changed, way))
    with entry.lock:
        if entry.opened is None:
            reader = open_(location)
            if _look(location) != (found, changed):
                raise _changed()
            entry.opened = reader, replace(found, digest=getattr(reader, "digest", ""))
    if version is not None and version.digest != entry.opened[1].digest:
        raise _changed()
    return entry.opened


def let_go() -> None:
    """Lets go of what readers of open files keep in memory; it is read again when it is wanted."""
    with _lock:
        readers = [(key[0], entry.opened[0]) for key, entry in _open.items() if entry.opened is not None]
    for _, reader in readers:
        if isinstance(reader, TableReader):
            reader.let_go()
    drop_pages(*(location.path for location, _ in readers if not location.is_remote))


def _look(location: Location) -> tuple[Version, int]:
    """The version of a file, but for its digest, and when anything of it was changed."""
    if location.is_remote:
        return Version(_remote_stamp(location)), 0
    stat = location.stamped.stat()
    if not S_ISREG(stat.st_mode):
        raise ValueError("it is no file" if location.stamped == Path(location.path) else "it is no relation")
    file = (_PROCESS, stat.st_dev, stat.st_ino)
    return Version(f"{stat.st_mtime_ns}-{stat.st_size}", file), stat.st_ctime_ns  # numbers are used again


def _remote_stamp(location: Location) -> str:
    from tra.backends.storage.remote import RemoteFile

    file = RemoteFile(location.path)
    names = {".tra": ["manifest.json"], ".zarr": ["zarr.json", ".zarray"]}.get(location.suffix, [""])
    name = next((name for name in names[:-1] if file.exists(name)), names[-1])
    return file.stamp(name)


def _changed() -> ValueError:
    return ValueError("it changed since it was opened; open it again")


def _entry(key: tuple[Any, ...]) -> _Entry:
    with _lock:
        if key not in _open:  # a file that was replaced takes its place on the disk for as long as it is open
            for old in [old for old in _open if (old[0], old[-1]) == (key[0], key[-1])]:
                del _open[old]
        entry = _open.pop(key, None) or _Entry()
        _open[key] = entry
        while len(_open) > MAX_OPEN:
            _open.popitem(last=False)
        return entry
