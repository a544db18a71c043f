"""The words of syntax errors, and the limits of what is read."""

import logging
import re
import time
from pathlib import Path

import lark
import pytest

from tra.errors import QueryError
from tra.sql import limits, parser
from tra.sql import syntax as s
from tra.sql.limits import MAX_CHARACTERS
from tra.sql.parser import name_pattern, parse_text
from tra.sql.vocabulary import KEYWORDS, RESERVED, expected


def message_of(text, origin="<query>"):
    with pytest.raises(QueryError) as caught:
        parse_text(text, origin)
    return str(caught.value)


# --- vocabulary ------------------------------------------------------------------------------------


def test_the_vocabulary_is_that_of_the_grammar():
    grammar = Path(parser.__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    terminals = re.findall(r"^([A-Z]+)(?:\.2)?: ", grammar, re.MULTILINE)
    keywords = re.findall(r"^([A-Z]+)\.2: ", grammar, re.MULTILINE)
    assert sorted(KEYWORDS) == sorted(keywords)
    assert sorted(RESERVED) == [word for word in sorted(keywords) if not re.fullmatch(name_pattern(), word)]
    assert all(expected({terminal, "RPAR"}) for terminal in terminals)
    documented = grammar.split("double quotes:\n//")[1].split("\n")[0].split()
    assert documented == sorted(RESERVED)


def test_the_grammar_has_no_conflicts(caplog):
    grammar = Path(parser.__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark(grammar, parser="lalr", keep_all_tokens=True, debug=True)
    assert "onflict" not in caplog.text


# --- errors ----------------------------------------------------------------------------------------

STATEMENTS = "LOAD, INITIALIZE, LET, CREATE VIEW, HINT, TRAIN, EXPLAIN, SHOW, SAVE or a query"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELCT A.i, A.tile FROM A", "1:1: 'SELCT' begins no statement|SELCT|^~~~~|did you mean SELECT?"),
        (
            "SELECT A.i, A.tile FRM A",
            "1:20: expected FROM, AS or ',', found 'FRM'|FRM|^~~|did you mean FROM?",
        ),
        (
            "SELECT A.i, FROM A",
            "1:13: expected a key or tile expression, found 'FROM'|FROM|^~~~|remove the comma before it",
        ),
        ("TILE A AXS 1", "1:8: expected AXIS, found 'AXS'|AXS|^~~|did you mean AXIS?"),
        ("EXPLAIN ANALYSE C", "1:9: 'ANALYSE' begins no query|ANALYSE|^~~~~~~|did you mean ANALYZE?"),
        (
            "LET x = (a",
            "1:11: expected an operator, '(', ')' or '[', found the end of the text||^|"
            "the '(' at 1:9 is not closed",
        ),
        ("SHOW 'abc", "1:6: this string is not closed: a ' is missing|'abc|^~~~"),
        ("LET x = 3x", "1:9: '3x' is no number|3x|^~|a product is written with *, such as 3 * x"),
        ("LET x == 3", "1:8: expected an expression, found '='|= 3|^|equality is written ="),
        (
            "LET x = a LET y = b",
            "1:11: expected an operator, ';', '(' or '[', found 'LET'|LET y = b|^~~|statements end with ;",
        ),
        (
            "LET group = 3",
            "1:5: expected a name, found 'group'|group = 3|^~~~~|"
            'GROUP is a reserved word: as a name it is written "group"',
        ),
        ("TRAIN W1, b MINIMIZE loss", "1:26: expected USING, found the end of the text||^"),
        (
            "TRAIN W MINIMISE loss",
            "1:9: expected MINIMIZE or ',', found 'MINIMISE'|MINIMISE|^~~~~~~~|did you mean MINIMIZE?",
        ),
        (
            "INITIALIZE w(d: 3);",
            "1:19: expected a distribution, found ';'|;|^|"
            "a parameter begins as UNIFORM(low, high), NORMAL(mean, deviation), ZEROS",
        ),
        ("RANDOM (d: 3) AXES (3 BY d);", "1:28: expected a distribution, found ';'|;|^"),
        ("TRAINN W MINIMIZE loss", "1:1: 'TRAINN' begins no statement|TRAINN|^~~~~~|did you mean TRAIN?"),
        ("initialize W;", "1:13: expected '(', found ';'|;|^"),
        (
            "TRAIN W MINIMIZE l USING ADAM(rate => 1)",
            "1:36: expected '=' or '(', found '=>'|=> 1|^~|a setting is given with =, such as rate = 0.1",
        ),
        (
            "TRAIN W MINIMIZE l USING ADAM(rate = 1, 2) FOR 3 EPOCHS",
            "1:41: a setting without a name after one with a name|2)|^",
        ),
        (
            "LET g = GRAD(SUM(A[i]), W)",
            "1:17: expected ',', found '('|(A|^|the loss and what it is taken by have names: GRAD(loss, W)",
        ),
        ("foo bar", f"1:1: 'foo' begins no statement|foo|^~~|a statement is {STATEMENTS}"),
        (";", f"1:1: expected a statement ({STATEMENTS}), found ';'|;|^"),
        (
            "SELECT A.i, A.tile + B.tile FROM A",
            "1:20: expected FROM, AS or ',', found '+'|+|^|"
            "tiles are combined by functions, such as ADD(A.tile, B.tile)",
        ),
        (
            "LET x = a < b < c",
            "1:15: expected an operator, ';', '(' or '[', found '<'|< c|^|comparisons do not chain",
        ),
        (
            "SELECT A.i, A.tile, tile FROM A",
            "1:21: a second tile among the items of SELECT: there must be one|tile FROM A|^~~~",
        ),
        ("SELECT A.i FROM A", "1:8: no tile among the items of SELECT|A.i FROM|^~~|add it, such as A.tile"),
        # habits from other languages
        (
            "SELECT i, tile FROM A WHERE i = 1 && i < 3",
            "1:35: expected an operator, ';', GROUP, AND or OR, found '&&'|&&|^~|"
            "conditions are joined by AND",
        ),
        (
            "SELECT i, tile FROM A WHERE i == 1",
            "1:32: expected a key expression, found '='|= 1|^|equality is written =",
        ),
        (
            "SELECT i, tile FROM A WHERE i // 2 = 1",
            "1:32: expected a key expression, found '/'|/ 2|^|"
            "/ between keys is the floor division; comments begin with --",
        ),
        (
            "LET c[i] = a[i] > 1 && a[i] < 3",
            "1:21: expected an operator or ';', found '&&'|&& a|^~|"
            "conditions on elements are joined by LOGICAL_AND(a, b)",
        ),
        (
            "LET c[i] = a[i] > 1 or a[i] < 3",
            "1:21: expected an operator or ';', found 'or'|or a|^~|"
            "conditions on elements are joined by LOGICAL_OR(a, b)",
        ),
        (
            "LET c[i] = NOT a[i]",
            "1:12: expected an expression, found 'NOT'|NOT|^~~|"
            "a condition on elements is negated by LOGICAL_NOT(a)",
        ),
        (
            "LET and = 3",
            "1:5: expected a name, found 'and'|and = 3|^~~|"
            'AND is a reserved word: as a name it is written "and"',
        ),
        ("LET c = a ** 2", "1:12: expected an expression, found '*'|* 2|^|a power is written ^"),
        ("LET c := a", "1:7: expected '=' or '[', found ':'|:= a|^|LET assigns with ="),
        (
            "LET c(i) = a[i]",
            "1:6: expected '=' or '[', found '('|(i)|^|indices stand in brackets, such as C[i, j]",
        ),
        (
            "LET c[i] = a[i, 0]",
            "1:17: expected a name, found '0'|0]|^|"
            "an index is a name; a part of a tensor is RETILE A[0:2, *] TO (...)",
        ),
        (
            "SELECT * FROM A",
            "1:8: expected a key or tile expression, found '*'|* FROM|^|"
            "name the keys and the tile: SELECT A.i, A.j, A.tile FROM A",
        ),
        (
            "SELECT A.i, 2 * A.tile FROM A",
            "1:8: no tile among the items of SELECT|A.i, 2|^~~~~~~~~~~~~~~|"
            "add it, such as MUL(A.tile, 2.0): functions combine tiles",
        ),
        (
            "SELECT A.i, SUM(A.tile * B.tile) FROM A",
            "1:24: expected ',' or ')', found '*'|* B|^|"
            "tiles are combined by functions, such as MUL(A.tile, B.tile)",
        ),
        (
            "SELECT A.i, A.tile FROM A INNER JOIN B ON A.j = B.j",
            "1:27: expected ';', JOIN, WHERE, GROUP, AS or ',', found 'INNER'|INNER|^~~~~|"
            "a join is FROM A JOIN B ON A.j = B.j, or FROM A, B where all tiles are paired",
        ),
        (
            "SELECT i, tile FROM A x",
            "1:23: expected ';', JOIN, WHERE, GROUP, AS or ',', found 'x'|x|^|"
            "another name of a table follows AS",
        ),
        (
            "CREATE TABLE x AS A",
            "1:8: expected VIEW, found 'TABLE'|TABLE|^~~~~|"
            "a query is named by CREATE VIEW name AS ..., also one that has a name",
        ),
        ("LET x = F(a => 1, b)", "1:19: an argument without a name after one with a name|b)|^"),
        ("LET x = F(a => 1, a => 2)", "1:19: a is given twice|a => 2|^~~~~~"),
        ("LET x = 1e999", "1:9: 1e999 is too large for a float|1e999|^~~~~"),
        ("LET x = a $ b", "1:11: expected an operator, ';', '(' or '[', found '$'|$ b|^"),
        ("SHOW \x00", "1:6: expected a query, found U+0000|\ufffd|^"),
    ],
)
def test_error_texts(text, message):
    where, _, rest = message.partition("|")
    below, caret, *hint = rest.split("|")
    lines = message_of(text).splitlines()
    assert lines[0] == f"<query>:{where}"
    assert lines[1] == f"  {text}".replace("\x00", "\ufffd").rstrip()
    column = lines[2].index("^")
    assert lines[1][column:].startswith(below) and lines[2].strip() == caret
    assert lines[3:] == [f"  hint: {line}" for line in hint]


