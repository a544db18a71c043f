"""The page about gradients has to be true: its examples run, and it names every fold that has one."""

import doctest
import re
from pathlib import Path

import pytest

import tra
from tra.algebra.operator_gradients import FOLDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "gradients.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_the_examples():
    blocks = re.findall(r"```python\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 8
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "gradients.md", str(PAGE), 0)
    shown = []
    with tra.connect("local", threads=1):
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=shown.append)
    assert tried > 20 and not failed, "".join(shown)


@pytest.mark.parametrize("fold", FOLDS)
def test_every_fold_is_there(fold):
    assert re.search(rf"`{fold}`", PAGE.read_text(encoding="utf-8").split("## Limits")[1])
