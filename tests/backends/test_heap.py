"""The heap of workers: what a stage lets go is there for the next one."""

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tra.backends import heap

WRITES = """
import resource
import numpy as np
from tra.backends import heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.empty(1 << 18, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), heap.keep_heap(), faults())
"""


def is_glibc():
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not is_glibc(), reason="another C library")
def test_memory_that_was_freed_is_written_to_without_new_pages():
    given = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}  # as Dask starts workers
    given.pop("MALLOC_MMAP_THRESHOLD_", None)
    done = subprocess.run(
        [sys.executable, "-c", WRITES], env=given, capture_output=True, text=True, check=True
    )
    before, changed, after = done.stdout.split()
    assert changed == "True" and int(before) > 100 * 60 and int(after) < 200


@pytest.mark.parametrize("library", [SimpleNamespace(), SimpleNamespace(mallopt=lambda *_: 0)])
def test_other_libraries_are_left_alone(library, monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: library)
    assert heap.keep_heap.__wrapped__() is False


def test_what_nobody_fixed_stays(monkeypatch):
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: pytest.fail("asked"))
    assert heap.keep_heap.__wrapped__() is False
