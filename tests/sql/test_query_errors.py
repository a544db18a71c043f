"""Mistakes in queries that need names to be looked up: where they are, what is wrong, what would be right."""

import pytest

from tra.errors import SchemaError
from tra.sql.runner import Options, run_statements


@pytest.mark.parametrize(
    ("text", "below", "message"),
    [
        # SELECT
        (
            "SELECT A.i, A.tile FROM A",
            "A.i",
            "keys (0, 0) and (0, 1) both become (0,)|hint: to fold the tiles that agree",
        ),
        (
            "SELECT A.i / 2 AS i, A.j, A.tile FROM A",
            "A.i / 2 AS i, A.j",
            "keys (0, 0) and (1, 0) both become (0, 0)",
        ),
        (
            "SELECT A.i - 1 AS i, A.j, A.tile FROM A",
            "A.i - 1",
            "rekey maps key (0, 0) to (-1, 0): keys are not negative",
        ),
        ("SELECT A.i AS x, A.j AS x, A.tile FROM A", "A.i AS x, A.j AS x", "rekey names a key twice: x, x"),
        ("SELECT A.i + 1, A.j, A.tile FROM A", "A.i + 1", "a computed key needs a name|such as AS k"),
        ("SELECT i, j, tile FROM A WHERE A.i / 0 = 1", "A.i / 0 = 1", "the key function divides by zero"),
        (
            "SELECT A.i, SUM(A.tile) FROM A",
            "A.i",
            "this key is not the same within a group|stand in GROUP BY",
        ),
        ("SELECT A.i, SUM(A.tile) FROM A GROUP BY A.j", "A.i", "this key is not the same within a group"),
        (
            "SELECT A.i, SUM(A.tile) FROM A GROUP BY A.i, A.j",
            "A.j",
            "j is a key of the groups and not selected",
        ),
        (
            "SELECT A.i, A.tile FROM A GROUP BY A.i",
            "A.i",
            "GROUP BY without an aggregation|such as SUM(A.tile)",
        ),
        (
            "SELECT A.i, SUM(A.tile) FROM A GROUP BY A.i",
            "SUM(A.tile)",
            "the last tile along axis 1 is 1 of 3: concat or retile",
        ),
        (
            "SELECT A.i, SUB(A.tile) FROM A GROUP BY A.i",
            "SUB(A.tile)",
            "cannot aggregate with sub: an aggregation is",
        ),
        (
            "SELECT ADD(SUM(A.tile), B.tile) FROM A JOIN B ON A.j = B.j",
            "SUM(A.tile)",
            "only functions of one tile|CREATE VIEW",
        ),
        (
            "SELECT A.i, A.j, MATMUL(A.tile, L.tile) FROM A JOIN L ON A.j = L.j",
            "A.j = L.j",
            "cannot join on j: left A.j has frontier 2, right L.j has frontier 3"
            "|left  A[i:3, j:2]|right L[j:3, k:3]|hint: A's axis 1",
        ),
        (
            "SELECT A.i, A.j, MUL(A.tile, B.tile) FROM A JOIN B ON A.j = B.j",
            "MUL(",
            "mul: the tiles do not fit along the loop dimensions|left  [i:3, j:2]|right [j:2, k:3]",
        ),
        (
            "SELECT A.i, B.k, SUM(MATMUL(A.tile, B.tile)) FROM A, B WHERE A.j = B.j GROUP BY A.i, B.k",
            "A.j = B.j",
            "the comma pairs all tiles, before WHERE is asked|by their keys: FROM ... JOIN B ON A.j = B.j",
        ),
        (
            "SELECT A.i, MATMUL(A.tile, b.tile) FROM A, B AS b WHERE A.i = 0 AND b.j = A.j",
            "b.j = A.j",
            "the comma pairs all tiles|FROM ... JOIN b ON A.j = b.j",
        ),
        (
            "SELECT A.i, MATMUL(A.tile, B.tile) FROM A, B WHERE A.i = 0 OR A.j = B.j",
            "MATMUL(",
            "matmul: the tiles do not fit along dimension n",
        ),
        (
            "SELECT tile FROM A, B",
            "tile",
            "this may be the tile of several tables|hint: write A.tile or B.tile",
        ),
        (
            "SELECT j, OUTER(a.tile, b.tile) FROM v AS a, v AS b",
            "j,",
            "j is a key of several tables|hint: write a.j or b.j",
        ),
        ("SELECT 1 AS k, MUL(A.tile, B.tile) FROM A JOIN B ON A.j = j", "j", "j is a key of several tables"),
        (
            "SELECT A.i, A.tile FROM A JOIN B ON A.j = B.j",
            "B ON",
            "the tile of B is not used|LEFT(A.tile, B.tile)",
        ),
        ("SELECT MUL(A.tile, A.tile) FROM A, A", "A", "two tables are called A|such as A AS A2"),
        (
            "SELECT MUL(A.tile, B.tile) FROM A JOIN B ON A.i = A.j",
            "A.i = A.j",
            "both keys are of the same table",
        ),
        (
            "SELECT WHERE(A.tile, A.tile, A.tile) FROM A",
            "WHERE(",
            "WHERE takes 3 tiles, and a join pairs two|CHOOSE",
        ),
        ("SELECT MUL(A.tile, B.tile, 1) FROM A, B", "MUL(", "MUL takes 2 arguments, 3 given"),
        ("SELECT i, j, MATMUL(A.tile, 2.0) FROM A", "MATMUL(", "matmul takes no constant as argument 2"),
        ("SELECT RELU(2.0) FROM A", "RELU(2.0)", "relu takes no constant as argument 1"),
        ("SELECT SUM(2.0) FROM A", "SUM", "SUM takes one argument, which is no constant"),
        ("SELECT SUM(A.tile, B.tile) FROM A, B", "SUM", "SUM takes one argument"),
        # the other queries
        ("TILE A AXIS 0 SIZE 0 KEY ii", "TILE", "a tile size is at least 1; got 0"),
        ("TILE A AXIS 7 SIZE 1 KEY ii", "TILE", "there is no axis 7: [i:3, j:2]"),
        (
            "STACK (A, B) KEY s",
            "STACK",
            "cannot stack relations of different types|  first [i:3, j:2]|  other [j:2, k:3]",
        ),
        ("REKEY A TO (A.i)", "REKEY", "rekey is not injective"),
        ("RETILE A TO (1)", "RETILE", "1 size for 2 axes of [i:3, j:2]|hint: write one per axis"),
        ("RETILE A TO (1, 0)", "0)", "a tile size is at least 1"),
        ("RETILE A[0:2] TO (1, 1)", "A[0:2]", "1 window for 2 axes of [i:3, j:2]"),
        ("RETILE A[0:9, *] TO (1, *)", "0:9", "the places 0 to 8 are not all within an extent of 5"),
        ("RETILE A[*, 3:0:0] TO (1, *)", "3:0:0", "a step of 0 goes nowhere"),
        ("RETILE (A, B) ALONG 2 TO (1, 1)", "ALONG 2", "there is no axis 2"),
        (
            "RETILE (A, B) TO (1, 1)",
            "RETILE",
            "cannot concatenate along axis 0: along axis 1 the extents are 4 and 6",
        ),
        ("CONSTANT (i: 3, i: 2) AXES () VALUE 0.0 TYPE bool", "i: 2", "two keys are called i"),
        ("CONSTANT (i: 3) AXES (10 BY k TO 25) VALUE 0.0 TYPE float32", "k TO", "no key k cuts this axis"),
        (
            "CONSTANT (i: 3) AXES () VALUE 0.0 TYPE floot",
            "floot",
            "floot is no dtype; did you mean 'float64'?",
        ),
        ("CONSTANT (i: 3) AXES () VALUE 0.0 TYPE object", "object", "object is no dtype"),
        ("CONSTANT (i: 3) AXES () VALUE 'a' TYPE float32", "'a'", "is no value of dtype float32: it is no n"),
        (
            "CONSTANT (i: 3) AXES () VALUE 0 TYPE bool KEYS ((1, 2))",
            "KEYS",
            "(1, 2) does not fit the keys (i:3)",
        ),
        (
            "CONSTANT (i: 3) AXES () VALUE 0 TYPE bool KEYS ((3))",
            "KEYS",
            "(3) does not lie in the keys (i:3)",
        ),
        (
            "CONSTANT (i: 3) AXES () VALUE 0 TYPE bool KEYS (0:4)",
            "KEYS",
            "(0:4) does not lie in the keys (i:3)",
        ),
        ("RANDOM (i: 3) AXES () UNIFORM(1) SEED 1 TYPE float32", "UNIFORM", "UNIFORM takes two numbers"),
        (
            "RANDOM (i: 3) AXES () POISSON(1, 2) SEED 1 TYPE float32",
            "POISSON",
            "unknown distribution 'poisson'",
        ),
        (
            "RANDOM (i: 3) AXES () UNIFORM(0, 1) SEED 18446744073709551616 TYPE float32",
            "UNIFORM",
            "a seed is an integer from 0 to 2**64 - 1; got 18446744073709551616",
        ),
        ("IOTA (i: 3) AXES () ALONG 0 TYPE float32", "IOTA", "there is no axis 0"),
        # files
        ("LOAD X(n, d) FROM 'nowhere.npy'", "'nowhere.npy'", "there is no such file"),
        ("LOAD X(n, d) FROM 'nowhere.xyz'", "'nowhere.xyz'", "has no known format"),
    ],
)
def test_messages(text, below, message, check_message):
    check_message(text, below, message)


