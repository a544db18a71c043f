"""Gradients that users give their kernels: formulas of tiles, checked, and wrong ones refused in words."""

import re

import numpy as np
import pytest

import tra
from tra.algebra.tilewise import Tilewise
from tra.errors import KernelError
from tra.testing import check_kernel

from .gradient_harness import check_gradients, tiles_of, weighted

X = np.random.default_rng(3).standard_normal((5, 3))


x = tra.from_array(X, keys="i", tile=2, name="x")


def test_one_operand():
    @tra.kernel("()->()", name="softplus", gradient=lambda inputs, out, z: (z * tra.sigmoid(inputs[0]),))
    def softplus(t):
        return np.log1p(np.exp(t))

    check_kernel(softplus)
    np.testing.assert_allclose(tra.grad(softplus(x).sum(), x)[0].compute(), 1 / (1 + np.exp(-X)))
    check_gradients(weighted(softplus(x).expr), tiles_of(x))
    (slope,) = tra.grad(softplus(x).sum(), x)
    check_gradients(weighted(slope.expr), tiles_of(x))  # the formula has a gradient itself


def _least(inputs, out, z):
    a, b = inputs
    return tra.where(a < b, z, 0.0), tra.where(a < b, 0.0, z)


def test_two_operands():
    @tra.kernel("(),()->()", name="least of two", gradient=_least)
    def least(a, b):
        return np.minimum(a, b)

    check_kernel(least)
    for operands in [(x, tra.sin(x)), (x, x[:, :1]), (x, x[1]), (x, x.sum()), (x, 0.3)]:
        out = least(*operands)
        check_gradients(weighted(out.expr), tiles_of(out))


def test_core_dimensions():
    def slopes(inputs, out, z):
        a, v = inputs
        return tra.outer(z, v), tra.einsum("m,mn->n", z, a)

    @tra.kernel("(m,n),(n)->(m)", name="applied", gradient=slopes)
    def applied(a, v):
        return a @ v

    @tra.kernel(
        "(n)->()", name="energy", gradient=lambda i, out, z: (tra.expand_dims(z, axis=-1) * 2 * i[0],)
    )
    def energy(v):
        return (v * v).sum()

    @tra.kernel("()->(two)", name="doubled", sizes={"two": 2},
                gradient=lambda i, out, z: (tra.reduce_sum(z, axis=-1),))  # fmt: skip
    def doubled(v):
        return np.stack([v, v], axis=-1)

    for made in (applied, energy, doubled):
        check_kernel(made)
    a = tra.from_array(np.random.default_rng(0).standard_normal((4, 2, 3)), keys="n", tile=1)
    v = tra.from_array(np.random.default_rng(1).standard_normal((4, 3)), keys="n", tile=1)
    for relation in (a.join(v, on="n", kernel=applied), v.transform(energy), v.transform(doubled)):
        check_gradients(weighted(relation.expr), tiles_of(relation))
        check_gradients(relation.sum().expr, tiles_of(relation))
        holed = relation.filter(lambda n: n != 1)
        check_gradients(weighted(holed.expr), tiles_of(holed))


def test_a_contraction_needs_no_formula():
    product = tra.kernel("(m,n),(n,p)->(m,p)", name="own product", contraction=True)(lambda a, b: a @ b)
    trace = tra.kernel("(m,m)->()", name="own trace", contraction=True)(np.trace)
    a = tra.from_array(np.random.default_rng(0).standard_normal((4, 3, 3)), keys="n", tile=1)
    for relation in (a.join(a, on="n", kernel=product), a.transform(trace)):
        check_gradients(weighted(relation.expr), tiles_of(relation))
        check_gradients(relation.sum().expr, tiles_of(relation))


def test_one_without():
    bare = tra.kernel("()->()", name="bare")(lambda t: t * t)
    words = (
        r"kernel bare has no gradient\n  it lies on the way x → sin → bare → reduce_sum\(axis=-2\) → "
        r"reduce_sum\(axis=-1\) → aggregate\n  hint: @tra.kernel\(…, gradient=…\) gives it one"
    )
    with pytest.raises(KernelError, match=words):
        tra.grad(bare(tra.sin(x)).sum(), x)
    other = tra.from_array(np.ones(3), name="other")
    assert tra.grad(bare(x).sum() + other.sum(), other)[0].compute().tolist() == [1.0, 1.0, 1.0]


