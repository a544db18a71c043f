"""What tests of query text share: binding without running, and the way to text and back."""

import numpy as np
import pytest

import tra
from tra.algebra.relation import Relation
from tra.errors import QueryError
from tra.sql.format import format_text
from tra.sql.printer import to_text
from tra.sql.runner import Options, run_statements
from tra.sql.source_syntax import SourceNames


def _bound(text, **relations):
    return run_statements(None, text, relations, Options(execute=False, allow="/")).relation


def _passed(relation):
    """What the text of a relation takes by name."""
    names = SourceNames(relation.expr, relation.sources)
    return {names.names[node.digest]: Relation(node, relation.sources) for node in names.passed}


def _check_round_trip(relation):
    text = to_text(relation)
    again = _bound(text, **_passed(relation))
    assert again.expr == relation.expr, text
    assert again.sources.items() <= dict(relation.sources).items()
    assert to_text(again) == text
    assert format_text(text) == text + "\n"
    return text


@pytest.fixture(scope="session")
def bound():
    """The relation of a text that runs nothing."""
    return _bound


@pytest.fixture(scope="session")
def check_round_trip():
    """Asserts that a relation and its text say the same; returns the text."""
    return _check_round_trip


# --- errors ----------------------------------------------------------------------------------------

_GIVEN = {
    "A": tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A"),
    "B": tra.from_array(np.arange(24.0).reshape(4, 6), keys=("j", "k"), tile=(3, 2), name="B"),
    "L": tra.from_array(np.ones((9, 6)), keys=("j", "k"), tile=(3, 2), name="L"),
    "v": tra.from_array(np.ones(4), keys=("j",), tile=(3,), name="v"),
    "S": tra.from_tiles({(0, 0): np.ones((2, 2)), (1, 1): np.ones((2, 2))}, keys=("i", "j"), name="S"),
    "s": tra.from_array(np.float64(2.0), name="s"),
    "rate": 0.5,
}


def _error_of(text, **options):
    with pytest.raises(QueryError) as caught:
        run_statements(None, text, _GIVEN, Options(execute=False, **options))
    return caught.value


def _check_message(text, below, message):
    shown = str(_error_of(f"A;\n{text}"))
    first, *others = message.split("|")
    lines = shown.splitlines()
    line, column = lines[0].split(":")[1:3]
    assert line == "2" and lines[1] == f"  {text}"
    assert text[int(column) - 1 :].startswith(below)
    assert lines[2].index("^") == int(column) + 1
    assert first in lines[0]
    for other in others:
        assert any(other in line for line in lines[3:]), shown


@pytest.fixture(scope="session")
def given_relations():
    """What the texts of `error_of` may name."""
    return _GIVEN


@pytest.fixture(scope="session")
def error_of():
    """The error that binding a text ends in."""
    return _error_of


@pytest.fixture(scope="session")
def check_message():
    """Asserts where the error of a line points, and parts of what it says: headline|lines below the caret."""
    return _check_message
