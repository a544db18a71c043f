"""Files that are replaced between opening and computing: the numbers that were opened, or an error."""

import os
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import tra
from tra.algebra.optimizers import SGD
from tra.backends.batches import gather
from tra.backends.passes import limit
from tra.backends.storage import open_files
from tra.backends.storage.location import locate
from tra.backends.storage.plain_files import PlainArray
from tra.errors import CatalogError

OLD = np.arange(600.0).reshape(30, 20)
NEW = OLD + 1000


def replace(path, array, as_old=True):
    """Puts another array in the place of one, if asked for with its times."""
    before = path.stat()
    other = path.with_name(f"other{path.suffix}")
    if path.suffix == ".npz":
        np.savez(other, x=array)
    else:
        np.save(other, array)
    if as_old:
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def stored(folder, suffix=".npy"):
    path = folder / f"x{suffix}"
    if suffix == ".npz":
        np.savez(path, x=OLD)
    else:
        np.save(path, OLD)
    return path


@pytest.fixture(params=[None, 10**8], ids=["no limit", "limit"])
def session(request):
    with (
        patch.object(limit, "_baseline", lambda query: 0),
        tra.connect("local", threads=2, memory_limit=request.param, progress=False) as opened,
    ):
        yield opened


@pytest.mark.parametrize(
    "lent",
    [
        lambda x: x,
        lambda x: x[3:, 2:],
        lambda x: x.T,
        lambda x: x[::-1, ::2],
        np.asarray,
        lambda x: x.view(np.ndarray)[:, 1:],
    ],
)
@pytest.mark.parametrize("as_old", [True, False])
def test_a_map_that_was_lent_is_what_it_was(tmp_path, session, lent, as_old):
    path = stored(tmp_path)
    A = tra.from_array(lent(np.load(path, mmap_mode="r")), tile=7)
    replace(path, NEW, as_old)
    np.testing.assert_array_equal(session.compute(A + 0)[0], lent(OLD))


def test_rows_of_a_map_that_was_lent(tmp_path):
    path = stored(tmp_path)
    X = tra.from_array(np.load(path, mmap_mode="r"), name="X")
    replace(path, NEW)
    found = {}
    for given in (None, 10**8):
        with (
            patch.object(limit, "_baseline", lambda query: 0),
            tra.connect("local", threads=1, memory_limit=given, progress=False) as opened,
        ):
            made = opened.train(
                lambda p, X: ((X @ p["w"]) ** 2).mean() * 1e-6,
                {"w": np.ones((20, 1))}, SGD(rate=0.1), data=[X], batch=7, epochs=1,
            )  # fmt: skip
            found[given] = made.losses, made.parameters["w"].compute()
    (losses, weights), (within, weights_within) = found.values()
    np.testing.assert_allclose(within, losses)
    np.testing.assert_allclose(weights_within, weights)
    assert losses[0] < 1e-6 * (OLD.sum(axis=1) ** 2).max()  # those of the new rows are larger


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("as_old", [True, False])
def test_a_file_that_was_opened_is_refused(tmp_path, session, suffix, as_old):
    path = stored(tmp_path, suffix)
    A = tra.open(path, tile=7)
    replace(path, NEW, as_old)
    with pytest.raises(CatalogError, match="changed since it was opened"):
        session.compute(A + 0)
    np.testing.assert_array_equal(session.compute(tra.open(path, tile=7) + 0)[0], NEW)


def test_rows_of_a_file_that_was_opened_are_refused(tmp_path):
    path = stored(tmp_path)
    A = tra.open(path, tile=7)
    source, rows = A.sources[A.expr.id], np.array([4, 2])
    np.testing.assert_array_equal(gather(source, A.expr.type, rows, [slice(0, 20)]), OLD[rows])
    replace(path, NEW)
    with pytest.raises(CatalogError, match="changed since it was opened"):
        gather(source, A.expr.type, rows, [slice(0, 20)])


def test_a_file_that_is_replaced_in_the_middle_of_a_run(tmp_path):
    path = stored(tmp_path)
    A, read = tra.open(path, tile=7), PlainArray.read

    def read_then_replace(array, window, out):
        replace(path, NEW)
        read(array, window, out)
        assert out.max() < 600

    with (
        patch.object(PlainArray, "read", read_then_replace),
        patch.object(limit, "_baseline", lambda query: 0),
        patch("tra.backends.connect.INTERPRETER", 0),
        tra.connect("local", threads=1, memory_limit=4000, progress=False) as opened,
        pytest.raises(CatalogError, match="changed since it was opened"),
    ):
        assert opened.explain(A.sum(axis=0)).to_dict()["passes"][0]["loops"]
        opened.compute(A.sum(axis=0))


def test_a_file_that_is_replaced_while_it_is_opened(tmp_path):
    path = stored(tmp_path)
    with pytest.raises(ValueError, match="changed since it was opened"):
        open_files.opened(locate(path), lambda _: replace(path, NEW))


def test_rows_of_a_map_are_gathered_from_the_same_file(tmp_path):
    path = stored(tmp_path)
    with path.open("rb") as file:
        array = PlainArray(file, OLD.dtype, path.stat().st_size - OLD.nbytes, OLD.shape)
    replace(path, NEW)
    out = np.empty((2, 3))
    array.read_rows([5, 1], [slice(2, 5)], out)
    np.testing.assert_array_equal(out, OLD[[5, 1], 2:5])
    np.testing.assert_array_equal(array[5:7], OLD[5:7])


def test_a_zarr_array_that_is_replaced_while_a_tile_is_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "x.zarr"

    def store(at, array):
        zarr.create_array(at, shape=array.shape, chunks=(10, 10), dtype="f8")[:] = array

    store(path, OLD)
    A = tra.open(path, tile=10)
    source, find = A.sources[A.expr.id], zarr.Array.__getitem__

    def find_late(array, window):
        if not (tmp_path / "old.zarr").exists():
            path.rename(tmp_path / "old.zarr")
            store(path, NEW)
        return find(array, window)

    with (
        patch.object(zarr.Array, "__getitem__", find_late),
        pytest.raises(CatalogError, match="changed since"),
    ):
        source.read((0, 0))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="shows what is open")
@pytest.mark.parametrize("suffix", [".npy", ".tra"])
def test_files_that_were_replaced_are_closed(tmp_path, suffix):
    def n_open():
        """Those of this test: a process of tests opens and closes others."""
        links = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
        maps = Path("/proc/self/maps").read_text()
        return sum(str(tmp_path) in link for link in links), maps.count(str(tmp_path))

    found = []
    with tra.connect("local", threads=1, progress=False) as opened:
        for n in range(6):
            opened.save(tra.from_array(OLD + n, tile=10), tmp_path / f"x{suffix}")
            (total,) = opened.compute(tra.open(tmp_path / f"x{suffix}").sum())
            assert total == (OLD + n).sum()
            found.append(n_open())
    assert found[-1] == found[1]
