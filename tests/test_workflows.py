"""The workflows give the numbers of plain NumPy, on one site and on three, over small ragged tiles."""

import ast
from pathlib import Path

import numpy as np
import pytest

import tra
from tra.errors import SchemaError
from tra.workflows import (
    benchmark,
    ffnn,
    kmeans,
    logistic_regression,
    matmul,
    matrix_factorisation,
    nearest_neighbours,
)

FOLDER = Path(tra.__file__).parent / "workflows"


@pytest.fixture(params=[1, 3])
def session(request):
    with tra.connect("local", sites=request.param, threads=2, cost_model="fixed") as opened:
        yield opened


def tensor(rng, shape, keys, tile, name):
    array = rng.normal(size=shape)
    return array, tra.from_array(array, keys, tile, name)


def n_code_lines(path):
    """Lines that are neither empty nor a comment nor part of a docstring or of a constant of query text."""
    text = path.read_text()
    strings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    inside = {
        line
        for node in strings
        if isinstance(node.value, str) and (node.end_lineno > node.lineno or node.col_offset == 4)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(text.splitlines(), start=1)
    return sum(1 for n, line in lines if line.strip() and line.strip()[0] != "#" and n not in inside)


WORKFLOWS = ["ffnn", "logistic_regression", "kmeans", "matrix_factorisation", "nearest_neighbours"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_short(name):
    assert n_code_lines(FOLDER / f"{name}.py") < 40


def test_matmul(session):
    rng = np.random.default_rng(1)
    a, A = tensor(rng, (23, 17), ("i", "j"), (5, 4), "A")
    b, B = tensor(rng, (17, 19), ("j", "k"), (4, 7), "B")
    np.testing.assert_allclose(matmul.product(A, B).compute(), a @ b)


# -- networks ---------------------------------------------------------------------------------------


@pytest.fixture
def network():
    """Arrays and relations of a network of three layers: X, y, and parameters by name."""
    rng = np.random.default_rng(2)
    x, X = tensor(rng, (29, 11), ("n", "d"), (7, 3), "X")
    y = rng.integers(0, 6, 29)
    arrays, relations = {}, {}
    for layer, (m, n) in enumerate(((11, 13), (13, 5), (5, 6)), start=1):
        for name, shape in ((f"W{layer}", (m, n)), (f"b{layer}", (n,))):
            keys = (f"h{layer - 1}", f"h{layer}")[-len(shape) :]
            tile = (4, 3)[-len(shape) :]
            arrays[name], relations[name] = tensor(rng, shape, keys, tile, name)
    return (x, y, arrays), (X, tra.from_array(y, ("n",), 4, "y"), relations)


def forward(x, arrays):
    """The inputs of each layer, and the scores."""
    inputs = [x]
    for layer in (1, 2, 3):
        scores = inputs[-1] @ arrays[f"W{layer}"] + arrays[f"b{layer}"]
        inputs.append(np.maximum(scores, 0))
    return inputs, scores


def probabilities(scores):
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def loss_and_gradients(x, y, arrays):
    """The mean cross-entropy, and its gradients written by hand."""
    inputs, scores = forward(x, arrays)
    p = probabilities(scores)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    back = (p - np.eye(p.shape[1])[y]) / len(y)
    found = {}
    for layer in (3, 2, 1):
        found[f"W{layer}"], found[f"b{layer}"] = inputs[layer - 1].T @ back, back.sum(axis=0)
        back = (back @ arrays[f"W{layer}"].T) * (inputs[layer - 1] > 0)
    return loss, found


def test_inference(session, network):
    (x, y, arrays), (X, labels, relations) = network
    p = probabilities(forward(x, arrays)[1])
    got, right = session.compute(
        ffnn.inference(X, *relations.values()), ffnn.accuracy(X, labels, *relations.values())
    )
    np.testing.assert_allclose(got, p)
    assert right == np.mean(p.argmax(axis=1) == y)


def test_a_training_step_is_the_one_written_by_hand(session, network):
    (x, y, arrays), (X, labels, relations) = network
    value, updates = ffnn.training_step(X, labels, *relations.values(), rate=0.1)
    before, *new = session.compute(value, *updates)
    loss, gradients = loss_and_gradients(x, y, arrays)
    np.testing.assert_allclose(before, loss)
    for (name, array), got in zip(arrays.items(), new, strict=True):
        np.testing.assert_allclose(got, array - 0.1 * gradients[name], rtol=1e-9, atol=1e-12)


def test_training_a_network(session, network):
    (x, y, _), (X, labels, _) = network
    arrays = {name: start.compute() for name, start in ffnn.initial(11, 7, 5, 6, dtype="float64").items()}
    trained = ffnn.train(X, labels, [7, 5, 6], tra.SGD(0.2), epochs=8)
    losses = []
    for _ in range(8):
        loss, gradients = loss_and_gradients(x, y, arrays)
        losses.append(loss)
        arrays = {name: array - 0.2 * gradients[name] for name, array in arrays.items()}
    np.testing.assert_allclose(trained.losses, losses)
    for name, array in arrays.items():
        np.testing.assert_allclose(trained.parameters[name].compute(), array, rtol=1e-9, atol=1e-12)
    assert trained.n_plans == 1


def test_the_benchmark_takes_the_step_of_its_peers(session):
    load = benchmark.workload("ffnn")
    arrays = benchmark._inputs(load, {"n": 17, "d": 5, "h": 7, "c": 3})
    given = zip(arrays, load.keys, strict=True)
    found = session.compute(*load.query(*(tra.from_array(a * 100, keys, 3) for a, keys in given)))
    for got, wanted in zip(found, load.dense(np, *(a * 100 for a in arrays)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


# -- regression, clusters, factors, neighbours ------------------------------------------------------


def test_logistic_regression(session):
    rng = np.random.default_rng(5)
    x, X = tensor(rng, (31, 7), ("n", "d"), (8, 3), "X")
    y = (x @ rng.normal(size=7) + rng.normal(size=31) > 0) * 1
    trained = logistic_regression.train(
        X, tra.from_array(y, ("n",), 5), tra.SGD(0.5, weight_decay=0.01), epochs=9
    )
    w, b = np.zeros(7), 0.0
    for loss in trained.losses:
        p = 1 / (1 + np.exp(-(x @ w + b)))
        np.testing.assert_allclose(loss, -np.mean(np.log(np.where(y, p, 1 - p))))
        w, b = w - 0.5 * (x.T @ (p - y) / 31 + 0.01 * w), b - 0.5 * (np.mean(p - y) + 0.01 * b)
    found = trained.parameters
    np.testing.assert_allclose(found["w"].compute(), w)
    np.testing.assert_allclose(found["b"].compute(), b)
    wanted = 1 / (1 + np.exp(-(x @ w + b)))
    np.testing.assert_allclose(logistic_regression.probabilities(X, **found).compute(), wanted)


def lloyd(x, c):
    """Centres after each round, until two rounds agree."""
    while True:
        labels = ((x[:, None] - c) ** 2).sum(axis=2).argmin(axis=1)
        old, c = c, np.array([x[labels == k].mean(axis=0) if k in labels else c[k] for k in range(len(c))])
        yield c
        if np.allclose(c, old, atol=1e-12):
            return


@pytest.mark.parametrize("tile", [(2, 2), (4, 5), None])
def test_kmeans(session, tile):
    rng = np.random.default_rng(6)
    x, X = tensor(rng, (37, 5), ("n", "d"), (8, 3), "X")
    c = np.vstack([x[:3], np.full((1, 5), 100.0)])
    rounds = list(lloyd(x, c))
    found = kmeans.cluster(X, tra.from_array(c, ("k", "d"), tile, "C"))
    centres = found.centres.compute()
    np.testing.assert_allclose(centres, rounds[-1])
    np.testing.assert_array_equal(centres[3], c[3])  # the nearest of no point
    labels = ((x[:, None] - rounds[-1]) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(found.labels.compute(), labels)
    assert found.n_rounds == len(rounds)
    few = kmeans.cluster(X, tra.from_array(c, ("k", "d"), tile, "C"), at_most=2)
    np.testing.assert_allclose(few.centres.compute(), rounds[1])
    assert few.n_rounds == 2
    assert not session.state


def test_kmeans_takes_centres_of_another_dtype(session):
    X = tra.from_array(np.arange(12.0, dtype=np.float32).reshape(6, 2), ("n", "d"), 4)
    found = kmeans.cluster(X, tra.from_array([[0, 0], [9, 9]]))
    np.testing.assert_array_equal(found.centres.compute(), [[2, 3], [8, 9]])
    assert found.centres.dtype == np.float32


def factorised(r, is_known, u, v, rate, decay, n_steps):
    """Losses and factors of gradient descent, in arrays; unknown entries of r are ignored."""
    losses = []
    for _ in range(n_steps):
        error = np.where(is_known, u @ v.T - np.where(is_known, r, 0), 0)
        n_known = is_known.sum()
        losses.append((error**2).sum() / n_known)
        slopes = 2 * error @ v / n_known, 2 * error.T @ u / n_known
        u, v = u - rate * (slopes[0] + decay * u), v - rate * (slopes[1] + decay * v)
    return losses, u, v


def check_factors(R, r, is_known):
    start = matrix_factorisation.initial(R, 3, seed=4)
    u, v = start["U"].compute(), start["V"].compute()
    trained = matrix_factorisation.train(R, 3, tra.SGD(0.3, weight_decay=0.01), seed=4, epochs=8)
    losses, u, v = factorised(r, is_known, u, v, 0.3, 0.01, 8)
    np.testing.assert_allclose(trained.losses, losses)
    np.testing.assert_allclose(trained.parameters["U"].compute(), u)
    np.testing.assert_allclose(trained.parameters["V"].compute(), v)


def test_matrix_factorisation_of_entries_that_are_known(session):
    rng = np.random.default_rng(7)
    r = rng.normal(size=(19, 11))
    is_known = rng.random(r.shape) < 0.7
    R = tra.from_array(np.where(is_known, r, np.nan), ("u", "i"), (5, 4), "R")
    check_factors(R, r, is_known)


def test_matrix_factorisation_of_tiles_that_are_there(session):
    rng = np.random.default_rng(8)
    r = rng.normal(size=(8, 6))
    there = [(0, 0), (1, 1), (2, 0), (3, 2), (3, 0)]
    R = tra.from_tiles({(a, b): r[2 * a : 2 * a + 2, 2 * b : 2 * b + 2] for a, b in there}, keys=("u", "i"))
    is_known = np.zeros(r.shape, bool)
    for a, b in there:
        is_known[2 * a : 2 * a + 2, 2 * b : 2 * b + 2] = True
    check_factors(R, r, is_known)


@pytest.fixture
def neighbours():
    """Query rows, labelled rows, their labels and a metric: arrays, then relations."""
    rng = np.random.default_rng(4)
    q, Q = tensor(rng, (11, 5), ("q", "i"), (4, 2), "Q")
    x, X = tensor(rng, (13, 5), ("x", "i"), (5, 2), "X")
    m = rng.normal(size=(5, 5))
    m = m @ m.T
    y = rng.integers(0, 3, 13)
    relations = (Q, X, tra.from_array(y, ("x",), 4, "y"), tra.from_array(m, ("i", "j"), (2, 2), "M"))
    return (q, x, y, m), relations


def test_nearest_neighbours(session, neighbours):
    (q, x, _, m), (Q, X, _, M) = neighbours
    for metric, given in ((m, (M,)), (np.eye(5), ())):
        d = np.einsum("qxi,ij,qxj->qx", q[:, None] - x, metric, q[:, None] - x)
        np.testing.assert_allclose(nearest_neighbours.distances(Q, X, *given).compute(), d)
        found = nearest_neighbours.nearest(Q, X, *given).compute()
        np.testing.assert_array_equal(found, d.argmin(axis=1))


@pytest.mark.parametrize("k", [1, 3, 13])
def test_votes_of_the_nearest_neighbours(session, neighbours, k):
    (q, x, y, m), (Q, X, labels, M) = neighbours
    for metric, given in ((m, M), (np.eye(5), None)):
        d = np.einsum("qxi,ij,qxj->qx", q[:, None] - x, metric, q[:, None] - x)
        votes = np.eye(3)[y[d.argsort(axis=1, kind="stable")[:, :k]]].sum(axis=1)
        got = nearest_neighbours.votes(Q, X, labels, 3, k, given).compute()
        np.testing.assert_array_equal(got, votes)
        got = nearest_neighbours.classify(Q, X, labels, 3, k, given).compute()
        np.testing.assert_array_equal(got, votes.argmax(axis=1))


def test_k_means_of_integers_and_arrays_is_that_of_floats(session):
    points = (np.random.default_rng(4).normal(size=(60, 3)) * 5).astype(int)
    whole, real = (kmeans.cluster(p, p[:3]) for p in (points, points.astype(float)))
    np.testing.assert_allclose(whole.centres.compute(), real.centres.compute())
    with pytest.raises(SchemaError, match="finite points"):
        kmeans.cluster(np.array([[1.0], [np.nan], [2.0]]), np.array([[1.0], [2.0]]))


@pytest.mark.parametrize("k", [0, 4])
def test_neighbours_that_vote_are_there(k):
    x = tra.from_array(np.eye(3))
    with pytest.raises(SchemaError, match="k is from 1 to 3"):
        nearest_neighbours.classify(x, x, tra.from_array([0, 1, 0]), classes=2, k=k)
