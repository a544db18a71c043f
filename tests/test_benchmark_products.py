"""Products and queries beside their peers, at tiny sizes: they run, and say what they measured."""

import pytest

from benchmarks import (
    cluster_products,
    file_products,
    libraries,
    link_products,
    local_products,
    product_plots,
    queries,
    small_queries,
)
from benchmarks.clusters import homes, settle, shared_cluster
from benchmarks.page import Settings
from benchmarks.pairs import Memory
from benchmarks.shapes import Shape

SHAPES = [Shape("general", 600, 600, 600), Shape("common", 60, 1200, 60), Shape("two", 1200, 60, 1200)]
CHUNKS = {"general": ["dask 300"], "common": ["dask 1000"], "two": ["dask 1000"]}


@pytest.fixture(scope="module")
def cluster(default_client):
    address = default_client.scheduler.address
    with shared_cluster(2, address, cost_model="fixed", tolerance=queries.TOLERANCE) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path):
    return Settings(quick=True, plots=tmp_path / "plots")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("benchmarks.shapes.SMALLEST_CHUNK", 100)


@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_products_on_a_cluster(cluster, shape):
    session, client = cluster[1], cluster[0]
    runs = cluster_products.in_memory(session, client, shape)
    assert list(runs) == ["tra", *CHUNKS[shape.name]]
    row = cluster_products.compare(session, client, shape, runs, rounds=1, apart=True)
    assert list(row.times) == [*runs, cluster_products.MACHINE]
    assert all(n > 0 for n in row.tasks.values())
    assert all(0 < found.compute <= found.wall for found in row.profiles.values())
    lines = cluster_products.outcomes(row)
    assert len(lines) == 2 + len(row.times) + 1


@pytest.mark.xdist_group("benchmarks")
def test_inputs_lie_where_they_were_before_each_run(cluster):
    client, session = cluster
    runs = cluster_products.in_memory(session, client, SHAPES[0])
    before = homes(client)
    kept = runs["dask 300"]()
    del kept
    settle(client, before)
    assert homes(client) == before
    holders = client.who_has()
    assert all(len(holders[key]) == 1 for key in holders)


@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize("suffix", file_products.formats())
def test_products_of_files(cluster, tmp_path, suffix):
    client, session = cluster
    runs = file_products.from_files(session, client, SHAPES[0], suffix, tmp_path)
    row = cluster_products.compare(session, client, SHAPES[0], runs, rounds=1)
    (bar,) = file_products.bars({suffix: [row]})
    assert bar.value == row.to_best() > 0


def test_products_on_threads():
    found = local_products.dask_at_best(*SHAPES[0].inputs)
    assert len(found) == len(local_products.CHUNKS)
    run, size = local_products.prepare(next(iter(found)), SHAPES[1])
    assert (run().shape, size) == ((60, 60), 2 * 60 * 1200 * 4)


def test_plots_are_drawn(settings):
    times = {"tra": [1.0], "dask 1000": [2.0], "numpy": [1.5]}
    local = [local_products.Local(s, times, dict.fromkeys(times, Memory(0, 9, 4, 4))) for s in SHAPES]
    moved = {"tra": 1, "dask 1000": 4}
    cluster = [cluster_products.Clustered(s, times, {}, moved) for s in SHAPES]
    panels = {"seconds": product_plots.median_seconds(local)}
    lines = product_plots.draw(settings, "local_products", local, panels)
    lines += cluster_products.plot(settings, "cluster_products", cluster)
    assert cluster_products.plot(settings, "link_products", []) == []
    assert len(list(settings.plots.glob("*.svg"))) == len([line for line in lines if line]) == 2
    limits = cluster_products.bars(cluster)
    assert (limits["general", "bytes"].text, limits["two", "best"].text) == (
        "0.25 (≤ 0.6: met)",
        "0.50 (≤ 0.85: met)",
    )
    assert limits["two", "machine"].measured == "not run"
    assert "0.50 (≤ 0.95: met)" in "\n".join(local_products.lines(local, local_products.bars(local)))
    assert all(bar.value is None for bar in link_products.bars([]))


@pytest.mark.xdist_group("benchmarks")
def test_queries_on_a_cluster(cluster):
    client, session = cluster
    row = queries.chain(session, client, 400, rounds=1)
    assert list(row.times) == ["tra", "dask 1000", "dask 2000", "dask 200"]
    assert queries.tasks_of_blocks(session, client, 2) <= queries.TASKS_BAR


@pytest.mark.xdist_group("benchmarks")
def test_neighbours_on_a_cluster(cluster, settings, monkeypatch):
    monkeypatch.setattr(queries, "QUICK_POINTS", (20, 50, 8))
    fast, slow = queries.neighbours(cluster[1], cluster[0], settings)
    assert (list(fast.times), list(slow.times)) == (["tra", queries.EXPANDED], ["tra", queries.AS_WRITTEN])
    assert len(queries.outcomes(fast)) == 5


def test_small_queries(monkeypatch, settings):
    for name, value in (("TILES", 8), ("TILE_ROUNDS", 1), ("PRODUCTS", 3), ("QUICK_QUERIES", 8)):
        monkeypatch.setattr(small_queries, name, value)
    lines, bars = small_queries.measured(settings)
    assert len(bars) == 6
    assert all(bar.value > 0 for bar in bars)
    assert any("8 tiles of 64×64" in line for line in lines)


def test_pieces_beside_other_libraries():
    times = [libraries.products(64, rounds=1), libraries.chains(1000, rounds=1)]
    assert all({"tra", "numpy"} <= set(found) for found in times)  # checked against NumPy before they count
