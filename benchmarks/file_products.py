"""Products of matrices in files that the workers read, of both systems, in turns."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cloudpickle
import dask.array as da
import numpy as np
from distributed import Client

import tra
from benchmarks.bars import Bar, record
from benchmarks.cluster_products import (
    BEST_BARS,
    WORKERS,
    Clustered,
    Run,
    compare,
    dask_run,
    outcomes,
    tra_run,
)
from benchmarks.clusters import shared_cluster
from benchmarks.page import Settings, paragraph
from benchmarks.pairs import rounds_of
from benchmarks.report import alone
from benchmarks.shapes import ABOUT, Shape, shapes
from tra.backends.session import Session
from tra.errors import CatalogError

STORED_CHUNK = 500  # edge of the chunks of zarr

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as the workers do not have it


class Npy:
    """An array in a .npy file as dask.array wants it: a task that reads a block maps the file and copies it.

    The memory map itself would travel to the workers with all it maps.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        mapped = np.load(path, mmap_mode="r")
        self.shape, self.dtype, self.ndim = mapped.shape, mapped.dtype, mapped.ndim

    def __getitem__(self, block: Any) -> np.ndarray:
        return np.array(np.load(self.path, mmap_mode="r")[block])


# -- both formats ---------------------------------------------------------------------------------


def write_npy(array: np.ndarray, path: Path) -> None:
    """The array as a .npy file."""
    np.save(path, array)


def write_zarr(array: np.ndarray, path: Path) -> None:
    """The array in zarr's format 3, with its default compression."""
    import zarr

    chunks = tuple(min(STORED_CHUNK, extent) for extent in array.shape)
    stored = zarr.create_array(path, shape=array.shape, chunks=chunks, dtype=array.dtype, zarr_format=3)
    stored[:] = array


def read_npy(path: Path, chunks: int) -> Any:
    """A dask array of a .npy file."""
    return da.from_array(
        Npy(path), chunks=chunks, name=f"{path.stem}-{chunks}", asarray=False, inline_array=True
    )


def read_zarr(path: Path, chunks: int) -> Any:
    """A dask array of a zarr array."""
    return da.from_zarr(str(path), chunks=(chunks, chunks), inline_array=True)


WRITERS: dict[str, Callable[[np.ndarray, Path], None]] = {"npy": write_npy, "zarr": write_zarr}
READERS: dict[str, Callable[[Path, int], Any]] = {"npy": read_npy, "zarr": read_zarr}


def from_files(session: Session, client: Client, shape: Shape, suffix: str, folder: Path) -> dict[str, Run]:
    """Both systems, their inputs in two files."""
    paths = [folder / f"{name}.{suffix}" for name in "AB"]
    for array, path in zip(shape.inputs, paths, strict=True):
        WRITERS[suffix](array, path)
    A, B = (tra.open(path, keys=keys) for path, keys in zip(paths, (("i", "k"), ("k", "j")), strict=True))
    runs = {"tra": tra_run(session, A, B)}
    for chunks in shape.chunks:
        runs[f"dask {chunks}"] = dask_run(client, *(READERS[suffix](path, chunks) for path in paths))
    return runs


# -- the page -------------------------------------------------------------------------------------


def formats() -> tuple[str, ...]:
    """The formats that can be written here."""
    return ("npy", "zarr") if find_spec("zarr") else ("npy",)


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    found = run_all(settings)
    limits = bars(found)
    record(settings, "file_products", limits)
    return lines(found, limits)


def run_all(settings: Settings) -> dict[str, list[Clustered]]:
    """Every shape in every format; nothing where the workers cannot see the files."""
    found: dict[str, list[Clustered]] = {suffix: [] for suffix in formats()}
    with shared_cluster(WORKERS, settings.scheduler) as (client, session):
        for shape in shapes(settings.quick):
            for suffix, rows in found.items():
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        runs = from_files(session, client, shape, suffix, Path(folder))
                        rows.append(compare(session, client, shape, runs, rounds_of(settings.quick)))
                    except CatalogError:
                        return {}
    return found


def bars(found: Mapping[str, Sequence[Clustered]]) -> list[Bar]:
    """The bars of the files."""
    return [
        Bar(
            f"cluster, .{suffix}: time, tra / dask.array at its best, {row.shape.name}",
            row.to_best(),
            BEST_BARS[row.shape.name],
        )
        for suffix, rows in found.items()
        for row in rows
    ]


def lines(found: Mapping[str, Sequence[Clustered]], limits: Sequence[Bar]) -> list[str]:
    """The part of the page."""
    about = f"{WORKERS} workers of one thread, inputs in files. {HEAD}"
    text = [*paragraph(ABOUT), *paragraph(about)]
    if not found:
        return [*text, *paragraph(NOT_RUN)]
    for suffix, rows in found.items():
        for row in rows:
            text += [f"**.{suffix}, {row.shape.text}**", "", *outcomes(row)]
    return [*text, *(bar.line for bar in limits), ""]


HEAD = (
    "A @ B, read from files in the tasks and left on the workers; the files are in the system's cache. A "
    ".npy file is opened by `tra.open`, and for dask.array by tasks that map it and copy their block; a zarr "
    f"array (format 3, chunks of {STORED_CHUNK}) by `tra.open` and by `da.from_zarr` with the chunks shown."
)
NOT_RUN = (
    "Not run: the workers cannot see the files, which lie in the folder for temporary files (set TMPDIR to "
    "one that all share)."
)

if __name__ == "__main__":
    alone(__file__)
