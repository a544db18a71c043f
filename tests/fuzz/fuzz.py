"""Fuzzing by coverage, for as long as one likes: `python tests/fuzz/fuzz.py texts -max_total_time=600`.

Needs atheris (`pip install atheris`), which no test does. The targets are query texts, manifests, key
functions, and files of NumPy. What comes out must be a result or an error of the engine; anything else ends
the run, and atheris writes the input to a file.
"""

import json
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tra"]):
    import numpy as np

    import tra
    from tra.algebra.sources import tensor_type
    from tra.backends.storage import open_files
    from tra.backends.storage.manifest import VERSION, Batch, Part, from_text, manifest_of, to_text
    from tra.backends.storage.type_text import seal
    from tra.errors import TraError
    from tra.sql.format import format_text
    from tra.sql.parser import parse_text
    from tra.sql.runner import Options, run_statements

FOLDER = Path(tempfile.mkdtemp())
A = tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A")
PART = Part("part-0.arrow", 4096, (2, 2), (Batch(4, (64, 128), 0, 256, 0),))
SEALED = json.loads(to_text(manifest_of(tensor_type((5, 3), "f8", tile=2), [PART], "tile", "one site")))
MANIFEST = json.dumps({name: SEALED[name] for name in SEALED if name not in ("crc32", "version", "format")})


def texts(data):
    text = atheris.FuzzedDataProvider(data).ConsumeUnicode(len(data))
    statements = parse_text(text)
    assert parse_text(format_text(text)) == statements
    run_statements(None, text, {"A": A}, Options(base=FOLDER, execute=False))


def manifests(data):
    provider = atheris.FuzzedDataProvider(data)
    lie = json.loads(MANIFEST)
    for _ in range(provider.ConsumeIntInRange(1, 4)):
        holder = lie
        while isinstance(holder, dict | list) and holder:
            places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            place = provider.PickValueInList(places)
            if isinstance(holder[place], dict | list) and provider.ConsumeBool():
                holder = holder[place]
                continue
            number = provider.ConsumeIntInRange(-(1 << 70), 1 << 70)
            words = provider.ConsumeUnicode(9)
            holder[place] = provider.PickValueInList([number, words, None, [], {}, [number]])
            break
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):  # readers: CatalogError
        from_text(seal(lie, VERSION))


def keys(data):
    provider = atheris.FuzzedDataProvider(data)
    signs = [provider.PickValueInList(["+", "-", "*", "/", "%"]) for _ in range(4)]
    numbers = [provider.ConsumeIntInRange(-(1 << 70), 1 << 70) for _ in range(4)]
    expression = "i" + "".join(f" {sign} ({number})" for sign, number in zip(signs, numbers, strict=True))
    run_statements(None, f"SELECT i, j, {expression} AS k, tile FROM A", {"A": A}, Options(execute=False))


def arrays(data):
    path = FOLDER / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + data)
    open_files._open.clear()
    relation = tra.open(path)
    if relation.nbytes <= len(data):
        relation.compute()


def one(target):
    def run(data):
        with suppress(TraError):
            target(data)

    return run


if __name__ == "__main__":
    targets = {"texts": texts, "manifests": manifests, "keys": keys, "arrays": arrays}
    if len(sys.argv) < 2 or sys.argv[1] not in targets:
        sys.exit(f"usage: python tests/fuzz/fuzz.py {'|'.join(targets)} [options of libFuzzer]")
    target = targets[sys.argv.pop(1)]
    atheris.Setup(sys.argv, one(target))
    atheris.Fuzz()
