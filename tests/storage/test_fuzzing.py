"""Files that say anything: manifests and parts changed at random, by accident and on purpose.

A few hundred changes in the ordinary tier, ten thousand in the long one.
"""

import json
import random
import resource
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.long import LONG
from tra.algebra.live import live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.sources import tensor_type
from tra.algebra.types import Axis, Box, Key, KeySet, RelType
from tra.backends.storage import open_files, open_source, save
from tra.backends.storage.tile_check import shape_at
from tra.backends.storage.type_text import seal
from tra.errors import CatalogError

CHANGES = 10_000 if LONG else 200
SECONDS, MEMORY = 5.0, 3 << 30


@contextmanager
def little_memory():
    """Lets this process have little more memory than it has: what lies about sizes must not be believed."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def relations():
    """Types of every form that is stored in its own way."""
    dense = tensor_type((5, 3), "f8", tile=2)
    listed = with_live(dense, KeySet(live_keys(dense)[[0, 1, 3, 4, 5]]))
    pair = np.dtype([("value", "f4"), ("index", "i8")])
    ranged = RelType((Key("i", 4),), (Axis(3, (("i", 1),), 10),), np.dtype("u1"), Box(((1, 3),)))
    return {
        "dense": dense,
        "listed": listed,
        "complex": tensor_type((4,), "c8", tile=3),
        "scalar": tensor_type((), "?"),
        "empty": tensor_type((0, 3), "f4", tile=2),
        "pairs": tensor_type((3,), pair, tile=2),
        "ranged": ranged,
    }


@pytest.fixture(params=list(relations()))
def stored(request, tmp_path, monkeypatch):
    """A relation at rest, several batches of it: its folder and its tiles."""
    monkeypatch.setattr("tra.backends.storage.writer.BATCH_BYTES", 40)
    type_ = relations()[request.param]
    rng = np.random.default_rng(0)
    tiles = {}
    for key in map(tuple, live_keys(type_).tolist()):
        shape = shape_at(type_, key)
        raw = rng.integers(0, 2, int(np.prod(shape)) * type_.dtype.itemsize).astype(np.uint8)
        tiles[key] = np.frombuffer(raw.tobytes(), type_.dtype).reshape(shape)
    path = tmp_path / "a.tra"
    save(path, type_, tiles.items())
    return path, {key: tile.tobytes() for key, tile in tiles.items()}


def read(path):
    """Every tile of a relation, as a process that opens it anew reads it; None where it is refused."""
    open_files._open.clear()
    start = time.perf_counter()
    try:
        source, found = open_source(path)
        tiles = {key: found.read(key).tobytes() for key in map(tuple, live_keys(source.type).tolist())}
    except CatalogError as error:
        assert str(path) in str(error) and len(str(error)) < 2000
        return None
    finally:
        assert time.perf_counter() - start < SECONDS
    return tiles


def damaged(content, rng):
    """Bytes with an accident: bits, cuts, runs of other bytes, pieces that moved."""
    content = bytearray(content)
    place = rng.randrange(len(content)) if content else 0
    match rng.randrange(6):
        case 0 if content:
            content[place] ^= 1 << rng.randrange(8)
        case 1:
            del content[place:]
        case 2:
            content[place:place] = rng.randbytes(rng.choice([1, 8, 64]))
        case 3:
            content[place : place + 8] = rng.choice([b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7])
        case 4:
            other = rng.randrange(len(content) + 1)
            content[place : place + 16] = content[other : other + 16]
        case _:
            for _ in range(rng.randrange(1, 20)):
                content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def test_accidents_are_noticed_or_change_nothing(stored):
    path, tiles = stored
    rng = random.Random(1)
    files = sorted(file for file in path.iterdir() if file.is_file())
    originals = {file: file.read_bytes() for file in files}
    refused = 0
    with little_memory():
        for _ in range(CHANGES // 7):
            file = rng.choice(files)
            file.write_bytes(damaged(originals[file], rng))
            found = read(path)
            assert found is None or found == tiles
            refused += found is None
            file.write_bytes(originals[file])
    assert read(path) == tiles and refused


NUMBERS = [-1, 0, 1, 2, 3, 7, 255, 1 << 31, 1 << 53, (1 << 62) - 1, 1 << 62, 1 << 63, 1 << 64, 10**30]
VALUES = [*NUMBERS, None, True, 1.5, float("nan"), "", "x", "../../etc/passwd", "/etc/passwd", "part-0.arrow",
          "listed", "|O", "<f8", "O", "V9999999999", [], {}, [[]], [0], [[0, 1]], {"i": 1}]  # fmt: skip


def lying(data, rng):
    """A manifest that lies somewhere: other values, missing and repeated entries."""
    data = json.loads(json.dumps(data))
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        holder = data
        while True:
            places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not places:
                break
            place = rng.choice(places)
            if isinstance(holder[place], dict | list) and rng.random() < 0.8:
                holder = holder[place]
                continue
            change(holder, place, rng)
            break
    return data


def change(holder, place, rng):
    match rng.randrange(4):
        case 0 if isinstance(holder, list):
            holder.insert(place, holder[place])
        case 1:
            del holder[place]
        case 2 if type(holder[place]) is int:
            holder[place] += rng.choice([-8, -1, 1, 8, 64, 1 << 40])
        case _:
            holder[place] = rng.choice(VALUES)


def test_manifests_that_lie_are_refused_or_do_no_harm(stored):
    """The liar knows the format, and seals what it says."""
    path, tiles = stored
    rng = random.Random(2)
    manifest = path / "manifest.json"
    original = manifest.read_text()
    data = json.loads(original)
    version = data["version"]
    del data["crc32"], data["version"], data["format"]
    refused = 0
    with little_memory():
        for _ in range(CHANGES // 7):
            manifest.write_text(seal(lying(data, rng), version))
            found = read(path)
            refused += found is None
            if found is not None:  # the bytes are still those that the parts have
                assert sum(map(len, found.values())) <= sum(file.stat().st_size for file in path.iterdir())
    manifest.write_text(original)
    assert read(path) == tiles and refused


def test_a_text_of_any_bytes_is_no_manifest(tmp_path):
    rng = random.Random(3)
    path = tmp_path / "a.tra"
    path.mkdir()
    texts = [b"[" * 100_000, b'{"a":' * 50_000, b"9" * 100_000, b"\xff\xfe", b"null", b"[]", b'"x"']
    texts += [rng.randbytes(rng.randrange(200)) for _ in range(50)]
    for text in texts:
        (path / "manifest.json").write_bytes(text)
        assert read(path) is None