def test_a_message_of_several_lines_goes_on_below_the_caret(error_of):
    error = error_of("SELECT A.i, A.j, MATMUL(A.tile, L.tile) FROM A JOIN L ON A.j = L.j")
    assert str(error) == (
        "<query>:1:58: cannot join on j: left A.j has frontier 2, right L.j has frontier 3\n"
        "  SELECT A.i, A.j, MATMUL(A.tile, L.tile) FROM A JOIN L ON A.j = L.j\n"
        "                                                           ^~~~~~~~~\n"
        "  left  A[i:3, j:2] of 2/5×3/4 float64\n"
        "  right L[j:3, k:3] of 3/9×2/6 float64\n"
        "  hint: A's axis 1 has extent 4 in tiles of 3, L's axis 0 has 9 in tiles of 3; "
        "the tensors do not match (truncate=True joins the common part)"
    )
    assert isinstance(error.__cause__, SchemaError)


def test_a_syntax_error_at_the_end_of_the_text(error_of):
    error = error_of("LET C[i, j] = A[i, j", origin="q.tra")
    assert str(error).startswith("q.tra:1:21: expected ',' or ']', found the end of the text\n")


def test_long_conditions_are_refused(error_of):
    text = "SELECT i, j, tile FROM A WHERE " + " OR ".join(["i = 0"] * 300)
    assert "this nests more than 200 deep" in str(error_of(text))


@pytest.mark.parametrize(
    "text",
    [
        "LET C[i, j] = " + "RELU(" * 195 + "A[i, j]" + ")" * 195,
        "LET C = SUM(" + "A[i, j] ^ (" * 98 + "A[i, j]" + ")" * 99,
        "(SELECT i, j, tile FROM " * 98 + "A" + ")" * 98,
        "SELECT SUM(" + "RELU(" * 190 + "MUL(A.tile, B.tile)" + ")" * 190 + ") FROM S AS A, S AS B",
        "SELECT i, j, tile FROM A WHERE " + "(NOT " * 190 + "i = 0" + ")" * 190,
    ],
)
def test_what_is_just_not_too_deep_is_bound(text, given_relations):
    run_statements(None, text, given_relations, Options(execute=False))
