"""The rules together: switched off by name, shown with their class, and named where they go wrong."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.nodes import postorder
from tra.errors import PlanError
from tra.optimizer.compile_table import compile_default
from tra.optimizer.context import Context
from tra.optimizer.operators import operator_graph
from tra.optimizer.plan import LocalMap, plan_order
from tra.optimizer.planner import plan_query
from tra.optimizer.rules.registry import (
    CLEAN_UP,
    FORMS,
    NORMALISE,
    RULES,
    STRATEGIES,
    Fired,
    Rule,
    class_of,
    clean_up,
    normalise,
    rules_named,
    rules_without,
)
from tra.optimizer.strategies import choices
from tra.testing import queries


def test_all_rules_are_in_one_list():
    assert list(RULES) == [*NORMALISE, *FORMS, *STRATEGIES, *CLEAN_UP]
    assert len({rule.name for rule in RULES}) == len(RULES)


@examples(60)
@given(
    queries(max_steps=5),
    st.integers(1, 4),
    st.sets(st.sampled_from([rule.name for rule in (*NORMALISE, *FORMS, *CLEAN_UP)]), max_size=4),
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
    assert {"broadcast left", "contraction_reassociate"} <= {rule.name for rule in RULES}


def test_what_fired_has_the_class_of_its_rule():
    assert Fired("aggregate_join_push", 1).rule_class == "distribute"
    assert Fired("broadcast left, aggregate before shuffle", 1).rule_class == "regroup"


def test_only_rules_have_a_class():
    for unknown in ("broadcast", "broadcast left, aggregate later", "compile table"):
        with pytest.raises(PlanError, match="there is no rule"):
            class_of(unknown)
    assert {class_of(rule.name) for rule in RULES} == {"structural", "regroup", "distribute"}


def test_every_strategy_of_an_operator_is_a_rule():
    """What choices are called is in the list, whatever the operator and the mesh."""
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    roots = [((A @ A).transform("neg") + A).expr, A.aggregate().expr, A[:, 1:].expr]
    found = {
        choice.rule
        for mesh in [(), (2,), (2, 2), (2, 2, 2)]
        for operator in operator_graph(*roots).values()
        for choice in choices(operator, mesh)
    }
    assert len(found) > 8
    assert {part for rule in found for part in rules_named(rule)} <= {rule.name for rule in STRATEGIES}


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


def test_common_subexpressions_are_made_once():
    """What becomes equal on the way is one node, however it was written."""
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    first, last = (
        A.filter(lambda i, j: i == 0).transform("exp"),
        A.transform("exp").filter(lambda i, j: i == 0),
    )
    (one, other), _ = normalise((first.expr, last.expr))
    assert one == other
    planned = plan_query((first.expr, last.expr), Context(n_sites=2))
    assert sum(isinstance(node, LocalMap) for node in plan_order(*planned.program.roots)) == 1
