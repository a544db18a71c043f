"""One run within a memory limit, in a process of its own; prints what it took.

Usage: python -m benchmarks.memory_child product|epoch FOLDER LIMIT [BATCH]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, HIDDEN = 1600, 500  # of examples, and of the network
THREADS = 2


def product(session: Any, folder: Path, _: str) -> int:
    """A @ B from disk to disk; the peak that was predicted."""
    import tra

    A, B = (tra.open(folder / f"{name}.npy") for name in "AB")
    told: list[int] = []
    limited = session.backend.limited

    def telling(*given: Any) -> Any:
        found = limited(*given)
        told.append(found.peak)
        return found

    session.backend.limited = telling
    session.save(A @ B, folder / "C.npy")
    return told[-1]


def epoch(session: Any, folder: Path, batch: str) -> int:
    """One epoch of a network of two layers."""
    import tra

    X, Y = (tra.open(folder / f"{name}.npy") for name in "XY")
    rng = np.random.default_rng(0)
    start = {"W1": rng.normal(size=(COLUMNS, HIDDEN)) / 40, "W2": rng.normal(size=(HIDDEN, 1)) / 20}

    def loss(p: Any, x: Any, y: Any) -> Any:
        return ((tra.relu(x @ p["W1"]) @ p["W2"] - y) ** 2).mean()

    made = session.train(loss, start, tra.SGD(rate=0.01), data=[X, Y], batch=int(batch) or None, epochs=1)
    assert np.isfinite(made.losses).all()
    return 0


def bytes_read() -> int:
    """Bytes that this process has asked the system to read."""
    return int(Path("/proc/self/io").read_text().split()[1])


def main(case: str, folder: str, limit: str, batch: str = "0") -> None:
    """What the process does."""
    import tra

    start, before = time.perf_counter(), bytes_read()
    with tra.connect("local", threads=THREADS, memory_limit=int(limit), progress=False) as session:
        predicted = {"product": product, "epoch": epoch}[case](session, Path(folder), batch)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "predicted": predicted, "read": bytes_read() - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
