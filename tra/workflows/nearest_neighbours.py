"""Nearest neighbours under a metric matrix: d(q, x) = (q − x)·M·(q − x).

Source: the nearest-neighbour workload of Yuan et al., PVLDB 14(8), 2021.
"""

from __future__ import annotations

import tra
from tra.algebra.relation import Relation

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


def distances(Q: Relation, X: Relation, M: Relation) -> Relation:
    """The distance of each query row of Q [q, i] from each row of X [x, i] under M [i, j].

    Example:
        >>> import numpy as np, tra
        >>> data = [[0.0, 1.0]], [[0.0, 3.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 2.0]]
        >>> Q, X, M = (tra.from_array(np.array(a)) for a in data)
        >>> distances(Q, X, M).compute()
        array([[8., 4.]])
    """
    difference = Q[:, None, :] - X
    return tra.einsum("qxi,ij,qxj->qx", difference, M, difference)


def nearest(Q: Relation, X: Relation, M: Relation) -> Relation:
    """For each row of Q the number of the nearest row of X.

    Example:
        >>> import numpy as np, tra
        >>> data = [[0.0, 1.0]], [[0.0, 3.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 2.0]]
        >>> Q, X, M = (tra.from_array(np.array(a)) for a in data)
        >>> nearest(Q, X, M).compute()
        array([1])
    """
    return distances(Q, X, M).argmin(axis=1)
