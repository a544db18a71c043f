"""Giving a finished file or folder its name, in one step where the system has one for that."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

from tra.backends.storage.unfinished import remove

_HERE = -100 if sys.platform == "linux" else -2  # AT_FDCWD
_SWAP = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def put_in_place(temporary: Path, target: Path) -> None:
    """Renames a finished file or folder; there is no moment without it and what had the name before.

    A folder changes places with the one that has the name, which the caller removes. Where the file system
    cannot do that, the old one is renamed first: a process that is killed just then leaves it under a name
    that ends with ``.old``.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> old, new = Path(folder.name, "old"), Path(folder.name, "new")
        >>> old.mkdir(), new.mkdir(), (new / "x").touch()
        (None, None, None)
        >>> put_in_place(new, old)
        >>> (old / "x").exists(), (new / "x").exists()
        (True, False)
        >>> folder.cleanup()
    """
    if not (temporary.is_dir() and target.exists()):
        temporary.replace(target)
    elif not _swapped(temporary, target):
        _by_turns(temporary, target)


def _swapped(one: Path, other: Path) -> bool:
    """Lets two folders change places; False where that cannot be done in one step."""
    system: Any = ctypes.CDLL(None)
    paths = (os.fsencode(one), os.fsencode(other))
    if sys.platform == "linux" and hasattr(system, "renameat2"):
        return bool(system.renameat2(_HERE, paths[0], _HERE, paths[1], _SWAP) == 0)
    if sys.platform == "darwin" and hasattr(system, "renamex_np"):
        return bool(system.renamex_np(*paths, _SWAP) == 0)
    return False


def _by_turns(temporary: Path, target: Path) -> None:
    old = temporary.with_suffix(".old")
    target.rename(old)
    try:
        temporary.rename(target)
    except OSError:
        old.rename(target)
        raise
    remove(old)
