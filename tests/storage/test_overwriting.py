"""A result is not saved over what it is read from, in Python as in text, nor where nothing can be written."""

import numpy as np
import pytest

import tra
from tra.errors import CatalogError

SUFFIXES = [".npy", ".npz", ".tra", ".parquet", ".zarr"]


@pytest.fixture(params=SUFFIXES)
def stored(request, tmp_path):
    if request.param == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"q{request.param}"
    with tra.connect("local", threads=1):
        tra.from_array(np.arange(6.0).reshape(2, 3), name="q").save(path)
        yield path


def test_a_result_is_not_saved_over_what_it_reads(stored, tmp_path):
    B = tra.open(stored)
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (stored, str(stored), stored.parent / "." / stored.name, tmp_path / "link" / stored.name):
        with pytest.raises(CatalogError, match=r"is read from .*, and would be written over it\n  hint: "):
            (B * 2).save(path)
    with pytest.raises(CatalogError, match="would be written over it"):
        tra.sql(f"SAVE C TO '{stored}';", allow=tmp_path, C=B + 1)
    np.testing.assert_array_equal(B.compute(), np.arange(6.0).reshape(2, 3))


def test_what_is_kept_elsewhere_may_be_saved_there(stored):
    doubled = tra.from_array((tra.open(stored) * 2).compute())
    doubled.save(stored)
    np.testing.assert_array_equal(tra.open(stored).compute(), doubled.compute())
    kept = (tra.open(stored) * 2).persist()
    kept.save(stored)
    np.testing.assert_array_equal(tra.open(stored).compute(), kept.compute())


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.tra", "x.parquet"])
def test_a_folder_that_takes_no_files(name):
    with pytest.raises(
        CatalogError, match=rf"^cannot write /proc/{name}: (no file can be made in /proc|permission)"
    ):
        tra.from_array([1.0]).save(f"/proc/{name}")
    with pytest.raises(CatalogError, match=rf"^cannot write /nowhere/{name}: there is no folder /nowhere"):
        tra.from_array([1.0]).save(f"/nowhere/{name}")
