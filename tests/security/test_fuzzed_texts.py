"""Texts that nobody would write: from the grammar, and from texts of the documentation with changes.

A few hundred in an ordinary run, more than ten thousand with TRA_LONG_TESTS=1.
"""

import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark

import tra
from tra.errors import QueryError
from tra.sql import parser
from tra.sql.format import format_text
from tra.sql.parser import parse_text
from tra.sql.runner import Options, run_statements

from .mutations import changed_words

LONG = bool(os.environ.get("TRA_LONG_TESTS"))
ROOT = Path(tra.__file__).parents[1]
GRAMMAR = (Path(parser.__file__).parent / "grammar.lark").read_text(encoding="utf-8")
NAMES = ["A", "B", "v", "s", "i", "j", "k", "relu", "sum", "matmul", "add", "softmax", "argmin", "einsum"]
GIVEN = {
    "A": tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A"),
    "B": tra.from_array(np.arange(24.0).reshape(4, 6), keys=("j", "k"), tile=(3, 2), name="B"),
    "v": tra.from_array(np.ones(4), keys=("j",), tile=(3,), name="v"),
    "s": tra.from_array(np.float64(2.0), name="s"),
}
EXPLICIT = {
    "NAME": st.sampled_from(NAMES),
    "QUOTED": st.sampled_from(['"A"', '"two words"', '"i"']),
    "STRING": st.sampled_from(["'a.npy'", "'../a.npy'", "'x'", "'ij,jk->ik'", "'memory://x/a.tra'"]),
    "INT": st.sampled_from(["0", "1", "2", "3", "4611686018427387903", "99999999999999999999"]),
    "FLOAT": st.sampled_from(["0.5", "1e3", ".5", "1e308"]),
    "IMAGINARY": st.just("2.0j"),
    "IGNORED": st.just(" "),
}


def bind(text, folder):
    """Binds a text; one that is parsed has a canonical form that says the same."""
    try:
        statements = parse_text(text)
    except QueryError:
        pass
    else:
        assert parse_text(format_text(text)) == statements
    return run_statements(None, text, GIVEN, Options(base=folder, execute=False))


def text_of_grammar():
    grammar = Lark(GRAMMAR, parser="lalr", keep_all_tokens=True)
    return from_lark(grammar, start="start", explicit=EXPLICIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("queries")


@given(text=text_of_grammar())
@settings(
    max_examples=4000 if LONG else 25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
def test_texts_of_the_grammar(text, folder, bounded):
    bounded(bind, text, folder)


@given(text=st.text(max_size=60) | st.text("ABij()[],;.*+-^='\"0 9LETSUM", max_size=60))
@settings(max_examples=2000 if LONG else 40, deadline=None, database=None)
def test_any_characters(text, folder, bounded):
    bounded(bind, text, folder)


def texts_of_documentation():
    """Statements of the documentation and the examples, as lists of words."""
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```sql\n(.*?)```", page, re.S)]
    blocks += [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").glob("*.tra"))]
    statements = [statement for block in blocks for statement in block.split(";")]
    found = [re.findall(r"--[^\n]*\n|'[^']*'|\"[^\"]*\"|\w+|\s+|.", text) for text in statements]
    return [words for words in found if words]


def test_texts_with_changes(folder, bounded):
    rng = random.Random(5)
    texts = texts_of_documentation()
    others = [
        *NAMES,
        *(word for words in texts for word in words),
        "(" * 60,
        "9" * 30,
        "-",
        "e",
        "\0",
        "\u202e",
    ]
    refused = 0
    for _ in range(6000 if LONG else 150):
        words = [word for _ in range(rng.choice([1, 2, 4])) for word in [*rng.choice(texts), ";"]]
        refused += isinstance(bounded(bind, "".join(changed_words(words, rng, others)), folder), QueryError)
    assert refused
