"""Files of every format with changes at random: refused, or read as what they are, soon and in little memory.

Manifests and parts of the native format are in tests/storage/test_fuzzing.py. A few hundred changes in an
ordinary run, thousands with TRA_LONG_TESTS=1.
"""

import os
import random
import shutil
import warnings

import numpy as np
import pytest

import tra
from tra.backends.storage import open_files

from .mutations import changed_bytes

CHANGES = 2000 if os.environ.get("TRA_LONG_TESTS") else 30
FORMATS = ["npy", "npz", "compressed.npz", "parquet", "zarr"]


@pytest.fixture(scope="module", params=FORMATS)
def stored(request, tmp_path_factory):
    """A relation at rest, and what else may stand in its files."""
    kind = request.param
    if kind == "zarr":
        pytest.importorskip("zarr")
    path = tmp_path_factory.mktemp("fuzzed") / f"a.{kind}"
    array = np.arange(15.0).reshape(5, 3)
    if kind == "compressed.npz":
        np.savez_compressed(path, a=array)
    else:
        with tra.connect("local", threads=1):
            tra.from_array(array, tile=2, name="a").save(path)
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    return path, {file: file.read_bytes() for file in files}


def read(path):
    """All elements of a file, as a process that opens it anew reads it."""
    open_files._open.clear()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # zarr warns of what is experimental
        relation = tra.open(path)
        (source,) = relation.sources.values()
        if relation.nbytes < 1 << 20 and np.prod(relation.frontier, dtype=float) < 1 << 12:
            keys = np.ndindex(*relation.frontier)
        else:
            keys = [(0,) * len(relation.keys)]
        return [source.read(tuple(key)).nbytes for key in keys]


def test_changed_files(stored, bounded):
    path, originals = stored
    rng = random.Random(7)
    read(path)  # what is imported at first is no cost of a file
    refused = 0
    others = [
        *originals.values(),
        b'"shape":[1000000000000]',
        b"'|O'",
        b"(1000000000000,)",
        b"../../etc/passwd",
    ]
    for _ in range(CHANGES):
        file = rng.choice(list(originals))
        file.write_bytes(changed_bytes(originals[file], rng, others))
        refused += isinstance(bounded(read, path), tra.errors.TraError)
        if file.exists():
            file.write_bytes(originals[file])
    assert refused
    assert sum(read(path)) == 15 * 8


def test_numbers_of_zarr_that_lie(tmp_path, bounded):
    """The liar knows the format: shapes, chunks, dtypes, codecs."""
    pytest.importorskip("zarr")
    path = tmp_path / "a.zarr"
    with tra.connect("local", threads=1):
        tra.from_array(np.arange(15.0).reshape(5, 3), tile=2).save(path)
    text = (path / "zarr.json").read_text()
    read(path)
    rng = random.Random(8)
    words = ["1000000000000", "-1", "0", "1e30", "null", "[]", "{}", '"float64"', '"string"', '"|O"', '"r8"',
             '"bytes"', '"gzip"', '"zstd"', '"sharding_indexed"', '"numcodecs.pickle"', "true",
             '"NaN"', "9" * 40]  # fmt: skip
    places = [place for place, char in enumerate(text) if char in ":[,"]
    for _ in range(CHANGES):
        place = rng.choice(places) + 1
        end = next((n for n in range(place, len(text)) if text[n] in ",]}"), len(text))
        (path / "zarr.json").write_text(text[:place] + rng.choice(words) + text[end:])
        bounded(read, path)
    (path / "zarr.json").write_text(text)
    assert sum(read(path)) == 15 * 8
    shutil.rmtree(path)
