"""Queries of every kind for workers to die in; each takes a session and a folder, and returns arrays."""

import random
import time

import numpy as np
import pytest

import tra
from tests.backends.kills import SLOW, slow
from tra.workflows import ffnn, kmeans, logistic_regression, matrix_factorisation, nearest_neighbours

RNG = np.random.default_rng(9)
A, B = RNG.normal(size=(96, 72)), RNG.normal(size=(72, 60))
POINTS = RNG.normal(size=(31, 7))
LABELS = RNG.integers(0, 3, 31)


def operands(tile=24):
    return (
        tra.from_array(A, ("i", "j"), tile, name="A"),
        tra.from_array(B, ("j", "k"), tile, name="B"),
    )


def points():
    return tra.from_array(POINTS, ("n", "d"), (8, 3), "X"), tra.from_array(LABELS, ("n",), 5, "y")


def broadcast(session, _):
    left, right = operands()
    query = slow(left) @ slow(right)
    with session.hinted([]):
        session.hint(query, "broadcast right")
        return session.compute(query)


def partial_sums(session, _):
    left, right = operands()
    query = slow(left) @ slow(right)
    session.hint(query, "co-partition, aggregate before shuffle")
    return session.compute(slow(query).sum(axis=0))


def files(session, folder):
    np.save(folder / "A.npy", A)
    left = tra.open(folder / "A.npy", keys=("i", "j"), tile=24)
    return session.compute(slow(left) * 2, slow(left).sum(axis=1))


def persisted(session, _):
    left, right = operands()
    (product,) = session.persist(slow(left) @ right)
    found = session.compute(slow(product) + 1)
    (again,) = session.persist(slow(product) * 2)
    return (*found, *session.compute(again, product.sum()))


def assigned(session, _):
    left, _ = operands()
    session.assign(W=left)
    for _ in range(34):
        session.assign(W=session.state["W"] * 0.5 + 1)
    return session.compute(slow(session.state["W"]))


def fetched(session, _):
    left, right = operands(12)
    tiles = {}
    for key, tile in session.iterate(slow(left @ right)):
        time.sleep(SLOW)
        tiles[key] = np.array(tile)
    return [tiles[key] for key in sorted(tiles)]


def saved(session, folder):
    left, right = operands()
    found = []
    for suffix in (".npy", ".tra"):
        path = folder / f"{random.randrange(1 << 60)}{suffix}"
        session.save(slow(left @ right), path)
        found += session.compute(tra.open(path))
        assert [other for other in folder.iterdir() if other.stem.startswith(f".{path.name}")] == []
    return found


def slices(session, folder):
    np.save(folder / "A.npy", A)
    mapped = tra.open(folder / "A.npy", keys=("i", "j"), tile=24)
    tiles = tra.from_tiles({(n,): A[24 * n : 24 * n + 24] for n in range(4)}, keys=("i",))
    left, right = operands()
    (part,) = session.persist(slow(mapped[5:61, 3:] * 2))
    return session.compute(part + 1, slow(left[30:50]) @ right[:, 7:], slow(tiles)[24:72].sum(axis=1))


def later(array, chunks):
    """The same as a `dask.array`, each chunk of which takes a while."""
    da = pytest.importorskip("dask.array")
    return da.from_array(array, chunks=chunks).map_blocks(wait, dtype=array.dtype)


def wait(chunk):
    time.sleep(SLOW)
    return chunk


def dask_arrays(session, _):
    left = tra.from_array(later(A, 24), ("i", "j"))
    _, right = operands()
    (part,) = session.persist(left[5:61, 3:] * 2)
    return session.compute(part + 1, slow(left) @ right)


def rounds(session, _):
    left, right = operands(24)
    query = slow(left) @ right + 1
    return session.compute(query)


def saved_rounds(session, folder):
    np.save(folder / "A.npy", A)
    left = tra.open(folder / "A.npy", keys=("i", "j"), tile=12)
    path = folder / f"{random.randrange(1 << 60)}.tra"
    session.save(slow(left * 2)[4:, 6:], path)
    return session.compute(tra.open(path).sum(axis=0))


