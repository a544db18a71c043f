"""Benchmarks of the workflows, with peers from the same run beside them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

import tra
from tra.algebra.relation import Relation, from_array
from tra.backends.session import Session
from tra.errors import PlanError, near_name
from tra.workflows import matmul, nearest_neighbours

Arrays = tuple[np.ndarray[Any, Any], ...]


@dataclass(frozen=True)
class Workload:
    """A benchmark: its inputs, its query, and how peers would write it.

    Attributes:
        name: the name on the command line.
        sizes: names of the sizes, and their defaults.
        keys: key names of each input.
        shapes: shapes of the inputs from the sizes.
        query: the results from the inputs as relations.
        dense: the same on arrays, NumPy's or dask's, given their module.
        flops: the operations that the query has to do.
    """

    name: str
    sizes: tuple[tuple[str, int], ...]
    keys: tuple[tuple[str, ...], ...]
    shapes: Callable[..., list[tuple[int, ...]]]
    query: Callable[..., tuple[Relation, ...]]
    dense: Callable[..., tuple[Any, ...]]
    flops: Callable[..., float]


@dataclass(frozen=True)
class Timing:
    """One line of a benchmark: who, median seconds, rate, bytes between sites, tasks."""

    who: str
    seconds: float
    gflops_per_second: float
    bytes_moved: int | None
    tasks: int | None


def _train(X: Relation, Y: Relation, W1: Relation, W2: Relation) -> tuple[Relation, ...]:
    """The step of the paper's network, which has no biases and a squared error."""
    loss = tra.square(tra.relu(X @ W1) @ W2 - Y).sum() * 0.5
    return tuple(W - G * 1e-6 for W, G in zip((W1, W2), tra.grad(loss, [W1, W2]), strict=True))


def _dense_train(np_: Any, X: Any, Y: Any, W1: Any, W2: Any) -> tuple[Any, ...]:
    activation = X @ W1
    hidden = np_.maximum(activation, 0)
    error = hidden @ W2 - Y
    back = (error @ W2.T) * (activation > 0)
    return W1 - (X.T @ back) * 1e-6, W2 - (hidden.T @ error) * 1e-6


def _dense_nearest(np_: Any, Q: Any, X: Any, M: Any) -> tuple[Any, ...]:
    difference = Q[:, None, :] - X[None, :, :]
    return (np_.argmin(np_.einsum("qxi,qxi->qx", difference @ M, difference), axis=1),)


WORKLOADS = {
    "matmul": Workload(
        "matmul", (("n", 4000), ("k", 4000), ("m", 4000)), (("i", "j"), ("j", "k")),
        lambda n, k, m: [(n, k), (k, m)],
        lambda A, B: (matmul.product(A, B),), lambda np_, A, B: (A @ B,),
        lambda n, k, m: 2.0 * n * k * m,
    ),
    "ffnn": Workload(
        "ffnn", (("n", 2000), ("d", 2000), ("h", 2000), ("c", 1000)),
        (("n", "d"), ("n", "c"), ("d", "h"), ("h", "c")),
        lambda n, d, h, c: [(n, d), (n, c), (d, h), (h, c)],
        _train, _dense_train,
        lambda n, d, h, c: 2.0 * n * h * (2 * d + 3 * c),
    ),
    "nns": Workload(
        "nns", (("q", 500), ("x", 1000), ("i", 64)), (("q", "i"), ("x", "i"), ("i", "j")),
        lambda q, x, i: [(q, i), (x, i), (i, i)],
        lambda Q, X, M: (nearest_neighbours.nearest(Q, X, M),), _dense_nearest,
        lambda q, x, i: 2.0 * q * x * i * (i + 1),
    ),
}  # fmt: skip


def workload(name: str) -> Workload:
    """A workload by name.

    Example:
        >>> workload("matmul").flops(n=10, k=10, m=10)
        2000.0

    Raises:
        PlanError: there is no such workload.
    """
    if name not in WORKLOADS:
        there = ", ".join(WORKLOADS)
        raise PlanError(f"there is no benchmark {name!r}{near_name(name, WORKLOADS)}; benchmarks are {there}")
    return WORKLOADS[name]


def read_sizes(load: Workload, text: str | None) -> dict[str, int]:
    """Sizes from text like ``4000,4000,4000`` or ``n=4000,k=100``; a single number is every size.

    Example:
        >>> read_sizes(workload("matmul"), "k=7")
        {'n': 4000, 'k': 7, 'm': 4000}

    Raises:
        PlanError: the text cannot be read.
    """
    sizes = dict(load.sizes)
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    try:
        if parts and all("=" not in part for part in parts):
            numbers = [int(part) for part in parts] * (len(sizes) if len(parts) == 1 else 1)
            given = dict(zip(sizes, numbers, strict=True))
        else:
            given = {name.strip(): int(number) for name, number in (part.split("=") for part in parts)}
    except ValueError:
        given = {"": 0}
    if set(given) - set(sizes) or any(number < 1 for number in given.values()):
        wanted = ",".join(f"{name}={number}" for name, number in sizes.items())
        raise PlanError(f"cannot read the size {text!r}; {load.name} takes sizes like {wanted}")
    return {**sizes, **given}


