"""The page about storage has to be true: its examples run."""

import doctest
import re
from pathlib import Path

import pytest

import tra

PAGE = Path(__file__).resolve().parents[2] / "docs" / "storage.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_the_examples():
    pytest.importorskip("dask.array")
    blocks = re.findall(r"```python\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "storage.md", str(PAGE), 0)
    shown = []
    with tra.connect("local", threads=1):
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=shown.append)
    assert tried > 15 and not failed, "".join(shown)
