"""Feed-forward networks of any number of layers: initial weights, inference, and training.

The shapes: X [n, d], W1 [d, h], b1 [h], W2 [h, c], b2 [c], and so on; labels y [n]. Parameters stand in this
order everywhere. Nothing says what is split: data-parallel, model-parallel or mixed is the planner's choice.

Source: the feed-forward workload of Yuan et al., PVLDB 14(8), 2021; here with biases and softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import tra
from tra.algebra import current
from tra.algebra.relation import Relation
from tra.backends.record import Training
from tra.workflows.parameters import uniform, zeros

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


def initial(*widths: int, seed: int = 0, dtype: str = "float32") -> dict[str, Relation]:
    """Parameters W1, b1, W2, b2, … of a network with layers of these widths, the inputs first.

    Weights from m units are uniform within ±√(6/m), the same on any number of sites; biases are 0.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015.

    Example:
        >>> initial(64, 48, 10)["W2"]
        [h1:1, h2:1] of 48×10 float32
    """
    made = {}
    for layer, (m, n) in enumerate(pairwise(widths), start=1):
        keys = f"h{layer - 1}", f"h{layer}"
        made[f"W{layer}"] = uniform((m, n), dtype, keys, bound=(6 / m) ** 0.5, seed=seed + layer)
        made[f"b{layer}"] = zeros((n,), dtype, keys[1:])
    return made


def logits(X: Relation, *parameters: Relation) -> Relation:
    """Scores of the classes [n, c] before any softmax; rectified units in all layers but the last.

    Args:
        X: inputs [n, d].
        *parameters: W1 [d, h], b1 [h], W2 [h, c], b2 [c], and so on.

    Example:
        >>> X, W, b = tra.from_array([[1.0, 2.0]]), tra.from_array([[1.0], [-1.0]]), tra.from_array([0.5])
        >>> logits(X, W, b).compute()
        array([[-0.5]])

    Raises:
        SchemaError: the extents do not fit together.
    """
    for layer, (W, b) in enumerate(zip(parameters[::2], parameters[1::2], strict=True)):
        X = (tra.relu(X) if layer else X) @ W + b
    return X


def inference(X: Relation, *parameters: Relation) -> Relation:
    """Class probabilities [n, c]: the softmax of `logits`.

    Example:
        >>> import numpy as np
        >>> X, W1, W2 = (tra.from_array(np.eye(2)) for _ in range(3))
        >>> b1, b2 = (tra.from_array(np.zeros(2)) for _ in range(2))
        >>> inference(X, W1, b1, W2, b2).compute().round(3)
        array([[0.731, 0.269],
               [0.269, 0.731]])

    Raises:
        SchemaError: the extents do not fit together.
    """
    return tra.softmax(logits(X, *parameters), axis=1)


def loss(X: Relation, y: Relation, *parameters: Relation) -> Relation:
    """The mean cross-entropy of the softmax over the examples.

    Args:
        X: inputs [n, d].
        y: classes [n], integers, or one-hot rows [n, c].
        *parameters: as of `logits`.

    Example:
        >>> X, y = tra.from_array([[1.0, 2.0]]), tra.from_array([1])
        >>> W, b = tra.from_array([[0.0, 0.0], [0.0, 0.0]]), tra.from_array([0.0, 0.0])
        >>> round(float(loss(X, y, W, b).compute()), 4)
        0.6931

    Raises:
        SchemaError: the extents do not fit together.
    """
    return tra.losses.softmax_cross_entropy(logits(X, *parameters), y)


def accuracy(X: Relation, y: Relation, *parameters: Relation) -> Relation:
    """The share of examples whose class of largest score is y [n].

    Example:
        >>> X, y = tra.from_array([[1.0, 0.0], [0.0, 1.0]]), tra.from_array([0, 0])
        >>> accuracy(X, y, X, tra.from_array([0.0, 0.0])).compute()
        array(0.5)
    """
    return (logits(X, *parameters).argmax(axis=1) == y).mean()


def training_step(
    X: Relation, y: Relation, *parameters: Relation, rate: float
) -> tuple[Relation, list[Relation]]:
    """The loss, and the parameters after a step of gradient descent on it, as queries that share their parts.

    Example:
        >>> X, y = tra.from_array([[1.0, 2.0]]), tra.from_array([1])
        >>> W, b = tra.from_array([[0.0, 0.0], [0.0, 0.0]]), tra.from_array([0.0, 0.0])
        >>> training_step(X, y, W, b, rate=1.0)[1][0].compute()
        array([[-0.5,  0.5],
               [-1. ,  1. ]])
    """
    value, gradients = tra.value_and_grad(loss(X, y, *parameters), parameters)
    return value, [W - G * rate for W, G in zip(parameters, gradients, strict=True)]


def train(X: Relation, y: Relation, widths: Sequence[int], using: Any, seed: int = 0, **how: Any) -> Training:
    """Trains a network with hidden layers of these widths and one output for each class, in this session.

    Args:
        X: inputs [n, d], floats.
        y: classes [n], integers.
        widths: units of the layers after the inputs; the last number is that of the classes.
        using: the optimizer.
        seed: of the initial weights and of the order of examples.
        **how: what `Session.train` takes: `batch`, `epochs`, `stop`, `checkpoint`, …

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-1.0, 1.0, 40)[:, None]
        >>> X, y = tra.from_array(x, ("n", "d"), tile=20), tra.from_array((abs(x[:, 0]) < 0.5) * 1)
        >>> with tra.connect("local", sites=2, threads=1):
        ...     trained = train(X, y, [8, 2], tra.Adam(0.1), epochs=100)
        ...     float(accuracy(X, y, *trained.parameters.values()).compute())
        1.0
    """
    session: Any = current.current()
    start = initial(X.shape[1], *widths, seed=seed, dtype=str(X.dtype))

    def minimised(parameters: dict[str, Relation], X: Relation, y: Relation) -> Relation:
        return loss(X, y, *parameters.values())

    training: Training = session.train(minimised, start, using, data=[X, y], seed=seed, **how)
    return training