def _inputs(load: Workload, sizes: dict[str, int]) -> Arrays:
    """Random float32 inputs, scaled so that results stay of size one."""
    rng = np.random.default_rng(0)
    shapes = load.shapes(**sizes)
    return tuple(rng.standard_normal(s, dtype=np.float32) / np.float32(s[0] ** 0.5) for s in shapes)


def run_benchmark(
    session: Session, load: Workload, sizes: dict[str, int], peers: bool, repeats: int = 3
) -> list[Timing]:
    """Times a workload in a session, inputs persisted first, and peers in turns with it.

    Returns:
        One line for tra and one for each peer; medians over the repeats. Bytes and tasks are those of the
        workload's first result.

    Example:
        >>> import tra
        >>> with tra.connect("local", sites=2, threads=1) as session:
        ...     rows = run_benchmark(session, workload("matmul"), {"n": 8, "k": 8, "m": 8}, peers=False)
        >>> [(row.who, row.bytes_moved, row.tasks) for row in rows]
        [('tra', 0, 2)]
    """
    arrays = _inputs(load, sizes)
    keyed = enumerate(zip(arrays, load.keys, strict=True))
    stored = session.persist(*(from_array(array, keys, name=f"I{n}") for n, (array, keys) in keyed))
    query = load.query(*stored)
    runners: dict[str, Callable[[], Any]] = {"tra": lambda: session.persist(*query)}
    if peers:
        runners["numpy"] = lambda: load.dense(np, *arrays)
        runners |= _dask_runner(session, load, arrays)
    seconds = {who: median(times) for who, times in _interleaved(runners, repeats).items()}
    figures = session.explain(query[0], analyze=True).to_dict()
    moved, tasks = figures["bytes_moved"]["measured"], figures["tasks"]["predicted"]
    gflop = load.flops(**sizes) / 1e9
    own = {"tra": (moved, tasks)}
    return [Timing(who, s, gflop / s, *own.get(who, (None, None))) for who, s in seconds.items()]


def _interleaved(runners: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Each runner in turn, over and over; the first round warms up and does not count."""
    seconds: dict[str, list[float]] = {who: [] for who in runners}
    for round_ in range(repeats + 1):
        for who, run in runners.items():
            start = time.perf_counter()
            run()
            if round_:
                seconds[who].append(time.perf_counter() - start)
    return seconds


def _dask_runner(session: Session, load: Workload, arrays: Arrays) -> dict[str, Callable[[], Any]]:
    """dask.array at chunks of 1000, on the same cluster where there is one, inputs persisted first."""
    try:
        import dask.array as da
    except ImportError:
        return {}
    client = getattr(session.backend, "client", None)
    persist = _persist_on_cluster(client) if client is not None else _persist_on_threads
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        chunked = persist([da.from_array(a, chunks=1000) for a in arrays])
    return {"dask.array": lambda: persist(list(load.dense(da, *chunked)))}


def _persist_on_threads(collections: list[Any]) -> list[Any]:
    return [collection.persist(scheduler="threads") for collection in collections]


def _persist_on_cluster(client: Any) -> Callable[[list[Any]], list[Any]]:
    from distributed import futures_of, wait

    def persist(collections: list[Any]) -> list[Any]:
        kept: list[Any] = client.persist(collections)
        with client.as_current():
            wait([future for collection in kept for future in futures_of(collection)])
        return kept

    return persist


def table(rows: Sequence[Timing]) -> str:
    """The timings as a table.

    Example:
        >>> print(table([Timing("tra", 0.5, 4.0, 1000, 7)]))
        who             seconds    GFLOP/s   MB moved    tasks
        tra               0.500        4.0      0.001        7
    """
    lines = [f"{'who':12}{'seconds':>11}{'GFLOP/s':>11}{'MB moved':>11}{'tasks':>9}"]
    for row in rows:
        moved = "" if row.bytes_moved is None else f"{row.bytes_moved / 1e6:.3f}"
        tasks = "" if row.tasks is None else str(row.tasks)
        lines.append(f"{row.who:12}{row.seconds:>11.3f}{row.gflops_per_second:>11.1f}{moved:>11}{tasks:>9}")
    return "\n".join(lines)


def as_dicts(rows: Sequence[Timing]) -> list[dict[str, Any]]:
    """The timings as plain data.

    Example:
        >>> as_dicts([Timing("numpy", 0.5, 4.0, None, None)])
        [{'who': 'numpy', 'seconds': 0.5, 'gflops_per_second': 4.0, 'bytes_moved': None, 'tasks': None}]
    """
    return [asdict(row) for row in rows]
