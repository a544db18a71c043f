"""Where the caret stands."""

import pytest

from tra.errors import QueryError
from tra.sql.carets import WINDOW, caret_error
from tra.sql.syntax import Span


def lines_of(text, start, end, **more):
    error = caret_error(text, Span(start, end), "wrong", **more)
    assert isinstance(error, QueryError)
    return str(error).split("\n")


def test_one_line():
    assert lines_of("SHOW C;", 5, 6) == ["<query>:1:6: wrong", "  SHOW C;", "       ^"]
    assert lines_of("SHOW C;", 0, 4) == ["<query>:1:1: wrong", "  SHOW C;", "  ^~~~"]


def test_hint_and_origin():
    lines = lines_of("SHOW C;", 5, 6, hint="right", origin="a/b.tra")
    assert lines[0] == "a/b.tra:1:6: wrong"
    assert lines[3:] == ["  hint: right"]


def test_later_line():
    text = "SHOW A;\nSHOW B;\nSHOW C;"
    assert lines_of(text, text.index("C"), text.index("C") + 1)[:2] == ["<query>:3:6: wrong", "  SHOW C;"]


def test_span_over_several_lines_is_underlined_in_the_first():
    text = "LET x = a +\n  b + c;"
    assert lines_of(text, 8, len(text) - 1) == ["<query>:1:9: wrong", "  LET x = a +", "          ^~~"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_are_not_shown(newline):
    text = f"a{newline}bc{newline}d"
    start = text.index("b")
    assert lines_of(text, start, start + 20) == ["<query>:2:1: wrong", "  bc", "  ^~"]
    assert lines_of(text, start + 2, start + 2) == ["<query>:2:3: wrong", "  bc", "    ^"]


def test_tabs_keep_the_caret_below_its_text():
    _, shown, caret = lines_of("\tLET\tx = 1", 5, 6)
    assert shown.index("x") == caret.index("^")
    _, shown, caret = lines_of("a\tb", 1, 3)
    assert (shown, caret) == ("  a    b", "   ^~~~~")


@pytest.mark.parametrize(
    ("before", "columns"),
    [("日本", 4), ("e\u0301", 1), ("é", 1), ("ｆ", 2), ("\u200b", 1), ("😀", 2), ("\x07", 1)],
)
def test_wide_and_combining_text(before, columns):
    _, _, caret = lines_of(before + "x", len(before), len(before) + 1)
    assert caret == "  " + " " * columns + "^"


def test_wide_span():
    assert lines_of("日本 x", 0, 2)[2] == "  ^~~~"


def test_empty_text():
    assert lines_of("", 0, 0) == ["<query>:1:1: wrong", "", "  ^"]


def test_just_past_the_end():
    assert lines_of("SHOW", 4, 4) == ["<query>:1:5: wrong", "  SHOW", "      ^"]
    assert lines_of("SHOW\n", 5, 5) == ["<query>:2:1: wrong", "", "  ^"]


def test_a_span_outside_the_text_is_moved_inside():
    assert lines_of("SHOW", 40, 90) == lines_of("SHOW", 4, 4)


def test_long_lines_are_cut_around_the_span():
    text = "a" * 500 + "X" * 3 + "b" * 500
    _, shown, caret = lines_of(text, 500, 503)
    assert len(shown) < WINDOW + 10
    assert shown[caret.index("^") :].startswith("XXXb")
    assert caret.strip() == "^~~"
    assert shown.strip().startswith("…a") and shown.endswith("b…")


def test_a_long_span_is_cut_too():
    _, shown, caret = lines_of("x" * 10_000, 0, 10_000)
    assert len(caret) <= len(shown) <= WINDOW + 10
