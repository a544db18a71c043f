"""What other tools make of saved relations: the same numbers."""

import json

import numpy as np
import pyarrow as pa
import pytest

import tra
from tra.algebra.sources import tensor_type
from tra.backends.storage import save


@pytest.fixture
def uniform():
    """A tensor whose tiles have one shape."""
    return np.arange(24.0).reshape(6, 4) ** 2


def test_duckdb_sums_parquet(tmp_path, uniform):
    duckdb = pytest.importorskip("duckdb")
    ragged = np.arange(15.0).reshape(5, 3)
    for name, array in ("uniform", uniform), ("ragged", ragged):
        path = tmp_path / f"{name}.parquet"
        tra.from_array(array, keys=("i", "j"), tile=2).save(path)
        found = duckdb.sql(f"SELECT sum(list_sum(tile)) FROM '{path}'").fetchall()
        assert found == [(array.sum(),)]
        found = duckdb.sql(f"SELECT i, sum(list_sum(tile)) FROM '{path}' GROUP BY i ORDER BY i").fetchall()
        assert found == [(i, array[2 * i : 2 * i + 2].sum()) for i in range(-(-len(array) // 2))]


def test_polars_sums_parquet(tmp_path, uniform):
    polars = pytest.importorskip("polars")
    ragged = np.arange(15.0).reshape(5, 3)
    for name, array in ("uniform", uniform), ("ragged", ragged):
        path = tmp_path / f"{name}.parquet"
        tra.from_array(array, keys=("i", "j"), tile=2).save(path)
        assert total(polars, polars.read_parquet(path)) == array.sum()


def test_polars_sums_tiles_as_the_page_says(tmp_path):
    polars = pytest.importorskip("polars")
    tile = polars.col("tile")
    if not hasattr(tile, "ext"):
        pytest.skip("polars before extension types")
    for shape, sums in ((6, 4), tile.ext.storage().arr.sum()), ((5, 3), tile.list.sum()):
        array = np.arange(float(np.prod(shape))).reshape(shape)
        tra.from_array(array, keys=("i", "j"), tile=2).save(tmp_path / "A.parquet")
        assert polars.read_parquet(tmp_path / "A.parquet").select(sums).sum().item() == array.sum()


def total(polars, frame):
    """The sum over all tiles of a frame, whose column may be of an extension type."""
    column = frame["tile"]
    storage = getattr(column, "ext", None)
    column = column if storage is None or not hasattr(storage, "storage") else storage.storage()
    return column.explode().sum()


def arrow_parts(path):
    """The parts of a relation that its manifest lists."""
    return [path / part["file"] for part in json.loads((path / "manifest.json").read_text())["parts"]]


def test_duckdb_sums_the_parts_of_a_relation(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    array = np.arange(15.0).reshape(5, 3)
    path = tmp_path / "a.tra"
    tra.from_array(array, keys=("i", "j"), tile=2).save(path)
    found = 0.0
    for part in arrow_parts(path):
        with pa.memory_map(str(part)) as file:
            stored = pa.ipc.open_file(file).read_all()
            shape = stored.schema.field("tile").type.shape
            n = shape[0] * shape[1]
            found += duckdb.sql(f"SELECT sum(list_sum(tile::DOUBLE[{n}]::DOUBLE[])) FROM stored").fetchall()[
                0
            ][0]
    assert found == array.sum()


def test_polars_sums_the_parts_of_a_relation(tmp_path):
    polars = pytest.importorskip("polars")
    array = np.arange(15.0).reshape(5, 3)
    path = tmp_path / "a.tra"
    tra.from_array(array, keys=("i", "j"), tile=2).save(path)
    frames = [polars.read_ipc(part) for part in arrow_parts(path)]
    assert sum(total(polars, frame) for frame in frames) == array.sum()
    assert sorted(pair for frame in frames for pair in frame.select("i", "j").rows()) == [
        (i, j) for i in range(3) for j in range(2)
    ]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "?", "c8", "f2"])
@pytest.mark.parametrize("shape, tile", [((6, 4), 2), ((5, 3), 2), ((), None), ((0, 3), 2), ((7,), 3)])
def test_arrow_reads_where_the_manifest_says(tmp_path, dtype, shape, tile):
    """The places in the manifest are those where Arrow finds keys and tiles."""
    type_ = tensor_type(shape, dtype, tile=tile)
    array = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(dtype)
    path = tmp_path / "a.tra"
    from tra.algebra.live import live_keys

    keys = [tuple(key) for key in live_keys(type_).tolist()]
    save(path, type_, ((key, array[type_.tile_window(key)]) for key in keys))
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["frontier"] == list(type_.domains) and manifest["placement"] == "one site"
    rows = 0
    for part in manifest["parts"]:
        content = (path / part["file"]).read_bytes()
        table = pa.ipc.open_file(content).read_all()
        for batch in part["batches"]:
            for name, at in zip(type_.names, batch["keys"], strict=True):
                column = np.frombuffer(content, np.int64, batch["rows"], at)
                assert column.tolist() == table[name].to_pylist()[: batch["rows"]]
            rows += batch["rows"]
    assert rows == len(keys)


def test_the_placement_of_the_sites_is_told(tmp_path):
    with tra.connect("local", sites=2, threads=1):
        A = tra.from_array(np.ones((8, 8)), keys=("i", "j"), tile=2)
        (A @ A).save(tmp_path / "a.tra")
    assert " on 2" in json.loads((tmp_path / "a.tra" / "manifest.json").read_text())["placement"]
