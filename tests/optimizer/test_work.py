"""Work: BLAS speed for products that BLAS runs, and one formula for operators and for orders."""

import numpy as np
import pytest

import tra
from tra.algebra.kernel import kernel
from tra.algebra.nodes import Source
from tra.algebra.operators import aggregate, join
from tra.algebra.sources import tensor_type
from tra.optimizer.cost import CostModel
from tra.optimizer.network import read_network
from tra.optimizer.operators import is_leaf, operator_graph
from tra.optimizer.orders import ranked_trees
from tra.optimizer.products import write_network

MODEL = CostModel(flop_rate=5e10, element_rate=5e9, half_edge=50.0, single_speedup=2.0)


def matrix(name, rows, columns, keys, dtype="f8", tile=100):
    return Source(tensor_type((rows, columns), dtype, tuple(keys), tile), name, "0", name)


def product(dtype, n=400, by="matmul"):
    left, right = matrix("A", n, n, "ij", dtype), matrix("B", n, n, "jk", dtype)
    return aggregate(join(left, right, "j", by), ("i", "k"), "add")


def operator(expr):
    return list(operator_graph(expr).values())[-1]


def rate(expr):
    return MODEL.rate(operator(expr).work)


@pytest.mark.parametrize("dtype", ["i8", "i4", "u1", "?", "f2"])
def test_products_that_blas_does_not_know_run_like_other_kernels(dtype):
    assert rate(product(dtype)) == MODEL.element_rate
    assert MODEL.work(operator(product(dtype))) > MODEL.work(operator(product("f4")))


def test_products_that_blas_runs():
    assert rate(product("f8")) == pytest.approx(5e10 * 100 / 150)
    assert rate(product("f4")) == pytest.approx(2 * rate(product("f8")))
    assert rate(product("c8")) == pytest.approx(rate(product("f4")))


def test_a_complex_product_is_four_real_ones():
    folds = 4 * 4 * 3 * 100**2
    assert operator(product("f8")).flops == 2 * 400**3 + folds
    assert operator(product("c16")).flops == 8 * 400**3 + folds
    assert operator(product("c16", by=kernel("einsum", spec="ab,bc->ca"))).flops == 8 * 400**3 + folds


def test_a_sum_of_one_operand_is_no_product():
    tile = tra.from_array(np.ones((400, 400)), tile=100, name="A").transform("reduce_sum").expr
    assert not operator(tile).is_product and rate(tile) == MODEL.element_rate
    squares = tra.from_array(np.ones((400, 400)), tile=100, name="A").transform("diag").expr
    assert not operator(squares).is_product


def test_products_that_sum_nothing_run_like_other_kernels():
    assert rate(product("f8", by="mul")) == MODEL.element_rate


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8"])
@pytest.mark.parametrize("model", [MODEL, CostModel(flop_rate=1e9, memory_bandwidth=1e11)])
def test_orders_are_ranked_by_the_price_of_their_operators(dtype, model):
    """Ragged tiles, several products of a tile, and a vector: the price of each order is that of its plan."""
    A, B, C = (matrix(n, *shape, keys, dtype) for n, shape, keys in [
        ("A", (230, 410), "ij"), ("B", (410, 320), "jk"), ("C", (320, 150), "kl")
    ])  # fmt: skip
    first = aggregate(join(A, B, "j", "matmul"), ("i", "k"), "add")
    whole = aggregate(join(first, C, "k", "matmul"), ("i", "l"), "add")
    network = read_network(whole, lambda node: False)
    ranked, _ = ranked_trees(network, model)
    chains = [r for r in ranked if set(map(str, [r.tree])) & {"((0, 1), 2)", "(0, (1, 2))"}]
    assert len(chains) == 2
    for found in chains:
        graph = operator_graph(write_network(network, found.tree, whole.type))
        work = sum(model.work(op) for op in graph.values() if not is_leaf(op))
        assert found.work == pytest.approx(work)
