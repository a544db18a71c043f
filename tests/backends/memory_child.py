"""One run within a limit, in a process of its own: says the limit, what was predicted, and what it made.

Usage: python -m tests.backends.memory_child CASE FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np

import tra
from tra.algebra.optimizers import SGD
from tra.backends import memory
from tra.backends.passes.schedule import End
from tra.backends.storage import leaves_tiles, tile_writer

ROOM = 60 * 10**6  # bytes beside the interpreter
ROOMS = {"chain": 40 * 10**6, "product tra": 150 * 10**6,  # PyArrow takes its part
         "doubled parquet npy": 140 * 10**6, "doubled npy parquet": 140 * 10**6}  # fmt: skip
N, TILE = 2000, 250  # 32 MB each
SUFFIXES = {"npy": ".npy", "tra": ".tra", "zarr": ".zarr", "parquet": ".parquet"}


def predicted(session, relation, path):
    planned = session._plans.plan((relation,), relation.sources, {}, whole=not leaves_tiles(path))
    beside = tile_writer(path, planned.program.roots[0].type).working_bytes
    return session.backend.limited(planned.program, relation.sources, End.TAKEN, beside)


def saved(session, relation, path):
    found = predicted(session, relation, path)
    session.save(relation, path)
    return {"predicted": found.peak, "spilled": found.schedule.spilled, "passes": len(found.schedule.passes)}


def relation(folder, name, which, tile=None):
    """What lies in a file, opened here or lent as a map."""
    if which == "lent":
        return tra.from_array(np.load(folder / f"{name}.npy", mmap_mode="r"), tile=tile)
    return tra.open(folder / f"{name}{SUFFIXES.get(which, '.npy')}", tile=tile)


def product(folder, which):
    A, B = (relation(folder, name, which, TILE) for name in "AB")
    return A @ B


def chain(folder):
    A, B, C = (tra.open(folder / f"{name}.npy", tile=TILE) for name in "ABC")
    return tra.relu(A @ B) @ C


def two_layers(p, X, Y):
    return ((tra.relu(X @ p["W1"]) @ p["W2"] - Y) ** 2).mean()


def train(session, folder, batch, which):
    X, Y = (relation(folder, name, which) for name in "XY")
    rng = np.random.default_rng(1)
    start = {"W1": rng.normal(size=(400, 64)) / 20, "W2": rng.normal(size=(64, 4)) / 8}
    made = session.train(two_layers, start, SGD(rate=0.1), data=[X, Y], batch=batch, epochs=2)
    np.savez(folder / "out.npz", **{name: value.compute() for name, value in made.parameters.items()})
    return {"losses": made.losses}


def main(case, folder):
    kind, _, which = case.partition(" ")
    if kind == "product":
        query = product(folder, which)
    elif kind == "doubled":
        which, _, suffix = which.partition(" ")
        query, which = relation(folder, "A", which, TILE) * 2, suffix
    elif kind == "chain":
        query = chain(folder)
    with tra.connect("local", threads=1, progress=False):  # loads what planning needs
        tra.from_array(np.ones((2, 2))).sum().compute()
    limit = memory.resident() + ROOMS.get(case, ROOM)
    with tra.connect("local", threads=2, memory_limit=limit, progress=False) as session:
        if kind == "train":
            batch, _, lent = which.partition(" ")
            said = train(session, folder, int(batch) if batch else None, lent)
        else:
            said = saved(session, query, folder / f"out{SUFFIXES.get(which, '.npy')}")
    print(json.dumps({"limit": limit, **said}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
