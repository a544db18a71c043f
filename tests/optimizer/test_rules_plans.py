"""Every rule on plans fires where it should, on any mesh, and only there; what it makes is equal."""

import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.kernel import kernel
from tra.algebra.relation import Relation
from tra.optimizer.compile_table import compile_default
from tra.optimizer.meshes import meshes
from tra.optimizer.placement import Placement
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    Scan,
    Shuffle,
)
from tra.optimizer.roles import ALL, Split
from tra.optimizer.rules.kernels import composed
from tra.optimizer.rules.registry import CLEAN_UP
from tra.testing import tensors

from .rule_harness import drawn, keyed, some


@st.composite
def scans(draw, n_keys=0):
    """A stored relation, placed anyhow."""
    relation = draw(keyed(n_keys))
    mesh = draw(st.integers(2, 5).flatmap(lambda n: st.sampled_from(meshes(n))))
    return relation, stored(relation, draw(placements(mesh, relation)))


def stored(relation, placement):
    node = relation.expr
    return Scan(node.type, placement, node.id, node.version, node.name)


def placements(mesh, relation):
    roles = st.sampled_from([ALL, *map(Split, relation.keys)])
    return st.tuples(*(roles for _ in mesh)).map(lambda found: Placement(mesh, found))


@st.composite
def exchanges(draw, child, relation):
    need = draw(placements(child.placement.mesh, relation))
    kind = Broadcast if all(role == ALL for role in need.roles) else Shuffle
    return kind(child.type, need, child)


@st.composite
def exchanged_twice(draw):
    relation, scan = draw(scans())
    return relation, draw(exchanges(draw(exchanges(scan, relation)), relation))


@st.composite
def exchanged_to_where_it_lies(draw):
    relation, scan = draw(scans())
    return relation, Shuffle(scan.type, scan.placement, scan)


@st.composite
def aggregated_after_a_shuffle(draw):
    relation, scan = draw(scans(n_keys=1))
    by = draw(some(relation.keys))
    summed = drawn(lambda: relation.aggregate(by=by, kernel=draw(st.sampled_from(["add", "max"]))))
    roles = st.sampled_from([ALL, *map(Split, by)])
    need = Placement(scan.placement.mesh, tuple(draw(roles) for _ in scan.placement.mesh))
    kind = Broadcast if all(role == ALL for role in need.roles) else Shuffle
    node = summed.expr
    return summed, LocalAggregate(node.type, need, kind(scan.type, need, scan), node.by, node.kernel)


@st.composite
def aggregated_join(draw):
    tensor = draw(tensors(min_rank=1)).relation
    assume(tensor.keys)
    other = Relation(tensor.expr, tensor.sources)
    joined = drawn(lambda: tensor.join(other, on=tensor.keys, kernel="mul"))
    summed = drawn(lambda: joined.aggregate(by=joined.keys[:1], kernel="max"))
    mesh = draw(st.integers(1, 5).map(lambda n: meshes(n)[0]))
    plan = compile_default((summed.expr,), mesh)[0]
    assume(isinstance(plan.child, LocalJoin))
    return summed, plan


@st.composite
def mapped_twice(draw):
    relation, scan = draw(scans())
    inner = relation.transform("neg") if relation.dtype != bool else relation.transform("logical_not")
    lower = LocalMap(inner.expr.type, scan.placement, scan, None, (inner.expr.kernel,))
    if draw(st.booleans()):
        outer = inner.transform("square")
        return outer, LocalMap(outer.expr.type, scan.placement, lower, None, (outer.expr.kernel,))
    outer = inner.rekey(lambda *k: k[::-1], keys=inner.keys[::-1])
    return outer, LocalMap(outer.expr.type, scan.placement, lower, outer.expr.function, ())