def test_two_bars_are_no_or():
    message = message_of("SELECT i, tile FROM A WHERE i = 1 || i = 3")
    assert message.startswith("<query>:1:35: expected an operator, ';', GROUP, AND or OR, found '||'\n")
    assert message.endswith("\n  hint: conditions are joined by OR")


def test_error_is_located_in_its_line_and_origin():
    assert message_of("SHOW C;\n\n  SHOW;", "q.tra").startswith("q.tra:3:7: expected a query, found ';'\n")
    # Not at the end of the file, where nobody looks, but where the text broke off.
    assert (
        message_of("SHOW C;\nSHOW  -- what?\n\n").splitlines()[0].startswith("<query>:2:5: expected a query")
    )


@pytest.mark.parametrize(
    "text",
    [
        "LET x = " + "(" * 10_000,
        "LET x = " + "(" * 10_000 + "a" + ")" * 10_000,
        "LET x = " + "- " * 10_000 + "a",
        "LET x = " + "- " * 300 + "a",
        "LET x = " + "a + " * 10_000 + "a",
        "LET x = " + "a ^ " * 10_000 + "a",
        "LET x = " + "RELU(" * 10_000,
        "LET x = F(a, b => " + "(" * 10_000,
        "SHOW " + "(" * 10_000,
        "SHOW " + "(SELECT i, tile FROM " * 150 + "A" + ")" * 150,
        "SELECT i, tile FROM A WHERE " + "NOT " * 10_000 + "i = 0",
    ],
)
def test_deep_nesting_is_refused(text):
    assert "this nests more than 200 deep" in message_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "LET x = " + "RELU(" * 190 + "x" + ")" * 190,
        "SHOW " + "(SELECT i, tile FROM " * 98 + "A" + ")" * 98,
        "SELECT i, tile FROM A WHERE " + "(NOT " * 190 + "i = 0" + ")" * 190,
    ],
)
def test_what_is_just_not_too_deep(text):
    assert parse_text(text) == parse_text(text)
    assert hash(parse_text(text)) == hash(parse_text(text))


