"""The reference of the language has to be true: its examples run, and it names every word and function."""

import re
from pathlib import Path

import pytest

import tra
from tra.algebra.kernel import kernel, kernel_names
from tra.errors import TraError
from tra.sql.reduction_form import FUNCTIONS
from tra.sql.vocabulary import KEYWORDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "query-text.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sql\n(.*?)```\n(?:```text\n(.*?)```\n)?", TEXT, re.DOTALL)


def test_examples(tmp_path):
    assert len(BLOCKS) > 8
    relations = {}
    with tra.connect("local", threads=1) as session:
        for text, shown in BLOCKS:
            try:
                result = session.sql(text, base=tmp_path, **relations)
            except TraError as error:
                assert str(error).strip() == shown.strip()
            else:
                assert "\n".join(result.outputs).strip() == shown.strip()
                relations = result.relations
    assert not (tmp_path / "never.npy").exists()


@pytest.mark.parametrize("word", KEYWORDS)
def test_every_keyword_is_there(word):
    assert re.search(rf"\b{word}\b", TEXT)


def test_every_function_is_there():
    section = TEXT.split("## Functions")[1] + TEXT.split("* Reductions:")[1].split("\n* Every")[0]
    own = [name for name in kernel_names() if not _is_of_a_user(name)]
    missing = [name for name in (*own, *FUNCTIONS) if not re.search(rf"\b{name.upper()}\b", section)]
    assert not missing


def _is_of_a_user(name):
    try:
        return kernel(name).user
    except TraError:  # it needs parameters
        return False
