"""Questions to workers that may not have `tra`: these functions travel by value and import nothing of it."""

from __future__ import annotations


def installed() -> tuple[str | None, str]:
    """The version of tra here, or None, and the version of Python.

    Example:
        >>> import tra
        >>> installed()[0] == tra.__version__
        True
    """
    import sys

    python = ".".join(map(str, sys.version_info[:3]))
    try:
        import tra
    except Exception:
        return None, python
    return tra.__version__, python


def unseen(paths: list[str]) -> list[str]:
    """The paths and URLs that do not exist here.

    Example:
        >>> unseen(["/", "/no/such/path"])
        ['/no/such/path']
    """
    from pathlib import Path

    def exists(path: str) -> bool:
        if "://" not in path:
            return Path(path).exists()
        from fsspec.core import url_to_fs

        files, name = url_to_fs(path)
        return bool(files.exists(name))

    return [path for path in paths if not exists(path)]
