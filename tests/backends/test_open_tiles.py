"""Tensors whose tile sizes were left out: results are the same on any number of sites."""

import numpy as np
import pytest

import tra

RNG = np.random.default_rng(0)
X, Y, V = RNG.normal(size=(256, 256)), RNG.normal(size=(256, 256)), RNG.normal(size=256)


@tra.kernel("(n)->(n)")
def running_sum_of_tiles(x):
    return np.cumsum(x)


QUERIES = {
    "softmax": lambda A, B, v: tra.softmax(A, axis=-1),
    "logsumexp": lambda A, B, v: tra.logsumexp(A, axis=0),
    "a kernel along an axis": lambda A, B, v: A.transform(running_sum_of_tiles),
    "a raw join of other keys": lambda A, B, v: A.join(v, on=[("i", "i")], kernel="mul"),
    "a diagonal of tiles": lambda A, B, v: A.transform("diag"),
    "sums of tiles": lambda A, B, v: tra.exp(A.transform("reduce_sum", axis=-1) / 300).aggregate("i", "add"),
    "product": lambda A, B, v: tra.relu(A @ B),
    "row": lambda A, B, v: A * v + B.sum(0) - A.max(axis=1)[:, None],
    "mean": lambda A, B, v: (A - A.mean(axis=0)).var(),
    "distances": lambda A, B, v: tra.einsum("abd,abd->ab", A[:, None] - B[None], A[:, None] - B[None]),
    "slice": lambda A, B, v: (A @ B)[3:100, ::2].T,
    "argmin": lambda A, B, v: (A @ B).argmin(axis=1),
    "whole": lambda A, B, v: tra.concatenate([A, B], axis=0) @ v,
}


@pytest.mark.parametrize("name", QUERIES)
def test_sites_do_not_change_results(name):
    A, B, v = (tra.from_array(a, keys=k) for a, k in ((X, ("i", "j")), (Y, ("j", "k")), (V, ("i",))))
    query = QUERIES[name](A, B, v)
    with tra.connect("local", threads=1) as alone:
        (expected,) = alone.compute(query)
    for sites in (2, 3, 4):
        with tra.connect("local", sites=sites, threads=1) as session:
            np.testing.assert_allclose(session.compute(query)[0], expected, rtol=1e-9, atol=1e-9)


def test_products_are_cut_for_the_sites():
    A, B = (tra.from_array(a) for a in (X, Y))
    with tra.connect("local", sites=4, threads=1) as session:
        figures = session.explain(A @ B).to_dict()
    assert all(entry["strategy"] != "compute everywhere" for entry in figures["strategies"])


def test_many_users_and_long_chains():
    x = tra.from_array(np.full(4, 1.01), tile=2)
    power = x
    for _ in range(80):
        power = power * x
    np.testing.assert_allclose(power.compute(), 1.01**81)
    A, v = tra.from_array(np.eye(4), tile=2), tra.from_array(np.ones(4), tile=2)
    result = v
    for _ in range(230):
        result = A @ result
    np.testing.assert_allclose(result.compute(), 1.0)
