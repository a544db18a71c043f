"""The canonical text: layout, comments, and what has no text."""

import math

import pytest

from tra.errors import QueryError
from tra.sql import syntax as s
from tra.sql.format import WIDTH, format_statement, format_text
from tra.sql.parser import parse_text

# --- layout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("load X(n,d) from 'x.npy' tile(10,20)", "LOAD X(n, d) FROM 'x.npy' TILE (10, 20);"),
        ("let loss=sum[n]( - (a[n]) )", "LET loss = SUM[n](-a[n]);"),
        ("let x=((a+b))*(c*d)", "LET x = (a + b) * (c * d);"),
        ("let x=-(-a)", "LET x = -(-a);"),
        ("let x=a - -b", "LET x = a - -b;"),
        ("let x=a!=1e3", "LET x = a <> 1000.0;"),
        ("select i, tile from A where not(i=0)", "SELECT i, tile FROM A WHERE NOT i = 0;"),
        ("select relu(tile), A.i from A as a,B", "SELECT A.i, RELU(tile) AS tile FROM A AS a, B;"),
        ("stack(A,(B)) key s", "STACK (A, B) KEY s;"),
        (
            "iota(i:3)axes(10 by 1*i to 25)along 0 type int64",
            "IOTA (i: 3) AXES (10 BY i TO 25) ALONG 0 TYPE int64;",
        ),
        ("explain analyze C", "EXPLAIN ANALYZE C;"),
        ("hint C'x'split(i,*,\"let\")", "HINT C 'x' SPLIT (i, *, \"let\");"),
        ('show "C"', "SHOW C;"),
        ('select A."Tile", A.tile from A', 'SELECT A."Tile", A.tile FROM A;'),
    ],
)
def test_canonical_text(text, canonical):
    assert format_text(text) == canonical + "\n"


def test_long_queries_take_a_line_for_each_clause():
    text = """create view C as select A.i, B.k, sum(matmul(A.tile, B.tile))
    from (select A.i, A.j, relu(A.tile) from A where A.i < 10 and A.j < 10 and not A.i = A.j) as A
    join (tile B axis 0 size 10 key k) as B on A.j = B.j, D where A.i < 3 group by A.i, B.k;"""
    assert format_text(text) == (
        "CREATE VIEW C AS\n"
        "  SELECT A.i, B.k, SUM(MATMUL(A.tile, B.tile)) AS tile\n"
        "  FROM (\n"
        "    SELECT A.i, A.j, RELU(A.tile) AS tile FROM A WHERE A.i < 10 AND A.j < 10 AND NOT A.i = A.j\n"
        "  ) AS A\n"
        "  JOIN (TILE B AXIS 0 SIZE 10 KEY k) AS B ON A.j = B.j, D\n"
        "  WHERE A.i < 3\n"
        "  GROUP BY A.i, B.k;\n"
    )


@pytest.mark.parametrize("n_keys", range(1, 12))
def test_lines_are_as_long_as_they_may_be(n_keys):
    keys = ", ".join(f"A.key_number_{i}" for i in range(n_keys))
    for head in ("", "EXPLAIN ANALYZE ", "CREATE VIEW C AS "):
        text = format_text(f"{head}SELECT {keys}, A.tile FROM A")
        assert (len(text) <= WIDTH + 1) == (text.count("\n") == 1)


def test_comments_stay_with_their_statements():
    text = """\
    -- the head
    --  of the file


    load X(n) from 'x.npy'; -- the data
    -- about Z
    let Z[n] = -- inside
       X[n] -- and here
    ;

    show Z -- last

    -- the end
    """
    assert format_text(text) == (
        "-- the head\n"
        "--  of the file\n"
        "\n"
        "LOAD X(n) FROM 'x.npy';  -- the data\n"
        "-- about Z\n"
        "-- inside\n"
        "-- and here\n"
        "LET Z[n] = X[n];\n"
        "\n"
        "SHOW Z;  -- last\n"
        "\n"
        "-- the end\n"
    )


def test_comment_behind_the_second_statement_of_a_line():
    assert format_text("SHOW A; SHOW B -- b") == "SHOW A;\nSHOW B;  -- b\n"


def test_quotes_hide_comments_and_semicolons():
    assert format_text("""SAVE "a;--" TO 'b;--' -- c;""") == """SAVE "a;--" TO 'b;--';  -- c;\n"""


def test_nothing():
    assert format_text("") == format_text(" \n ") == ""
    assert format_text("--  only  \n") == "--  only\n"


def test_errors_name_the_origin():
    with pytest.raises(QueryError, match=r"^q\.tra:1:5"):
        format_text("SHOW", "q.tra")


@pytest.mark.parametrize(
    "text",
    ["LET x = " + "RELU(" * 195 + "y" + ")" * 195, "(TILE " * 190 + "A" + " AXIS 0 SIZE 1 KEY k)" * 190],
)
def test_the_deepest_trees_are_formatted(text):
    assert parse_text(format_text(text)) == parse_text(text)


@pytest.mark.parametrize(
    "statement",
    [
        s.Run(s.Table(s.Name(""))),
        s.Run(s.Table(s.Name("a\nb"))),
        s.Save(s.Name("a"), s.Text("a\nb")),
        s.Let(s.Name("a"), None, s.Literal(math.inf)),
        s.Let(s.Name("a"), None, s.Literal("text")),
        s.Let(
            s.Name("a"),
            None,
            s.Call(s.Name("f"), None, (), (s.Option(s.Name("x"), s.Literal(complex(0, math.inf))),)),
        ),
    ],
)
def test_what_has_no_text_is_refused(statement):
    with pytest.raises(QueryError, match=r"cannot be written|is no number"):
        format_statement(statement)


def test_negative_numbers_made_by_hand_keep_their_value():
    two = s.Let(s.Name("x"), None, s.Binary("^", s.Literal(-2.0), s.Literal(1 + 2j)))
    assert format_statement(two) == "LET x = (-2.0) ^ (1.0 + 2.0j);"