@st.composite
def filtered_after_an_exchange(draw):
    relation, scan = draw(scans(n_keys=1))
    low = draw(st.integers(0, 2))
    kept = relation.filter(lambda *k: k[0] >= low)
    sent = draw(exchanges(scan, relation))
    return kept, LocalFilter(kept.expr.type, sent.placement, sent, kept.expr.predicate)


def wide(x):
    return x + 1j


WIDE = tra.kernel("()->()", name="wide", elementwise=True)(wide)
SMALLER, LARGER, EQUAL = kernel("cast", dtype="bool"), WIDE, kernel("square")


@st.composite
def mapped_after_an_exchange(draw, *kernels):
    relation, scan = draw(scans())
    assume(relation.dtype in ("float64", "float32", "int64") and relation.nbytes)
    mapped = relation.transform(draw(st.sampled_from(kernels)))
    sent = draw(exchanges(scan, relation))
    return mapped, LocalMap(mapped.expr.type, sent.placement, sent, None, (mapped.expr.kernel,))


@st.composite
def mapped_before_an_exchange(draw, *kernels):
    relation, scan = draw(scans())
    assume(relation.dtype in ("float64", "float32", "int64") and relation.nbytes)
    mapped = relation.transform(draw(st.sampled_from(kernels)))
    lower = LocalMap(mapped.expr.type, scan.placement, scan, None, (mapped.expr.kernel,))
    return mapped, draw(exchanges(lower, mapped))


@st.composite
def joined_and_mapped(draw, *kernels):
    left, scan = draw(scans())
    joined = drawn(lambda: left.join(left, on=left.keys, kernel="mul"))
    mapped = drawn(lambda: joined.transform(draw(st.sampled_from(kernels))))
    pairs = LocalJoin(joined.expr.type, scan.placement, scan, scan, joined.expr.on, joined.expr.kernel)
    return mapped, LocalMap(mapped.expr.type, scan.placement, pairs, None, (mapped.expr.kernel,))


@st.composite
def mapped_and_joined(draw, *kernels, all_keys=True):
    left, scan = draw(scans(n_keys=1))
    mapped = drawn(lambda: left.transform(draw(st.sampled_from(kernels))))
    on = left.keys if all_keys else left.keys[1:]
    sides = draw(st.sampled_from([(mapped, left), (left, mapped), (mapped, mapped)]))
    joined = drawn(lambda: sides[0].join(sides[1], on=on, kernel="left"))
    lower = LocalMap(mapped.expr.type, scan.placement, scan, None, (mapped.expr.kernel,))
    plans = [lower if side is mapped else scan for side in sides]
    everywhere = Placement(scan.placement.mesh, (ALL,) * len(scan.placement.mesh))
    plans = [Broadcast(plan.type, everywhere, plan) if plan is scan else plan for plan in plans]
    plans = [with_placement(plan, everywhere) for plan in plans]
    return joined, LocalJoin(joined.expr.type, everywhere, *plans, joined.expr.on, joined.expr.kernel)


def with_placement(plan, placement):
    """A map over a relation that is everywhere."""
    if not isinstance(plan, LocalMap):
        return plan
    below = Broadcast(plan.child.type, placement, plan.child)
    return LocalMap(plan.type, placement, below, None, plan.kernels)


