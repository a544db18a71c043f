"""Results larger than any worker: two workers of 1 GB make them in windows, for files and the client."""

import os
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

import tra
from tests.long import LONG, only_long
from tra.algebra.makers import Iota
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.tensor_type import tensor_type
from tra.backends.usable_memory import USABLE, held_task
from tra.errors import TraError

pytestmark = pytest.mark.xdist_group("dask")
LIMIT = 10**9
CELLS, LOW, HIGH = 12 * 4**15, 1_207_784_829, 1_357_784_829  # 103 GB of numbers, and 1.2 GB out of them


def most_resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture(scope="module")
def small():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=":0", silence_logs=50
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
        tra.connect("dask", scheduler=client, progress=False, cost_model="fixed") as session,
    ):
        yield session
        pids = client.run(most_resident)
        assert max(pids.values()) <= LIMIT  # no worker was ever above its limit


@pytest.fixture
def cells():
    type_ = tensor_type((CELLS,), "u8", ("i",), 1 << 21)
    return Relation(generated(type_, Iota(0)), {})[LOW:HIGH]


def test_what_processes_hold_is_no_room_for_tiles(small):
    client, names = small.backend.client, small.backend.workers
    held = client.run(held_task, workers=names)
    assert min(held.values()) > 30_000_000
    assert LIMIT * USABLE / 2 < small.backend.memory_limit < LIMIT * USABLE - 30_000_000


def workers(session):
    return sorted(session.backend.client.run(os.getpid).values())


@only_long
def test_a_result_larger_than_a_worker_comes_tile_by_tile(small, cells):
    before = workers(small)
    assert small.explain(cells).to_dict()["rounds"]
    place, n = LOW, 0
    for _, tile in small.iterate(cells):
        assert tile[0] == place and tile[-1] == place + len(tile) - 1
        place, n = place + len(tile), n + 1
    assert place == HIGH and n > 70
    assert workers(small) == before  # none was ended and started again


@pytest.mark.parametrize("suffix", [".npy", ".tra"] if LONG else [".npy"])
def test_a_result_larger_than_a_worker_is_written_by_the_workers(small, cells, tmp_path, suffix):
    before, fetched = workers(small), small.backend.fetch
    small.backend.fetch = None  # nothing comes to the client
    try:
        small.save(cells, tmp_path / f"cells{suffix}")
    finally:
        small.backend.fetch = fetched
    assert workers(small) == before
    if suffix == ".npy":
        found = np.load(tmp_path / "cells.npy", mmap_mode="r")
        assert found.shape == (HIGH - LOW,) and found[0] == LOW and found[-1] == HIGH - 1
        assert (np.diff(found[:: 1 << 20].astype(np.int64)) == 1 << 20).all()
        return
    stored = tra.open(tmp_path / "cells.tra")
    assert stored.shape == (HIGH - LOW,)
    (source,) = stored.sources.values()
    for key in (0, 35, stored.expr.type.domains[0] - 1):
        tile = source.read((key,))
        assert tile[0] == LOW + (key << 21) and (np.diff(tile.astype(np.int64)) == 1).all()


@only_long
def test_a_product_whose_matrices_are_larger_than_a_worker(small, tmp_path):
    n, rng = 12_000, np.random.default_rng(0)
    for name in "AB":
        made = np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", "f8", (n, n))
        for row in range(0, n, 1000):
            made[row : row + 1000] = rng.standard_normal((1000, n))
    del made
    A, B = (tra.open(tmp_path / f"{name}.npy") for name in "AB")
    small.save(A @ B, tmp_path / "C.npy")
    a, b, c = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ABC")
    for row in (0, 5000, n - 1):
        expected = sum(a[row, k : k + 1000] @ b[k : k + 1000] for k in range(0, n, 1000))
        np.testing.assert_allclose(c[row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tra", ".zarr", ".parquet"])
def test_workers_write_what_they_have(small, tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    a = np.random.default_rng(0).standard_normal((210, 170))
    relation = tra.exp(tra.from_array(a, tile=(20, 30)))
    for _ in range(2):  # new, and over what is there
        small.save(relation, tmp_path / f"A{suffix}")
        np.testing.assert_allclose(tra.open(tmp_path / f"A{suffix}").compute(), np.exp(a), rtol=1e-12)
    assert [path.name for path in tmp_path.iterdir()] == [f"A{suffix}"]


def test_workers_append_what_they_have(small, tmp_path):
    def rows(first, n):
        tiles = {(first + i, j): np.full((2, 3), 10.0 * (first + i) + j) for i in range(n) for j in range(4)}
        return tra.from_tiles(tiles, keys=("i", "j")) * 2

    small.save(rows(0, 3), tmp_path / "log.tra")
    small.save(rows(3, 2), tmp_path / "log.tra", append=True)
    found = dict(small.iterate(tra.open(tmp_path / "log.tra")))
    assert found.keys() == {(i, j) for i in range(5) for j in range(4)}
    assert all((tile == 20.0 * i + 2 * j).all() for (i, j), tile in found.items())


def test_holes_are_written_by_workers(small, tmp_path):
    tiles = {(i, j): np.full((2, 3), 1.0 + i + j) for i in range(6) for j in range(6) if (i + j) % 3}
    relation = tra.from_tiles(tiles, keys=("i", "j")) * 2
    small.save(relation, tmp_path / "A.tra")
    found = dict(small.iterate(tra.open(tmp_path / "A.tra")))
    assert found.keys() == tiles.keys()
    assert all((found[key] == 2 * tile).all() for key, tile in tiles.items())


def test_a_writer_that_fails_leaves_what_was_there(small, tmp_path):
    small.save(tra.from_array(np.ones((40, 40)), tile=20), tmp_path / "A.npy")

    @tra.kernel("()->()", name="unlucky", output_dtype="f8")
    def unlucky(x):
        raise ValueError("no luck")

    relation = tra.from_array(np.zeros((40, 40)), tile=20).transform(unlucky)
    with pytest.raises(TraError, match="no luck"):
        small.save(relation, tmp_path / "A.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["A.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "A.npy"), np.ones((40, 40)))
