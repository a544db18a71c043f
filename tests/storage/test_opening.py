"""Opening: formats, names, keys, tile sizes, versions, and sources that travel."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

import tra
from tra.algebra.sources import TileSource, tensor_type
from tra.backends.storage import open_files, open_source, save
from tra.errors import CatalogError, SchemaError


def mapped(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(array, np.memmap)


@pytest.mark.parametrize("suffix", [".tra", ".parquet", ".npy", ".npz", ".zarr"])
def test_sources_read_in_a_fresh_process(tmp_path, whole, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"a{suffix}"
    save(path, whole[0], whole[1].items())
    _, stored = open_source(path, tile=2)
    stored.read((0, 0))
    assert isinstance(stored, TileSource) and stored.remote and stored.path == str(path)
    sent = pickle.dumps(stored)
    assert len(sent) < 2000
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).read((2, 0)).tolist())"
    ran = subprocess.run([sys.executable, "-c", script], input=sent, capture_output=True, check=True)
    assert ran.stdout.decode().strip() == "[[12.0, 13.0]]"


@pytest.mark.parametrize("suffix", [".tra", ".npy", ".npz"])
def test_tiles_are_views_of_the_file(tmp_path, whole, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, whole[0], whole[1].items())
    tile = open_source(path, tile=2)[1].read((1, 1))
    assert not tile.flags.owndata and tile.flags.aligned
    assert suffix == ".tra" or mapped(tile)


def test_names_ids_and_bases(tmp_path, monkeypatch):
    np.savez(tmp_path / "digits.npz", X=np.zeros((2, 2)))
    np.save(tmp_path / "A.npy", np.zeros(3))
    monkeypatch.chdir(tmp_path)
    source, _ = open_source("digits.npz:X")
    assert (source.name, source.id) == ("X", f"{tmp_path}/digits.npz:X")
    assert open_source("digits.npz")[0] == source == open_source("digits.npz:X.npy")[0]
    assert open_source(Path("A.npy"))[0].name == "A"
    assert open_source("A.npy", name="B")[0].name == "B"
    monkeypatch.chdir("/")
    assert open_source("A.npy", base=tmp_path)[0].id == f"{tmp_path}/A.npy"
    assert open_source(tmp_path / "A.npy", base=Path("/no"))[0].id == f"{tmp_path}/A.npy"


def test_keys_and_tiles_of_arrays(tmp_path):
    path = tmp_path / "A.npy"
    np.save(path, np.arange(12.0).reshape(4, 3))
    assert str(open_source(path)[0].type) == "[i:1, j:1] of 4×3 float64"
    assert str(open_source(path, keys=("a",), tile=(3,))[0].type) == "[a:2] of 3/4×3 float64"
    with pytest.raises(SchemaError, match="3 keys"):
        open_source(path, keys=("a", "b", "c"))


@pytest.mark.parametrize("suffix", [".tra", ".parquet"])
def test_keys_and_tiles_of_relations(tmp_path, holed, suffix):
    path = tmp_path / f"A{suffix}"
    save(path, holed[0], holed[1].items())
    assert str(open_source(path, keys=("j", "i"))[0].type) == "[j:3, i:2] of 2/5×2/3 float64"
    assert open_source(path, keys=("j", "i"))[0].type.axes[0].link == (("j", 1),)
    assert open_source(path, tile=2)[0] == open_source(path, tile=(2, 2))[0] == open_source(path)[0]
    with pytest.raises(SchemaError, match=r"A.* is stored as \[i:3, j:2\].*use .retile"):
        open_source(path, tile=(2, 3))
    with pytest.raises(SchemaError, match="2 keys; 1 names are given: i"):
        open_source(path, keys=("i",))
    with pytest.raises(SchemaError, match="named twice"):
        open_source(path, keys=("i", "i"))
    with pytest.raises(CatalogError, match=r"tile at key \(1, 0\) of .* there is no tile at this key"):
        open_source(path)[1].read((1, 0))


@pytest.mark.parametrize("suffix", [".npy", ".tra"])
@pytest.mark.parametrize("key", [(3, 0), (-1, 0), (0,)])
def test_keys_outside_the_domain(tmp_path, whole, suffix, key):
    path = tmp_path / f"A{suffix}"
    save(path, whole[0], whole[1].items())
    with pytest.raises(CatalogError, match="there is no tile at this key"):
        open_source(path, tile=2)[1].read(key)


def test_members(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.arange(3.0), y=np.arange(4))
    assert open_source(f"{path}:y")[1].read((0,)).tolist() == [0, 1, 2, 3]
    with pytest.raises(CatalogError, match=r"archive of X, y; name a member, as in a.npz:X"):
        open_source(path)
    with pytest.raises(CatalogError, match="members are X, y; did you mean 'X'"):
        open_source(f"{path}:x")
    with pytest.raises(CatalogError, match="names no member"):
        open_source(f"{path}:")


def test_compressed_members_are_read_once(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.arange(6.0).reshape(2, 3, order="F"))
    _, stored = open_source(path, tile=1)
    monkeypatch.setattr("zipfile.ZipFile.open", None)
    assert [stored.read((i, 2)).tolist() for i in range(2)] == [[[4]], [[5]]]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("dtype", [">f8", ">i2", ">c8", [("value", ">f4"), ("index", ">i8")]])
def test_big_endian_and_fortran_order(tmp_path, name, dtype):
    array = np.zeros((4, 3), dtype, order="F")
    array[:] = np.arange(12).reshape(4, 3).astype("i8") if not array.dtype.names else array
    (np.savez if name == "a.npz" else np.save)(tmp_path / name, array)
    source, stored = open_source(tmp_path / name, tile=2)
    assert source.type.dtype.newbyteorder("=") == source.type.dtype != np.dtype(dtype)
    tile = stored.read((1, 0))
    assert tile.dtype == source.type.dtype and not tile.flags.writeable
    assert tile.tolist() == array[2:4, 0:2].tolist()


@pytest.mark.parametrize("suffix", [".tra", ".parquet", ".npy", ".npz", ".zarr"])
def test_a_file_that_changed_or_vanished(tmp_path, whole, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"a{suffix}"
    save(path, whole[0], whole[1].items())
    source, stored = open_source(path, tile=2)
    save(path, whole[0], ((key, tile + 1) for key, tile in whole[1].items()))
    later = path / {".tra": "manifest.json", ".zarr": "zarr.json"}.get(suffix, "")
    os.utime(later, ns=(1, 10**18))
    with pytest.raises(CatalogError, match=r"tile at key \(0, 0\) of .*a\..* changed since it was opened"):
        stored.read((0, 0))
    again, stored = open_source(path, tile=2)
    assert again.id == source.id and again.version != source.version
    assert stored.read((0, 0))[0, 0] == 1
    path.rename(tmp_path / "gone")
    with pytest.raises(CatalogError, match=r"tile at key \(0, 0\) of .*no such file"):
        stored.read((0, 0))


def test_a_relation_saved_twice_in_one_tick(tmp_path, whole):
    path = tmp_path / "a.tra"
    for n in range(20):
        save(path, whole[0], ((key, tile + n) for key, tile in whole[1].items()))
        os.utime(path / "manifest.json", ns=(0, 0))
        assert open_source(path)[1].read((0, 0))[0, 0] == n


def test_a_bounded_number_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr(open_files, "MAX_OPEN", 3)
    for n in range(6):
        np.save(tmp_path / f"{n}.npy", np.full(2, n))
    stored = [open_source(tmp_path / f"{n}.npy")[1] for n in range(6)]
    assert [s.read((0,))[0] for s in stored] == list(range(6))
    assert len(open_files._open) == 3


@pytest.mark.parametrize("suffix", [".tra", ".parquet", ".npz"])
def test_threads_read_together(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("tra.backends.storage.writer.BATCH_BYTES", 2000)
    monkeypatch.setattr("tra.backends.storage.table_reader.TableReader.kept_bytes", 4000)
    array, type_ = np.arange(10000.0).reshape(100, 100), tensor_type((100, 100), "f8", tile=(7, 100))
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, array)
    else:
        save(path, type_, (((i, 0), array[7 * i : 7 * i + 7]) for i in range(15)))
    _, stored = open_source(path, tile=(7, 100))
    with ThreadPoolExecutor(8) as pool:
        tiles = list(pool.map(stored.read, [(i % 15, 0) for i in range(300)]))
    assert all(
        tile.tobytes() == array[7 * (i % 15) : 7 * (i % 15) + 7].tobytes() for i, tile in enumerate(tiles)
    )


def test_a_query_file_is_no_relation(tmp_path):
    path = tmp_path / "q.tra"
    path.write_text("LET x = 1;")
    with pytest.raises(CatalogError, match=r"q.tra is a file.*tra run"):
        open_source(path)


@pytest.mark.parametrize(
    "name, near", [("a.np", ".np"), ("a.parqet", ".parquet"), ("a", ""), ("a.npy:x", ".npy")]
)
def test_unknown_suffixes(name, near):
    with pytest.raises(CatalogError, match=rf"ends with .tra, .npy, .npz, .parquet or .zarr.*{near}"):
        open_source(name)


def test_zarr_is_optional(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(CatalogError, match=r"pip install 'tra-engine\[peers\]', or '\.\[peers\]'"):
        open_source(tmp_path / "a.zarr")


def test_only_files_that_could_be_opened_are_suggested(tmp_path):
    (tmp_path / "nop.py").touch()
    with pytest.raises(CatalogError, match=r"there is no such file$"):
        open_source(tmp_path / "nope.npy")
    np.save(tmp_path / "note.npy", np.zeros(3))
    with pytest.raises(CatalogError, match=r"there is no such file; did you mean 'note\.npy'\?$"):
        open_source(tmp_path / "nope.npy")


def test_files_that_are_decoded_say_so(tmp_path):
    zarr = pytest.importorskip("zarr")
    a = np.arange(12.0).reshape(3, 4)
    zarr.create_array(str(tmp_path / "a.zarr"), data=a, chunks=(2, 2))
    np.save(tmp_path / "a.npy", a)
    found = [tra.open(tmp_path / name).sources.values() for name in ("a.npy", "a.zarr")]
    assert [source.is_encoded for (source,) in found] == [False, True]


def test_a_table_of_triples_names_what_reads_it(tmp_path):
    path = tmp_path / "edges.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"i": [0, 1], "j": [1, 2], "value": [1.0, 2.0]}), path)
    with pytest.raises(CatalogError, match=r"by this engine\n  hint: .*tra\.from_coo") as caught:
        tra.open(path)
    call = str(caught.value).split("is read by ")[1]
    made = eval(call, {"tra": tra, "pyarrow": pyarrow})  # as it says
    assert made.shape == (2, 3) and made.sum().compute() == 3.0
    pyarrow.parquet.write_table(pyarrow.table({"name": ["a"], "value": [1.0]}), path)
    with pytest.raises(CatalogError) as caught:
        tra.open(path)
    assert "hint" not in str(caught.value)


def test_a_sparse_matrix_of_scipy_names_what_reads_it(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    sparse.save_npz(tmp_path / "m.npz", sparse.eye(3, format="csr"))
    with pytest.raises(CatalogError, match=r"sparse matrix of SciPy(?s:.*)scipy\.sparse\.load_npz\("):
        tra.open(tmp_path / "m.npz")
