"""The workflows give NumPy's numbers, on one site and on several."""

import numpy as np
import pytest

import tra
from tra.workflows import ffnn, matmul, nearest_neighbours


@pytest.fixture(params=[1, 2, 5])
def session(request):
    with tra.connect("local", sites=request.param, threads=2) as opened:
        yield opened


def tensor(rng, shape, keys, tile, name):
    array = rng.normal(size=shape)
    return array, tra.from_array(array, keys, tile, name)


def test_matmul(session):
    rng = np.random.default_rng(1)
    a, A = tensor(rng, (23, 17), ("i", "j"), (5, 4), "A")
    b, B = tensor(rng, (17, 19), ("j", "k"), (4, 7), "B")
    np.testing.assert_allclose(matmul.product(A, B).compute(), a @ b)


def test_inference(session):
    rng = np.random.default_rng(2)
    x, X = tensor(rng, (29, 11), ("n", "d"), (7, 3), "X")
    w1, W1 = tensor(rng, (11, 13), ("d", "h"), (3, 5), "W1")
    b1, B1 = tensor(rng, (13,), ("h",), (5,), "b1")
    w2, W2 = tensor(rng, (13, 6), ("h", "c"), (5, 6), "W2")
    b2, B2 = tensor(rng, (6,), ("c",), (6,), "b2")
    z = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    p = np.exp(z - z.max(axis=1, keepdims=True))
    got = ffnn.inference(X, W1, B1, W2, B2).compute()
    np.testing.assert_allclose(got, p / p.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(got.sum(axis=1), 1.0)


def test_training_step_lowers_the_loss_as_finite_differences_say(session):
    rng = np.random.default_rng(3)
    x, X = tensor(rng, (17, 5), ("n", "d"), (4, 2), "X")
    y, Y = tensor(rng, (17, 3), ("n", "c"), (4, 2), "Y")
    w1, W1 = tensor(rng, (5, 7), ("d", "h"), (2, 3), "W1")
    w2, W2 = tensor(rng, (7, 3), ("h", "c"), (3, 2), "W2")

    def loss(first, second):
        return 0.5 * np.sum((np.maximum(x @ first, 0) @ second - y) ** 2)

    rate, epsilon = 1e-3, 1e-6
    step = ffnn.training_step(X, Y, W1, W2, rate)
    new1, new2, before = session.compute(step.W1, step.W2, step.loss)
    np.testing.assert_allclose(before, loss(w1, w2))
    for old, new, place in ((w1, new1, 0), (w2, new2, 1)):
        for at in np.ndindex(*old.shape):
            bump = np.zeros_like(old)
            bump[at] = epsilon
            moved = [(w1 + s * bump, w2) if place == 0 else (w1, w2 + s * bump) for s in (1, -1)]
            slope = (loss(*moved[0]) - loss(*moved[1])) / (2 * epsilon)
            np.testing.assert_allclose((old - new)[at] / rate, slope, rtol=1e-4, atol=1e-5)


def test_nearest_neighbours(session):
    rng = np.random.default_rng(4)
    q, Q = tensor(rng, (11, 5), ("q", "i"), (4, 2), "Q")
    x, X = tensor(rng, (13, 5), ("x", "i"), (5, 2), "X")
    m, M = tensor(rng, (5, 5), ("i", "j"), (2, 2), "M")
    m = m @ m.T
    M = tra.from_array(m, ("i", "j"), (2, 2), "M")
    d = np.einsum("qxi,ij,qxj->qx", q[:, None] - x, m, q[:, None] - x)
    np.testing.assert_allclose(nearest_neighbours.distances(Q, X, M).compute(), d)
    np.testing.assert_array_equal(nearest_neighbours.nearest(Q, X, M).compute(), d.argmin(axis=1))
