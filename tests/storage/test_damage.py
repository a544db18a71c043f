"""Files that are damaged, cut, gone or not ours: an error that names the file, and never a wrong number."""

import json
import os
import pickle
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.long import examples
from tra.backends.storage import open_source, save
from tra.errors import CatalogError

SUFFIXES = [".tra", ".parquet", ".npy", ".npz"]


def refuses(path, reason, key=None):
    tile = f"the tile at key {key} of " if key else ""
    return pytest.raises(CatalogError, match=re.escape(f"cannot read {tile}{path}") + ".*" + reason)


def files_of(path):
    return sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]


def read_all(path, tiles):
    _, stored = open_source(path, tile=2)
    return {key: stored.read(key).tolist() for key in tiles}


@pytest.mark.parametrize("suffix", [".tra", ".parquet"])
@given(data=st.data())
@examples(150)
def test_a_changed_bit_or_a_cut_is_noticed(holed, suffix, data):
    type_, tiles = holed
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        save(path, type_, tiles.items())
        file = data.draw(st.sampled_from(files_of(path)))
        content = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del content[place:]
        file.write_bytes(content)
        try:
            assert read_all(path, tiles) == {key: tile.tolist() for key, tile in tiles.items()}
        except CatalogError as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
def test_every_cut_is_noticed(tmp_path, whole, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, whole[0], whole[1].items())
    content = path.read_bytes()
    for end in range(0, len(content), 5):
        path.write_bytes(content[:end])
        with pytest.raises(CatalogError, match=re.escape(str(path))):
            open_source(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"PAR1PAR1", b"{}"])
def test_foreign_content(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tra":
        path.mkdir()
        (path / "manifest.json").write_bytes(content)
    else:
        path.write_bytes(content)
    with refuses(path, "."):
        open_source(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".zarr"])
def test_missing_files_and_folders(tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"digits{suffix}"
    path.with_name(f"digit{suffix}").touch()
    with refuses(path, f"no such file; did you mean 'digit{suffix}'"):
        open_source(path)
    with refuses(tmp_path / "no" / path.name, "no folder"):
        open_source(tmp_path / "no" / path.name)


@pytest.mark.parametrize("suffix", [".tra", ".zarr"])
def test_a_folder_without_a_manifest(tmp_path, suffix):
    pytest.importorskip("zarr")
    path = tmp_path / f"a{suffix}"
    path.mkdir()
    with refuses(path, "not wholly written"):
        open_source(path)


def test_a_part_that_is_gone(tmp_path, whole):
    path = tmp_path / "a.tra"
    save(path, whole[0], whole[1].items())
    _, stored = open_source(path)
    (path / "part-1.arrow").unlink()
    with refuses(path, "not wholly written", (0, 0)):
        stored.read((0, 0))


@pytest.mark.parametrize("how", ["gone", "cut", "replaced", "changed", "emptied"])
def test_a_part_that_changes_after_it_was_read(tmp_path, whole, how):
    path = tmp_path / "a.tra"
    save(path, whole[0], whole[1].items())
    _, stored = open_source(path)
    np.testing.assert_array_equal(stored.read((0, 0)), whole[1][0, 0])
    for part in path.glob("*.arrow"):
        content = part.read_bytes()
        match how:
            case "gone":
                part.unlink()
            case "cut":
                os.truncate(part, len(content) - 5)
            case "replaced":
                (tmp_path / "other").write_bytes(content[:-5])
                (tmp_path / "other").replace(part)
            case "changed":
                part.write_bytes(bytes(255 - byte for byte in content))
            case "emptied":
                part.write_bytes(b"")
    for source in (stored, open_source(path)[1]):
        with refuses(path, "", (0, 0)):
            source.read((0, 0))


def test_a_newer_format(tmp_path, whole):
    path = tmp_path / "a.tra"
    save(path, whole[0], whole[1].items())
    manifest = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").write_text(json.dumps({**manifest, "version": 3}))
    with refuses(path, "format version 3, known is 2"):
        open_source(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_nothing_is_unpickled(tmp_path, suffix):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = tmp_path / f"a{suffix}"
    array = np.array([Bomb()], dtype=object)
    np.savez(path, x=array) if suffix == ".npz" else np.save(path, array, allow_pickle=True)
    with refuses(path, "booleans or numbers"):
        open_source(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with refuses(path, "."):
        open_source(path)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]), np.array(["2020-01-01"], "M8[D]"), np.zeros(2, "V4"), np.zeros(2, [("x", "f8")]),
        np.zeros(2, [("value", "f8", (3,)), ("index", "i8")]),
    ],
)  # fmt: skip
def test_what_is_no_number(tmp_path, array):
    path = tmp_path / "a.npy"
    np.save(path, array)
    with refuses(path, "booleans or numbers"):
        open_source(path)


def test_a_compressed_member_with_a_changed_bit(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(1000.0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with refuses(path, "."):
        open_source(path)


def test_archives_with_other_things(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CatalogError, match="without arrays"):
        open_source(path)


@pytest.mark.parametrize("codec", ["codecs", "compressor", "filters"])
def test_zarr_chunks_are_never_unpickled(tmp_path, codec):
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(json.dumps({codec: [{"id": "pickle"}]}))
    with refuses(path, "pickle"):
        open_source(path)


def test_a_zarr_group_is_no_array(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_group(str(tmp_path / "a.zarr"))
    with refuses(tmp_path / "a.zarr", "."):
        open_source(tmp_path / "a.zarr")


@pytest.mark.parametrize("content", [b"", b"abc"])
def test_a_zarr_chunk_that_is_cut(tmp_path, whole, content):
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    save(path, whole[0], whole[1].items())
    (path / "c" / "0" / "0").write_bytes(content)
    _, stored = open_source(path, tile=2)
    with refuses(path, "its chunk c/0/0 is cut or damaged", (0, 0)):
        stored.read((0, 0))
    with refuses(path, "its chunk c/0/0 is cut or damaged"):
        stored.read_window((slice(0, 4), slice(0, 4)))  # over several chunks
    np.testing.assert_array_equal(stored.read((1, 1)), whole[1][1, 1])
