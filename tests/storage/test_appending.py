"""Appending, and writers of one relation at the same time."""

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.live import live_keys
from tra.algebra.sources import tensor_type
from tra.algebra.tiles_type import tiles_type
from tra.backends.storage import open_source, save
from tra.backends.storage.relation_folder import locked
from tra.errors import CatalogError, SchemaError


def rows(values, size=2, start=0):
    """A relation of rows whose tile keys begin at `start`."""
    values = np.asarray(values, "f8")
    tiles = {(start + n,): values[n * size : (n + 1) * size] for n in range(-(-len(values) // size))}
    extent = start * size + len(values)
    return tra.from_tiles(tiles, keys="i", axes=[tra.Axis(size, (("i", 1),), extent)])


def test_rows_that_arrive_later(tmp_path):
    path = tmp_path / "x.tra"
    rows([1, 2, 3, 4]).save(path, append=True)
    rows([5, 6, 7], start=2).save(path, append=True)
    stored = tra.open(path)
    assert str(stored.expr.type) == "[i:4] of 2/7 float64"
    assert stored.compute().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert (stored * 2).sum().compute() == 56


def test_holes_may_be_filled_in_any_order(tmp_path):
    path = tmp_path / "x.tra"
    for key in [(2, 0), (0, 1), (1, 1)]:
        tiles = {key: np.full((2, 2), sum(key))}
        save(path, tiles_type(tiles, ("i", "j"), domain=(3, 2)), tiles.items(), append=True)
    source, stored = open_source(path)
    assert live_keys(source.type).tolist() == [[0, 1], [1, 1], [2, 0]]
    assert stored.read((1, 1)).tolist() == [[2, 2], [2, 2]]


@given(data=st.data())
@examples(40)
def test_any_partition_of_the_tiles_appends_to_the_whole(tmp_path_factory, data):
    shape = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 5)))
    type_ = tensor_type(shape, "f4", tile=(2, 3))
    array = np.random.default_rng(0).normal(size=shape).astype("f4")
    keys = data.draw(st.permutations([tuple(key) for key in live_keys(type_).tolist()]))
    kept = keys[: data.draw(st.integers(1, len(keys)))]
    path = tmp_path_factory.mktemp("append") / "x.tra"
    while kept:
        n = data.draw(st.integers(1, len(kept)))
        some, kept = kept[:n], kept[n:]
        tiles = {key: array[type_.tile_window(key)] for key in some}
        given_type = tiles_type(tiles, type_.names, axes=type_.axes, domain=type_.domains)
        save(path, given_type, tiles.items(), append=True)
    _, stored = open_source(path)
    for key in keys[: len(live_keys(open_source(path)[0].type))]:
        assert stored.read(key).tobytes() == array[type_.tile_window(key)].tobytes()


@pytest.mark.parametrize(
    "other, message",
    [
        (rows([9], start=1), r"there is a tile at key \(1,\) already"),
        (rows([9], start=2), r"tile at key \(1,\) is \(1,\), and would be \(2,\)"),
        (rows([9, 9, 9], size=3, start=2), "tile sizes"),
        (rows([9], start=2).astype("f4"), "dtypes"),
        (tra.from_tiles({(5, 5): np.ones((2, 2))}, keys=("i", "j")), "keys"),
    ],
)
def test_what_does_not_fit_leaves_what_is_there(tmp_path, other, message):
    path = tmp_path / "x.tra"
    rows([1, 2, 3]).save(path)
    before = sorted(path.iterdir())
    with pytest.raises(SchemaError, match=message):
        other.save(path, append=True)
    assert [file for file in sorted(path.iterdir()) if file.name != ".lock"] == before
    assert tra.open(path).compute().tolist() == [1, 2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["x.tra"]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet", ".zarr"])
def test_other_formats_do_not_grow(tmp_path, suffix):
    with pytest.raises(CatalogError, match=f"cannot append to .*x{suffix}"):
        rows([1.0]).save(tmp_path / f"x{suffix}", append=True)


def test_many_append_at_once(tmp_path):
    path = tmp_path / "x.tra"

    def append(n):
        tiles = {(n,): np.full(3, n, "f8")}
        save(path, tiles_type(tiles, ("i",), axes=(tra.Axis(3, (("i", 1),), 3 * n + 3),), domain=(n + 1,)),
             tiles.items(), append=True)  # fmt: skip

    # In key order a later extent never makes an earlier tile longer; threads may come in any.
    threads = [threading.Thread(target=append, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tra.open(path).compute().tolist() == np.repeat(np.arange(12.0), 3).tolist()
    assert [file.name for file in tmp_path.iterdir()] == ["x.tra"]


def test_many_overwrite_at_once_and_others_read(tmp_path):
    path, type_ = tmp_path / "x.tra", tensor_type((50, 20), "f8", tile=(7, 7))
    keys = [tuple(key) for key in live_keys(type_).tolist()]

    def write(value):
        for _ in range(5):
            save(
                path,
                type_,
                ((k, np.full([w.stop - w.start for w in type_.tile_window(k)], value)) for k in keys),
            )

    write(0.0)
    threads = [threading.Thread(target=write, args=(float(n),)) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    found = 0
    while any(thread.is_alive() for thread in threads):
        try:
            _, stored = open_source(path)
            values = {float(v) for key in keys for v in np.unique(stored.read(key))}
        except CatalogError:  # it was replaced between two tiles
            continue
        assert len(values) == 1
        found += 1
    for thread in threads:
        thread.join()
    listed = {part["file"] for part in json.loads((path / "manifest.json").read_text())["parts"]}
    assert {file.name for file in path.glob("part-*")} == listed
    assert found or values


def test_a_writer_that_never_ends_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    path = tmp_path / "x.tra"
    rows([1.0]).save(path)
    monkeypatch.setattr("tra.backends.storage.relation_folder.LOCK_SECONDS", 0.05)
    with locked(path), pytest.raises(CatalogError, match=r"x.tra is being written by another"):
        rows([2.0]).save(path)
    assert tra.open(path).compute().tolist() == [1.0]
