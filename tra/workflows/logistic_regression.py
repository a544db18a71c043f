"""Logistic regression: the probability that an example is of a class, from a weighted sum of its features.

The shapes: X [n, d], weights w [d], a bias b [], labels y [n] of 0 and 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tra
from tra.algebra import current
from tra.algebra.relation import Relation
from tra.backends.record import Training

INDEX_FORM = """
LET s[n] = SUM(X[n, d] * w[d]) + b;
LET loss = MEAN[n](LOGADDEXP(s[n], 0.0) - s[n] * y[n]);
"""


def scores(X: Relation, w: Relation, b: Relation) -> Relation:
    """The weighted sums X·w + b [n]: the logarithms of the odds.

    Example:
        >>> scores(*(tra.from_array(a) for a in ([[1.0, 2.0]], [1.0, 1.0], 0.5))).compute()
        array([3.5])
    """
    return X @ w + b


def probabilities(X: Relation, w: Relation, b: Relation) -> Relation:
    """The probability of class 1 for each row of X [n].

    Example:
        >>> probabilities(*(tra.from_array(a) for a in ([[1.0, 2.0]], [2.0, -1.0], 0.0))).compute()
        array([0.5])
    """
    return tra.sigmoid(scores(X, w, b))


def loss(X: Relation, y: Relation, w: Relation, b: Relation) -> Relation:
    """The mean cross-entropy between `probabilities` and labels y [n] of 0 and 1; it never overflows.

    Example:
        >>> given = [[1.0, 2.0]], [1.0], [0.0, 0.0], 0.0
        >>> round(float(loss(*(tra.from_array(a) for a in given)).compute()), 4)
        0.6931
    """
    return tra.losses.logistic(scores(X, w, b), y)


def train(X: Relation, y: Relation, using: Any, **how: Any) -> Training:
    """Fits w [d] and b [] to X [n, d] and labels y [n] of 0 and 1, from zeros on, in this session.

    Args:
        X: the features, floats.
        y: the labels.
        using: the optimizer; its weight decay draws w and b to zero.
        **how: what `Session.train` takes: `batch`, `epochs`, `seed`, `stop`, …

    Example:
        >>> X, y = tra.from_array([[0.0], [1.0], [2.0], [3.0]], tile=2), tra.from_array([0, 0, 1, 1])
        >>> with tra.connect("local", sites=2, threads=1):
        ...     found = train(X, y, tra.Adam(0.5), epochs=50).parameters
        ...     (probabilities(X, found["w"], found["b"]).compute() > 0.5).tolist()
        [False, False, True, True]
    """
    session: Any = current.current()
    start = {"w": np.zeros(X.shape[1], X.dtype), "b": np.zeros((), X.dtype)}

    def minimised(parameters: dict[str, Relation], X: Relation, y: Relation) -> Relation:
        return loss(X, y, **parameters)

    training: Training = session.train(minimised, start, using, data=[X, y], **how)
    return training
