"""The matrix product, the query that everything else is made of."""

from __future__ import annotations

from tra.algebra.relation import Relation

INDEX_FORM = """
LET C[i, k] = SUM(A[i, j] * B[j, k]);
"""

SQL_FORM = """
CREATE VIEW C AS
  SELECT A.i, B.k, SUM(MATMUL(A.tile, B.tile)) AS tile FROM A JOIN B ON A.j = B.j GROUP BY A.i, B.k;
"""


def product(A: Relation, B: Relation) -> Relation:
    """The product of A [i, j] and B [j, k].

    Example:
        >>> import numpy as np, tra
        >>> A = tra.from_array(np.array([[1.0, 2.0], [3.0, 4.0]]), keys=("i", "j"), name="A")
        >>> product(A, A).compute()
        array([[ 7., 10.],
               [15., 22.]])

    Raises:
        SchemaError: the inner extents differ.
    """
    return A @ B
