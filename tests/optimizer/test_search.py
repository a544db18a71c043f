"""The chosen plan is right, no change of one operator makes it cheaper, and bytes decide as they should."""

import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.nodes import Source
from tra.algebra.operators import aggregate, join
from tra.algebra.relation import Relation
from tra.algebra.sources import tensor_type
from tra.errors import MemoryLimitError
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel, is_legal
from tra.optimizer.hint import Hint
from tra.optimizer.operators import operator_graph
from tra.optimizer.placement import Placement
from tra.optimizer.planner import plan_query
from tra.optimizer.pricing import Pricing
from tra.optimizer.roles import ALL, Parts, Split
from tra.optimizer.search import alternatives, options_of, search
from tra.testing import queries

FAST_WIRE = CostModel(bandwidth=4e9, flop_rate=2e10, latency=1e-4)


def source(name, shape, keys, tile, dtype="f4"):
    return Source(tensor_type(shape, dtype, tuple(keys), tile), name, "0", name)


def product(n, k, m, tile=1000):
    left = source("A", (n, k), ("i", "j"), tile)
    right = source("B", (k, m), ("j", "k"), tile)
    return aggregate(join(left, right, "j", "matmul"), ("i", "k"), "add")


def priced(roots, mesh, context, chosen):
    prices = Pricing(operator_graph(*roots), roots, mesh, context)
    prices.chosen.update(chosen)
    return prices.total()


def check_local_optimum(roots, context):
    """No other choice for one operator, the others staying as they are, is cheaper."""
    found = search(roots, context)
    assert found.seconds == pytest.approx(priced(roots, found.mesh, context, found.chosen))
    for digest, operator in found.operators.items():
        for option in options_of(operator, found.mesh, context):
            other = priced(roots, found.mesh, context, {**found.chosen, digest: option})
            assert other >= found.seconds - 1e-9
    return found


@examples(100)
@given(queries(max_steps=5), st.integers(1, 5), st.booleans())
def test_chosen_plans_of_random_queries(agreement, grown, n, uploads):
    relation = grown[-1].relation
    expected = agreement.expected(relation)
    assume(expected is not None)
    ids = frozenset(relation.sources) if uploads else frozenset()
    context = Context(n_sites=n, model=FAST_WIRE, uploads=ids)
    planned = plan_query((relation.expr,), context)
    (found,), _ = agreement.run(planned.program.roots, relation.sources, given=ids)
    agreement.same(found, expected)
    check_local_optimum(planned.roots, context)


