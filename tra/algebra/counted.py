"""Counts of things, for people."""

from __future__ import annotations


def counted(n: int, what: str, plural: str | None = None) -> str:
    """A number of things.

    Example:
        >>> counted(1, "index", "indices"), counted(2, "index", "indices"), counted(0, "size")
        ('1 index', '2 indices', '0 sizes')
    """
    return f"{n} {what if n == 1 else plural or what + 's'}"
