"""k-means: centres such that each point is near one of them.

The shapes: points X [n, d], centres C [k, d], labels [n], which are the number of a point's nearest centre.

Source: Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tra
from tra.algebra import current
from tra.algebra.parameter_tiles import matched
from tra.algebra.relation import Relation, as_relation
from tra.errors import SchemaError

INDEX_FORM = """
LET D[n, k] = SUM[d](C[k, d] ^ 2) - 2 * SUM[d](X[n, d] * C[k, d]);
LET labels[n] = ARGMIN[k](D[n, k]);
"""


@dataclass(frozen=True)
class Clusters:
    """What `cluster` found.

    Attributes:
        centres: the centres [k, d].
        labels: the number of each point's nearest centre [n], as a query over the points.
        n_rounds: how often the centres were moved, the last time by nothing if fewer than was allowed.
    """

    centres: Relation
    labels: Relation
    n_rounds: int


def nearest(X: Relation, C: Relation) -> Relation:
    """For each point of X [n, d] the number of the nearest centre in C [k, d]; of equals the first.

    ‖x − c‖² is taken as ‖c‖² − 2·x·c, which lacks ‖x‖², the same for all centres: what is left is a product.

    Example:
        >>> nearest(tra.from_array([[0.0], [4.0], [5.0]]), tra.from_array([[0.0], [6.0]])).compute()
        array([0, 1, 1])
    """
    return (tra.square(C).sum(axis=1) - 2 * (X @ C.T)).argmin(axis=1)


def means(X: Relation, labels: Relation, C: Relation) -> Relation:
    """The mean [k, d] of the points of each label, in products with their one-hot rows [n, k].

    A centre that is nearest to no point stays where it is in C.

    Example:
        >>> X, C = tra.from_array([[0.0], [4.0], [5.0]]), tra.from_array([[0.0], [6.0], [9.0]])
        >>> means(X, nearest(X, C), C).compute().ravel()
        array([0. , 4.5, 9. ])
    """
    chosen = tra.one_hot(labels, size=C.shape[0], dtype=str(C.dtype))
    counts = chosen.sum(axis=0)[:, None]
    return tra.where(counts > 0, (chosen.T @ X) / tra.maximum(counts, 1.0), C)


def cluster(X: Relation, C: Relation, at_most: int = 100) -> Clusters:
    """Moves centres to the means of their points until nothing changes: Lloyd's algorithm, in this session.

    A round is one query, planned once; the centres stay on the backend, and X does if it is persisted.

    Args:
        X: points [n, d]; integers are taken as float64.
        C: the centres to begin with [k, d].
        at_most: rounds after which it ends in any case.

    Example:
        >>> X = tra.from_array([[0.0], [1.0], [8.0], [9.0]], tile=2)
        >>> with tra.connect("local", sites=2, threads=1):
        ...     found = cluster(X, X[:2])
        ...     found.centres.compute().ravel(), found.labels.compute(), found.n_rounds
        (array([0.5, 8.5]), array([0, 0, 1, 1]), 3)

    Raises:
        SchemaError: a point or a centre is infinite or no number.
    """
    session: Any = current.current()
    X, C = (as_relation(given).astype(np.result_type(given.dtype, np.float32)) for given in (X, C))
    session.assign(**{_NAME: C.astype(X.dtype)})
    centres = session.state[_NAME]
    moved = matched(means(X, nearest(X, centres), centres), centres, "the means")
    now, is_moved, n_rounds = centres.compute(), True, 0
    while is_moved and n_rounds < at_most:
        session.assign(**{_NAME: moved})
        before, now, n_rounds = now, centres.compute(), n_rounds + 1
        is_moved = not np.array_equal(before, now)
        if not np.isfinite(now).all():
            raise SchemaError("k-means takes finite points and centres; some are infinite or no numbers")
    session.state.drop([_NAME])
    found = tra.from_array(now, C.keys, name="centres")
    return Clusters(found, nearest(X, found), n_rounds)


_NAME = "centres of k-means"
