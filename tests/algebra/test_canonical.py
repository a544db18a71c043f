"""Products of tiles have the same bits wherever their operands and results lie in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tra.algebra.kernel import kernel

PRODUCT = kernel("_blocked", of="matmul")
lengths = st.one_of(st.integers(1, 8), st.integers(1, 140))


def part_of_a_larger(array, rows, columns):
    """An equal array whose rows lie further apart."""
    larger = np.full((array.shape[0] + rows, array.shape[1] + columns), 99, array.dtype)
    larger[rows:, columns:] = array
    return larger[rows:, columns:]


LAYOUTS = {
    "part": lambda a: part_of_a_larger(a, 1, 3),
    "transposed": lambda a: np.asfortranarray(a),
    "part, transposed": lambda a: part_of_a_larger(a.T, 2, 1).T,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "every second column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8"])
@given(st.tuples(lengths, lengths, lengths), *[st.sampled_from(sorted(LAYOUTS))] * 2)
def test_where_operands_lie_changes_no_bit(dtype, shape, left, right):
    m, k, n = shape
    rng = np.random.default_rng(m * k * n)
    x, y = ((100 * rng.standard_normal(s)).astype(dtype) for s in ((m, k), (k, n)))
    wanted = PRODUCT.function(x, y)
    x, y = LAYOUTS[left](x), LAYOUTS[right](y)
    assert np.array_equal(PRODUCT.function(x, y), wanted)
    place = part_of_a_larger(wanted, 3, 2)
    assert np.array_equal(PRODUCT.function(x, y, out=place), wanted)


def test_a_matrix_by_itself_turned():
    """BLAS computes half of such a product, and another way, where it sees that both are one."""
    x = np.random.default_rng(0).standard_normal((70, 90))
    assert np.array_equal(PRODUCT.function(x, x.T), PRODUCT.function(x, x.T.copy()))
    part = part_of_a_larger(x, 4, 4)
    assert np.array_equal(PRODUCT.function(part, part.T), PRODUCT.function(x, x.T.copy()))
