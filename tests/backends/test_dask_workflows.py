"""The workflows on a Dask cluster give what they give on threads."""

import numpy as np
import pytest

import tra
from tra.workflows import ffnn, kmeans, logistic_regression, matrix_factorisation, nearest_neighbours

pytestmark = pytest.mark.xdist_group("dask")
RNG = np.random.default_rng(9)
POINTS = RNG.normal(size=(31, 7))
LABELS = RNG.integers(0, 3, 31)


def data():
    return tra.from_array(POINTS, ("n", "d"), (8, 3), "X"), tra.from_array(LABELS, ("n",), 5, "y")


def run_ffnn():
    return ffnn.train(*data(), [5, 3], tra.Adam(0.05), batch=12, epochs=3).parameters.values()


def run_logistic_regression():
    X, y = data()
    return logistic_regression.train(X, y == 1, tra.SGD(0.5, momentum=0.9), epochs=5).parameters.values()


def run_kmeans():
    X, _ = data()
    found = kmeans.cluster(X, X[:4])
    return found.centres, found.labels


def run_matrix_factorisation():
    R = tra.from_array(np.where(POINTS < 1, POINTS, np.nan), ("u", "i"), (8, 3), "R")
    return matrix_factorisation.train(R, 2, tra.Adam(0.05), epochs=5).parameters.values()


def run_nearest_neighbours():
    X, y = data()
    return [nearest_neighbours.classify(X * 0.5, X, y, classes=3, k=2)]


@pytest.mark.parametrize(
    "run",
    [run_ffnn, run_logistic_regression, run_kmeans, run_matrix_factorisation, run_nearest_neighbours],
    ids=lambda run: run.__name__.removeprefix("run_"),
)
def test_a_workflow_on_a_cluster(client, run):
    with tra.connect("local", sites=1, threads=1, cost_model="fixed") as session:
        wanted = session.compute(*run())
    with tra.connect("dask", scheduler=client, sites=3, progress=False, cost_model="fixed") as session:
        found = session.compute(*run())
    for got, expected in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
