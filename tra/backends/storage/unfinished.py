"""What a process that was killed leaves behind: names that say whose it was, so that the next one removes it.

A name holds the number of its process and its host. A process knows which of its own number are its own:
others are of an older process, such as one that ran before in a container.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_own: set[str] = set()
_WRITER = r"(?P<pid>[0-9]+)-[0-9a-f]{12}-(?P<host>.+)"


def writer_tag() -> str:
    """What marks a name as this process's, and as no other's.

    Example:
        >>> writer_tag().startswith(f"{os.getpid()}-"), writer_tag() == writer_tag()
        (True, False)
    """
    return f"{os.getpid()}-{uuid4().hex[:12]}-{socket.gethostname()}"


def claim(path: Path) -> None:
    """Says that a path is being written by this process."""
    _own.add(str(path))


def disclaim(path: Path) -> None:
    """Says that a path is no longer written by this process."""
    _own.discard(str(path))


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Claims a path until the end of the ``with``.

    Example:
        >>> path = Path(f"/tmp/.A.tra.{writer_tag()}.tmp")
        >>> with claimed(path):
        ...     is_dead(os.getpid(), socket.gethostname(), path)
        False
        >>> is_dead(os.getpid(), socket.gethostname(), path)
        True
    """
    claim(path)
    try:
        yield
    finally:
        disclaim(path)


def is_dead(pid: int, host: str, path: Path) -> bool:
    """Claims that the process that made a path is one of this host, and runs no more."""
    if host != socket.gethostname():
        return False
    if pid == os.getpid():
        return str(path) not in _own
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def is_abandoned(path: Path, before: str, after: str = "") -> bool:
    """Claims that a name is `before`, a writer's tag and `after`, and that its writer runs no more.

    Example:
        >>> is_abandoned(Path(f"/tmp/.A.tra.{writer_tag()}.tmp"), ".A.tra.", ".tmp")
        True
    """
    found = re.fullmatch(re.escape(before) + _WRITER + re.escape(after), path.name)
    return found is not None and is_dead(int(found["pid"]), found["host"], path)


def remove_abandoned(folder: Path, before: str, after: str) -> None:
    """Removes what writers that run no more left in a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, f".A.npy.{writer_tag()}.tmp").touch()
        ...     remove_abandoned(Path(folder), ".A.npy.", ".tmp")
        ...     list(Path(folder).iterdir())
        []
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if is_abandoned(path, before, after):
                remove(path)


def remove(path: Path) -> None:
    """Removes a file or a folder, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
