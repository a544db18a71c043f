"""Every form of a region is equal to the one written; kernels are asked for their laws, not their names."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.kernel import kernel
from tra.algebra.relation import Relation
from tra.errors import TraError
from tra.optimizer.context import Context
from tra.optimizer.regions import EXPAND, FOLD, ORDER, WRITTEN, exchanged, regions

MATMUL = "(m,n),(n,p)->(m,p)"
product = tra.kernel(
    MATMUL,
    name="written product",
    contraction=True,
    linear=[0, 1],
    flops=lambda dims: 2.0 * dims["m"] * dims["n"] * dims["p"],
)(lambda x, y: x @ y)
mute = tra.kernel(MATMUL, name="written product in silence", linear=[0, 1])(lambda x, y: x @ y)
wrong = tra.kernel(MATMUL, name="no product", contraction=True, linear=[0, 1])(lambda x, y: x @ y + 1)
minus = tra.kernel("(),()->()", name="minus", coefficients=[1, -1])(lambda x, y: x - y)
plus = tra.kernel("(),()->()", name="written plus", coefficients=[1, 1])(lambda x, y: x + y)
twice = tra.kernel("(),()->()", name="plus twice", coefficients=[1, 2])(lambda x, y: x + 2 * y)
gap = tra.kernel("(),()->()", name="gap")(lambda x, y: x - y)
SQUARES = kernel("einsum", spec="abc,abc->ab")


@st.composite
def factors(draw, *labels):
    """Matrices that meet label by label: ragged or even tiles, one tile, unit extents; holes, or no tiles."""
    dtype = draw(st.sampled_from(["float64", "float64", "int64", "complex64"]))
    extents = {c: draw(st.sampled_from([3, 5, 4, 2, 1])) for c in "".join(labels)}
    sizes = {c: draw(st.integers(1, 5)) for c in extents}
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for place, keys in enumerate(labels):
        array = random.integers(-4, 5, [extents[c] for c in keys]).astype(dtype)
        relation = tra.from_array(array, keys=tuple(keys), tile=[sizes[c] for c in keys], name=f"A{place}")
        low = draw(st.sampled_from([0, 0, 0, 1, 9]))
        made.append(relation.filter(lambda a, b, low=low: a >= low) if low else relation)
    return made


def drawn(build):
    try:
        return build()
    except TraError:
        assume(False)


@st.composite
def chains(draw, by):
    """A·B·C, in the order of the text, by one kernel."""
    A, B, C = draw(factors("ij", "jk", "kl"))
    first = drawn(lambda: A.join(B, on="j", kernel=by).aggregate(by=("i", "k")))
    return drawn(lambda: first.join(C, on="k", kernel=by).aggregate(by=("i", "l")))


@st.composite
def transposed(draw, by, turn="transpose"):
    """A·Bᵀ·C with B turned by its own kernel and re-key."""
    A, B, C = draw(factors("ij", "kj", "kl"))
    turned = drawn(lambda: B.transform(turn).rekey(lambda k, j: (j, k), keys=("j", "k")))
    first = drawn(lambda: A.join(turned, on="j", kernel=by).aggregate(by=("i", "k")))
    return drawn(lambda: first.join(C, on="k", kernel=by).aggregate(by=("i", "l")))


@st.composite
def distances(draw, by):
    """Σ_i (q − x)², for every q and x."""
    q, x = draw(factors("qi", "xi"))
    wide = drawn(lambda: q.transform("expand_dims", axis=-2))
    far = drawn(lambda: wide.join(x, on="i", kernel=by))
    return drawn(lambda: far.join(far, on=far.keys, kernel=SQUARES).aggregate(by=("q", "x")))


def either(*drawn_by):
    return st.sampled_from(drawn_by)


CASES = {
    ORDER: (
        either("matmul", product).flatmap(chains),
        either(mute).flatmap(chains),
    ),
    FOLD: (
        either("matmul", product).flatmap(transposed),
        either(mute).flatmap(transposed),
    ),
    EXPAND: (
        either("sub", "add", minus, plus).flatmap(distances),
        either(gap, twice, "max").flatmap(distances),
    ),
}


def options(relation, rule):
    found = regions([relation.expr], Context(tolerance=1e-6))
    return [(region.root, o.expr) for region in found for o in region.options if o.rule == rule]


@pytest.mark.parametrize("rule", CASES)
def test_every_form_has_the_meaning_of_the_one_written(agreement, rule):
    fired = []

    @examples(40)
    @given(CASES[rule][0])
    def check(relation):
        for root, expr in options(relation, rule):
            fired.append(expr)
            assert expr.type == root.type
            found, expected = (agreement.expected(Relation(e, relation.sources)) for e in (expr, root))
            agreement.same(found, expected)

    check()
    assert fired


@pytest.mark.parametrize("rule", CASES)
def test_there_is_no_such_form_where_the_law_is_missing(rule):
    @examples(40)
    @given(CASES[rule][1])
    def check(relation):
        assert not options(relation, rule)

    check()


def chain(by, names="ABC"):
    shapes = {"A": ("ij", (40, 40)), "B": ("jk", (40, 40)), "C": ("kl", (40, 2))}
    A, B, C = (
        tra.from_array(np.ones(shape), keys=tuple(keys), tile=20, name=name)
        for name, (keys, shape) in shapes.items()
    )
    first = A.join(B, on="j", kernel=by).aggregate(by=("i", "k"))
    return first.join(C, on="k", kernel=by).aggregate(by=("i", "l"))


def test_a_users_product_has_the_orders_of_matmul():
    made = [regions([chain(by).expr], Context(tolerance=1e-6))[0] for by in ("matmul", product)]
    assert [o.rule for o in made[0].options] == [o.rule for o in made[1].options]
    assert [o.work for o in made[0].options] == pytest.approx([o.work for o in made[1].options])


def test_a_promise_that_is_not_kept_is_found(agreement):
    """The orders of a sum of products differ where the kernel is none."""
    relation = chain(wrong)
    results = [agreement.expected(Relation(e, relation.sources)) for _, e in options(relation, ORDER)]
    expected = agreement.expected(relation)
    with pytest.raises(AssertionError):
        for found in results:
            agreement.same(found, expected)


@pytest.mark.parametrize("rule", CASES)
def test_forms_are_switched_off_by_name(rule):
    relation = {ORDER: chain("matmul")}.get(rule)
    if relation is None:
        A, B = (tra.from_array(np.ones((8, 8)), tile=4, name=name) for name in "AB")
        far = A[:, None] - B[None]
        relation = A @ B.T @ A if rule == FOLD else tra.einsum("qxi,qxi->qx", far, far)
    assert rule in {
        o.rule for region in regions([relation.expr], Context(tolerance=1e-6)) for o in region.options
    }
    off = regions([relation.expr], Context(without=(rule,)))
    assert rule not in {o.rule for region in off for o in region.options}


def test_the_form_as_written_comes_first_or_is_folded():
    (found,) = regions([chain("matmul").expr], Context(tolerance=1e-6))
    assert found.options[0].rule in (WRITTEN, FOLD)


def test_exchanged_regions_share_what_they_shared():
    query = chain("matmul")
    (found,) = regions([query.expr], Context(tolerance=1e-6))
    other = found.options[-1].expr
    both = query.transform("exp").expr, query.transform("neg").expr
    made = exchanged(both, {found.root.digest: other})
    assert made[0].children == made[1].children == (other,)
