"""Contractions read as networks and written in every order."""

import numpy as np
import pytest

import tra
from tra.algebra.relation import Relation
from tra.optimizer.cost import CostModel
from tra.optimizer.network import read_network
from tra.optimizer.orders import ranked_trees
from tra.optimizer.products import write_network

product = tra.kernel("(m,n),(n,p)->(m,p)", name="network product", contraction=True, linear=[0, 1])(
    lambda x, y: x @ y
)


def alone(node):
    return False


@pytest.fixture(scope="module")
def matrices():
    random = np.random.default_rng(1)
    return [tra.from_array(random.random((5, 5)), tile=2, name=name) for name in "ABCD"]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_every_tree_has_the_meaning_of_the_one_written(agreement, matrices, n):
    written = matrices[0]
    for other in matrices[1:n]:
        written = written @ other
    network = read_network(written.expr, alone)
    assert len(network.terms) == n
    trees = [r.tree for r in ranked_trees(network, CostModel())[0]] or [network.tree]
    assert len(trees) == {2: 1, 3: 3, 4: 15}[n]
    expected = agreement.expected(written)
    for tree in trees:
        made = write_network(network, tree, written.expr.type)
        agreement.same(agreement.expected(Relation(made, written.sources)), expected)


def test_transposes_and_rekeys_are_read_through(matrices):
    A, B, _, _ = matrices
    network = read_network((A @ B.T).expr, lambda node: node == B.T.expr)
    assert [term.expr for term in network.terms] == [A.expr, B.expr]
    assert network.n_folded > 0


def test_shared_products_are_terms(matrices):
    A, B, C, _ = matrices
    inner = (A @ B).expr.child  # below the ReKey that names its keys
    network = read_network((A @ B @ C).expr, lambda node: node == inner)
    assert [term.expr for term in network.terms] == [inner, C.expr]


@pytest.mark.parametrize(
    "query", [lambda A, B: tra.exp(A), lambda A, B: A - B, lambda A, B: A.aggregate(("j", "i"), "max")]
)
def test_what_is_no_product_is_no_network(matrices, query):
    assert read_network(query(*matrices[:2]).expr, alone) is None


def test_a_users_product_is_read_like_matmul(matrices):
    A, B, _, _ = matrices
    own, plain = (
        A.join(B, on=[("j", "i")], kernel=by).aggregate(by=("i", "j_2")) for by in (product, "matmul")
    )
    one, other = (read_network(query.expr, alone) for query in (own, plain))
    assert (one.terms, one.keys, one.axes, one.tree) == (other.terms, other.keys, other.axes, other.tree)
