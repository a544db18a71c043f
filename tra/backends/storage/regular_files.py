"""Opening files that may be none: links that lead elsewhere, pipes that never end, devices."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def open_regular(path: Path, follow: bool = False) -> int:
    """Opens a plain file for reading; a pipe or a device is refused and never waited for.

    Args:
        path: the file.
        follow: takes what a link leads to; else a link is refused.

    Returns:
        its number, for `os.fdopen`.

    Example:
        >>> open_regular(Path("/dev/null"))
        Traceback (most recent call last):
        OSError: null is no file

    Raises:
        OSError: it is not there, or no plain file.
    """
    if not follow and path.is_symlink():
        raise OSError(f"{path.name} is a link, which is not followed")
    no_link = 0 if follow else os.O_NOFOLLOW
    number = os.open(path, os.O_RDONLY | no_link | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(f"{path.name} is no file")
    return number


def check_inside(root: Path, name: str) -> None:
    """Checks that a name in a folder, if it is there, is a plain file of it, and no way out.

    Example:
        >>> check_inside(Path("/usr"), "../etc/passwd")
        Traceback (most recent call last):
        OSError: ../etc/passwd lies outside of its folder

    Raises:
        OSError: it is a link, a folder, a pipe or a device, or lies elsewhere.
    """
    path = root / name
    folder = Path(os.path.realpath(path.parent))
    if folder != Path(os.path.realpath(root)) / Path(name).parent:
        raise OSError(f"{name} lies outside of its folder")
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise OSError(f"{name} is a link, which is not followed")
    if not stat.S_ISREG(mode):
        raise OSError(f"{name} is no file")
