"""Texts that are too deep, too long, garbage, or look like others: a short error, soon, and little memory."""

import random
import time

import numpy as np
import pytest

import tra
from tra.errors import QueryError
from tra.sql.parser import parse_text
from tra.sql.runner import Options, run_statements

A = tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A")
N = 100_000
RNG = random.Random(0)


def refused(text):
    """The error of a text, which is short and comes in a second of CPU time."""
    parse_text("SHOW A")  # the grammar is loaded
    started = time.process_time()
    with pytest.raises(QueryError) as caught:
        run_statements(None, text, {"A": A}, Options(execute=False))
    assert time.process_time() - started < 5  # a second on a machine that does nothing else
    message = str(caught.value)
    assert len(message) < 10_000
    return message


@pytest.mark.parametrize(
    "text",
    [
        "LET C = " + "(" * N + "1" + ")" * N,
        "LET C = " + "2^" * N + "1",
        "LET C = " + "1+" * (N // 10) + "1",
        "LET C[i, j] = " + "RELU(" * N + "A[i, j]" + ")" * N,
        "(SELECT i, j, tile FROM " * N + "A" + ")" * N,
        "SELECT i, j, tile FROM A WHERE " + "NOT " * N + "i = 0",
        "SELECT i, j, tile FROM A WHERE " + "(" * N,
    ],
    ids=lambda text: text[:30],
)
def test_deep_nesting(text):
    assert "this nests more than 200 deep" in refused(text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("LET C = " + "9" * 1_000_000, "a number of 1000000 characters: at most 1000"),
        ("LET C = 0." + "9" * 1_000_000, "at most 1000"),
        ("LET C = 1e" + "9" * 1_000_000, "at most 1000"),
        ("LET C = 9^9^9^9", "too large"),
        ("LET C = 1e999", "too large"),
        ("LET C = " + "*".join(["10^300"] * 100), "too large"),
        ("SHOW " + "x" * 9_000_000, "a name of 9000000 characters: at most 500"),
        ('SHOW "' + "x" * 9_000_000 + '"', "at most 500"),
        ("LOAD X FROM '" + "x" * 9_000_000 + ".npy'", "a string of 9000006 characters: at most 10000"),
        ("LOAD X FROM '" + "x" * 9000 + ".npy'", "cannot read"),
        ("LET C[i, j] = ADD(" + "A[i, j], " * N + "A[i, j])", "more than 1,000 entries of one list"),
        ("LET C[" + ", ".join(f"i{n}" for n in range(N)) + "] = A[i, j]", "more than 1,000 entries"),
        ("LET C[" + ", ".join(f"i{n}" for n in range(900)) + "] = A[i, j]", "more than 52 indices"),
        ("SELECT i, j, TRANSPOSE(A.tile, axes => (" + "0, " * N + ")) FROM A", "more than 1,000 entries"),
        ("SELECT i, j, TRANSPOSE(A.tile, axes => (" + "0, " * 990 + "0)) FROM A", "takes a permutation"),
        ("SELECT A.i, A.tile FROM A " + "JOIN A AS B ON A.i = B.i " * N, "more than 1,000 entries"),
        ("SHOW A;" * N, "more than 50,000 words and signs"),
    ],
    ids=lambda value: value[:30],
)
def test_huge_literals_names_and_lists(text, message):
    assert message in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "".join(RNG.choices("abc ();,.[]'\"123-+*/^<>=", k=9_900_000)),
        RNG.randbytes(9_900_000).decode("latin1"),
        "".join(map(chr, RNG.choices(range(1, 0xD7FF), k=1_000_000))) * 9,
        "SHOW '" + "''" * 4_900_000,
        '""' * 4_900_000,
        "1" * 9_900_000,
        "a " * 4_900_000,
        "\ud800" * 9_900_000,
    ],
    ids=["ascii", "bytes", "unicode", "quotes", "double quotes", "digits", "words", "surrogates"],
)
def test_ten_megabytes_of_garbage(text):
    refused(text)


@pytest.mark.parametrize(
    "text, ascii_text, character",
    [
        ("LE\u0422 C[i, j] = A[i, j]", "'LET'", "U+0422, CYRILLIC CAPITAL LETTER TE"),
        ("S\u0397OW A", "'SHOW'", "U+0397, GREEK CAPITAL LETTER ETA"),
        ("SHOW \u0410", "'A'", "U+0410, CYRILLIC CAPITAL LETTER A"),
        ("LET C[i, j] = R\u0415LU(A[i, j])", "'RELU'", "U+0415"),
        ("LET C[\u0456, j] = RELU(A[i, j])", "'i'", "U+0456"),
        ("LET C = \uff11", "'1'", "U+FF11"),
        ("LET C[i, j] = RELU\uff08A[i, j])", "'('", "U+FF08"),
        ("SHOW A\u037e", "';'", "U+037E, GREEK QUESTION MARK"),
    ],
)
def test_lookalikes_are_named(text, ascii_text, character):
    message = refused(text)
    assert f"in ASCII this is {ascii_text}" in message and character in message


def test_words_of_other_languages_are_no_lookalikes():
    for text in ("SHOW größe", "SHOW данные", "LOAD A FROM 'числа.npy'"):
        assert "ASCII" not in refused(text)


def test_messages_do_not_steer_a_terminal():
    for text in ('SHOW "\x1b[2J\u202e"', "LOAD A FROM '\x1b[2J\u202e.npy'", 'LET C = "\x1b]0;x\x07"(1)'):
        assert all(char.isprintable() or char == "\n" for char in refused(text))


@pytest.mark.parametrize(
    "name, near", [("SOFTMAXX", "SOFTMAX"), ("Relux", "RELU"), ("SIGMIOD", "SIGMOID"), ("TANHH", "TANH")]
)
def test_unknown_kernels(name, near):
    assert f"no function {name.upper()}; did you mean '{near}'?" in refused(f"LET C[i, j] = {name}(A[i, j])")


@pytest.mark.parametrize("name", ["EVAL", "EXEC", "__import__", "GETATTR", "LAMBDA", "os", "SYSTEM"])
def test_nothing_runs_code(name):
    assert f"no function {name.upper()}" in refused(f"LET C[i, j] = {name}(A[i, j])")
    assert f"no function {name.upper()}" in refused(f"SELECT i, j, {name}(A.tile) FROM A")
