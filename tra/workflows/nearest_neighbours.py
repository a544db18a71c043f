"""Nearest neighbours under a metric matrix: d(q, x) = (q − x)·M·(q − x).

Source: the nearest-neighbour workload of Yuan et al., PVLDB 14(8), 2021.
"""

from __future__ import annotations

import tra
from tra.algebra.relation import Relation
from tra.errors import SchemaError

INDEX_FORM = """
LET D[q, x] = SUM((Q[q, i] - X[x, i]) * M[i, j] * (Q[q, j] - X[x, j]));
LET N[q] = ARGMIN[x](D[q, x]);
"""

DISTANCES_SQL_FORM = """
CREATE VIEW Q1 AS SELECT Q.q, Q.i, EXPAND_DIMS(Q.tile, axis => -2) AS tile FROM Q;
CREATE VIEW F AS SELECT Q1.q, X.x, Q1.i, SUB(Q1.tile, X.tile) AS tile FROM Q1 JOIN X ON Q1.i = X.i;
CREATE VIEW G AS
  SELECT F.q, F.x, M.j, SUM(EINSUM(F.tile, M.tile, spec => 'abc,cd->abd')) AS tile
  FROM F JOIN M ON F.i = M.i GROUP BY F.q, F.x, M.j;
CREATE VIEW D AS
  SELECT F.q, F.x, SUM(EINSUM(F.tile, G.tile, spec => 'abc,abc->ab')) AS tile
  FROM F JOIN G ON F.q = G.q AND F.x = G.x AND F.i = G.j GROUP BY F.q, F.x;
"""


def distances(Q: Relation, X: Relation, M: Relation | None = None) -> Relation:
    """The distance of each query row of Q [q, i] from each row of X [x, i] under M [i, j].

    Without M it is the square of Euclid's distance.

    Example:
        >>> import numpy as np
        >>> data = [[0.0, 1.0]], [[0.0, 3.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 2.0]]
        >>> Q, X, M = (tra.from_array(np.array(a)) for a in data)
        >>> distances(Q, X, M).compute(), distances(Q, X).compute()
        (array([[8., 4.]]), array([[4., 4.]]))
    """
    difference = Q[:, None, :] - X
    if M is None:
        return tra.einsum("qxi,qxi->qx", difference, difference)
    return tra.einsum("qxi,ij,qxj->qx", difference, M, difference)


def nearest(Q: Relation, X: Relation, M: Relation | None = None) -> Relation:
    """For each row of Q the number of the nearest row of X.

    Example:
        >>> import numpy as np
        >>> data = [[0.0, 1.0]], [[0.0, 3.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 2.0]]
        >>> Q, X, M = (tra.from_array(np.array(a)) for a in data)
        >>> nearest(Q, X, M).compute()
        array([1])
    """
    return distances(Q, X, M).argmin(axis=1)


def votes(
    Q: Relation, X: Relation, y: Relation, classes: int, k: int = 1, M: Relation | None = None
) -> Relation:
    """How many of the k nearest rows of X [x, i] are of each class, for each row of Q [q, i]: [q, classes].

    Each neighbour is found, counted and ruled out in turn, which costs k passes over the distances.

    Args:
        Q: the query rows.
        X: the labelled rows.
        y: their classes [x], integers from 0 on.
        classes: how many classes there are.
        k: how many neighbours vote, at most as many as there are rows of X.
        M: the metric [i, j]; Euclid's when left out.

    Example:
        >>> X, y = tra.from_array([[0.0], [1.0], [2.0], [9.0]]), tra.from_array([1, 0, 0, 1])
        >>> votes(tra.from_array([[0.0], [8.0]]), X, y, classes=2, k=3).compute()
        array([[2., 1.],
               [2., 1.]])

    Raises:
        SchemaError: more neighbours than there are rows, or none.
    """
    if not 1 <= k <= X.shape[0]:
        raise SchemaError(f"k is from 1 to {X.shape[0]}, the rows of X; got k={k!r}")
    D = distances(Q, X, M)
    labels = tra.one_hot(y, size=classes, dtype=str(D.dtype))
    chosen: list[Relation] = []
    for _ in range(k):
        chosen.append(tra.one_hot(D.argmin(axis=1), size=X.shape[0], dtype=str(D.dtype)))
        D = tra.where(chosen[-1] > 0, float("inf"), D)
    return sum(chosen[1:], chosen[0]) @ labels


def classify(
    Q: Relation, X: Relation, y: Relation, classes: int, k: int = 1, M: Relation | None = None
) -> Relation:
    """The class of each row of Q [q] that most of its k nearest rows of X are of; of equals the first.

    Example:
        >>> X, y = tra.from_array([[0.0], [1.0], [2.0], [9.0]]), tra.from_array([1, 0, 0, 1])
        >>> classify(tra.from_array([[0.0], [8.0]]), X, y, classes=2, k=3).compute()
        array([0, 0])
    """
    return votes(Q, X, y, classes, k, M).argmax(axis=1)