def test_a_fold_without():
    fold = tra.kernel("(),()->()", name="own fold", associative=True, commutative=True)(lambda a, b: a + b)
    even = tra.from_array(X[:4], keys="i", tile=2, name="x")
    with pytest.raises(
        KernelError, match="an aggregation with own fold has no gradient; only those with add, mul"
    ):
        tra.grad(even.aggregate(by=(), kernel=fold).sum(), even)


def _no_tuple(inputs, out, z):
    return z


def _branches(inputs, out, z):
    return (z if inputs[0] > 0 else 0.0,)


WRONG = {
    "a relation": (lambda i, out, z: (x,), "it cannot have the Relation x[i:3] of 2/5×3 float64 in it"),
    "a relation in it": (lambda i, out, z: (z * x,), "it cannot have the Relation"),
    "a relation in a kernel": (lambda i, out, z: (z * tra.exp(x),), "it cannot have the Relation"),
    "an array in it": (
        lambda i, out, z: (np.ones(3) * z,),
        "a formula of the tiles it is given and of numbers",
    ),
    "a method": (lambda i, out, z: (z * i[0].sum(),), "in a gradient have no attribute 'sum'; write kernels"),
    "a choice": (_branches, "tiles in a gradient have no values yet; choose with tra.where(condition, x, y)"),
    "no tuple": (_no_tuple, "it gives a Tilewise for 1 operands; it gives a tuple, one for each"),
    "too many": (lambda i, out, z: (z, z), "it gives 2 results for 1 operands"),
    "other axes": (
        lambda i, out, z: (tra.reduce_sum(z * out, axis=-1),),
        "[i:3] of 2/5 float64 for an operand",
    ),
    "an exception": (lambda i, out, z: (1 / 0,), "failed: ZeroDivisionError: division by zero"),
    "other arguments": (lambda i: (None,), "failed: TypeError: <lambda>() takes 1 positional argument but 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_formulas(name):
    gradient, words = WRONG[name]
    made = tra.kernel("()->()", name="wrong one", gradient=gradient)(lambda t: t * t)
    with pytest.raises(KernelError, match=re.escape(words)) as caught:
        tra.grad(made(x).sum(), x)
    assert "gradient of wrong one" in str(caught.value) and "lies on the way x → wrong one" in str(
        caught.value
    )


def test_formulas_that_are_not_the_slope_are_caught():
    half = tra.kernel("()->()", name="half right", gradient=lambda i, out, z: (z * i[0],))(lambda t: t * t)
    words = "half right is not as it claims on float64: its gradient, for operand 1, by central differences"
    with pytest.raises(AssertionError, match=words):
        check_kernel(half)
    second = tra.kernel("(),()->()", name="one sided", gradient=lambda i, out, z: (z, None))(
        lambda a, b: a + b
    )
    with pytest.raises(AssertionError, match="its gradient, for operand 2"):
        check_kernel(second)
    broken = tra.kernel("()->()", name="broken", gradient=lambda i, out, z: z)(lambda t: t)
    with pytest.raises(AssertionError, match="its gradient\n"):
        check_kernel(broken)
    flat = tra.kernel("()->()", name="flat", gradient=lambda i, out, z: (None,))(np.floor)
    check_kernel(flat)


def test_what_formulas_are_made_of():
    tiles = Tilewise(x.expr)
    for made in (
        -tiles, tiles + 1, 1 + tiles, tiles - 1, 1 - tiles, 2 * tiles, tiles * 2, tiles / 2, 2 / tiles,
        tiles**2, 2**tiles, abs(tiles), tra.maximum(tiles, 0.0), tra.clip(tiles, 0, 1),
        tra.minimum(0.0, tiles),
        tra.softmax(tiles, axis=-1), tra.einsum("a->a", tiles), tra.add(tiles, tiles), tra.square(tiles),
    ):  # fmt: skip
        assert isinstance(made, Tilewise) and made.dtype == np.float64
    for made in (tiles > 0, tiles >= 0, tiles < tiles, tiles <= 1):
        assert made.dtype == bool
    assert tra.where(tiles > 0, tiles, tiles * 2).value.type.axes == x.expr.type.axes
    product = tra.expand_dims(tiles, axis=-1) @ tra.expand_dims(tiles, axis=-2)
    assert len(product.value.type.axes) == 3
