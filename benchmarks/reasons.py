"""Why bars are missed, and what would close them: for the head of the page.

A reason belongs to all figures whose names begin with its key; the longest key counts.
"""

from __future__ import annotations

from collections.abc import Mapping

REASONS: dict[str, str] = {}


def reason(figure: str, reasons: Mapping[str, str] = REASONS) -> str:
    """Why a figure misses its bar, or nothing where nobody has written it.

    Example:
        >>> reason("time, general", {"time": "because", "time, general": "since", "bytes": "as"})
        'since'
    """
    return reasons[max(found, key=len)] if (found := [k for k in reasons if figure.startswith(k)]) else ""
