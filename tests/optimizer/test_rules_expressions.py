"""Rules on re-keys, cuts and maps: each fires where it should, and what it makes is equal to what it took."""

from functools import partial

import pytest
from hypothesis import assume
from hypothesis import strategies as st

import tra
from tra.algebra.whole_tensor import is_whole_form
from tra.optimizer.rules import expressions
from tra.testing import relations, tensors

from .rule_harness import check_fires, check_stays, drawn, keyed, names_of

N_EXAMPLES = 100
opposite = tra.kernel("()->()", name="opposite", coefficients=[-1])(lambda x: -x)
same = tra.kernel("()->()", name="same", elementwise=True, coefficients=[1])(lambda x: +x)
silent = tra.kernel("()->()", name="opposite in silence", elementwise=True)(lambda x: -x)


@st.composite
def rekeyed_twice(draw):
    relation = draw(keyed())
    order = draw(st.permutations(range(len(relation.keys))))
    by = draw(st.integers(0, 2))
    first = drawn(lambda: relation.rekey(lambda *k: tuple(k[p] for p in order), keys=relation.keys))
    return drawn(lambda: first.rekey(lambda *k: (k[0] + by, *k[1:]), keys=["x", *relation.keys[1:]]))


@st.composite
def looked_up_and_rekeyed(draw):
    relation = draw(keyed())
    first = drawn(lambda: relation.rekey(lambda *k: ([3, 1, 0, 2][k[0]], *k[1:]), keys=relation.keys))
    return first.rekey(lambda *k: (k[0] + 1, *k[1:]), keys=["x", *relation.keys[1:]])


@st.composite
def rekeyed_to_itself(draw):
    relation = draw(relations())
    return relation.rekey(lambda *k: k, keys=relation.keys)


@st.composite
def renamed(draw):
    relation = draw(keyed())
    return relation.rekey(lambda *k: k, keys=["x", *relation.keys[1:]])


@st.composite
def tiled_and_glued(draw, other=False):
    relation = draw(tensors(min_rank=2 if other else 1)).relation
    axis, size = draw(st.integers(0, len(relation.tile_shape) - 1)), draw(st.integers(1, 3))
    glued = (axis + 1) % len(relation.tile_shape) if other else axis
    return drawn(lambda: relation.tile(axis, size, "cut").concat("cut", glued))


def retiled(node, *times):
    for sizes in times:
        node = drawn(partial(node.retile, *sizes))
    return node


@st.composite
def retiled_to_itself(draw):
    relation = draw(tensors(min_rank=1)).relation
    sizes = [draw(st.sampled_from([1, 2, 3])) for _ in relation.shape]
    once = retiled(relation, sizes)
    return retiled(once, [axis.size if axis.link else None for axis in once.expr.type.axes])


@st.composite
def retiled_twice(draw):
    relation = draw(tensors(min_rank=1)).relation
    type_ = relation.expr.type
    assume(is_whole_form(type_) and all(axis.link for axis in type_.axes))
    first, second = ([draw(st.sampled_from([1, 2, 3])) for _ in relation.shape] for _ in range(2))
    return retiled(relation, first, second)


@st.composite
def sliced(draw, then_retiled=False):
    part = tra.from_array(draw(tensors((5,))).array, tile=draw(st.integers(1, 5)))[1:]
    return part.retile(draw(st.integers(1, 3))) if then_retiled else part


@st.composite
def transformed(draw, *names):
    relation = draw(relations(dtype=draw(st.sampled_from(["float64", "float32", "int64", "complex64"]))))
    for name in names:
        relation = relation.transform(draw(st.sampled_from(name)))
    return relation


ONCE, MINUS, OTHER = ["identity", same], ["neg", opposite], ["square", silent]
CASES = {
    "rekey_rekey_fuse": (rekeyed_twice(), looked_up_and_rekeyed()),
    "rekey_identity_drop": (rekeyed_to_itself(), renamed()),
    "concat_tile_cancel": (tiled_and_glued(), tiled_and_glued(other=True)),
    "retile_same_drop": (retiled_to_itself(), sliced()),
    "retile_retile_fuse": (retiled_twice(), sliced(then_retiled=True)),
    "transform_identity_drop": (transformed(ONCE), transformed(MINUS + OTHER)),
    "transform_inverse_drop": (transformed(MINUS, MINUS), transformed(MINUS + OTHER, OTHER)),
}


def test_every_rule_is_tested():
    assert names_of(expressions) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_and_keeps_the_meaning(name):
    check_fires(getattr(expressions, name), CASES[name][0], N_EXAMPLES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_does_not_fire_where_its_law_is_missing(name):
    check_stays(getattr(expressions, name), CASES[name][1], N_EXAMPLES)