@st.composite
def masked_product(draw, has_holes=True):
    array = np.arange(15.0).reshape(3, 5)
    A, B = tra.from_array(array, ("i", "k"), (2, 2)), tra.from_array(array.T, ("k", "j"), (2, 2))
    keys = [(0, 0), (0, 1), (1, 0), (1, 1)]
    diagonals = st.sampled_from([[0, 3], [1, 2], [0, 1, 2], [1, 2, 3], [0, 2, 3]])
    there = [keys[n] for n in draw(diagonals)] if has_holes else keys
    axes = tuple(tra.Axis(2, ((key, 1),), 3) for key in "ij")
    mask = tra.from_tiles({(i, j): np.ones((2 - i, 2 - j)) for i, j in there}, ("i", "j"), axes, (2, 2))
    product = A @ B
    sides = draw(st.permutations([product, mask]))
    masked = sides[0].join(sides[1], on=list(zip(sides[0].keys, sides[1].keys, strict=True)), kernel="mul")
    mesh = draw(st.integers(1, 3).map(lambda n: meshes(n)[0]))
    everywhere = Placement(mesh, (ALL,) * len(mesh))
    left, right = (stored(part, everywhere) for part in (A, B))
    node = product.expr
    joined = node.child
    folded = LocalContract(node.type, everywhere, left, right, joined.on, joined.kernel, node.by, node.kernel)
    plans = [folded if side is product else stored(mask, everywhere) for side in sides]
    return masked, LocalJoin(masked.expr.type, everywhere, *plans, masked.expr.on, masked.expr.kernel)


PLANS = {
    "exchange_exchange_keep_last": exchanged_twice(),
    "exchange_satisfied_drop": exchanged_to_where_it_lies(),
    "filter_exchange_push": filtered_after_an_exchange(),
    "aggregate_shuffle_aggregate_first": aggregated_after_a_shuffle(),
    "map_map_fuse": mapped_twice(),
    "map_exchange_push": mapped_after_an_exchange(SMALLER),
    "exchange_map_push": mapped_before_an_exchange(LARGER),
    "map_join_fuse": joined_and_mapped("square", "abs"),
    "aggregate_join_contract": aggregated_join(),
    "join_map_fuse": mapped_and_joined("square", "abs"),
    "join_contract_mask": masked_product(),
}
LACKING = {
    "map_exchange_push": mapped_after_an_exchange(LARGER),
    "exchange_map_push": mapped_before_an_exchange(SMALLER, EQUAL),
    "map_join_fuse": joined_and_mapped("transpose", "reduce_max"),
    "join_map_fuse": mapped_and_joined("transpose", "reduce_max") | mapped_and_joined("abs", all_keys=False),
    "join_contract_mask": masked_product(has_holes=False),
}


# -- the tests --------------------------------------------------------------------------------------


def test_every_rule_is_tested():
    assert {rule.name for rule in CLEAN_UP} == set(PLANS)


@pytest.mark.parametrize("rule", CLEAN_UP, ids=lambda rule: rule.name)
def test_a_plan_rule_fires_and_keeps_the_meaning(rule, agreement):
    @examples(60)
    @given(PLANS[rule.name])
    def check(case):
        relation, plan = case
        new = rule.function(plan)
        assert new is not None
        assert (new.type, new.placement) == (plan.type, plan.placement)
        expected = agreement.expected(relation)
        assume(expected is not None)
        for either in (plan, new):
            agreement.same(agreement.run([either], relation.sources)[0][0], expected)

    check()


@pytest.mark.parametrize("name", LACKING)
def test_a_plan_rule_does_not_fire_where_it_would_be_wrong(name):
    (rule,) = (rule for rule in CLEAN_UP if rule.name == name)

    @examples(60)
    @given(LACKING[name])
    def check(case):
        assert rule.function(case[1]) is None

    check()


def test_composed_kernels_travel_and_are_known_by_their_parts():
    both = composed([[kernel("neg")], []], kernel("matmul"), [kernel("scale", by=2.0)])
    other = composed([[kernel("neg")], []], kernel("matmul"), [kernel("scale", by=3.0)])
    again = pickle.loads(pickle.dumps(both))
    assert again == both != other
    assert again([[1.0]], [[2.0]]).tolist() == [[-4.0]]
    assert both.flops_per_item({"m": 2, "n": 3, "p": 4}) == 48 + 6 + 8
    grown = composed([[], [kernel("abs")]], both, [WIDE])
    assert grown([[1.0]], [[-2.0]]).tolist() == [[-4.0 + 1j]]
    assert str(grown) == "wide∘scale(by=2.0)∘matmul∘(neg, abs)"
