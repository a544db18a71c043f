"""A two-layer feed-forward network: inference, and one training step written by hand in the algebra.

The shapes: X [n, d], W1 [d, h], b1 [h], W2 [h, c], b2 [c], targets Y [n, c].

Source: the feed-forward workload of Yuan et al., PVLDB 14(8), 2021; here with biases and softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import tra
from tra.algebra.relation import Relation

INDEX_FORM = """
LET H[n, h] = RELU(SUM(X[n, d] * W1[d, h]) + b1[h]);
LET P[n, c] = SOFTMAX[c](SUM(H[n, h] * W2[h, c]) + b2[c]);
"""

SQL_FORM = """
CREATE VIEW A1 AS
  SELECT X.n, W1.h, SUM(MATMUL(X.tile, W1.tile)) AS tile FROM X JOIN W1 ON X.d = W1.d GROUP BY X.n, W1.h;
CREATE VIEW Z1 AS SELECT A1.n, A1.h, ADD(A1.tile, b1.tile) AS tile FROM A1 JOIN b1 ON A1.h = b1.h;
CREATE VIEW H AS SELECT Z1.n, Z1.h, RELU(Z1.tile) AS tile FROM Z1;
CREATE VIEW A2 AS
  SELECT H.n, W2.c, SUM(MATMUL(H.tile, W2.tile)) AS tile FROM H JOIN W2 ON H.h = W2.h GROUP BY H.n, W2.c;
CREATE VIEW Z2 AS SELECT A2.n, A2.c, ADD(A2.tile, b2.tile) AS tile FROM A2 JOIN b2 ON A2.c = b2.c;
CREATE VIEW P AS SELECT Z2.n, Z2.c, SOFTMAX(Z2.tile, axis => -1) AS tile FROM Z2;
"""

TRAINING_INDEX_FORM = """
LET Z[n, h] = SUM(X[n, d] * W1[d, h]);
LET H[n, h] = RELU(Z[n, h]);
LET E[n, c] = SUM(H[n, h] * W2[h, c]) - Y[n, c];
LET B[n, h] = SUM(E[n, c] * W2[h, c]) * STEP(Z[n, h]);
LET V1[d, h] = W1[d, h] - SUM(X[n, d] * B[n, h]) * 0.001;
LET V2[h, c] = W2[h, c] - SUM(H[n, h] * E[n, c]) * 0.001;
"""


@dataclass(frozen=True)
class Step:
    """What one training step gives: the new weights, and the loss before it."""

    W1: Relation
    W2: Relation
    loss: Relation


def inference(X: Relation, W1: Relation, b1: Relation, W2: Relation, b2: Relation) -> Relation:
    """Class probabilities [n, c]: softmax(relu(X·W1 + b1)·W2 + b2).

    Example:
        >>> import numpy as np, tra
        >>> X, W1, W2 = (tra.from_array(np.eye(2)) for _ in range(3))
        >>> b1, b2 = (tra.from_array(np.zeros(2)) for _ in range(2))
        >>> inference(X, W1, b1, W2, b2).compute().round(3)
        array([[0.731, 0.269],
               [0.269, 0.731]])

    Raises:
        SchemaError: the extents do not fit together.
    """
    hidden = tra.relu(X @ W1 + b1)
    return tra.softmax(hidden @ W2 + b2, axis=1)


def training_step(X: Relation, Y: Relation, W1: Relation, W2: Relation, rate: float) -> Step:
    """One step of gradient descent on ½·Σ(relu(X·W1)·W2 − Y)², the gradient written out by hand.

    Args:
        X: inputs [n, d].
        Y: targets [n, c].
        W1: first weights [d, h].
        W2: second weights [h, c].
        rate: the learning rate.

    Example:
        >>> import numpy as np, tra
        >>> X, Y, W1, W2 = (tra.from_array(np.full((2, 2), v)) for v in (1.0, 3.0, 0.5, 0.5))
        >>> step = training_step(X, Y, W1, W2, rate=0.1)
        >>> float(step.loss.compute()), step.W2.compute().tolist()
        (8.0, [[0.9, 0.9], [0.9, 0.9]])
    """
    activation = X @ W1
    hidden = tra.relu(activation)
    error = hidden @ W2 - Y
    back = tra.einsum("nc,hc->nh", error, W2) * tra.step(activation)
    return Step(
        W1=W1 - tra.einsum("nd,nh->dh", X, back) * rate,
        W2=W2 - tra.einsum("nh,nc->hc", hidden, error) * rate,
        loss=tra.square(error).sum() * 0.5,
    )
