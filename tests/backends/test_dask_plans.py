"""Dask runs the same plans: tiles, bytes and tasks as predicted, results in few round trips."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.backends import dask_backend
from tra.optimizer import panels
from tra.optimizer.cost import CostModel
from tra.testing import queries
from tra.workflows import ffnn, matmul, nearest_neighbours

pytestmark = pytest.mark.xdist_group("dask")
SIZE, TILE = 512, 128  # tiles of 128 KiB


def tensor(shape, keys, seed=0, tile=None):
    array = np.random.default_rng(seed).normal(size=shape)
    sizes = [min(TILE, extent) for extent in shape] if tile is None else tile
    return tra.from_array(array, keys=keys, tile=sizes, name=f"T{seed}")


# -- the same plans ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # Dask's own threads do
@settings(examples(25), phases=[Phase.generate])
@given(st.lists(queries(max_steps=4), min_size=6, max_size=6))
def test_the_same_plans_and_tiles_as_on_threads(agreement, client, batch):
    relations = [grown[-1].relation for grown in batch]
    relations = [r for r in relations if agreement.expected(r) is not None]
    with tra.connect("dask", scheduler=client, sites=3, progress=False) as session:
        stored = session.persist(*relations) if relations else ()
        found = [session.tiles(relation) for relation in stored]
        plans = [session.explain(relation).to_dict()["plan"] for relation in relations]
        model = session.backend.constants.model
    with tra.connect("local", sites=3, threads=1) as session:
        session.backend.constants.model = model
        for relation, tiles, plan in zip(relations, found, plans, strict=True):
            agreement.same(tiles, agreement.expected(relation))
            assert session.explain(relation).to_dict()["plan"] == plan


def workflow(name):
    """A workflow over inputs that the session stores first, so that exchanges are needed."""
    if name == "matmul":
        return matmul.product, [tensor((SIZE, SIZE), ("i", "j")), tensor((SIZE, SIZE), ("j", "k"), 1)]
    if name == "ffnn":
        shapes = [(SIZE, 256), (256, SIZE), (SIZE,), (SIZE, 128), (128,)]
        names = [("n", "d"), ("d", "h"), ("h",), ("h", "c"), ("c",)]
        return ffnn.inference, [tensor(s, k, n) for n, (s, k) in enumerate(zip(shapes, names, strict=True))]
    shapes, names = [(160, 32), (640, 32), (32, 32)], [("q", "i"), ("x", "i"), ("i", "j")]
    tiles = [(40, 32), (128, 32), (32, 32)]
    inputs = [tensor(s, k, n, t) for n, (s, k, t) in enumerate(zip(shapes, names, tiles, strict=True))]
    return nearest_neighbours.nearest, inputs


@pytest.mark.parametrize("name", ["matmul", "ffnn", "nns"])
def test_predicted_bytes_and_tasks_are_measured(name, dask_session):
    query, inputs = workflow(name)
    result = query(*dask_session.persist(*inputs))
    explained = dask_session.explain(result, analyze=True)
    figures = explained.to_dict()
    assert figures["tasks"]["measured"] == figures["tasks"]["predicted"]
    moved = figures["bytes_moved"]
    assert moved["predicted"] > 64 * 1024
    assert moved["measured"] == pytest.approx(moved["predicted"], rel=0.05)
    assert figures["peak_bytes_per_site"]["measured"] <= figures["peak_bytes_per_site"]["predicted"]
    with tra.connect("local", threads=1) as local:
        np.testing.assert_allclose(dask_session.compute(result)[0], local.compute(query(*inputs))[0])


def test_bytes_of_a_repartition_are_measured(dask_session):
    (A,) = dask_session.persist(tensor((SIZE, SIZE), ("i", "j")))
    moved = dask_session.explain(A.T.retile(SIZE // 2, SIZE // 3), analyze=True).to_dict()["bytes_moved"]
    assert moved["predicted"] > 64 * 1024
    assert moved["measured"] == pytest.approx(moved["predicted"], rel=0.05)


def test_twenty_by_twenty_by_twenty_tiles_are_few_tasks(client):
    A, B = (tensor((400, 400), keys, n, (20, 20)) for n, keys in enumerate([("i", "j"), ("j", "k")]))
    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as session:
        for query in (A @ B, matmul.product(*session.persist(A, B))):
            tasks = session.explain(query, analyze=True).to_dict()["tasks"]
            assert tasks["predicted"] == tasks["measured"] < 100
        np.testing.assert_allclose(session.compute(A @ B)[0], session.compute(A)[0] @ session.compute(B)[0])


def test_a_product_of_stored_relations_is_two_tasks_and_its_sends(client):
    A, B = tensor((SIZE, SIZE), ("i", "j")), tensor((SIZE, 16), ("j", "k"), 1, (TILE, 8))
    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as session:
        explained = session.explain(matmul.product(*session.persist(A, B)), analyze=True)
        program = explained.planned.program
        assert len(program.tasks) == 2 and len(program.cut_outputs) == 2
        assert explained.to_dict()["tasks"] == {"predicted": 4, "measured": 4}


# -- results come in few round trips ----------------------------------------------------------------


def test_small_shares_come_together_and_large_ones_in_runs(client, monkeypatch):
    A = tensor((SIZE, SIZE), ("i", "j"))
    with tra.connect("dask", scheduler=client, progress=False) as session:
        stored, = session.persist(A)  # fmt: skip
        trips = []
        gather = client.gather
        monkeypatch.setattr(client, "gather", lambda f, **k: trips.append(len(f)) or gather(f, **k))
        whole = stored.compute()
        assert trips == [3]
        submitted = []
        submit = client.submit
        monkeypatch.setattr(dask_backend, "SMALL_SHARE", 1000)
        monkeypatch.setattr(dask_backend, "FETCH_BYTES", 2 * TILE * TILE * 8)
        monkeypatch.setattr(client, "submit", lambda f, *a, **k: submitted.append(f) or submit(f, *a, **k))
        np.testing.assert_array_equal(stored.compute(), whole)
        assert set(trips[1:]) == {1}
        assert [f.__name__ for f in submitted].count("rows_task") == 8
    np.testing.assert_array_equal(whole, A.compute())


def test_panels_on_a_cluster(client, monkeypatch):
    monkeypatch.setattr(panels, "PANEL_BYTES", 1)
    monkeypatch.setattr(panels, "REPACKED", 0.0)
    A, B = tensor((24, 20), ("i", "k"), tile=(4, 4)), tensor((20, 28), ("k", "j"), 1, (4, 4))
    with tra.connect("dask", scheduler=client, sites=3, progress=False, cost_model="fixed") as session:
        session.backend.constants.model = CostModel(bandwidth=10.0, latency=0.0)
        stored = session.persist(A, B)
        product = tra.relu(stored[0] @ stored[1])
        explained = session.explain(product, analyze=True)
        figures = explained.to_dict()
        assert explained.planned.program.joined
        assert figures["tasks"]["measured"] == figures["tasks"]["predicted"]
        (found,) = session.compute(product)
    with tra.connect("local", threads=1) as session:
        (expected,) = session.compute(tra.relu(A @ B))
    np.testing.assert_allclose(found, expected)
