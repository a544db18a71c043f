"""A product from tiles on disk to tiles on disk, by each system as it likes it best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

WORKERS = 2
ALLOWED = "1GB"  # of memory: for the process of tra where it has a limit, for each task of cubed


@dataclass(frozen=True)
class System:
    """One way from two files to a third.

    Attributes:
        reads: the suffix of the inputs.
        writes: the suffix of the output.
        run: writes the product of the files A and B of a folder to a path.
        needs: the package that it takes.
    """

    reads: str
    writes: str
    run: Callable[[Path, Path], None]
    needs: str = "numpy"

    @property
    def is_there(self) -> bool:
        """Claims that its package is installed."""
        return find_spec(self.needs) is not None and (
            ".zarr" not in (self.reads, self.writes) or find_spec("zarr") is not None
        )


# -- files ----------------------------------------------------------------------------------------


def write_inputs(folder: Path, n: int, chunk: int) -> None:
    """A and B, n×n float64, in every format that somebody reads; where there are chunks, of one size."""
    rng = np.random.default_rng(0)
    for name in "AB":
        array = rng.standard_normal((n, n))
        np.save(folder / f"{name}.npy", array)
        if find_spec("zarr"):
            _new_zarr(folder / f"{name}.zarr", n, chunk)[:] = array
        if find_spec("blosc2"):
            import blosc2

            path, edge = str(folder / f"{name}.b2nd"), min(chunk, n)
            blosc2.asarray(array, urlpath=path, mode="w", chunks=(edge, edge), cparams={"clevel": 0})


def read_rows(path: Path, rows: list[int]) -> np.ndarray:
    """Some rows of a result."""
    if path.suffix == ".npy":
        return np.array(np.load(path, mmap_mode="r")[rows])
    if path.suffix == ".zarr":
        import zarr

        return np.stack([np.asarray(zarr.open_array(path, mode="r")[row]) for row in rows])
    if path.suffix == ".b2nd":
        import blosc2

        return np.stack([blosc2.open(str(path))[row] for row in rows])
    import tra

    with tra.connect("local", threads=1) as session:
        return np.stack([session.compute(tra.open(path)[row])[0] for row in rows])


def _new_zarr(path: Path, n: int, chunk: int) -> Any:
    """An empty array that is not compressed: numbers without a pattern do not get smaller."""
    import zarr

    return zarr.create_array(
        path, shape=(n, n), chunks=(min(chunk, n),) * 2, dtype="f8", compressors=None, overwrite=True
    )


# -- systems --------------------------------------------------------------------------------------


def _tra(suffix: str, limit: str | None = None) -> Callable[[Path, Path], None]:
    def run(folder: Path, out: Path) -> None:
        import tra

        A, B = (tra.open(folder / f"{name}{suffix}") for name in "AB")
        with tra.connect("local", threads=WORKERS, memory_limit=limit, progress=False) as session:
            session.save(A @ B, out)

    return run


def _numpy(folder: Path, out: Path) -> None:
    A, B = (np.load(folder / f"{name}.npy") for name in "AB")
    np.save(out, A @ B)


def _dask(folder: Path, out: Path) -> None:
    import dask
    import dask.array as da
    from threadpoolctl import threadpool_limits

    A, B = (da.from_zarr(str(folder / f"{name}.zarr")) for name in "AB")
    target = _new_zarr(out, A.shape[0], A.chunksize[0])
    with threadpool_limits(1, "blas"), dask.config.set(scheduler="threads", num_workers=WORKERS):
        da.store(A @ B, target, lock=False)


def _cubed(folder: Path, out: Path) -> None:
    import cubed
    import cubed.array_api as xp
    from threadpoolctl import threadpool_limits

    spec = cubed.Spec(
        str(out.parent / "cubed"), allowed_mem=ALLOWED, executor_name="threads", zarr_compressor=None,
        executor_options={"max_workers": WORKERS},
    )  # fmt: skip
    A, B = (cubed.from_zarr(str(folder / f"{name}.zarr"), spec=spec) for name in "AB")
    with threadpool_limits(1, "blas"):
        cubed.to_zarr(xp.matmul(A, B), str(out))


def _blosc2(folder: Path, out: Path) -> None:
    import blosc2

    blosc2.linalg.try_miniexpr = False  # this way is no faster here, and crashes on small chunks (4.14)
    A, B = (blosc2.open(str(folder / f"{name}.b2nd")) for name in "AB")
    blosc2.matmul(A, B, urlpath=str(out), mode="w", chunks=A.chunks, cparams={"clevel": 0})


SYSTEMS = {
    f"tra within {ALLOWED}, .npy to .npy": System(".npy", ".npy", _tra(".npy", ALLOWED)),
    f"tra within {ALLOWED}, .zarr to .zarr": System(".zarr", ".zarr", _tra(".zarr", ALLOWED)),
    "tra, .npy to .npy": System(".npy", ".npy", _tra(".npy")),
    "tra, .npy to .tra": System(".npy", ".tra", _tra(".npy")),
    "tra, .zarr to .zarr": System(".zarr", ".zarr", _tra(".zarr")),
    "dask.array, .zarr to .zarr": System(".zarr", ".zarr", _dask, "dask"),
    "cubed, .zarr to .zarr": System(".zarr", ".zarr", _cubed, "cubed"),
    "blosc2, .b2nd to .b2nd": System(".b2nd", ".b2nd", _blosc2, "blosc2"),
    "numpy in memory, .npy to .npy": System(".npy", ".npy", _numpy),
}