def test_a_tree_made_by_hand_is_no_deeper():
    tree = s.Tensor(s.Name("x"))
    with pytest.raises(QueryError, match="200 deep"):
        for _ in range(300):
            tree = s.Negate(tree)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" " * (MAX_CHARACTERS + 1), "<query>: 10,000,001 characters: at most 10,000,000 are read"),
        ("a " * 5_000_000, "'a' begins no statement"),
        ("SHOW '" + "a" * 9_000_000, "this string is not closed"),
        ("SHOW '" + "''" * 4_000_000, "this string is not closed"),
        ("LET x = " + "1" * 9_000_000, "a number of 9000000 characters"),
        ("LET x = " + "1" * 9_000_000 + "x", "is no number"),
        ("--\n" * 3_000_000 + "(", "expected a query, found the end of the text"),
        ("\x00" * 10_000_000, "found U+0000"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_ten_megabytes_of_garbage(text, message):
    started = time.perf_counter()
    error = message_of(text)
    assert message in error
    assert len(error) < 600
    assert time.perf_counter() - started < 5


def test_too_many_words(monkeypatch):
    monkeypatch.setattr(limits, "MAX_TOKENS", 1000)
    assert "more than 1,000 words and signs" in message_of("SHOW a;" * 500)


@pytest.mark.parametrize(
    "text",
    [
        "SHOW A + 1;", "SHOW SUM(A[i, j]);", "SHOW A[i, j];", "SHOW 3 * A;", "EXPLAIN A + 1;",
        "EXPLAIN ANALYZE A + 1;", "SAVE SUM(A[i, j]) TO 's.npy';", "SAVE A + 1 TO 's.npy';",
        "SAVE (SELECT A.i, A.tile FROM A) TO 's.npy';", "SAVE SELECT A.i, A.tile FROM A TO 's.npy';",
    ],
)  # fmt: skip
def test_what_is_shown_or_saved_is_named_first(text):
    word = text.split()[0]
    assert f"hint: name it first, by LET x[i, j] = ... or CREATE VIEW x AS SELECT ...; then {word} x" in (
        message_of(text)
    )
