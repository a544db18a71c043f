"""Computations whose bits are compared, here or, for other types of processor, in a process of their own.

    python -m tests.backends.reproducible_cases exact chain,kmeans 7 13

prints the hashes of cases at a level, for each length of tiles and each order of what may come in any, as
JSON.
"""

import json
import sys
from hashlib import sha256

import numpy as np

import tra
from tra.optimizer.plan import plan_order
from tra.optimizer.plan_text import node_text
from tra.workflows import ffnn, kmeans, nearest_neighbours

SEEDS = (None, 5)  # of the order of rows, or of what is summed over


def bits(*arrays):
    """A hash of the bits of some arrays."""
    found = sha256()
    for array in arrays:
        array = np.asarray(array)
        assert np.isfinite(array).all()
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _order(n, seed):
    return np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)


def _spread(rng, *shape):
    """Numbers from 10⁻⁶ to 10⁶: what is added in another order is another number."""
    return rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6, shape)


def _stored(session, tile, **arrays):
    """Tensors that lie on all sites, so that sums have to be made where their terms are."""
    return session.persist(*(tra.from_array(array, tile=tile, name=name) for name, array in arrays.items()))


def _chain(session, tile, seed):
    """(A·B)·C, and sums of columns."""
    rng = np.random.default_rng(1)
    a, b, c = _spread(rng, 40, 171), _spread(rng, 171, 50), rng.normal(size=(50, 3))
    order = _order(171, seed)
    A, B, C = _stored(session, tile, A=a[:, order], B=b[order], C=c)
    return session.compute(A @ B @ C, (A @ B).sum(axis=0), (B * B).sum(axis=0))


def _network(session, tile, seed):
    """Twenty steps of a network, and what it makes of the examples."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(160, 12)), rng.integers(0, 3, 160)
    order = _order(160, seed)
    X, Y = _stored(session, tile, X=x[order], Y=y[order])
    trained = ffnn.train(X, Y, [9, 3], tra.SGD(rate=0.1), epochs=20)
    return session.compute(*trained.parameters.values())


def _kmeans(session, tile, seed):
    """Five rounds of k-means."""
    points = _spread(np.random.default_rng(3), 300, 5)
    X, C = _stored(session, tile, X=points[_order(300, seed)], C=points[:4])
    return session.compute(kmeans.cluster(X, C, at_most=5).centres)


def _neighbours(session, tile, seed):
    """Distances under a metric, and the nearest."""
    rng = np.random.default_rng(4)
    q, x, m = _spread(rng, 9, 44), _spread(rng, 30, 44), rng.normal(size=(44, 44))
    order = _order(44, seed)
    Q, X, M = _stored(session, tile, Q=q[:, order], X=x[:, order], M=m[np.ix_(order, order)])
    D = nearest_neighbours.distances(Q, X, M)
    return session.compute(D, D.argmin(axis=1))


CASES = {"chain": _chain, "network": _network, "kmeans": _kmeans, "neighbours": _neighbours}


class Plans:
    """The plans that a session runs, each known by its operators and where they run."""

    def __init__(self, session):
        self._found, self._run = sha256(), session.backend.run
        session.backend.run = self._noted

    def _noted(self, program, *arguments, **named):
        names = {}
        for node in plan_order(*program.roots):
            names[node.digest] = f"r{len(names)}"
            self._found.update(f"{node_text(node, names)} {node.type} {node.placement}\n".encode())
        return self._run(program, *arguments, **named)

    @property
    def digest(self):
        """What tells all these plans together from others."""
        return self._found.hexdigest()[:16]


def run(session, case, tile, seed=None):
    """The hash of a case in a session, and that of its plans.

    Args:
        session: where it runs.
        case: its name.
        tile: length of tiles along every axis.
        seed: of the order of what may come in any order; as it is when left out.
    """
    plans = Plans(session)
    found = bits(*CASES[case](session, tile, seed))
    return found, plans.digest


def main(level, cases, *tiles):
    found = {}
    for case in cases.split(","):
        with tra.connect("local", sites=2, threads=1, reproducible=level) as session:
            found[case] = [run(session, case, int(tile), seed)[0] for tile in tiles for seed in SEEDS]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
