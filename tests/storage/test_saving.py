"""Saving: a relation appears whole or not at all, and nothing else is ever lost."""

import errno
import os
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tra
from tra.algebra.sources import tensor_type
from tra.algebra.types import AtMost, Axis, Box, Key, RelType
from tra.backends.block import Block
from tra.backends.storage import RelationWriter, open_source, save, tile_writer
from tra.backends.threads import THREADS
from tra.backends.tiles import Tiles
from tra.errors import CatalogError, SchemaError

ALL = [".tra", ".parquet", ".npy", ".npz", ".zarr"]


@pytest.fixture(params=ALL)
def suffix(request):
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    return request.param


def failing(tiles):
    yield from list(tiles.items())[:3]
    raise RuntimeError("the query failed")


def test_a_writer_that_fails_leaves_what_was_there(tmp_path, whole, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(RuntimeError, match="the query failed"):
        save(path, whole[0], failing(whole[1]))
    assert list(tmp_path.iterdir()) == []
    save(path, whole[0], whole[1].items())
    source, stored = open_source(path, tile=2)
    with pytest.raises(RuntimeError, match="the query failed"):
        save(path, whole[0], failing({key: tile + 1 for key, tile in whole[1].items()}))
    assert list(tmp_path.iterdir()) == [path]
    assert open_source(path, tile=2)[0] == source
    assert all(stored.read(key).tolist() == tile.tolist() for key, tile in whole[1].items())


def test_nothing_is_visible_before_the_end(tmp_path, whole, suffix):
    path = tmp_path / f"a{suffix}"
    with tile_writer(path, whole[0]) as out:
        out.write_all(whole[1].items())
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_relation_may_be_saved_over_what_it_reads(tmp_path, whole, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, whole[0], whole[1].items())
    _, stored = open_source(path, tile=2)
    save(path, whole[0], ((key, stored.read(key) * 2) for key in whole[1]))
    assert open_source(path, tile=2)[1].read((2, 1)).tolist() == [[28.0]]
    assert list(tmp_path.iterdir()) == [path]


def test_missing_tiles(tmp_path, whole, suffix):
    tiles = dict(list(whole[1].items())[:-1])
    with pytest.raises(SchemaError, match=r"1 of the 6 tiles of .* did not come: key \(2, 1\)"):
        save(tmp_path / f"a{suffix}", whole[0], tiles.items())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "key, tile, message",
    [
        (
            (0, 0),
            np.zeros((2, 1)),
            r"the tile at key \(0, 0\) is \(2, 1\) float64; .* makes it \(2, 2\) float64",
        ),
        ((0, 0), np.zeros((2, 2), "f4"), r"the tile at key \(0, 0\) is \(2, 2\) float32"),
        ((3, 0), np.zeros((2, 2)), r"key \(3, 0\) does not fit \[i:3, j:2\]"),
        ((0,), np.zeros((2, 2)), r"key \(0,\) does not fit"),
        ((1, 1), np.zeros((2, 1)), r"two tiles at key \(1, 1\)"),
    ],
)
def test_tiles_that_do_not_fit(tmp_path, whole, key, tile, message):
    with pytest.raises(SchemaError, match=message):
        save(tmp_path / "a.tra", whole[0], [((1, 1), np.zeros((2, 1))), (key, tile)])


def test_a_tile_at_a_hole(tmp_path, holed, whole):
    with pytest.raises(SchemaError, match=r"no tile at key \(1, 0\), but one came"):
        save(tmp_path / "a.tra", holed[0], whole[1].items())


@pytest.mark.parametrize("suffix", [".npy", ".npz"], indirect=True)
def test_whole_tensors_have_no_holes(tmp_path, holed, suffix):
    with pytest.raises(
        SchemaError, match=rf"a {suffix} file needs a dense relation.*no tile at key \(1, 0\).*fill"
    ):
        save(tmp_path / f"a{suffix}", holed[0], holed[1].items())
    unknown = replace(holed[0], live=AtMost(((0, 3), (0, 2))))
    with pytest.raises(SchemaError, match=r"did not come: key \(1, 0\)"):
        save(tmp_path / f"a{suffix}", unknown, holed[1].items())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr"], indirect=True)
