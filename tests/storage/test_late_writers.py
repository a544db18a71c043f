"""Writers of parts whose work somebody else has done meanwhile, or nobody wants any more."""

import os
from unittest.mock import patch

import numpy as np
import pytest

from tra.algebra.sources import tensor_type
from tra.backends.storage import open_source, places, save, tile_writer
from tra.backends.storage.put_in_place import put_in_place
from tra.errors import CatalogError

TYPE = tensor_type((5, 4), "f8", ("i", "j"), 2)
WHOLE = np.arange(20.0).reshape(5, 4)
KEYS = [(i, j) for i in range(3) for j in range(2)]
SUFFIXES = [".npy", ".npz", ".tra", ".zarr"]


def tile(key, array=WHOLE):
    return array[TYPE.tile_window(key)]


def tiles(array=WHOLE, after=(), then=lambda: None):
    """All tiles; something happens before the last of them."""
    for key in KEYS:
        if key == KEYS[-1]:
            then()
        yield key, tile(key, array)


def read(path):
    source, stored = open_source(path, **({} if path.suffix == ".tra" else {"tile": 2}))
    assert source.type == TYPE or path.suffix != ".tra"
    return {key: stored.read(key).tolist() for key in KEYS}


EXPECTED = {key: tile(key).tolist() for key in KEYS}


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    return tmp_path / f"x{request.param}"


def test_a_part_whose_client_has_given_up_leaves_nothing(path):
    writer = tile_writer(path, TYPE)
    writer.__enter__()
    part = writer.part("0-0")

    def give_up():
        writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert not list(path.parent.iterdir())

    if path.suffix in (".npy", ".npz"):
        part.write_all(tiles(then=give_up))  # into a file that has no name any more
    else:
        with pytest.raises(CatalogError, match="cannot write"):
            part.write_all(tiles(then=give_up))
    with pytest.raises(CatalogError, match="cannot write"):
        part.write_all(tiles())
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("is_there", [False, True])
def test_a_part_that_is_late_changes_nothing(path, is_there):
    if is_there:
        save(path, TYPE, tiles(WHOLE + 1))
    with tile_writer(path, TYPE) as out:
        part = out.part("0-0")
        out.accept_part(part.write_all(tiles()))
    files = sorted(other.name for other in path.parent.rglob("*"))
    with pytest.raises(CatalogError, match="cannot write"):
        part.write_all(tiles(WHOLE + 2))
    assert sorted(other.name for other in path.parent.rglob("*")) == files
    assert read(path) == EXPECTED


@pytest.mark.parametrize("is_there", [False, True])
def test_a_part_that_is_written_twice(path, is_there):
    """The first writer is still at it when the second has finished, and ends after all is in place."""
    if is_there:
        save(path, TYPE, tiles(WHOLE + 1))
    out = tile_writer(path, TYPE)
    out.__enter__()
    part = out.part("0-0")

    def finish():
        out.accept_part(part.write_all(tiles()))
        out.__exit__(None, None, None)
        assert read(path) == EXPECTED

    try:
        part.write_all(tiles(then=finish))
    except CatalogError:
        assert path.suffix in (".tra", ".zarr")
    assert read(path) == EXPECTED
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    if path.suffix == ".tra" and not is_there:
        assert {other.name for other in path.iterdir()} == {"part-0.arrow", "part-1.arrow", "manifest.json"}
    if path.suffix == ".zarr":
        assert {other.name for other in path.rglob("*")} == {"zarr.json", "c", "0", "1", "2"}


def test_a_chunk_that_is_being_written_when_the_array_is_put_in_place(tmp_path):
    pytest.importorskip("zarr")
    from tra.backends.storage import chunk_store

    path, write = tmp_path / "x.zarr", chunk_store._write
    with tile_writer(path, TYPE) as out:
        part = out.part("0-0")
        out.accept_part(part.write_all(tiles()))
        late = out.part("0-0")
        temporary = late.path

    def write_then_move(folder, name, content):
        write(folder, name, content)
        if temporary.exists():
            temporary.rename(path)

    path.rename(temporary)
    with (
        patch.object(chunk_store, "_write", write_then_move),
        pytest.raises(CatalogError, match="cannot write"),
    ):
        late.write_all(tiles())
    assert read(path) == EXPECTED
    assert not list(path.rglob(".*"))


def inodes(folder):
    return {other.stat().st_ino for other in (folder, *folder.rglob("*"))}


@pytest.fixture
def synced():
    """What was brought to the disk."""
    found, sync = set(), os.fsync

    def note(number):
        sync(number)
        found.add(os.fstat(number).st_ino)

    with patch.object(os, "fsync", note):
        yield found


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr"])
@pytest.mark.parametrize("by_parts", [False, True])
def test_everything_is_on_the_disk_before_it_is_named(tmp_path, synced, suffix, by_parts):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    missing = []

    def check(temporary, target):
        missing.append(inodes(temporary) - synced)
        put_in_place(temporary, target)

    with patch.object(places, "put_in_place", check), tile_writer(tmp_path / f"x{suffix}", TYPE) as out:
        if by_parts:
            out.accept_part(out.part("0-0").write_all(tiles()))
        else:
            out.write_all(tiles())
    assert missing == [set()]


def test_chunks_are_on_the_disk_when_their_part_is_written(tmp_path, synced):
    pytest.importorskip("zarr")
    with tile_writer(tmp_path / "x.zarr", TYPE) as out:
        out.accept_part(out.part("0-0").write_all(tiles()))
        chunks = inodes(out.place.temporary / "c")
        assert len(chunks) == 1 + 3 + 6 and chunks <= synced
