"""A script that starts worker processes is imported again by each of them, and must not start more there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import dask

from tra.errors import PlanError


def check_guard() -> None:
    """Makes sure that this is not called from a line of a script that each worker process would run too.

    A script that mentions ``__name__`` or ``current_process`` anywhere is taken to know what it does.

    Example:
        >>> check_guard()

    Raises:
        PlanError: the line is not below ``if __name__ == "__main__":``.
    """
    if dask.config.get("distributed.worker.multiprocessing-method", "spawn") == "fork":
        return
    script = _script(sys._getframe())
    if script is None:
        return
    try:
        source = Path(script).read_text(encoding="utf-8", errors="replace")
    except OSError:  # not a file that a worker could import
        return
    if "__name__" not in source and "current_process" not in source:
        raise PlanError(
            f"each worker process imports {Path(script).name} again, and would start a cluster of its own: "
            'put what the script does below if __name__ == "__main__":'
        )


def _script(frame: FrameType | None) -> str | None:
    """The file of the script whose top level calls this, if worker processes import it."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    while frame is not None:
        is_top = frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__"
        if is_top and path is not None and frame.f_code.co_filename == path:
            return None if Path(path).name == "__main__.py" else str(path)
        frame = frame.f_back
    return None
