"""Every way to split a product gives the product, moves what was predicted, and ends where it is wanted."""

import itertools

import numpy as np
import pytest

import tra
from tra.errors import PlanError


def forced(session, product, keys):
    """Each vector of splits that some mesh has, with its figures."""
    for n in (1, 2, 3):
        for split in itertools.product((*keys, None), repeat=n):
            try:
                session.hint(product, split=split)
            except PlanError:
                continue  # no mesh has so many dimensions
            yield split, session.explain(product, analyze=True).to_dict()


@pytest.mark.parametrize(
    "sites, n_splits, mesh", [(3, 4, [3]), (4, 20, [2, 2]), (7, 20, [3, 2]), (8, 84, [2, 2, 2])]
)
def test_all_splits_of_a_product(sites, n_splits, mesh):
    rng = np.random.default_rng(0)
    a, b = rng.random((52, 61)), rng.random((61, 47))
    with tra.connect("local", sites=sites, threads=1) as session:
        A = tra.from_array(a, keys=("i", "j"), tile=13)
        B = tra.from_array(b, keys=("j", "k"), tile=13)
        product = tra.einsum("ij,jk->ik", *session.persist(A, B))
        found = 0
        for split, figures in forced(session, product, "ijk"):
            found += 1
            moved = figures["bytes_moved"]
            assert moved["predicted"] == moved["measured"], split
            np.testing.assert_allclose(session.compute(product)[0], a @ b)
            (kept,) = session.persist(product)  # on all sites, also where the plan leaves some idle
            np.testing.assert_allclose(session.compute(kept)[0], a @ b)
        assert found == n_splits
        assert figures["mesh"] == mesh
