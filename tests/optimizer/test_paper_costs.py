"""The paper's cost model: its formulas are hit exactly, and shape decides as the paper says."""

import pytest

from tra.algebra.nodes import Source
from tra.algebra.operators import aggregate, join
from tra.algebra.sources import tensor_type
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.hint import Hint
from tra.optimizer.placement import Placement
from tra.optimizer.plan import Shuffle, is_exchange, plan_order
from tra.optimizer.planner import plan_query
from tra.optimizer.roles import Split

PAPER = CostModel(paper=True)
S = 8


def matrix(name, rows, columns, keys, tile=1000):
    return Source(tensor_type((rows, columns), "f8", keys, tile), name, "0", name)


def product(left, right, on="j", by=("i", "k")):
    return aggregate(join(left, right, on, "matmul"), by, "add")


def squares(n=8000, k=8000, m=8000, tile=1000):
    return product(matrix("A", n, k, ("i", "j"), tile), matrix("B", k, m, ("j", "k"), tile))


def held(**keys):
    return {name: Placement((S,), (Split(key),)) for name, key in keys.items()}


def planned(expr, placed, **hint):
    hints = (Hint(expr, **hint),) if hint else ()
    return plan_query((expr,), Context(n_sites=S, model=PAPER, placed=placed, hints=hints))


@pytest.mark.parametrize("n, k, m", [(8000, 8000, 8000), (16_000, 8000, 24_000), (8000, 64_000, 16_000)])
def test_the_formulas_of_the_three_classical_plans(n, k, m):
    """BMM s·nk + km, CPMM nk + km + s·nm, RMM fj·nk + fi·km + fk·nm on 2×2×2; nothing lies as needed."""
    expr = squares(n, k, m)
    broadcast = planned(expr, held(A="i", B="j"), strategy="broadcast left")
    assert broadcast.prediction.seconds == S * n * k + k * m
    inner = planned(expr, held(A="i", B="k"), strategy="co-partition")
    assert inner.prediction.seconds == n * k + k * m + S * n * m
    three = planned(expr, held(A="i", B="k"), strategy="replicate (3-D)")
    assert three.prediction.seconds == 2 * (n * k + k * m + n * m)
    for plan in (broadcast, inner, three):
        assert plan.prediction.paper_bytes == 8 * plan.prediction.seconds


def test_equal_sizes_cost_nine_ten_and_six_squares():
    n = 8000
    plans = [
        planned(squares(), held(A="i", B=key), strategy=strategy).prediction.seconds / n**2
        for key, strategy in [("j", "broadcast left"), ("k", "co-partition"), ("k", "replicate (3-D)")]
    ]
    assert plans == [9, 10, 6]


def strategy_of(expr, placed):
    return list(planned(expr, placed).assignment.chosen.values())[-1].rule


def test_shape_decides_on_eight_sites():
    everything = held(A="i", B="k")
    square = plan_query((squares(),), Context(n_sites=S, model=PAPER, spread=True))
    assert square.assignment.mesh == (2, 2, 2)
    assert square.prediction.seconds == 6 * 8000**2
    assert list(square.assignment.chosen.values())[-1].rule == "replicate (3-D), aggregate before shuffle"
    assert strategy_of(squares(80_000, 8000, 100, 100), held(A="i", B="j")) == "broadcast right"
    assert strategy_of(squares(100, 8000, 80_000, 100), held(A="j", B="k")) == "broadcast left"
    long = strategy_of(squares(800, 80_000, 800, 100), everything)
    assert long == "co-partition, aggregate before shuffle"


def test_a_placement_is_used_again_without_a_second_shuffle():
    """A lies by rows; both products need it by columns: one shuffle serves both."""
    A, B, C = (matrix(name, *shape, keys, 100) for name, shape, keys in [
        ("A", (800, 80_000), ("i", "j")), ("B", (80_000, 800), ("j", "k")), ("C", (80_000, 800), ("j", "l"))
    ])  # fmt: skip
    roots = (product(A, B), product(A, C, by=("i", "l")))
    placed = held(A="i", B="j", C="j")
    plan = plan_query(roots, Context(n_sites=S, model=PAPER, placed=placed))
    of_a = [
        node
        for node in plan_order(*plan.program.roots)
        if is_exchange(node) and getattr(node.children[0], "name", "") == "A"
    ]
    assert len(of_a) == 1 and isinstance(of_a[0], Shuffle)