rounds.limit = saved_rounds.limit = 24_000  # bytes of a site


def network(session, _):
    return session.compute(
        *ffnn.train(*points(), [5, 3], tra.Adam(0.05), batch=16, epochs=5).parameters.values()
    )


def regression(session, _):
    X, y = points()
    trained = logistic_regression.train(X, y == 1, tra.SGD(0.5, momentum=0.9), epochs=5)
    return session.compute(*trained.parameters.values())


def clusters(session, _):
    X, _ = points()
    found = kmeans.cluster(X, X[:4])
    return session.compute(found.centres, found.labels)


def factors(session, _):
    R = tra.from_array(np.where(POINTS < 1, POINTS, np.nan), ("u", "i"), (8, 3), "R")
    return session.compute(*matrix_factorisation.train(R, 2, tra.Adam(0.05), epochs=8).parameters.values())


def neighbours(session, _):
    X, y = points()
    return session.compute(nearest_neighbours.classify(slow(X * 0.5), slow(X), y, classes=3, k=2))


QUERIES = (partial_sums, persisted, saved_rounds)
MORE_QUERIES = (  # in the long tier
    dask_arrays,
    regression,
    broadcast,
    files,
    assigned,
    fetched,
    saved,
    slices,
    rounds,
    network,
    clusters,
    factors,
    neighbours,
)


# -- whole workflows, of a second or more ------------------------------------------------------------

SIDE = 480
CHAIN = [RNG.normal(size=(SIDE, SIDE)) / SIDE**0.5 for _ in range(4)]
MANY_POINTS = RNG.normal(size=(1200, 12)) + np.repeat(np.arange(4), 300)[:, None]
MANY_LABELS = np.repeat(np.arange(4), 300)


def many_points():
    return tra.from_array(MANY_POINTS, ("n", "d"), (60, 12), "X"), tra.from_array(
        MANY_LABELS, ("n",), 60, "y"
    )


def long_chain(session, _):
    first, *others = (tra.from_array(array, tile=60) for array in CHAIN)
    product = slow(first)
    for other in others:
        product = slow(product @ other)
    return session.compute(product, product.sum(axis=1))


def long_training(session, _):
    X, y = many_points()
    trained = ffnn.train(X, y, [16, 4], tra.Adam(0.05), batch=120, epochs=3)
    return session.compute(*trained.parameters.values())


def long_kmeans(session, _):
    X, _ = many_points()
    (stored,) = session.persist(slow(X))
    found = kmeans.cluster(stored, X[::150], at_most=25)
    return session.compute(found.centres, found.labels)


def long_neighbours(session, _):
    X, y = many_points()
    found = [
        nearest_neighbours.classify(slow(X[n : n + 300] * 1.01), slow(X), y, classes=4, k=5)
        for n in range(0, 1200, 300)
    ]
    return [array for query in found for array in session.compute(query)]


def long_arrays(session, _):
    """Slices of a `dask.array` and of a file, persisted and used twice."""
    left = tra.from_array(later(CHAIN[0], 40), ("i", "j"))
    (part,) = session.persist(left[20:470, 15:])
    product = part @ tra.from_array(CHAIN[1], ("j", "k"), 60)[15:]
    return session.compute(slow(product), slow(part).sum(axis=0))


def long_rounds(session, folder):
    """A product in windows with long folds, and one that the sites write."""
    np.save(folder / "first.npy", CHAIN[0])
    first = tra.open(folder / "first.npy", keys=("i", "j"), tile=60)
    second = tra.from_array(CHAIN[1], ("j", "k"), 60)
    path = folder / f"{random.randrange(1 << 60)}.tra"
    session.save(slow(first)[30:] @ second, path)
    return session.compute(tra.open(path) * 2)


long_rounds.limit = 1_200_000  # bytes of a site


WORKFLOWS = (long_chain, long_training, long_kmeans, long_neighbours, long_arrays, long_rounds)
