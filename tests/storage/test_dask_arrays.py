"""dask.array both ways: as what a query reads, and as what its plan becomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.errors import SchemaError

da = pytest.importorskip("dask.array")


@st.composite
def arrays(draw):
    shape = draw(st.lists(st.integers(0, 7), max_size=3).map(tuple))
    dtype = draw(st.sampled_from(["f8", "f4", "i4", "c8", "?", "u1"]))
    raw = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2, (*shape, np.dtype(dtype).itemsize))
    array = raw.astype("u1").view(dtype).reshape(shape)
    tile = draw(st.integers(1, 4))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    return array, tile, chunks


@given(drawn=arrays(), sites=st.integers(1, 3))
@examples(60)
def test_there_and_back_keeps_every_bit(drawn, sites):
    array, tile, chunks = drawn
    with tra.connect("local", sites=sites, threads=1):
        relation = tra.from_array(da.from_array(array, chunks=chunks), tile=tile)
        lazy = relation.to_dask()
        found = lazy.compute(scheduler="sync")
    assert found.dtype == array.dtype and found.tobytes() == array.tobytes()
    assert lazy.shape == array.shape and lazy.dtype == array.dtype
    assert all(sum(along) == n for along, n in zip(lazy.chunks, array.shape, strict=True))
    assert all(max(along, default=0) <= tile for along in lazy.chunks)


def test_a_query_becomes_a_graph_that_others_go_on_from():
    a = np.random.default_rng(0).normal(size=(9, 7))
    with tra.connect("local", sites=2, threads=1):
        A = tra.from_array(a, tile=4)
        lazy = (A @ A.T).to_dask()
    after = da.exp(lazy / 10).sum(axis=0)
    np.testing.assert_allclose(after.compute(), np.exp(a @ a.T / 10).sum(axis=0))
    np.testing.assert_allclose(lazy[2:5, :3].compute(), (a @ a.T)[2:5, :3])


def test_nothing_runs_before_it_is_asked_for():
    ran = []

    def make(block):
        ran.append(1)
        return block + 1

    array = da.zeros((4,), chunks=2).map_blocks(make, dtype="f8", meta=np.empty(0))
    ran.clear()
    with tra.connect("local", threads=1):
        lazy = (tra.from_array(array, tile=2) * 3).to_dask()
        assert not ran
        assert lazy.compute(scheduler="sync").tolist() == [3] * 4


def test_free_keys_lead():
    tiles = {(b, i): np.full((2, 3), 10 * b + i) for b in range(2) for i in range(2)}
    axes = [tra.Axis(2, (("i", 1),), 4), tra.Axis(3, (), 3)]
    relation = tra.from_tiles(tiles, keys=("b", "i"), axes=axes)
    with tra.connect("local", threads=1):
        lazy = relation.to_dask()
        assert lazy.chunks == ((1, 1), (2, 2), (3,))
        np.testing.assert_array_equal(lazy.compute(scheduler="sync"), relation.compute())


def test_holes_and_unknown_extents_are_refused():
    holed = tra.from_tiles({(1,): np.ones(2)}, keys="i")
    with tra.connect("local", threads=1), pytest.raises(SchemaError, match=r"to_dask .*\(0,\).*fill"):
        holed.to_dask()
    unknown = da.from_array(np.arange(4), chunks=2)
    with pytest.raises(SchemaError, match="compute_chunk_sizes"):
        tra.from_array(unknown[unknown > 1])


@pytest.fixture
def client(client):
    """The caller's own, in force."""
    with client.as_current():
        yield client


@pytest.mark.xdist_group("dask")
def test_chunks_go_from_worker_to_worker(client, monkeypatch):
    """A dask.array on the caller's own Client is read by the workers, and never through this process."""
    x = da.random.default_rng(0).normal(size=(60, 40), chunks=(25, 40)).persist()
    whole = x.compute()
    with tra.connect("dask", scheduler=client) as session:
        assert tra.from_array([1.0, 2.0]).sum().compute() == 3  # costs are measured before the first plan
        monkeypatch.setattr(client, "scatter", None)
        X = tra.from_array(x, tile=16)
        np.testing.assert_allclose((X.T @ X).compute(), whole.T @ whole)
        stored = (X * 2).persist()
        both = session.persist(X + 1, X * 3)
        np.testing.assert_allclose((both[0] + both[1]).to_dask().compute(), 4 * whole + 1)
        lazy = (stored - X).to_dask()
        assert lazy.chunks == ((16, 16, 16, 12), (16, 16, 8))
        np.testing.assert_allclose(da.linalg.norm(lazy).compute(), np.linalg.norm(whole))
    assert client.status == "running"


@pytest.mark.xdist_group("dask")
def test_a_graph_reads_files_on_the_workers(client, tmp_path):
    a = np.arange(30.0).reshape(6, 5)
    tra.from_array(a, tile=2).save(tmp_path / "a.tra")
    with tra.connect("local", sites=2, threads=1):
        lazy = (tra.open(tmp_path / "a.tra") + 1).to_dask()
    assert lazy.compute(scheduler=client).tolist() == (a + 1).tolist()