@st.composite
def chains(draw):
    """Up to five operators over matrices that all have the key names of their places."""
    size = st.sampled_from([3, 40, 3000])
    extents = [draw(size) for _ in range(4)]
    expr = product(*extents[:3], tile=max(min(extents) // 3, 1))
    if draw(st.booleans()):
        other = source("C", (extents[2], extents[3]), ("k", "l"), expr.type.tile_shape[1])
        expr = aggregate(join(expr, other, "k", "matmul"), ("i", "l"), "add")
    relation = Relation(expr, {})
    return (relation.transform(draw(st.sampled_from(["neg", "relu"])))).expr if draw(st.booleans()) else expr


@examples(100)
@given(chains(), st.integers(2, 6), st.booleans())
def test_chains_of_products_are_local_optima(expr, n, paper):
    check_local_optimum((expr,), Context(n_sites=n, model=CostModel(paper=paper), uploads=frozenset("ABC")))


@st.composite
def small_queries(draw):
    """Chains, maps between products, and shared results, over extents that make all kinds of plans best."""
    extents = [draw(st.sampled_from([3, 40, 400, 3000, 20_000])) for _ in range(4)]
    expr = product(*extents[:3], tile=max(min(extents) // 3, 1) if min(extents) < 100 else 100)
    kind = draw(st.sampled_from(["one", "two", "map between", "shared"]))
    if kind == "shared":
        parts = (Relation(expr, {}).transform(name).expr for name in ("exp", "relu"))
        return join(*parts, [("i", "i"), ("k", "k")], "mul")
    if kind == "map between":
        expr = Relation(expr, {}).transform("relu").expr
    if kind != "one":
        other = source("C", (extents[2], extents[3]), ("k", "l"), expr.type.tile_shape[1])
        expr = aggregate(join(expr, other, "k", "matmul"), ("i", "l"), "add")
    return expr


def exhaustive(roots, mesh, context):
    """The price of the cheapest of all assignments on a mesh."""
    graph = operator_graph(*roots)
    prices = Pricing(graph, roots, mesh, context)
    options = [options_of(operator, mesh, context) for operator in graph.values()]
    best = float("inf")
    for choices in itertools.product(*options):
        prices.chosen.update(zip(graph, choices, strict=True))
        best = min(best, prices.total())
    return best


@examples(40)
@given(small_queries(), st.sampled_from([2, 3, 5, 8]), st.sampled_from([0.0, 1e-4, 4e-3]))
def test_exhaustive_search_agrees(expr, n, latency):
    context = Context(n_sites=n, model=CostModel(latency=latency))
    found = search((expr,), context)
    assert found.is_optimal
    assert found.seconds <= exhaustive((expr,), (n,), context) * (1 + 1e-9)


def test_exhaustive_search_agrees_in_two_dimensions():
    for extents in [(40, 3000, 40), (3000, 3000, 3000), (20_000, 40, 400)]:
        roots, context = (product(*extents, tile=20),), Context(n_sites=4)
        best = min(exhaustive(roots, mesh, context) for mesh in [(4,), (2, 2)])
        assert search(roots, context).seconds == pytest.approx(best)


def test_widely_shared_results_are_bounded():
    big = Relation(product(3000, 3000, 3000), {})
    users = tuple((big * float(n)).expr for n in range(40))
    found = search(users, Context(n_sites=4))
    assert not found.is_optimal
    assert search(users[:3], Context(n_sites=3)).is_optimal


PLAN_DIGESTS = """
from tra.optimizer.planner import plan_query
from tra.optimizer.rules.examples import product
from tra.optimizer.context import Context
plans = [plan_query((product(size),), Context(n_sites=n)) for n in (2, 4, 6) for size in (2, 20, 2000)]
print([root.digest for plan in plans for root in plan.program.roots])
"""


def test_plans_are_the_same_in_every_process():
    texts = set()
    for seed in ("0", "3"):
        run, env = [sys.executable, "-c", PLAN_DIGESTS], {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(run, env=env, capture_output=True, check=True)
        texts.add(done.stdout)
    assert len(texts) == 1


def test_shared_results_are_paid_for_once():
    big = product(2000, 2000, 2000)
    users = tuple(Relation(big, {}).transform(name).expr for name in ("exp", "relu", "neg"))
    found = check_local_optimum(users, Context(n_sites=3))
    alone = search((users[0],), Context(n_sites=3))
    assert found.seconds < 3 * alone.seconds


# -- what decides -----------------------------------------------------------------------------------


def chosen_rule(expr, **context):
    return list(search((expr,), Context(**context)).chosen.values())[-1].rule


def test_a_tiny_right_side_is_broadcast():
    for n in (2, 3, 5, 8):
        assert chosen_rule(product(40_000, 2000, 10), n_sites=n) == "broadcast right"
        assert chosen_rule(product(10, 2000, 40_000), n_sites=n) == "broadcast left"


@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("n", [4, 6, 8])
def test_a_long_common_dimension_is_co_partitioned(n, placed):
    expr = product(1000, 200_000, 1000, tile=500)
    held = {name: Placement((n,), (Split("j"),)) for name in "AB"} if placed else {}
    rule = chosen_rule(expr, n_sites=n, placed=held)
    assert rule == "co-partition, aggregate before shuffle"


def test_equal_large_sizes_on_four_sites_are_split_in_two_dimensions():
    found = search((product(20_000, 20_000, 20_000),), Context(n_sites=4))
    assert found.mesh == (2, 2)
    assert list(found.chosen.values())[-1].rule == "2-D split"


def test_stored_relations_decide_with_where_they_lie():
    expr = product(4000, 4000, 4000)
    rows = {"A": Placement((2,), (Split("i"),)), "B": Placement((2,), (ALL,))}
    planned = plan_query((expr,), Context(n_sites=2, placed=rows))
    assert planned.prediction.bytes_moved == 0
    assert planned.program.n_tasks == 2


def test_a_placement_that_is_there_is_used_again():
    """A chain of products whose first operand stays split by rows moves the small operands only."""
    expr = product(40_000, 1000, 1000)
    right = source("C", (1000, 1000), ("k", "l"), 1000)
    twice = aggregate(join(expr, right, "k", "matmul"), ("i", "l"), "add")
    held = {"A": Placement((4,), (Split("i"),)), "B": Placement((4,), (ALL,)), "C": Placement((4,), (ALL,))}
    planned = plan_query((twice,), Context(n_sites=4, placed=held))
    assert planned.prediction.bytes_moved == 0
    assert len(planned.program.stages) == 1


def test_results_end_where_they_are_wanted():
    expr = product(4000, 4000, 4000)
    for target in (Split("i"), Split("k"), ALL):
        place = Placement((2,), (target,))
        planned = plan_query((expr,), Context(n_sites=2, targets={expr.digest: place}))
        assert planned.program.roots[0].placement == place


@pytest.mark.parametrize("n", [2, 4])
def test_many_tiles_are_few_tasks(n):
    expr = product(2000, 2000, 2000, tile=100)
    planned = plan_query((expr,), Context(n_sites=n, uploads=frozenset("AB")))
    assert planned.program.n_tasks < 100
    assert len(planned.program.stages) <= 3


def test_what_has_to_be_decoded_is_not_read_by_all():
    expr = product(1500, 96_000, 1500, tile=750)
    model = CostModel(memory_bandwidth=1e12)
    rules = []
    for ids in (frozenset(), frozenset("AB")):
        found = search((expr,), Context(2, model, encoded=ids))
        rules.append([choice.rule for choice in found.chosen.values()])
    assert rules == [
        ["copy everywhere", "split", "broadcast left"],
        ["split", "split", "co-partition, aggregate before shuffle"],
    ]


# -- the paper's model ------------------------------------------------------------------------------


def test_the_papers_model_counts_elements():
    n, k, m, s = 4000, 4000, 1000, 4
    paper = CostModel(paper=True, tie_break=0.0)
    A, B = (
        source(name, shape, keys, 1000) for name, shape, keys in [("A", (n, k), "ij"), ("B", (k, m), "jk")]
    )
    rows, columns, all_ = (Placement((s,), (role,)) for role in (Split("i"), Split("j"), ALL))
    assert paper.transfer(A.type, rows, all_) == s * n * k
    assert paper.transfer(A.type, rows, columns) == n * k
    assert paper.transfer(A.type, rows, rows) == 0
    assert paper.load(A.type, rows, True) == 0
    assert paper.load(A.type, all_, True) == s * n * k
    held = {"A": rows, "B": Placement((s,), (Split("j"),))}
    found = search((product(n, k, m),), Context(n_sites=s, model=paper, placed=held))
    assert list(found.chosen.values())[-1].rule == "broadcast right"
    assert found.seconds == s * k * m
    planned = plan_query((product(n, k, m),), Context(n_sites=s, model=paper, placed=held))
    assert planned.prediction.paper_bytes == s * k * m * B.type.dtype.itemsize


def test_shape_decides_in_the_papers_model_too():
    s = 8
    held = {"A": Placement((s,), (Split("i"),)), "B": Placement((s,), (Split("j"),))}
    paper = CostModel(paper=True)
    assert (
        chosen_rule(product(80_000, 1000, 100, 100), n_sites=s, model=paper, placed=held) == "broadcast right"
    )
    long = chosen_rule(product(800, 80_000, 800, 100), n_sites=s, model=paper, placed=held)
    assert long == "co-partition, aggregate before shuffle"


# -- memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("extents", [(40_000, 2000, 2000), (4000, 4000, 4000), (400, 80_000, 400)])
def test_plans_that_do_not_fit_are_not_considered(extents):
    expr = product(*extents, tile=100)
    free = plan_query((expr,), Context(n_sites=4))
    peak = free.prediction.peak_bytes_per_site
    roomy = plan_query((expr,), Context(n_sites=4, memory_limit=peak))
    assert roomy.prediction.seconds == pytest.approx(free.prediction.seconds)
    with pytest.raises(MemoryLimitError, match="no plan fits") as refused:
        plan_query((expr,), Context(n_sites=4, memory_limit=1000))
    least = int(re.search(r"memory_limit=(\d+) would do", str(refused.value)).group(1))
    assert least <= peak
    fits = plan_query((expr,), Context(n_sites=4, memory_limit=least))
    assert fits.prediction.peak_bytes_per_site <= least
    with pytest.raises(MemoryLimitError, match=f"memory_limit={least} would do"):
        plan_query((expr,), Context(n_sites=4, memory_limit=least - 1))


def test_alternatives_are_priced_for_the_whole_plan():
    roots, context = (product(4000, 4000, 4000),), Context(n_sites=4)
    found = search(roots, context)
    priced_all = alternatives(found, roots, context)
    for digest, choice in found.chosen.items():
        listed = priced_all[digest]
        assert listed[0].seconds == pytest.approx(found.seconds)
        assert choice.rule in {a.rule for a in listed}
        assert [a.seconds for a in listed] == sorted(a.seconds for a in listed)


def test_ragged_and_tiny_tensors_are_planned():
    A = tra.from_array(np.ones((1, 1)), tile=1)
    for n in (2, 5):
        planned = plan_query(((A @ A).expr,), Context(n_sites=n))
        assert planned.prediction.bytes_moved == 0


def test_a_hint_is_not_blamed_for_a_memory_limit():
    expr = product(200, 200, 200, tile=50)
    hints = (Hint(expr, "broadcast right"),)
    with pytest.raises(MemoryLimitError, match="no plan fits"):
        plan_query((expr,), Context(n_sites=2, memory_limit=10_000, hints=hints))


def test_parts_of_one_key_are_folded_together():
    """Two dimensions cut nested ranges of a key: what one of them alone would hold is not known."""
    part, rows = Parts(ADD, "j", 6, (1, 2)), Split("i")
    both = Placement((2, 3), (part, part))
    assert not is_legal(both, Placement((2, 3), (rows, part)))
    assert is_legal(both, both) and is_legal(both, Placement((2, 3), (rows, rows)))
