"""Queries as levels have them written: which sums there are, and in which order products are multiplied."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import LONG, examples
from tra.algebra.nodes import Join, Retile, postorder
from tra.algebra.reference import evaluate
from tra.algebra.relation import Relation
from tra.optimizer.context import Context
from tra.optimizer.planner import plan_query
from tra.optimizer.reproducible.canonical_order import in_canonical_order
from tra.optimizer.reproducible.canonical_sums import EDGE, GROUP
from tra.optimizer.reproducible.written import rules_off, written_for
from tra.optimizer.rules.registry import NORMALISE, RULES

LEVELS = ("tiling", "exact")
RNG = np.random.default_rng(0)


def matrices(shapes, tiles):
    found = []
    for n, (shape, tile) in enumerate(zip(shapes, tiles, strict=True)):
        found.append(tra.from_array(RNG.normal(size=shape), tile=tile, name="ABCDEF"[n]))
    return found


def written(level, relation):
    """A query as a level has it written."""
    (expr,) = written_for((relation.expr,), Context(level=level))
    return Relation(expr, relation.sources)


@pytest.mark.parametrize("level", LEVELS)
@examples(60)
@given(st.data())
def test_what_is_written_means_the_same(agreement, level, data):
    """Against the reference evaluator, with the type that the query has."""
    n, k, m = (data.draw(st.integers(1, 20)) for _ in range(3))
    tiles = [(data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))) for _ in range(2)]
    A, B = matrices([(n, k), (k, m)], tiles)
    query = data.draw(st.sampled_from([A @ B, (A @ B).sum(), A.sum(axis=1), tra.softmax(A @ B), A.mean()]))
    made = written(level, query)
    assert made.expr.type == query.expr.type
    agreement.same(evaluate(made.expr, made.sources), evaluate(query.expr, query.sources))


@examples(60)
@given(st.data())
def test_orders_follow_from_extents_alone(agreement, data):
    n = data.draw(st.integers(3, 5))
    extents = [data.draw(st.sampled_from([1, 2, 7, 12])) for _ in range(n + 1)]
    shapes = list(pairwise(extents))
    orders = set()
    for _ in range(3):
        tiles = [tuple(data.draw(st.sampled_from([2, 5, 12])) for _ in shape) for shape in shapes]
        factors = matrices(shapes, tiles)
        query = factors[0]
        for factor in factors[1:]:
            query = query @ factor
        (made,) = in_canonical_order([query.expr])
        assert made.type == query.expr.type
        joins = [node for node in postorder(made) if isinstance(node, Join)]
        orders.add(tuple(sorted(tuple(axis.extent for axis in node.type.axes) for node in joins)))
        agreement.same(evaluate(made, query.sources), evaluate(query.expr, query.sources))
    assert len(orders) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_a_product_of_three_takes_its_cheapest_order(level):
    A, B, v = matrices([(90, 90), (90, 90), (90,)], [30, 30, 30])
    planned = plan_query(((A @ B @ v).expr,), Context(level=level))
    assert planned.prediction.flops < 90**3


@pytest.mark.parametrize("level", LEVELS)
def test_a_result_is_the_same_whatever_is_computed_with_it(level):
    A, B, v = matrices([(60, 50), (50, 40), (40,)], [20, 20, 20])
    rows = A.sum(axis=1)
    with tra.connect("local", threads=1, reproducible=level) as session:
        for query, others in [
            (A @ B @ v, [A @ B, tra.exp(A @ B)]),
            (A.sum(), [rows, rows * rows]),
            ((A @ B).sum(axis=0), [A @ B, (A @ B).T]),
        ]:
            (alone,) = session.compute(query)
            assert session.compute(query, *others)[0].tobytes() == alone.tobytes()


def test_open_tensors_are_read_in_blocks_and_others_cut_anew():
    A = tra.from_array(np.ones((3000, 12_000)), tile=500)
    B = tra.from_tiles({(0, 0): np.ones((5, 3000))}, keys=("i", "j"))
    context = Context(level="tiling", cuttable=frozenset({A.expr.id}))
    (made,) = written_for(((B @ A).expr,), context)
    cut = [node for node in postorder(made) if isinstance(node, Retile)]
    assert A.expr not in [operand for node in cut for operand in node.operands]
    assert B.expr in [operand for node in cut for operand in node.operands]
    assert all(axis.size <= EDGE * GROUP for node in postorder(made) for axis in node.type.axes)


@st.composite
def sums_of_parts(draw):
    """Sums that rules may regroup, of numbers of many magnitudes."""
    counts, tiles = ([draw(st.integers(1, 5)) for _ in range(3)] for _ in range(2))
    n, k, m = (count * tile for count, tile in zip(counts, tiles, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    a, b = (rng.normal(size=s) * 10.0 ** rng.integers(-8, 8, s) for s in ((n, k), (k, m)))
    A, B = tra.from_array(a, ("i", "j"), tiles[:2]), tra.from_array(b, ("j", "k"), tiles[1:])
    product = A.join(B, "j", "matmul").aggregate(["i", "k"], "add")
    turned = product.rekey(lambda i, k: (k, i), ("k", "i"))
    return draw(
        st.sampled_from([
            product, product.aggregate(["k"], "add"), product.filter(lambda i, k: i >= k),
            turned, turned.aggregate(["k"], "add"),
            A.aggregate(["j"], "add"), A.aggregate(["i"], "add").aggregate([], "add"),
            (A @ B).T.T.sum(axis=0), (product * 2)[: n // 2 or n],
        ])
    )  # fmt: skip


def fired_on(rules, root):
    """Each node of a query that a rule rewrites, and what it makes of it."""
    for rule in rules:
        for node in postorder(root):
            made = rule.function(node)
            if made is not None and made != node:
                yield rule.name, node, made


def test_rules_that_move_or_regroup_change_no_bit_of_what_is_exact():
    """One after the other, wherever they apply, by the reference evaluator; others do change some."""
    equal = [rule for rule in NORMALISE if rule.rule_class != "distribute"]
    fired, changed = set(), set()

    @examples(300)
    @given(st.data())
    def check(data):
        query = data.draw(sums_of_parts())
        for level in ("exact", "run"):
            made = written(level, query)
            for name, node, other in fired_on(equal, made.expr):
                fired.add(name)
                before, after = (evaluate(expr, made.sources) for expr in (node, other))
                assert before.keys() == after.keys()
                same = all(tile.tobytes() == after[key].tobytes() for key, tile in before.items())
                assert same or level == "run", name
                changed.update([] if same else [name])

    check()
    often = {"aggregate_aggregate_fuse", "aggregate_rekey_fold", "filter_aggregate_push"}
    assert not LONG or often <= fired
    assert not LONG or changed, "sums of floats would have been regrouped without a trace"
    assert changed <= {rule.name for rule in equal if rule.rule_class == "regroup"}


def test_rules_that_a_level_does_not_allow():
    for level, classes in (("tiling", {"regroup", "distribute"}), ("exact", {"distribute"})):
        off = set(rules_off(level))
        named = {rule.name for rule in RULES if rule.rule_class in classes}
        assert off <= named
        assert "keep parts" in off and "contraction_reassociate" in off
    assert not list(rules_off("run"))
