"""Products of sums multiplied out: where the digits allow it, and as the coefficients of the kernels say."""

import numpy as np
import pytest

import tra
from tra.algebra.nodes import Transform, postorder
from tra.algebra.relation import Relation
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.expansion import MAX_PRODUCTS, expanded
from tra.optimizer.network import read_network
from tra.optimizer.regions import EXPAND, regions

less = tra.kernel("(),()->()", name="less", coefficients=[1, -1])(lambda x, y: x - y)


widen = tra.kernel("(n)->(1,n)", name="widen", reshapes=True)(lambda x: x[None])
mute = tra.kernel("(n)->(1,n)", name="widen in silence")(lambda x: x[None])


def network_of(query):
    return read_network(query.expr, lambda node: False)


def multiplied_out(query):
    return expanded(network_of(query), query.expr.type, CostModel())


def points(dtype="f8", n=5):
    random = np.random.default_rng(0)
    q = tra.from_array(random.integers(-4, 5, (6, n)).astype(dtype), keys=("q", "i"), tile=4, name="q")
    x = tra.from_array(random.integers(-4, 5, (7, n)).astype(dtype), keys=("x", "i"), tile=4, name="x")
    return q, x


def distances(q, x):
    far = q[:, None] - x[None]
    return tra.einsum("qxi,qxi->qx", far, far)


def owned(q, x, by, wide="expand_dims"):
    """The same by kernels of the user."""
    stretched = q.transform(wide, **({"axis": -2} if wide == "expand_dims" else {}))
    far = stretched.join(x, on="i", kernel=by)
    return far.join(
        far, on=far.keys, kernel=tra.algebra.kernel.kernel("einsum", spec="abc,abc->ab")
    ).aggregate(by=("q", "x"))


@pytest.mark.parametrize("dtype", ["f8", "i8", "c16"])
@pytest.mark.parametrize(
    "build", [distances, lambda q, x: owned(q, x, "sub"), lambda q, x: owned(q, x, less)]
)
def test_distances_are_four_products(agreement, build, dtype):
    query = build(*points(dtype))
    made = multiplied_out(query)
    assert made is not None and made.type == query.expr.type
    agreement.same(agreement.expected(Relation(made, query.sources)), agreement.expected(query))


def test_a_users_difference_is_expanded_like_sub():
    own, plain = (owned(*points(), by) for by in (less, "sub"))
    assert multiplied_out(own).type == multiplied_out(plain).type


def test_a_users_new_axis_is_dropped_again_like_that_of_expand_dims():
    def n_wide(wide):
        query = owned(*points(), "sub", wide)
        made = multiplied_out(query)
        maps = [node.kernel for node in postorder(made) if isinstance(node, Transform)]
        return sum(kernel.signature.output[:1] == ("1",) for kernel in maps)

    assert n_wide(widen) == n_wide("expand_dims") < n_wide(mute)
    tra.testing.check_kernel(widen)


def test_a_kernel_that_does_not_keep_the_order_is_no_reshape():
    turned = tra.kernel("(n)->(1,n)", name="turned", reshapes=True)(lambda x: x[None, ::-1])
    with pytest.raises(AssertionError, match="reshapes, the same elements"):
        tra.testing.check_kernel(turned)


def test_digits_are_kept():
    """The sums are multiplied out only where the rounding is tolerated; integers lose nothing."""
    for dtype, tolerance, taken in [
        ("f8", 0.0, False),
        ("f8", 1e-9, True),
        ("f4", 1e-9, False),
        ("i8", 0.0, True),
    ]:
        query = distances(*points(dtype, 300))
        found = regions([query.expr], Context(tolerance=tolerance))
        options = {option.rule for region in found for option in region.options}
        assert (EXPAND in options) == taken


def test_what_is_not_taken_is_noted():
    A, B = (tra.from_array(np.ones((200, 200)), tile=50, name=name) for name in "AB")
    far = A[:, None] - B[None]
    (region,) = regions([tra.einsum("qxi,qxi->qx", far, far).expr], Context())
    assert "times less work, and is not taken: it rounds by up to" in region.note


def test_holes_are_no_zeros():
    q, x = points()
    holed = q.filter(lambda q, i: q > 0)
    query = owned(holed, x, "sub")
    assert multiplied_out(query) is None


def test_there_are_few_products():
    A, B = (tra.from_array(np.ones((4, 4)), tile=2, name=name) for name in "AB")
    far = A - B
    query = far @ far @ far @ far
    network = network_of(query)
    assert 2 ** len(network.terms) > MAX_PRODUCTS
    assert expanded(network, query.expr.type, CostModel()) is None