def test_keys_that_cut_no_axis_lead(tmp_path, suffix):
    type_ = RelType(
        (Key("a", 2), Key("b", 3)), (Axis(2, (("a", 1),), 3),), np.dtype("f8"), Box(((0, 2), (0, 3)))
    )
    tiles = {(a, b): np.full(2 - a, 10.0 * b + a) for a in range(2) for b in range(3)}
    save(tmp_path / f"x{suffix}", type_, tiles.items())
    source, stored = open_source(tmp_path / f"x{suffix}")
    assert source.type.shape == (3, 3)
    assert stored.read((0, 0)).tolist() == [[0, 0, 1], [10, 10, 11], [20, 20, 21]]


def test_query_files_and_strangers_are_never_overwritten(tmp_path, whole, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("LET x = 1;")
    message = (
        "is a query file and is never overwritten" if suffix == ".tra" else f"not in the format {suffix}"
    )
    with pytest.raises(CatalogError, match=rf"a{suffix} .*{message}"):
        save(path, whole[0], whole[1].items())
    assert path.read_text() == "LET x = 1;"
    path.unlink()
    path.mkdir()
    (path / "thesis.tex").touch()
    with pytest.raises(CatalogError, match=f"not in the format {suffix}"):
        save(path, whole[0], whole[1].items())
    assert [f.name for f in tmp_path.rglob("*")] == [path.name, "thesis.tex"]


def test_a_target_that_appears_meanwhile(tmp_path, whole):
    path = tmp_path / "a.tra"
    with pytest.raises(CatalogError, match="never overwritten"), RelationWriter(path, whole[0]) as out:
        out.write_all(whole[1].items())
        path.write_text("LET x = 1;")
    assert [f.name for f in tmp_path.iterdir()] == ["a.tra"]


def test_other_members_are_not_lost(tmp_path, whole):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.zeros(2), y=np.zeros(2))
    with pytest.raises(CatalogError, match=r"a.npz also holds X, which would be lost"):
        save(f"{path}:y", whole[0], whole[1].items())
    np.savez(path, y=np.zeros(2))
    save(f"{path}:y", whole[0], whole[1].items())
    assert np.load(path)["y"].tolist() == np.arange(15.0).reshape(5, 3).tolist()
    save(tmp_path / "b.npz", whole[0], whole[1].items())
    assert np.load(tmp_path / "b.npz").files == ["b"]


def test_links_are_followed(tmp_path, whole):
    (tmp_path / "real.tra").mkdir()
    (tmp_path / "real.tra").rmdir()
    save(tmp_path / "real.tra", whole[0], whole[1].items())
    (tmp_path / "a.tra").symlink_to("real.tra")
    save(tmp_path / "a.tra", whole[0], ((key, tile + 1) for key, tile in whole[1].items()))
    assert (tmp_path / "a.tra").is_symlink()
    assert open_source(tmp_path / "real.tra")[1].read((0, 0))[0, 0] == 1


def test_folders_and_suffixes_that_do_not_exist(tmp_path, whole, suffix):
    with pytest.raises(CatalogError, match=f"cannot write .*a{suffix}: there is no folder"):
        save(tmp_path / "no" / f"a{suffix}", whole[0], whole[1].items())
    with pytest.raises(CatalogError, match=r"did you mean '.tra'"):
        save(tmp_path / "a.tar", whole[0], whole[1].items())


