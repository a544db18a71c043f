"""Every rule fires where it should, and what it makes is equal to what it took, on any number of sites."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tra
from tra.algebra.nodes import postorder
from tra.algebra.relation import Relation
from tra.algebra.whole_tensor import is_whole_form
from tra.errors import PlanError, TraError
from tra.optimizer.compile_table import compile_default
from tra.optimizer.placement import ALL, Placement, Split, meshes
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalJoin,
    LocalMap,
    Scan,
    Shuffle,
    plan_order,
)
from tra.optimizer.planner import plan_query
from tra.optimizer.rules.registry import CLEAN_UP, NORMALISE, RULES, Rule, clean_up, normalise, rules_without
from tra.optimizer.search import Context
from tra.testing import queries, relations, tensors

FEW = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)

# -- one strategy per rule: nodes that it applies to ------------------------------------------------


def keyed(n_keys=1):
    return relations().filter(lambda r: len(r.keys) >= n_keys)


def drawn(relation, build):
    """The relation that `build` makes, where the algebra allows it."""
    try:
        return build(relation)
    except TraError:
        assume(False)


@st.composite
def filtered_twice(draw):
    relation = draw(keyed())
    low, high = draw(st.integers(0, 2)), draw(st.integers(1, 4))
    return relation.filter(lambda *k: k[0] >= low).filter(lambda *k: (k[-1] < high) | (k[0] == k[-1]))


@st.composite
def rekeyed_twice(draw):
    relation = draw(keyed())
    order = draw(st.permutations(range(len(relation.keys))))
    by = draw(st.integers(0, 2))
    first = drawn(relation, lambda r: r.rekey(lambda *k: tuple(k[p] for p in order), keys=r.keys))
    return drawn(first, lambda r: r.rekey(lambda *k: (k[0] + by, *k[1:]), keys=["x", *r.keys[1:]]))


@st.composite
def rekeyed_to_itself(draw):
    relation = draw(relations())
    return relation.rekey(lambda *k: k, keys=relation.keys)


@st.composite
def tiled_and_glued(draw):
    relation = draw(tensors(min_rank=1)).relation
    axis, size = draw(st.integers(0, len(relation.tile_shape) - 1)), draw(st.integers(1, 3))
    return drawn(relation, lambda r: r.tile(axis, size, "cut").concat("cut", axis))


def retiled(node, *times):
    for sizes in times:
        node = drawn(node, lambda r, sizes=sizes: r.retile(*sizes))
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
def transformed_by_identity(draw):
    return draw(relations()).transform("identity")


EXPRESSIONS = {
    "filter_filter_fuse": filtered_twice(),
    "rekey_rekey_fuse": rekeyed_twice(),
    "rekey_identity_drop": rekeyed_to_itself(),
    "concat_tile_cancel": tiled_and_glued(),
    "retile_same_drop": retiled_to_itself(),
    "retile_retile_fuse": retiled_twice(),
    "transform_identity_drop": transformed_by_identity(),
}


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
    by = draw(st.permutations(relation.keys))[: draw(st.integers(0, len(relation.keys)))]
    summed = drawn(relation, lambda r: r.aggregate(by=by, kernel=draw(st.sampled_from(["add", "max"]))))
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
    joined = drawn(tensor, lambda r: r.join(other, on=r.keys, kernel="mul"))
    summed = drawn(joined, lambda r: r.aggregate(by=r.keys[:1], kernel="max"))
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


PLANS = {
    "exchange_exchange_keep_last": exchanged_twice(),
    "exchange_satisfied_drop": exchanged_to_where_it_lies(),
    "aggregate_shuffle_aggregate_first": aggregated_after_a_shuffle(),
    "aggregate_join_contract": aggregated_join(),
    "map_map_fuse": mapped_twice(),
}


# -- the tests --------------------------------------------------------------------------------------


def test_every_rule_is_tested():
    assert {rule.name for rule in NORMALISE} == set(EXPRESSIONS)
    assert {rule.name for rule in CLEAN_UP} == set(PLANS)
    assert [rule.name for rule in RULES] == [*(r.name for r in NORMALISE), *(r.name for r in CLEAN_UP)]


@pytest.mark.parametrize("rule", NORMALISE, ids=lambda rule: rule.name)
def test_an_expression_rule_fires_and_keeps_the_meaning(rule, agreement):
    @FEW
    @given(EXPRESSIONS[rule.name])
    def check(relation):
        new = rule.function(relation.expr)
        assert new is not None
        assert new.type == relation.expr.type
        after = Relation(new, relation.sources)
        agreement.same(agreement.expected(after), agreement.expected(relation))
        assert [fired.name for fired in normalise((relation.expr,), [rule])[1]] == [rule.name]

    check()


@pytest.mark.parametrize("rule", CLEAN_UP, ids=lambda rule: rule.name)
def test_a_plan_rule_fires_and_keeps_the_meaning(rule, agreement):
    @FEW
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


@FEW
@given(
    queries(max_steps=5),
    st.integers(1, 4),
    st.sets(st.sampled_from([rule.name for rule in RULES]), max_size=4),
)
def test_plans_without_some_rules_are_right(agreement, grown, n, without):
    relation = grown[-1].relation
    expected = agreement.expected(relation)
    assume(expected is not None)
    planned = plan_query((relation.expr,), Context(n_sites=n, without=tuple(without)))
    assert not {fired.name for fired in planned.fired} & without
    agreement.same(agreement.run(planned.program.roots, relation.sources)[0][0], expected)


def test_rules_are_switched_off_by_name():
    left = [rule.name for rule in rules_without(["map_map_fuse", "rekey_identity_drop"])]
    assert len(left) == len(RULES) - 2 and "map_map_fuse" not in left
    with pytest.raises(PlanError, match="did you mean 'map_map_fuse'"):
        rules_without(["map_map_fuze"])


def test_a_rule_that_changes_a_type_is_named():
    A = tra.from_array([1.0, 2.0], tile=1)

    def halve(node):
        return A.expr if len(node.children) else None

    with pytest.raises(PlanError, match="rule halve changed a type"):
        normalise((A.aggregate().expr,), [Rule(halve, "structural")])


def test_rules_that_do_not_converge_are_named():
    first, second = (tra.from_array([1.0, 2.0], tile=1, name=name).expr for name in "ab")

    def flip(node):
        return second if node == first else first

    with pytest.raises(PlanError, match="the rules flip do not converge"):
        normalise((first,), [Rule(flip, "structural")])


def test_a_shared_operand_is_not_made_twice():
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    doubled = A.transform("neg")
    squared = doubled.transform("square")
    plans, _ = clean_up(compile_default((doubled.expr, squared.expr), (2,)))
    assert sum(isinstance(node, LocalMap) for node in plan_order(*plans)) == 2
    alone, fired = clean_up(compile_default((squared.expr,), (2,)))
    assert [f.name for f in fired] == ["map_map_fuse"]
    assert sum(isinstance(node, LocalMap) for node in plan_order(*alone)) == 1


def test_normalising_keeps_what_is_shared():
    A = tra.from_array([1.0, 2.0], tile=1, name="A")
    same = A.transform("identity")
    roots, _ = normalise((same.transform("neg").expr, same.transform("exp").expr))
    assert [type(node).__name__ for node in postorder(*roots)] == ["Source", "Transform", "Transform"]
