"""Writers that are killed: what is there is the old relation or the new one, never a mixture.

A few kills of each kind in the ordinary tier, fifty in the long one.
"""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.long import LONG
from tra.algebra.live import live_keys
from tra.algebra.sources import tensor_type
from tra.backends.storage import open_source, save

KILLS = {".tra": 2, "append": 1, ".zarr": 1}
SHAPE, TILE = (130, 90), (8, 8)  # four tile shapes, so four parts

OVERWRITE = f"""
import pathlib, sys, time
import numpy as np
from tra.algebra.live import live_keys
from tra.algebra.sources import tensor_type
from tra.backends.storage import save
from tra.backends.storage.tile_check import shape_at

path, generation = sys.argv[1], int(sys.argv[2])
type_ = tensor_type({SHAPE}, "f8", tile={TILE})
keys = [tuple(key) for key in live_keys(type_).tolist()]

def write(path, value):
    save(path, type_, ((key, np.full(shape_at(type_, key), value, "f8")) for key in keys))

warm = pathlib.Path(path).parent / "warm" / pathlib.Path(path).name
for _ in range(2):
    start = time.perf_counter()
    write(warm, -1)
print(time.perf_counter() - start, flush=True)
while True:
    write(path, generation)
    print(generation, flush=True)
    generation += 1
"""

APPEND = """
import pathlib, sys, time
import numpy as np
from tra.algebra.sources import tensor_type
from tra.algebra.tiles_type import tiles_type
from tra.backends.storage import save

path, generation = sys.argv[1], int(sys.argv[2])

def write(path, value):
    tiles = {(value, j): np.full((4, 3), value, "f8") for j in range(2)}
    save(path, tiles_type(tiles, ("i", "j")), tiles.items(), append=True)

warm = pathlib.Path(path).parent / "warm" / (str(time.time_ns()) + ".tra")
for value in range(2):
    start = time.perf_counter()
    write(warm, value)
print(time.perf_counter() - start, flush=True)
while True:
    write(path, generation)
    print(generation, flush=True)
    generation += 1
"""


def n_kills(kind):
    return 50 if LONG else KILLS.get(kind, 1)


def killed(script, path, generation, rng):
    """The last generation that a writer says it saved, which was killed at a random moment."""
    (path.parent / "warm").mkdir(exist_ok=True)
    command = [sys.executable, "-c", script, str(path), str(generation)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        seconds = float(writer.stdout.readline())  # of one write
        time.sleep(rng.uniform(0, 3 * seconds))
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split()
    return int(said[-1]) if said else generation - 1


@pytest.mark.parametrize("suffix", [".tra", ".parquet", ".npy", ".npz", ".zarr"])
def test_an_overwritten_relation_is_the_old_one_or_the_new_one(tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path, rng, generation, unfinished = tmp_path / f"a{suffix}", random.Random(7), 0, 0
    type_ = tensor_type(SHAPE, "f8", tile=TILE)
    keys = [tuple(key) for key in live_keys(type_).tolist()]
    for _ in range(n_kills(suffix)):
        said = killed(OVERWRITE, path, generation, rng)
        unfinished += any(other.name.startswith(".") for other in tmp_path.iterdir())
        if not path.exists():
            assert said < 0
            continue
        _, stored = open_source(path, tile=TILE)
        values = {float(v) for key in keys for v in np.unique(stored.read(key))}
        assert len(values) == 1, f"a mixture of {values}"
        (found,) = values
        assert found in (said, said + 1)
        generation = int(found) + 1
    assert generation > 1 or not LONG
    assert unfinished or not LONG, "no writer was killed while it wrote"
    whole = {key: np.zeros([s.stop - s.start for s in type_.tile_window(key)]) for key in keys}
    save(path, type_, whole.items())
    assert sorted(other.name for other in tmp_path.iterdir()) == [path.name, "warm"], (
        "what killed writers left was not removed"
    )
    if suffix == ".tra":
        assert len(list(path.glob("part-*"))) == 4


def test_a_relation_that_is_appended_to_has_whole_appendices(tmp_path):
    path, rng, generation = tmp_path / "a.tra", random.Random(8), 0
    for _ in range(n_kills("append")):
        said = killed(APPEND, path, generation, rng)
        if not path.exists():
            assert said < 0
            continue
        source, stored = open_source(path)
        keys = live_keys(source.type).tolist()
        n = source.type.domains[0]
        assert n - 1 in (said, said + 1)
        assert keys == [[i, j] for i in range(n) for j in range(2)]
        assert all((stored.read(tuple(key)) == key[0]).all() for key in keys)
        generation = n
    assert generation > 1 or not LONG
