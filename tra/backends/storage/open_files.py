"""Files open in this process: opened once, a bounded number at a time, never changed unnoticed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from typing import Any

from tra.backends.storage.location import Location

MAX_OPEN = 64


@dataclass
class _Entry:
    """A file that is open, or about to be; the lock lets one thread open it while others wait."""

    lock: Lock = field(default_factory=Lock)
    reader: Any = None
    version: str = ""


_open: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()
_lock = Lock()


def opened(
    location: Location, open_: Callable[[Location], Any], version: str | None = None, way: str = ""
) -> tuple[Any, str]:
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
    stamp, file = _remote_stamp(location) if location.is_remote else _stamp(location)
    if version is not None and version.split("/")[0] != stamp:
        raise _changed()
    entry = _entry((location, stamp, file, way))
    with entry.lock:
        if entry.reader is None:
            entry.reader = open_(location)
            digest = getattr(entry.reader, "digest", "")
            entry.version = f"{stamp}/{digest}" if digest else stamp
    if version is not None and version != entry.version:
        raise _changed()
    return entry.reader, entry.version


def _stamp(location: Location) -> tuple[str, object]:
    """What changes with the content of a file, and what tells two files apart that had the name."""
    stat = location.stamped.stat()
    if not S_ISREG(stat.st_mode):
        raise ValueError("it is no file" if location.stamped == Path(location.path) else "it is no relation")
    return f"{stat.st_mtime_ns}-{stat.st_size}", (stat.st_ino, stat.st_ctime_ns)  # numbers are used again


def _remote_stamp(location: Location) -> tuple[str, object]:
    from tra.backends.storage.remote import RemoteFile

    file = RemoteFile(location.path)
    names = {".tra": ["manifest.json"], ".zarr": ["zarr.json", ".zarray"]}.get(location.suffix, [""])
    name = next((name for name in names[:-1] if file.exists(name)), names[-1])
    return file.stamp(name), None


def _changed() -> ValueError:
    return ValueError("it changed since it was opened; open it again")


def _entry(key: tuple[Any, ...]) -> _Entry:
    with _lock:
        entry = _open.pop(key, None) or _Entry()
        _open[key] = entry
        while len(_open) > MAX_OPEN:
            _open.popitem(last=False)
        return entry
