"""What lies in a folder and leads out of it, never ends, or is no file: never followed or waited for."""

import os

import numpy as np
import pytest

import tra
from tra.errors import CatalogError

TRAINING = """INITIALIZE w() ZEROS; LET loss = MEAN((x[n] * w - 2 * x[n]) ^ 2);
TRAIN w MINIMIZE loss USING SGD(0.1) FOR {} EPOCHS CHECKPOINT TO 'run';"""


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"SECRETS!" * 4)
    return path


def make(path, what, secret):
    """Puts something else in the place of a file."""
    if path.exists():
        path.unlink()
    match what:
        case "link":
            path.symlink_to(secret)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "device"])
@pytest.mark.parametrize("name", ["c/0", "c/1", "zarr.json"])
def test_files_of_zarr(tmp_path, secret, name, what):
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    with tra.connect("local", threads=1):
        tra.from_array(np.arange(8.0), tile=4).save(path)
        make(path / name, what, secret)
        with pytest.raises(CatalogError, match=r"is a link|is no file|is no relation"):
            tra.open(path).compute()
    assert secret.read_bytes() == b"SECRETS!" * 4


def test_a_folder_of_chunks_elsewhere(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    with tra.connect("local", threads=1):
        tra.from_array(np.arange(8.0), tile=4).save(path)
        (path / "c").rename(tmp_path / "chunks")
        (path / "c").symlink_to(tmp_path / "chunks")
        with pytest.raises(CatalogError, match="c/0 lies outside of its folder"):
            tra.open(path).compute()


@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet", "tra", "zarr"])
@pytest.mark.parametrize("what", ["pipe", "device"])
def test_sources_and_targets_that_are_no_files(tmp_path, secret, suffix, what):
    if suffix == "zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"a.{suffix}"
    make(path, what, secret)
    with tra.connect("local", threads=1):
        with pytest.raises(CatalogError):
            tra.open(path)
        with pytest.raises(CatalogError):
            tra.from_array([1.0]).save(path)


NAMES = ["epoch-00000001", "epoch-00000001/manifest.json", "epoch-00000001/0.tra", ".lock"]


@pytest.mark.parametrize("name", NAMES)
def test_checkpoints(tmp_path, name):
    with tra.connect("local", threads=1) as session:
        session.sql(TRAINING.format(1), x=[1.0, 2.0], base=tmp_path)
        place = tmp_path / "run" / name
        if place.exists():
            place.rename(tmp_path / "elsewhere")
        else:
            (tmp_path / "elsewhere").write_text("root:secret:0")
        place.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(CatalogError, match="is a link, which is not followed") as caught:
            session.sql(TRAINING.format(2), x=[1.0, 2.0], base=tmp_path)
    assert "secret:0" not in str(caught.value)


def test_members_of_archives_are_never_unpacked(tmp_path):
    with tra.connect("local", threads=1):
        for name in ("../../out", "/out"):
            np.savez(tmp_path / "a.npz", **{name: np.ones(3)})
            assert tra.open(f"{tmp_path}/a.npz:{name}").compute().tolist() == [1, 1, 1]
            with pytest.raises(CatalogError, match="leads out of an archive"):
                tra.from_array([1.0]).save(f"{tmp_path}/b.npz:{name}")
    assert not (tmp_path.parent.parent / "out.npy").exists()


def test_keys_of_parquet_are_whole_numbers(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    with tra.connect("local", threads=1):
        tra.from_array(np.arange(4.0), tile=1).save(path)
    table = parquet.read_table(path)
    for number, column in enumerate([[0.0, 1.5, 2.0, 3.0], [0, None, 2, 3], list("0123")]):
        path = tmp_path / f"b{number}.parquet"
        parquet.write_table(table.set_column(0, "i", pa.array(column)), path)
        with pytest.raises(CatalogError, match="its keys i are no whole numbers, or some are missing"):
            tra.open(path).compute()
