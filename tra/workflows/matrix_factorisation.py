"""Matrix factorisation: a matrix with missing entries as a product of two narrow ones.

The shapes: R [u, i], factors U [u, r] and V [i, r], so that R is about U·Vᵀ wherever it is known.

Source: Koren, Bell, Volinsky, "Matrix factorization techniques for recommender systems", Computer 42(8),
2009.
"""

from __future__ import annotations

from typing import Any

import tra
from tra.algebra import current
from tra.algebra.relation import Relation, as_relation
from tra.backends.record import Training
from tra.workflows.parameters import normal

INDEX_FORM = """
LET known[u, i] = CAST(LOGICAL_NOT(IS_NAN(R[u, i])), dtype => 'float64');
LET E[u, i] = known[u, i] * (SUM(U[u, r] * V[i, r]) - WHERE(IS_NAN(R[u, i]), 0.0, R[u, i]));
LET loss = SUM(E[u, i] ^ 2) / SUM[u, i](known[u, i]);
"""


def loss(R: Relation, U: Relation, V: Relation) -> Relation:
    """The mean squared error of U·Vᵀ over the entries of R that are known.

    Args:
        R: the matrix [u, i], floats. NaN is an entry that is not known, and a hole a tile of them.
        U: the factor [u, r].
        V: the factor [i, r].

    Example:
        >>> R, U, V = (tra.from_array(a) for a in ([[1.0, float("nan")]], [[2.0]], [[1.0], [1.0]]))
        >>> loss(R, U, V).compute()
        array(1.)
    """
    is_known = R.transform("is_nan").transform("logical_not")  # with the holes of R
    values = tra.where(is_known.fill(False), R.fill(0), 0.0)
    known = is_known.astype(R.dtype)
    return tra.square(known * (U @ V.T - values)).sum() / known.sum()


def initial(R: Relation, rank: int, seed: int = 0) -> dict[str, Relation]:
    """Random factors U [u, rank] and V [i, rank] to begin with, whose products are of size 1/√rank.

    They are cut as R is, so that their product meets R tile by tile.

    Example:
        >>> initial(tra.from_array([[1.0, 2.0, 3.0]]), rank=2)
        {'U': [u:1, r:1] of 1×2 float64, 'V': [i:1, r:1] of 3×2 float64}
    """
    U, V = (
        normal((extent, rank), R.dtype, (key, "r"), rank**-0.5, 2 * seed + axis, (R.tile_shape[axis], rank))
        for axis, (extent, key) in enumerate(zip(R.shape, ("u", "i"), strict=True))
    )
    return {"U": U, "V": V}


def train(R: Relation, rank: int, using: Any, seed: int = 0, **how: Any) -> Training:
    """Finds factors U [u, rank] and V [i, rank] of R [u, i] by gradients, in this session.

    Args:
        R: the matrix; NaN and holes are not known.
        rank: how many columns the factors have.
        using: the optimizer; its weight decay keeps factors small where little is known.
        seed: of the factors to begin with.
        **how: what `Session.train` takes: `epochs`, which are steps here, `stop`, `checkpoint`, …

    Example:
        >>> R = tra.from_array([[1.0, 2.0], [2.0, 4.0], [3.0, float("nan")]], tile=2)
        >>> with tra.connect("local", sites=2, threads=1):
        ...     found = train(R, 1, tra.Adam(0.3), epochs=100).parameters
        ...     (found["U"] @ found["V"].T).compute().round(1)
        array([[1., 2.],
               [2., 4.],
               [3., 6.]])
    """
    session: Any = current.current()
    R = as_relation(R)
    start = initial(R, rank, seed)
    training: Training = session.train(lambda factors: loss(R, **factors), start, using, seed=seed, **how)
    return training
