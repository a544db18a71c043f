"""Relations behind URLs: read in ranges, written whole; fsspec's store in memory stands for them all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.live import live_keys
from tra.backends.storage import open_files, open_source, save, tile_writer
from tra.backends.storage.remote import RemoteArray, RemoteFile
from tra.errors import CatalogError, SchemaError

fsspec = pytest.importorskip("fsspec")
ALL = [".tra", ".parquet", ".npy", ".npz", ".zarr"]


@pytest.fixture
def store():
    """An empty store."""
    files = fsspec.filesystem("memory")
    for name in files.ls("/", detail=False):
        files.rm(name, recursive=True)
    open_files._open.clear()
    return files


@pytest.fixture(params=ALL)
def suffix(request):
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    return request.param


def test_whole_tensors_go_there_and_come_back(store, whole, suffix):
    url = f"memory://bucket/a{suffix}"
    save(url, whole[0], whole[1].items())
    source, stored = open_source(url, tile=2)
    assert source.type == whole[0] and source.id.startswith("memory://") and source.name == "a"
    for key, tile in whole[1].items():
        found = stored.read(key)
        assert (found.tobytes(), found.dtype) == (np.ascontiguousarray(tile).tobytes(), tile.dtype)
        assert not found.flags.writeable


@pytest.mark.parametrize("suffix", [".tra", ".parquet"], indirect=True)
def test_holes_stay_holes(store, holed, suffix):
    url = f"memory://bucket/a{suffix}"
    save(url, holed[0], holed[1].items())
    source, stored = open_source(url)
    assert source.type == holed[0]
    with pytest.raises(
        CatalogError, match=r"tile at key \(1, 0\) of memory://bucket/a.* no tile at this key"
    ):
        stored.read((1, 0))


def test_queries_run_on_urls(store):
    a = np.arange(12.0).reshape(4, 3)
    with tra.connect("local", threads=2) as session:
        tra.from_array(a).save("memory://bucket/a.npy")
        text = "LOAD A(i, j) FROM 'memory://bucket/a.npy'; LET B[i, k] = SUM(A[i, j] * A[k, j]);" \
               "SAVE B TO 'memory://bucket/b.tra';"  # fmt: skip
        session.sql(text, allow="memory://bucket")
        np.testing.assert_array_equal(tra.open("memory://bucket/b.tra").compute(), a @ a.T)


def test_what_is_there_is_replaced(store, whole):
    for suffix in (".tra", ".parquet", ".npy", ".npz"):
        url = f"memory://bucket/a{suffix}"
        for n in range(3):
            save(url, whole[0], ((key, tile + n) for key, tile in whole[1].items()))
            assert open_source(url, tile=2)[1].read((0, 0))[0, 0] == n
    assert len(store.glob("/bucket/a.tra/part-*")) == 4  # of one relation only


def test_folders_of_chunks_are_not(store, whole):
    pytest.importorskip("zarr")
    save("memory://bucket/a.zarr", whole[0], whole[1].items())
    with pytest.raises(CatalogError, match=r"a.zarr exists, and folders behind URLs are not replaced"):
        save("memory://bucket/a.zarr", whole[0], whole[1].items())


def test_a_writer_that_fails_leaves_what_was_there(store, whole, suffix):
    url = f"memory://bucket/a{suffix}"

    def failing():
        yield from list(whole[1].items())[:3]
        raise RuntimeError("the query failed")

    with pytest.raises(RuntimeError, match="the query failed"):
        save(url, whole[0], failing())
    assert not store.exists("/bucket/a" + suffix)


def test_appending(store):
    for n in range(3):
        part = tra.from_tiles({(n,): np.full(2, n)}, keys="i", axes=[tra.Axis(2, (("i", 1),), 2 * n + 2)])
        part.save("memory://bucket/a.tra", append=True)
    assert tra.open("memory://bucket/a.tra").compute().tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(SchemaError, match=r"tile at key \(2,\) already"):
        part.save("memory://bucket/a.tra", append=True)


def test_another_writer_is_noticed(store, whole):
    url = "memory://bucket/a.tra"
    save(url, whole[0], whole[1].items())
    message = r"another wrote to memory://bucket/a.tra meanwhile"
    with pytest.raises(CatalogError, match=message), tile_writer(url, whole[0]) as out:
        out.write_all(whole[1].items())
        joined = out._joined
        out._joined = lambda *given: (store.touch("/bucket/a.tra/manifest.json"), joined(*given))[1]
    assert len(store.glob("/bucket/a.tra/part-*")) == 4


@pytest.mark.parametrize("suffix", [".tra", ".parquet"], indirect=True)
def test_damage_is_noticed(store, whole, suffix):
    url = f"memory://bucket/a{suffix}"
    save(url, whole[0], whole[1].items())
    file = next(iter(sorted(store.glob("/bucket/a.tra/part-*")))) if suffix == ".tra" else "/bucket/a.parquet"
    content = bytearray(store.cat_file(file))
    for place in range(0, len(content), 97):
        changed = bytearray(content)
        changed[place] ^= 1
        store.pipe_file(file, bytes(changed))
        open_files._open.clear()
        try:
            found = {key: open_source(url)[1].read(key).tolist() for key in whole[1]}
            assert found == {key: tile.tolist() for key, tile in whole[1].items()}
        except CatalogError as error:
            assert url in str(error)
    if suffix == ".tra":
        store.rm_file(file)
        open_files._open.clear()
        with pytest.raises(CatalogError, match="is gone"):
            [open_source(url)[1].read(key) for key in whole[1]]


def test_a_file_that_changed(store, whole, suffix):
    if suffix == ".zarr":
        pytest.skip("chunks behind URLs are not replaced")
    url = f"memory://bucket/a{suffix}"
    save(url, whole[0], whole[1].items())
    _, stored = open_source(url, tile=2)
    save(url, whole[0], ((key, tile + 1) for key, tile in whole[1].items()))
    with pytest.raises(CatalogError, match="changed since it was opened"):
        stored.read((0, 0))


def test_what_is_not_there(store, suffix):
    with pytest.raises(CatalogError, match=rf"cannot read memory://bucket/no{suffix}: there is no such file"):
        tra.open(f"memory://bucket/no{suffix}")
    with pytest.raises(CatalogError, match="abc://"):
        tra.open(f"abc://bucket/no{suffix}")


def test_strangers_are_not_overwritten(store, whole, suffix):
    store.pipe_file(f"/bucket/a{suffix}", b"LET x = 1;")
    with pytest.raises(CatalogError, match="query file" if suffix == ".tra" else "not in the format"):
        save(f"memory://bucket/a{suffix}", whole[0], whole[1].items())
    assert store.cat_file(f"/bucket/a{suffix}") == b"LET x = 1;"


def test_paths_as_urls(tmp_path, whole):
    save(f"file://{tmp_path}/a.tra", whole[0], whole[1].items())
    assert (tmp_path / "a.tra").is_dir()
    assert tra.open(f"file://{tmp_path}/a.tra").shape == (5, 3)


@given(data=st.data())
@examples(100)
def test_any_window_of_an_array(data):
    shape = data.draw(st.lists(st.integers(1, 6), max_size=3).map(tuple))
    order = data.draw(st.sampled_from("CF"))
    array = np.asarray(np.random.default_rng(0).normal(size=shape), order=order)
    window = tuple(
        slice(*sorted([data.draw(st.integers(0, n)), data.draw(st.integers(0, n))])) for n in shape
    )
    fsspec.filesystem("memory").pipe_file("/windows/x.bin", b"head" + array.tobytes(order))
    file = RemoteFile("memory://windows/x.bin")
    gap = data.draw(st.sampled_from([0, 1 << 20]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tra.backends.storage.remote._GAP", gap)
        found = RemoteArray(file, 4, shape, order == "F", array.dtype)[window]
    np.testing.assert_array_equal(found, array[window])


def test_only_what_is_needed_is_read(store, monkeypatch):
    monkeypatch.setattr("tra.backends.storage.writer.BATCH_BYTES", 1 << 10)
    array = np.arange(1 << 16, dtype="f8").reshape(256, 256)
    for suffix in (".tra", ".npy"):
        tra.from_array(array, tile=32).save(f"memory://bucket/a{suffix}")
    read = []
    original = RemoteFile.read, RemoteFile.ranges
    monkeypatch.setattr(RemoteFile, "read", lambda *a, **k: read.append(f := original[0](*a, **k)) or f)
    monkeypatch.setattr(RemoteFile, "ranges", lambda *a: (f := original[1](*a), read.extend(f))[0])
    monkeypatch.setattr("tra.backends.storage.remote._GAP", 0)
    for suffix in (".tra", ".npy"):
        source, stored = open_source(f"memory://bucket/a{suffix}", tile=32)
        assert len(live_keys(source.type)) == 64
        read.clear()
        np.testing.assert_array_equal(stored.read((3, 4)), array[96:128, 128:160])
        assert sum(map(len, read)) <= (20_000 if suffix == ".tra" else 8192)
