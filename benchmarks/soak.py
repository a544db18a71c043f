"""A soak: mixed queries on one session for as long as is asked, each held to NumPy.

    python benchmarks/soak.py --minutes 30 --backend both --page docs/soak.md

Every minute it looks at what the session holds: resident bytes and open files of this process and of the
workers, and the keys that the scheduler knows. They are to stay where they were after the first minutes.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import tra
from tra.backends.workers import workers_there

Query = Callable[[Any, np.random.Generator, Path], None]
_EVERY = 60.0  # seconds between two looks
# Few, so that queries come again as they do in a service: what is kept of a plan is kept once.
SIZES, TILES = (1, 23, 64, 129, 250, 397), (40, 75, 199)


def resident(pid: int | str = "self") -> int:
    """The resident bytes of a process."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def n_open_files() -> int:
    """The open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def _look() -> tuple[int, int]:
    return resident(), n_open_files()


# -- queries: each makes its data, runs, and compares ------------------------------------------------


def product(session: Any, rng: np.random.Generator, _: Path) -> None:
    """A product of ragged sizes."""
    m, k, n = rng.choice(SIZES, 3)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    A, B = tra.from_array(a, ("i", "k")), tra.from_array(b, ("k", "j"))
    np.testing.assert_allclose(session.compute(A @ B)[0], a @ b, rtol=1e-9, atol=1e-9)


def reductions(session: Any, rng: np.random.Generator, _: Path) -> None:
    """Sums and maxima along both axes."""
    a = rng.normal(size=rng.choice(SIZES, 2))
    A = tra.from_array(a, ("i", "j"), tile=int(rng.choice(TILES)))
    found = session.compute(A.sum(axis=0), A.max(axis=1), (A * A).sum())
    wanted = (a.sum(axis=0), a.max(axis=1), (a * a).sum())
    for got, expected in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def stored(session: Any, rng: np.random.Generator, _: Path) -> None:
    """Relations that are persisted, used twice and dropped."""
    a = rng.normal(size=(200, 100))
    (A,) = session.persist(tra.from_array(a, ("i", "j"), tile=50) * 2)
    gram, total = session.compute(A.T @ A, A.sum())
    np.testing.assert_allclose(gram, 4 * a.T @ a, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(total, 2 * a.sum(), rtol=1e-9, atol=1e-9)


def versions(session: Any, rng: np.random.Generator, _: Path) -> None:
    """A name that is given new values, each made of the one before."""
    w = rng.normal(size=50)
    session.assign(W=tra.from_array(w, ("i",), tile=20))
    for _ in range(5):
        session.assign(W=session.state["W"] * 0.5 + 1)
        w = w * 0.5 + 1
    np.testing.assert_allclose(session.compute(session.state["W"])[0], w, rtol=1e-12)


def files(session: Any, rng: np.random.Generator, folder: Path) -> None:
    """A relation that is saved, opened and removed."""
    a = rng.normal(size=(120, 80))
    path = folder / "A.npy"
    session.save(tra.from_array(a, ("i", "j"), tile=40) + 1, path)
    A = tra.open(path, keys=("i", "j"), tile=30)
    np.testing.assert_allclose(session.compute(A.sum(axis=1))[0], (a + 1).sum(axis=1), rtol=1e-9)
    path.unlink()


def training(session: Any, rng: np.random.Generator, _: Path) -> None:
    """A linear model by minibatches, held to the same steps in NumPy on all examples."""
    x, w = rng.normal(size=(60, 4)), rng.normal(size=4)
    X, y = tra.from_array(x, ("n", "d"), tile=(20, 4)), tra.from_array(x @ w, ("n",), tile=20)
    trained = session.train(
        lambda p, X, y: tra.losses.squared_error(X @ p["w"], y),
        {"w": np.zeros(4)},
        tra.SGD(rate=0.05),
        data=[X, y],
        epochs=6,
    )
    found = np.zeros(4)
    for _ in range(6):
        found -= 0.05 * 2 * x.T @ (x @ found - x @ w) / len(x)
    np.testing.assert_allclose(session.compute(trained.parameters["w"])[0], found, rtol=1e-8, atol=1e-10)


QUERIES: tuple[Query, ...] = (product, reductions, stored, versions, files, training)


# -- the soak ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What was held at one moment.

    Attributes:
        minutes: since the begin.
        n_queries: how many had run.
        here: resident bytes of this process.
        files: its open files.
        workers: resident bytes of all workers.
        worker_files: their open files.
        keys: what the scheduler knows.
    """

    minutes: float
    n_queries: int
    here: int
    files: int
    workers: int
    worker_files: int
    keys: int


def looked(session: Any, minutes: float, n_queries: int) -> Look:
    """What is held now."""
    gc.collect()
    client = getattr(session.backend, "client", None)
    there: Mapping[str, tuple[int, int]] = {}
    keys = 0
    if client is not None:
        there = client.run(_look, workers=list(workers_there(client)))
        keys = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    bytes_there, files_there = (sum(pair[n] for pair in there.values()) for n in (0, 1))
    return Look(minutes, n_queries, resident(), n_open_files(), bytes_there, files_there, keys)


def soaked(backend: str, minutes: float, seed: int = 0) -> Iterator[Look]:
    """Runs queries on one session; a wrong answer ends it with what differs.

    Args:
        backend: "local" or "dask".
        minutes: for how long.
        seed: of sizes and values.
    """
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as folder, tra.connect(backend, sites=2, threads=1, progress=False) as session:
        start = time.monotonic()
        until, due, n = start + 60 * minutes, start, 0
        while (now := time.monotonic()) < until:
            if now >= due:
                yield looked(session, (now - start) / 60, n)
                due += min(_EVERY, 60 * minutes / 5)
            QUERIES[int(rng.integers(len(QUERIES)))](session, rng, Path(folder))
            n += 1
        yield looked(session, (time.monotonic() - start) / 60, n)


def table(backend: str, looks: list[Look]) -> str:
    """The looks as a table of Markdown."""
    lines = [
        f"### {backend}",
        "",
        "| minutes | queries | this process, MB | its files | workers, MB | their files | keys |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for look in looks:
        cells: list[Any] = [
            f"{look.minutes:.1f}",
            f"{look.n_queries:,}",
            f"{look.here / 1e6:.0f}",
            look.files,
        ]
        cells += [f"{look.workers / 1e6:.0f}", look.worker_files, look.keys]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Runs the soak, and prints or writes its tables."""
    parser = argparse.ArgumentParser(description="Mixed queries on one session, for long.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--backend", choices=("local", "dask", "both"), default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="where tables are written to")
    given = parser.parse_args()
    tables = []
    for backend in ("local", "dask") if given.backend == "both" else (given.backend,):
        looks = []
        for look in soaked(backend, given.minutes, given.seed):
            looks.append(look)
            print(backend, look, flush=True)
        tables.append(table(backend, looks))
    text = "\n\n".join(tables)
    if given.page is not None:
        head = f"# A soak of {given.minutes:g} minutes\n\nMixed queries on one session; no answer was wrong."
        given.page.write_text(f"{head}\n\n{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