def test_tiles_are_written_as_they_come(tmp_path):
    type_ = tensor_type((64 << 17,), "f8", tile=1 << 17)  # 64 tiles of 1 MiB
    save(tmp_path / "b.tra", tensor_type((1,), "f8", tile=1), [((0,), np.ones(1))])  # loads what writes
    tracemalloc.start()
    save(tmp_path / "a.tra", type_, (((i,), np.full(1 << 17, i, "f8")) for i in range(64)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20


def test_dtypes_that_cannot_be_stored(tmp_path):
    with pytest.raises(SchemaError, match=r"cannot store .* booleans or numbers"):
        save(tmp_path / "a.tra", tensor_type((2,), "M8[s]"), [])


def test_a_full_disk_is_an_error_with_a_name(tmp_path, whole, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(CatalogError, match=r"cannot write .*a.npy: no space left on device"):
        save(tmp_path / "a.npy", whole[0], whole[1].items())
    assert list(tmp_path.iterdir()) == []


def test_other_tools_read_the_files(tmp_path, whole):
    save(tmp_path / "a.parquet", whole[0], whole[1].items())
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert rows[0] == {"i": 0, "j": 0, "tile": [0.0, 1.0, 3.0, 4.0]}
    save(tmp_path / "a.tra", whole[0], whole[1].items())
    with pa.memory_map(str(tmp_path / "a.tra" / "part-0.arrow")) as file:
        batch = pa.ipc.open_file(file).get_batch(0)
        assert batch.schema.names == ["i", "j", "tile"]
        assert batch.column("tile").to_numpy_ndarray()[0].tolist() == [[0, 1], [3, 4]]


@pytest.mark.parametrize("suffix", [".tra", ".parquet", ".npy"], indirect=True)
def test_the_same_relation_makes_the_same_bytes(tmp_path, holed, whole, suffix):
    type_, tiles = whole if suffix == ".npy" else holed
    for name in "ab":
        save(tmp_path / f"{name}{suffix}", type_, tiles.items())
    a, b = (tmp_path / f"{name}{suffix}" for name in "ab")
    if a.is_dir():
        a, b = a / "manifest.json", b / "manifest.json"
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("by_parts", [False, True])
@pytest.mark.parametrize("suffix", [".tra", ".npy", ".npz", ".zarr"], indirect=True)
def test_zeros_keep_their_sign(tmp_path, suffix, by_parts):
    array = np.array([[0.0, -0.0, -0.0], [0.0, -0.0, 1.0]])
    type_ = tensor_type((2, 3), "f8", ("i", "j"), (2, 1))
    tiles = [((0, j), array[:, j : j + 1]) for j in range(3)]
    with tile_writer(tmp_path / f"a{suffix}", type_) as out:
        if by_parts:
            out.accept_part(out.part("0-0").write_all(tiles))
        else:
            out.write_all(tiles)
    stored = open_source(tmp_path / f"a{suffix}", **({} if suffix == ".tra" else {"tile": (2, 1)}))[1]
    for key, tile in tiles:
        assert np.signbit(stored.read(key)).tolist() == np.signbit(tile).tolist()


@pytest.mark.parametrize("suffix", [".npy", ".npz"], indirect=True)
def test_a_disk_that_fails_behind_the_writer_is_an_error(tmp_path, whole, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    save(path, whole[0], whole[1].items())
    before, sync = path.read_bytes(), os.fsync

    def fails(number):
        if threading.current_thread() is not threading.main_thread():
            raise OSError(errno.EIO, "the disk fails")
        sync(number)

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(CatalogError, match="the disk fails"):
        save(path, whole[0], whole[1].items())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_tiles_in_memory_are_written_by_all_threads(tmp_path):
    array = np.arange(120.0).reshape(12, 10)
    block = Block(((0, 3), (0, 4)), array, ((0, 4), (1, 3)))
    token = THREADS.set(3)
    try:
        with tile_writer(tmp_path / "a.npy", tensor_type((12, 10), "f8", tile=(4, 3))) as out:
            out.write_all(Tiles.of([block]))
    finally:
        THREADS.reset(token)
    assert np.array_equal(np.load(tmp_path / "a.npy"), array)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tra"], indirect=True)
def test_narrow_parts_of_larger_arrays(tmp_path, suffix):
    """Of an axis of one element NumPy says that it lies in any way."""
    array = np.arange(60.0).reshape(5, 4, 3)
    with tra.connect("local", threads=1, progress=False) as session:
        for n, part in enumerate(
            (array[:, 2:3, 0], array[::2, 1:2, 1:2], array[::-1, 1:2, 0], array.T[:, 2:3])
        ):
            session.save(tra.from_array(part, tile=2), tmp_path / f"{n}{suffix}")
            assert np.array_equal(session.compute(tra.open(tmp_path / f"{n}{suffix}"))[0], part)
