"""The memory contract: a process of its own runs within its limit, and is watched from here."""

import json
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import tra
from tests.backends.memory_child import TILE, N, two_layers
from tests.long import LONG
from tra.algebra.optimizers import SGD
from tra.backends import memory
from tra.backends.passes import limit
from tra.errors import MemoryLimitError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def most_resident(pid):
    """The most bytes that a process ever had in memory."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def run(case, folder):
    """What a child says, and the most memory that was seen."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.backends.memory_child", case, str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen = 0
    while child.poll() is None:
        seen = max(seen, most_resident(child.pid))
        time.sleep(0.01)
    said, complained = child.communicate()
    assert child.returncode == 0, complained
    return json.loads(said.splitlines()[-1]), seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of 32 MB, each more than half of what a process may take beside the interpreter."""
    made = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    for name in "ABC":
        np.save(made / f"{name}.npy", rng.standard_normal((N, N)))
    X = rng.standard_normal((20_000, 400))  # 64 MB
    np.save(made / "X.npy", X)
    np.save(made / "Y.npy", np.tanh(X[:, :4]))
    with tra.connect("local", threads=1, progress=False) as session:
        for name in "AB":
            session.save(tra.open(made / f"{name}.npy", tile=TILE), made / f"{name}.tra")
        session.save(tra.open(made / "A.npy", tile=TILE), made / "A.parquet")
    return made


def loaded(folder, *names):
    return [np.load(folder / f"{name}.npy") for name in names]


@pytest.mark.parametrize("which", ["npy", "lent", "tra", "zarr"] if LONG else ["npy", "zarr"])
def test_a_product_from_disk_to_disk(folder, which):
    if which == "zarr":
        zarr = pytest.importorskip("zarr")
        for name in "AB":
            array = np.load(folder / f"{name}.npy")
            made = zarr.create_array(
                folder / f"{name}.zarr", shape=array.shape, chunks=(TILE, TILE), dtype="f8", compressors=None
            )
            made[:] = array
    said, seen = run(f"product {which}", folder)
    assert seen <= said["limit"]
    assert abs(said["predicted"] - seen) <= 0.2 * seen
    A, B = loaded(folder, "A", "B")
    with tra.connect("local", threads=1):
        found = tra.open(folder / f"out.{'npy' if which == 'lent' else which}").compute()
    np.testing.assert_allclose(found, A @ B, atol=1e-9)


@pytest.mark.parametrize("to", ["npy", "parquet"])
def test_parquet_within_a_limit(folder, to):
    source = {"npy": "parquet", "parquet": "npy"}[to]
    said, seen = run(f"doubled {source} {to}", folder)
    assert seen <= said["limit"]
    assert 0.95 * seen <= said["predicted"] <= 1.25 * seen  # a process grows a little after it was planned
    (A,) = loaded(folder, "A")
    with tra.connect("local", threads=1):
        np.testing.assert_array_equal(tra.open(folder / f"out.{to}").compute(), 2 * A)


def test_a_chain_of_products_waits_on_disk(folder):
    said, seen = run("chain", folder)
    assert seen <= said["limit"] and said["passes"] > 1 and said["spilled"] >= 8 * N * N
    A, B, C = loaded(folder, "A", "B", "C")
    np.testing.assert_allclose(np.load(folder / "out.npy"), np.maximum(A @ B, 0) @ C, atol=1e-8)


@pytest.mark.parametrize("batch", ["", "2000"])
@pytest.mark.parametrize("which", ["", "lent"] if LONG else [""])
def test_an_epoch_over_data_larger_than_the_limit(folder, batch, which):
    said, seen = run(f"train {batch} {which}", folder)
    assert seen <= said["limit"]
    X, Y = loaded(folder, "X", "Y")
    rng = np.random.default_rng(1)
    start = {"W1": rng.normal(size=(400, 64)) / 20, "W2": rng.normal(size=(64, 4)) / 8}
    with tra.connect("local", threads=2, progress=False) as session:
        more = {"batch": int(batch)} if batch else {}
        made = session.train(two_layers, start, SGD(rate=0.1), data=[X, Y], epochs=2, **more)
        np.testing.assert_allclose(said["losses"], made.losses, rtol=1e-9)
        with np.load(folder / "out.npz") as found:
            for name, value in made.parameters.items():
                np.testing.assert_allclose(found[name], value.compute(), rtol=1e-6, atol=1e-9)


def test_a_result_that_is_too_large_must_be_saved(folder, tmp_path):
    A, B = (tra.open(folder / f"{name}.npy", tile=TILE) for name in "AB")
    with (
        patch.object(limit, "_baseline", lambda query: 0),  # a process of tests gives back what it likes
        tra.connect("local", threads=1, memory_limit=30 * 10**6) as session,
    ):
        with pytest.raises(MemoryLimitError, match=r"(?s)memory_limit=\d+ would do.*saved to a file"):
            session.compute(A @ B)
        session.save(A @ B, tmp_path / "C.npy")


def test_what_can_be_let_go_of_is_no_part_of_the_process(folder):
    A = tra.open(folder / "A.parquet")
    with tra.connect("local", threads=1, progress=False):
        A.compute()
    reader = A.sources[A.expr.id]._reader()
    assert reader._kept >= 8 * N * N
    before = memory.resident()
    with (
        patch("tra.backends.connect.INTERPRETER", 0),
        tra.connect("local", threads=1, memory_limit="1MB", progress=False) as session,
        pytest.raises(MemoryLimitError, match=r"are the process as it is and .* are for writing the result"),
    ):
        session.save(A, folder / "none.parquet")
    assert not reader._kept and memory.resident() < before - 4 * N * N


def test_nothing_is_written_where_nothing_fits(folder, tmp_path):
    A = tra.open(folder / "A.npy", tile=TILE)
    with (
        tra.connect("local", threads=1, memory_limit="20MB") as session,
        pytest.raises(MemoryLimitError, match="would do"),
    ):
        session.save(A @ A, tmp_path / "C.npy")
    assert not list(tmp_path.iterdir())
