"""What is saved comes back: bits, dtypes, keys, holes, ragged edges."""

import tempfile
from dataclasses import replace
from itertools import count
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.long import examples
from tra.algebra.live import live_keys, required
from tra.algebra.live_rules import with_live
from tra.algebra.sources import tensor_type
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, RelType, as_link
from tra.backends.storage import open_source, save
from tra.backends.storage.tile_check import shape_at
from tra.errors import CatalogError, SchemaError

PAIR = np.dtype([("value", "f4"), ("index", "i8")])
NUMBERS = [np.dtype(t) for t in ("f8", "f4", "f2", "i8", "i4", "u1", "?", "c8", "c16")]
ANY = [*NUMBERS, PAIR, np.dtype("g")]
NAMES = ["i", "j", "tile", "ключ", "a b"]


def bits(shape, dtype, rng):
    """An array of random bits: NaNs with payloads, infinities and negative zeros among them."""
    size = prod(shape)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    return np.frombuffer(rng.bytes(size * dtype.itemsize), dtype).reshape(shape)


@st.composite
def dense_types(draw, dtypes=ANY):
    """Types with free keys, plain cuts, cuts by two keys, uncut axes, zero extents."""
    names, axes, domains = list(draw(st.permutations(NAMES))), [], {}
    for _ in range(draw(st.integers(0, 3))):
        extent, size = draw(st.integers(0, 7)), draw(st.integers(1, 4))
        size, n_keys = min(size, extent), draw(st.integers(0, 2))
        n_tiles = -(-extent // size) if size else 1
        if n_keys == 0 or len(names) < n_keys:
            axes.append(Axis(extent, (), extent))
        elif n_keys == 1:
            domains[name := names.pop()] = n_tiles
            axes.append(Axis(size, ((name, 1),), extent))
        else:
            high, low = names.pop(), names.pop()
            domains[high], domains[low] = -(-n_tiles // 2), 2
            axes.append(Axis(size, as_link({high: 2, low: 1}), extent))
    for name in names[: draw(st.integers(0, 1))]:
        domains[name] = draw(st.integers(1, 3))
    keys = tuple(Key(name, domains[name]) for name in draw(st.permutations(list(domains))))
    return required(RelType(keys, tuple(axes), draw(st.sampled_from(dtypes)), Box(())))


@st.composite
def types(draw):
    """Dense types, and some with holes: ranges, listed keys, nothing at all."""
    type_ = draw(dense_types())
    kind = draw(st.sampled_from(["dense", "range", "listed", "empty"]))
    if kind == "range" and type_.keys:
        return replace(type_, live=Box(tuple((min(1, k.domain - 1), k.domain) for k in type_.keys)))
    if kind in ("listed", "empty"):
        keys = live_keys(type_)
        kept = [kind == "listed" and draw(st.booleans()) for _ in keys]
        return with_live(type_, KeySet(keys[kept]))
    return type_


def tiles_of(type_, seed):
    """A tile of random bits at every live key, in random order."""
    rng = np.random.default_rng(seed)
    keys = rng.permutation(live_keys(type_)).tolist()
    return {tuple(key): bits(shape_at(type_, key), type_.dtype, rng) for key in keys}


def assert_stored(path, type_, tiles):
    source, stored = open_source(path)
    assert source.type == type_
    for key, tile in tiles.items():
        found = stored.read(key)
        assert (found.dtype, found.shape, found.tobytes()) == (type_.dtype, tile.shape, tile.tobytes())
        assert not found.flags.writeable and type(found) is np.ndarray


@pytest.fixture(scope="module")
def paths():
    """A new name in a folder of this module, with the suffix asked for."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        yield lambda suffix: Path(folder) / f"r{next(numbers)}{suffix}"


@pytest.mark.parametrize("suffix", [".tra", ".parquet"])
@given(type_=types(), seed=st.integers(0, 1 << 32))
@examples(120)
def test_any_relation_comes_back(paths, suffix, type_, seed):
    tiles = tiles_of(type_, seed)
    path = paths(suffix)
    save(path, type_, tiles.items())
    assert_stored(path, type_, tiles)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr"])
@given(
    shape=st.lists(st.integers(0, 6), max_size=3).map(tuple),
    size=st.integers(1, 4),
    dtype=st.sampled_from([*NUMBERS, PAIR]),
    seed=st.integers(0, 1 << 32),
)
@examples(50)
def test_whole_tensors_come_back(paths, suffix, shape, size, dtype, seed):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
        dtype = np.dtype("i4") if dtype == PAIR else dtype
    type_ = tensor_type(shape, dtype, tile=size)
    tiles = tiles_of(type_, seed)
    path = paths(suffix)
    save(path, type_, tiles.items())
    source, stored = open_source(path, tile=size)
    assert source.type == type_
    for key, tile in tiles.items():
        assert stored.read(key).tobytes() == tile.tobytes()
        assert not stored.read(key).flags.writeable


@given(type_=dense_types(dtypes=[np.dtype("f4")]), seed=st.integers(0, 1 << 32))
@examples(60)
def test_a_npy_file_is_the_whole_tensor(paths, type_, seed):
    tiles = tiles_of(type_, seed)
    path = paths(".npy")
    save(path, type_, tiles.items())
    whole = np.load(path)
    assert whole.shape == type_.shape
    for key, tile in tiles.items():
        columns = dict(zip(type_.names, key, strict=True))
        piece = whole[tuple(k for name, k in columns.items() if name not in type_.linked)]
        for place, axis in enumerate(type_.axes):
            start = axis.size * int(axis.offset(columns))
            piece = np.take(piece, range(start, start + tile.shape[place]), axis=place)
        assert piece.tobytes() == tile.tobytes()


@pytest.mark.parametrize("suffix", [".tra", ".parquet"])
def test_keys_that_only_the_run_knows_are_listed(paths, suffix):
    dense = tensor_type((6,), "f8", tile=2)
    open_type = replace(dense, live=AtMost(((0, 3),)))
    some, every = paths(suffix), paths(suffix)
    save(some, open_type, {(2,): np.ones(2)}.items())
    save(every, open_type, {(i,): np.ones(2) for i in range(3)}.items())
    assert open_source(some)[0].type == replace(dense, live=KeySet(np.array([[2]])))
    assert open_source(every)[0].type == dense


def test_domains_too_large_to_count(paths):
    keys = (Key("i", 1 << 40), Key("j", 1 << 40))
    live = KeySet(np.array([[5, 1 << 39], [1 << 39, 5]]))
    type_ = RelType(keys, (Axis(2, (), 2),), np.dtype("f8"), live)
    path = paths(".tra")
    tiles = tiles_of(type_, 0)
    save(path, type_, tiles.items())
    assert_stored(path, type_, tiles)


@pytest.mark.parametrize("suffix", [".tra", ".parquet"])
def test_many_batches(paths, suffix, monkeypatch):
    monkeypatch.setattr("tra.backends.storage.writer.BATCH_BYTES", 1000)
    monkeypatch.setattr("tra.backends.storage.table_reader.TableReader.kept_bytes", 2000)
    type_ = tensor_type((50, 33), "f8", tile=(8, 8))
    tiles = tiles_of(type_, 0)
    path = paths(suffix)
    save(path, type_, tiles.items())
    assert_stored(path, type_, tiles)


def test_buffers_are_bounded_over_all_shapes(paths, monkeypatch):
    monkeypatch.setattr("tra.backends.storage.relation_writer.BUFFER_BYTES", 500)
    type_ = tensor_type((50, 33), "f8", tile=(8, 8))
    tiles = tiles_of(type_, 0)
    path = paths(".tra")
    save(path, type_, tiles.items())
    assert_stored(path, type_, tiles)


def test_tiles_may_be_reused_by_who_made_them(paths):
    path, buffer = paths(".tra"), np.zeros(2)

    def tiles():
        for i in range(3):
            buffer[:] = i
            yield (i,), buffer

    save(path, tensor_type((6,), "f8", tile=2), tiles())
    assert [open_source(path)[1].read((i,)).tolist() for i in range(3)] == [[0, 0], [1, 1], [2, 2]]


def test_foreign_byte_order_and_strides_are_stored_plain(paths):
    type_ = tensor_type((4, 3), ">f4", tile=(2, 3))
    tiles = {(0, 0): np.asfortranarray(np.arange(6.0).reshape(2, 3).astype(">f4")),
             (1, 0): np.ones((4, 6), "f4")[::2, ::2]}  # fmt: skip
    path = paths(".tra")
    save(path, type_, tiles.items())
    source, stored = open_source(path)
    assert source.type.dtype == np.dtype("f4") and source.type.dtype.isnative
    assert stored.read((0, 0)).tolist() == [[0, 1, 2], [3, 4, 5]]


@st.composite
def holed_tensors(draw):
    """Tensors some of whose tiles are holes, each key cutting the axis of its place."""
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))
    names = draw(st.permutations(NAMES))[: len(shape)]
    dense = tensor_type(shape, draw(st.sampled_from(NUMBERS)), keys=names, tile=draw(st.integers(1, 4)))
    keys = live_keys(dense)
    return with_live(dense, KeySet(keys[[draw(st.booleans()) for _ in keys]]))


@given(type_=holed_tensors(), seed=st.integers(0, 1 << 32))
@examples(50)
def test_holes_come_back_from_zarr(paths, type_, seed):
    zarr = pytest.importorskip("zarr")
    tiles, path = tiles_of(type_, seed), paths(".zarr")
    save(path, type_, tiles.items())
    source, stored = open_source(path)
    if isinstance(type_.live, KeySet):
        assert source.type == type_
    else:  # a whole tensor, whose tiles the engine chooses
        source, stored = open_source(path, tile=[axis.size for axis in type_.axes])
        assert source.type == type_
    for key, tile in tiles.items():
        assert stored.read(key).tobytes() == tile.tobytes()
    whole = zarr.open_array(str(path), mode="r")
    assert whole.metadata.dimension_names == type_.names
    expected = np.zeros(type_.shape, type_.dtype)
    for key, tile in tiles.items():
        expected[type_.tile_window(key)] = tile
    assert whole[...].tobytes() == expected.tobytes()


def test_zarr_holes_say_so(paths):
    pytest.importorskip("zarr")
    dense = tensor_type((4, 3), "f8", keys=("a", "b"), tile=2)
    type_ = with_live(dense, KeySet(live_keys(dense)[1:3]))
    path = paths(".zarr")
    save(path, type_, tiles_of(type_, 0).items())
    with pytest.raises(CatalogError, match=r"tile at key \(0, 0\) of .* there is no tile at this key"):
        open_source(path)[1].read((0, 0))
    assert open_source(path, keys=("x", "y"), tile=2)[0].type.names == ("x", "y")
    with pytest.raises(SchemaError, match="not in tiles of 3"):
        open_source(path, tile=3)


def test_names_of_dimensions_are_keys(paths):
    zarr = pytest.importorskip("zarr")
    path = str(paths(".zarr"))
    made = zarr.create_array(path, shape=(4, 3), dtype="f8", dimension_names=("time", "place"))
    made[...] = 1
    assert open_source(path)[0].type.names == ("time", "place")
    assert open_source(path, keys=("i", "j"))[0].type.names == ("i", "j")


@pytest.mark.parametrize("damage", [lambda t: t.replace("0", "9"), lambda t: "{}", lambda t: t[:-2]])
def test_zarr_attributes_of_others(paths, damage):
    zarr = pytest.importorskip("zarr")
    dense = tensor_type((4, 3), "f8", tile=2)
    type_ = with_live(dense, KeySet(live_keys(dense)[1:3]))
    path = paths(".zarr")
    save(path, type_, tiles_of(type_, 0).items())
    array = zarr.open_array(str(path), mode="r+")
    array.attrs["tra"] = damage(array.attrs["tra"])
    with pytest.raises(CatalogError, match=f"cannot read {path}"):
        open_source(path)
