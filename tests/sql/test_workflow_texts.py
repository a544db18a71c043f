"""The ready-made queries say the same in Python, in the index form and in the SQL form."""

import numpy as np
import pytest

import tra
from tra.sql.printer import to_text
from tra.workflows import (
    ffnn,
    kmeans,
    logistic_regression,
    matmul,
    matrix_factorisation,
    nearest_neighbours,
)

RNG = np.random.default_rng(11)


def tensor(name, extents, tile):
    return tra.from_array(RNG.normal(size=list(extents.values())), keys=list(extents), tile=tile, name=name)


def check_equal(text, python, name, **relations):
    """The text gives the expression that Python gives, prints alike, and computes alike."""
    relation = tra.sql(text, **relations).relations[name]
    assert relation.expr == python.expr
    assert to_text(relation) == to_text(python)
    np.testing.assert_array_equal(relation.compute(), python.compute())
    again = tra.sql(to_text(relation), **relations).relation
    assert again.expr == python.expr
    return relation


@pytest.mark.parametrize("tile", [(23, 17, 19), (5, 4, 7)])
def test_matmul(tile):
    A = tensor("A", {"i": 23, "j": 17}, tile[:2])
    B = tensor("B", {"j": 17, "k": 19}, tile[1:])
    for text in (matmul.INDEX_FORM, matmul.SQL_FORM):
        found = check_equal(text, matmul.product(A, B), "C", A=A, B=B)
        np.testing.assert_allclose(found.compute(), A.compute() @ B.compute())


@pytest.fixture(params=[(29, 11, 13, 6), (7, 3, 5, 6)], ids=["whole", "cut"])
def network(request):
    n, d, h, c = request.param
    return {
        "X": tensor("X", {"n": 29, "d": 11}, (n, d)),
        "W1": tensor("W1", {"d": 11, "h": 13}, (d, h)),
        "b1": tensor("b1", {"h": 13}, (h,)),
        "W2": tensor("W2", {"h": 13, "c": 6}, (h, c)),
        "b2": tensor("b2", {"c": 6}, (c,)),
        "Y": tensor("Y", {"n": 29, "c": 6}, (n, c)),
    }


def test_inference(network):
    given = {name: network[name] for name in ("X", "W1", "b1", "W2", "b2")}
    for text in (ffnn.INDEX_FORM, ffnn.SQL_FORM):
        check_equal(text, ffnn.inference(*given.values()), "P", **given)


def test_training_step(network):
    """A gradient has no text of its own: it prints as what it is, and reads back as that."""
    given = {name: network[name] for name in ("X", "Y", "W1", "b1", "W2", "b2")}
    loss, updates = ffnn.training_step(*given.values(), rate=0.001)
    for relation in (loss, *updates):
        again = tra.sql(to_text(relation), **given).relation
        assert again.expr == relation.expr


@pytest.mark.parametrize("tile", [(11, 13, 5), (4, 5, 2)], ids=["whole", "cut"])
def test_nearest_neighbours(tile):
    q, x, i = tile
    Q, X = tensor("Q", {"q": 11, "i": 5}, (q, i)), tensor("X", {"x": 13, "i": 5}, (x, i))
    M = tensor("M", {"i": 5, "j": 5}, (i, i))
    distances = nearest_neighbours.distances(Q, X, M)
    for text in (nearest_neighbours.INDEX_FORM, nearest_neighbours.DISTANCES_SQL_FORM):
        check_equal(text, distances, "D", Q=Q, X=X, M=M)
    check_equal(nearest_neighbours.INDEX_FORM, nearest_neighbours.nearest(Q, X, M), "N", Q=Q, X=X, M=M)


def check_close(text, python, name, **relations):
    """The text computes what Python does, by kernels that need not be the same."""
    found = tra.sql(text, **relations).relations[name]
    np.testing.assert_allclose(found.compute(), python.compute())


def test_logistic_regression():
    X, w = tensor("X", {"n": 11, "d": 5}, (4, 2)), tensor("w", {"d": 5}, (2,))
    y, b = (
        tra.from_array(RNG.integers(0, 2, 11), keys=("n",), tile=3, name="y"),
        tra.from_array(0.5, name="b"),
    )
    loss = logistic_regression.loss(X, y, w, b)
    check_close(logistic_regression.INDEX_FORM, loss, "loss", X=X, y=y, w=w, b=b)


def test_kmeans():
    X, C = tensor("X", {"n": 11, "d": 5}, (4, 2)), tensor("C", {"k": 3, "d": 5}, (2, 2))
    check_close(kmeans.INDEX_FORM, kmeans.nearest(X, C), "labels", X=X, C=C)


def test_matrix_factorisation():
    r = RNG.normal(size=(11, 7))
    R = tra.from_array(np.where(r < 1, r, np.nan), keys=("u", "i"), tile=(4, 3), name="R")
    U, V = tensor("U", {"u": 11, "r": 2}, (4, 2)), tensor("V", {"i": 7, "r": 2}, (3, 2))
    loss = matrix_factorisation.loss(R, U, V)
    check_close(matrix_factorisation.INDEX_FORM, loss, "loss", R=R, U=U, V=V)
