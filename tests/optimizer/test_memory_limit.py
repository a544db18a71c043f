"""Memory limits: what fits is found, the limit named works, and `optimal` is said where it is shown."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.errors import MemoryLimitError
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.operators import operator_graph
from tra.optimizer.planner import plan_query
from tra.optimizer.pricing import working_set
from tra.optimizer.strategies import choices
from tra.testing import queries

QUICK = CostModel(latency=1e-5)  # small tensors are not planned by their number of exchanges alone


def planned(roots, n, limit=None, model=QUICK):
    return plan_query(roots, Context(n_sites=n, memory_limit=limit, model=model))


def named(roots, n, limit):
    """The limit that the error names, or None where a plan is found."""
    try:
        planned(roots, n, limit)
    except MemoryLimitError as refused:
        return int(re.search(r"memory_limit=(\d+) would do", str(refused)).group(1))
    return None


@pytest.fixture(scope="module")
def wide():
    """Its cheapest plan holds 1,382,400 bytes at a site, and one of smaller operators 844,800."""
    random = np.random.default_rng(0)
    A, B, C = (
        tra.from_array(random.random((240, 240)), keys=("i", "j"), tile=40, name=name) for name in "ABC"
    )
    return (((A @ B).T @ (A + C)).expr,)


def test_what_fits_is_found(wide):
    free = planned(wide, 6)
    assert free.prediction.peak_bytes_per_site == 1_382_400
    assert free.assignment.is_optimal
    for limit in (844_800, 844_801, 1_382_399):
        found = planned(wide, 6, limit)
        assert found.prediction.peak_bytes_per_site == 844_800
        assert found.prediction.seconds > free.prediction.seconds


@pytest.mark.parametrize("limit", [1, 1000, 460_800, 614_400, 844_799])
def test_the_limit_that_is_named_is_the_smallest_of_all_plans_made(wide, limit):
    assert named(wide, 6, limit) == 844_800


def test_plans_of_smaller_operators_are_bounded(wide):
    """Another plan may hold less at its largest stage, and cost less: nothing says that there is none."""
    assert not planned(wide, 6, 844_800).assignment.is_optimal
    roomy = planned(wide, 6, 1_382_400)
    assert roomy.assignment.is_optimal
    assert roomy.form.context.memory_limit == 1_382_400


def test_a_limit_that_only_leaves_operators_out_leaves_the_best_plan():
    """A product by itself is one stage, which holds what its operators do."""
    A = tra.from_array(np.broadcast_to(1.0, (400, 8000)), keys=("i", "j"), tile=40, name="A")
    B = tra.from_array(np.broadcast_to(1.0, (8000, 400)), keys=("j", "k"), tile=40, name="B")
    roots = (A.join(B, on="j", kernel="matmul").aggregate(by=("i", "k")).expr,)
    free = planned(roots, 4, model=CostModel())
    found = planned(roots, 4, free.prediction.peak_bytes_per_site - 1, CostModel())
    assert found.prediction.seconds > free.prediction.seconds
    assert found.assignment.is_optimal


def test_an_operand_that_is_used_twice_is_held_once():
    A = tra.from_array(np.ones((240, 240)), keys=("i", "j"), tile=40, name="A")
    roots = ((A * A).expr,)
    peak = planned(roots, 1).prediction.peak_bytes_per_site
    assert peak == 2 * 240 * 240 * 8
    assert planned(roots, 1, peak).assignment.is_optimal
    assert named(roots, 1, peak - 1) == peak
    (operator,) = [op for op in operator_graph(*roots).values() if op.children]
    assert [working_set(operator, choice) for choice in choices(operator, ())] == [peak]


def test_a_plan_is_found_that_fits_because_an_operand_is_held_once():
    """Its product with itself was said to hold the tensor twice, so that no smaller plan was offered."""
    A = tra.from_array(np.broadcast_to(1.0, (400, 8000)), keys=("i", "j"), tile=40, name="A")
    roots = ((A * A).aggregate(by="i").expr,)
    free = planned(roots, 4, model=CostModel())
    found = planned(roots, 4, free.prediction.peak_bytes_per_site - 1, CostModel())
    assert found.prediction.peak_bytes_per_site == 6_464_000
    assert found.assignment.is_optimal


@examples(60)
@given(queries(max_steps=6), st.integers(1, 5), st.floats(0.0, 1.0))
def test_limits_of_random_queries(grown, n, part):
    roots = (grown[-1].relation.expr,)
    free = planned(roots, n)
    peak = free.prediction.peak_bytes_per_site
    assume(peak)
    limit = round(part * (peak - 1))
    least = named(roots, n, limit)
    if least is None:
        least, found = limit, planned(roots, n, limit)
        if found.assignment.seconds > free.assignment.seconds and found.form.context.memory_limit != limit:
            assert not found.assignment.is_optimal
    assert limit <= least <= peak
    found = planned(roots, n, least)
    assert found.prediction.peak_bytes_per_site <= least
    assert found.assignment.seconds >= free.assignment.seconds * (1 - 1e-9) or not free.assignment.is_optimal
