"""One product in a process of its own, whose memory is watched from outside."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.disk_systems import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
LOOK_EVERY = 0.005  # seconds between two looks


@dataclass(frozen=True)
class Outcome:
    """What one product took.

    Attributes:
        seconds: from the first file opened to the last one closed.
        resident: the most bytes that were resident, with the interpreter and its packages.
        private: the most of them at once that are not pages of files.
    """

    seconds: float
    resident: int
    private: int


def run(who: str, small: Path, folder: Path, out: Path) -> Outcome:
    """Runs a system in a fresh process.

    Args:
        who: the system.
        small: a folder of small inputs, which it runs on first, so that everything is imported.
        folder: the folder of the inputs.
        out: the output.

    Raises:
        RuntimeError: it failed; with the last lines of what it said.
    """
    command = [sys.executable, "-m", "benchmarks.disk_child", who, str(small), str(folder), str(out)]
    child = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # what it says fits into the pipes
    resident, private = _watch(child)
    said, complained = child.communicate()
    if child.returncode:
        raise RuntimeError(f"{who} failed:\n" + "\n".join(complained.splitlines()[-20:]))
    return Outcome(float(said.splitlines()[-1]), resident, private)


def _watch(child: subprocess.Popen[str]) -> tuple[int, int]:
    """The most memory seen while a process runs: all, and what is not of files."""
    resident = private = 0
    watched = psutil.Process(child.pid)
    while child.poll() is None:
        found = watched.memory_info()
        resident = max(resident, found.rss)
        private = max(private, found.rss - getattr(found, "shared", 0))
        time.sleep(LOOK_EVERY)
    return resident, private


def main(who: str, *paths: str) -> None:
    """What the process does; prints its seconds."""
    small, folder, out = map(Path, paths)
    system = SYSTEMS[who]
    system.run(small, small / f"C{system.writes}")
    start = time.perf_counter()
    system.run(folder, out)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
