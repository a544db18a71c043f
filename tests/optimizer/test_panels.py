"""Panels: stages cut along a key of their results give the same tiles, and move the same bytes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.optimizer import panels
from tra.optimizer.compile_table import compile_default
from tra.optimizer.cost import CostModel
from tra.optimizer.meshes import meshes
from tra.optimizer.plan import plan_order
from tra.optimizer.predict import moved
from tra.optimizer.program import program
from tra.optimizer.rules.registry import clean_up

SLOW = CostModel(bandwidth=1.0, latency=0.0)  # whatever is received takes longer than what is computed


@pytest.fixture
def at_any_size(monkeypatch):
    monkeypatch.setattr(panels, "PANEL_BYTES", 1)
    monkeypatch.setattr(panels, "REPACKED", 0.0)


def matrices(n=12, k=10, m=14, tile=2):
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(n, k)), rng.normal(size=(k, m))
    return (
        tra.from_array(A, ("i", "k"), (tile, tile), "A"),
        tra.from_array(B, ("k", "j"), (tile, tile), "B"),
    )


def plans_of(relation, mesh):
    return clean_up(compile_default((relation.expr,), mesh))[0]


def n_panels(plans):
    return sum(task.panel is not None for task in program(plans, model=SLOW).tasks)


@pytest.mark.parametrize(
    "query",
    [
        lambda A, B: A @ B,
        lambda A, B: tra.relu(A @ B) * 2,
        lambda A, B: (A @ B).transform("neg").rekey(lambda i, j: (j, i), keys=("j", "i")),
        lambda A, B: (A @ B).filter(lambda i, j: i != j),
        lambda A, B: (A @ B) @ (B.T @ A.T),
    ],
)
@pytest.mark.parametrize("mesh", [(2,), (3,), (2, 2)])
def test_products_in_panels(at_any_size, agreement, query, mesh):
    relation = query(*matrices())
    plans = plans_of(relation, mesh)
    assert n_panels(plans)
    (found,), measured = agreement.run(plans, relation.sources, threads=2, model=SLOW)
    agreement.same(found, agreement.expected(relation))
    assert measured.bytes_moved == sum(moved(node) for node in plan_order(*plans))


WITHIN = {
    "nothing": lambda C: C,
    "elements": lambda C: tra.relu(C) * 2,
    "turned": lambda C: C.rekey(lambda i, j: (j, i), keys=("j", "i")),
    "some keys": lambda C: C.filter(lambda i, j: (i + j) % 3 != 0),
    "a sum": lambda C: C.sum(axis=1),
    "a product": lambda C: C @ C.T,
}


@st.composite
def products(draw):
    """A product of random shape and tiles, ragged, of one tile or many, sometimes with holes; more on top."""
    n, k, m = (draw(st.integers(1, 12)) for _ in range(3))
    tile = [draw(st.integers(1, 5)) for _ in range(3)]
    rng = np.random.default_rng(0)
    A = tra.from_array(rng.normal(size=(n, k)), ("i", "k"), tuple(tile[:2]), "A")
    B = tra.from_array(rng.normal(size=(k, m)), ("k", "j"), tuple(tile[1:]), "B")
    if draw(st.booleans()):
        A = A.filter(lambda i, k: (i + 2 * k) % 3 != 1)
    return WITHIN[draw(st.sampled_from(sorted(WITHIN)))](A @ B)


@examples(100)
@given(products(), st.integers(2, 6).flatmap(lambda n: st.sampled_from(meshes(n))))
def test_random_products_in_panels(at_any_size, agreement, relation, mesh):
    expected = agreement.expected(relation)
    assume(expected is not None)
    plans = plans_of(relation, mesh)
    assume(n_panels(plans))
    (found,), measured = agreement.run(plans, relation.sources, model=SLOW)
    agreement.same(found, expected)
    if agreement.bytes_are_known(plans):
        assert measured.bytes_moved == sum(moved(node) for node in plan_order(*plans))


def test_panels_are_made_where_links_are_slow():
    """4000³ on four sites: a site receives 40 MB, and computes for a second."""
    A, B = matrices(4000, 4000, 4000, 500)
    slow = CostModel(bandwidth=1e8, flop_rate=1e10, single_speedup=2)
    fast = CostModel(bandwidth=1e10, flop_rate=1e10, single_speedup=2)
    plans = plans_of(A @ B, (4,))
    for model, expected in ((slow, True), (fast, False)):
        assert any(task.panel is not None for task in program(plans, model=model).tasks) is expected


def test_each_panel_takes_a_range_of_one_key(at_any_size):
    A, B = matrices()
    made = program(plans_of(A @ B, (2,)), model=SLOW)
    cut = [task for task in made.tasks if task.panel is not None]
    assert len({(task.stage.number, task.site) for task in cut}) == len(made.joined) == 2
    assert made.n_tasks == len(made.tasks) + 2 + len(made.cut_outputs)
    boxes = {output.box for task in cut for _, _, taken in task.received for _, output in taken}
    assert None not in boxes and len(boxes) == len(cut) / 2
