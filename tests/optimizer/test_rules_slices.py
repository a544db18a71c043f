"""Rules on slices: each fires where it should, and what it makes is equal to what it took."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.nodes import Retile, Source, postorder
from tra.optimizer.rules import slices
from tra.optimizer.windowed import slices_below
from tra.testing import shapes, tensors

from .rule_harness import check_fires, check_stays, drawn, names_of

N_EXAMPLES = 100
together = tra.kernel("()->()", name="of the whole tile")(lambda x: x - x.max() if x.size else x)


@st.composite
def parts(draw, length, most=0.5):
    """A slice of an axis, forwards or backwards, of a part of it."""
    start, stop = sorted(draw(st.tuples(*[st.integers(0, length)] * 2)))
    step = draw(st.sampled_from([1, 1, 2, 3]))
    taken = slice(start, stop, step)
    assume(0 < len(range(*taken.indices(length))) <= max(most * length, 1))
    return taken if draw(st.booleans()) else slice(stop - 1, start - 1 if start else None, -step)


@st.composite
def sliced(draw, relation):
    """A slice along some axes; sometimes in other tiles."""
    shape = relation.shape
    some = [draw(st.booleans()) for _ in shape]
    assume(any(some))
    window = tuple(draw(parts(n)) if is_cut else slice(None) for n, is_cut in zip(shape, some, strict=True))
    made = drawn(lambda: relation[window])
    if draw(st.booleans()):
        made = drawn(lambda: made.retile(*[draw(st.sampled_from([None, 1, 2, 3])) for _ in made.shape]))
    return made


@st.composite
def of_slices(draw):
    return draw(sliced(draw(sliced(draw(tensors(min_rank=1)).relation))))


@st.composite
def of_maps(draw):
    x = draw(tensors(min_rank=1, dtype="float64")).relation
    maps = [lambda: tra.relu(x), lambda: x * 2 + 1, lambda: x.transform("reduce_sum", axis=-1)]
    maps += [lambda: x.transform("expand_dims", axis=-1), lambda: x.T]
    made = drawn(draw(st.sampled_from(maps)))
    assume(made.shape)
    return draw(sliced(made))


@st.composite
def of_renamed(draw):
    x = draw(tensors(min_rank=1)).relation
    assume(x.keys)
    order = draw(st.permutations(range(len(x.keys))))
    names = [f"new_{n}" for n in range(len(x.keys))]
    return draw(sliced(drawn(lambda: x.rekey(lambda *k: tuple(k[p] for p in order), keys=names))))


@st.composite
def of_joins(draw, kernel=None):
    shape = draw(shapes(3, 1))
    x, y = (draw(tensors(shape, "float64")).relation for _ in range(2))
    if draw(st.booleans()):
        y = draw(tensors(shape[1:], "float64")).relation
    return draw(sliced(drawn(lambda: x * y)))


@st.composite
def of_products(draw):
    m, k, n = (draw(st.integers(1, 9)) for _ in range(3))
    x, y = draw(tensors((m, k), "float64")).relation, draw(tensors((k, n), "float64")).relation
    made = [lambda: x @ y, lambda: x.sum(axis=0), lambda: x.max(axis=1)]
    made += [partial(tra.einsum, spec, x, y) for spec in ("ij,jk->ki", "ij,jk->ijk", "ij,jk->i")]
    return draw(sliced(drawn(draw(st.sampled_from(made)))))


@st.composite
def large_parts(draw):
    x = draw(tensors((9,), "float64")).relation
    return drawn(lambda: draw(st.sampled_from([x + x, tra.exp(x), x.sum(), x * 1]))[1:8])


def whole_tiles():
    """A kernel that looks at tiles, and a fold that keeps none of the axes that are cut."""
    x = tra.from_array(np.arange(9.0), keys=("i",), tile=3)
    return st.sampled_from([x.transform(together)[2:5], x.aggregate(by=(), kernel="add")[1:2]])


CASES = {
    "slice_slice_fuse": (of_slices(), st.just(tra.from_array(np.ones(4), tile=2)[1:3])),
    "slice_rekey_push": (of_renamed(), whole_tiles()),
    "slice_transform_push": (of_maps(), st.one_of(whole_tiles(), large_parts())),
    "slice_join_push": (of_joins(), large_parts()),
    "slice_aggregate_push": (of_products(), whole_tiles()),
}


def test_every_rule_has_a_case():
    assert names_of(slices) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_and_keeps_the_meaning(name):
    check_fires(getattr(slices, name), CASES[name][0], N_EXAMPLES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_does_not_fire_where_its_law_is_missing(name):
    check_stays(getattr(slices, name), CASES[name][1], N_EXAMPLES)


def test_a_key_that_is_joined_and_cuts_no_axis_on_one_side():
    """A slice of one side would number tiles anew, and meet others."""
    x = np.arange(16.0)
    A = tra.from_array(x, keys=("i",), tile=4)
    factor = tra.from_tiles({n: np.array(10.0**n) for n in range(4)}, keys="i")
    joined = A.join(factor, on=["i"], kernel="mul")
    with tra.connect("local", threads=1) as session:
        (found,) = session.compute(joined[6:10].retile(1))
    assert np.array_equal(found, (x * np.repeat(10.0 ** np.arange(4), 4))[6:10])


def test_slices_reach_what_is_read():
    A = tra.from_array(np.ones((40, 30)), ("i", "j"), 10, name="A")
    B = tra.from_array(np.ones((30, 20)), ("j", "k"), 10, name="B")
    b = tra.from_array(np.ones(20), ("k",), 10, name="b")
    pushed, _ = slices_below(tra.relu(A @ B + b)[12:14, 3:5].expr)
    cut = [node.operands[0] for node in postorder(pushed) if isinstance(node, Retile)]
    assert len(cut) == 3 and all(isinstance(node, Source) for node in cut)


def test_explain_names_the_rules_and_they_can_be_switched_off():
    A = tra.from_array(np.ones((40, 40)), ("i", "j"), 10, name="A")
    found = []
    for without in ((), ("slice_transform_push",)):
        with tra.connect("local", without=without) as session:
            explained = session.explain(tra.exp(A)[:5]).to_dict()
        found.append(["slice_transform_push", 1] in explained["rules"])
    assert found == [True, False]


def test_what_others_need_is_made_once():
    A = tra.from_array(np.ones((40, 40)), ("i", "j"), 10, name="A")
    C = A @ A
    pushed, _ = slices_below((C[3:5].sum() + C.sum()).expr)
    (cut,) = [node.operands[0] for node in postorder(pushed) if isinstance(node, Retile)]
    assert cut == C.expr


@examples(N_EXAMPLES)
@given(st.data())
def test_queries_with_slices_anywhere(data):
    """What sessions run, beside NumPy."""
    m, k, n = (data.draw(st.integers(2, 9)) for _ in range(3))
    x, y, z = (data.draw(tensors(shape, "float64")) for shape in ((m, k), (k, n), (n,)))
    rows, columns = data.draw(parts(m)), data.draw(parts(n, 1.0))
    relation = drawn(lambda: (tra.abs((x.relation @ y.relation)[:, columns] - z.relation[columns]) * 2)[rows])
    wanted = (abs((x.array @ y.array)[:, columns] - z.array[columns]) * 2)[rows]
    sites = data.draw(st.integers(1, 3))
    with tra.connect("local", threads=1, sites=sites, cost_model="fixed") as session:
        (found,) = session.compute(relation)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max(initial=1))
