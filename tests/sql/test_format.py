"""Tree to canonical text: it parses back to the tree, and formatting it again changes nothing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tra.errors import QueryError
from tra.sql import syntax as s
from tra.sql.format import WIDTH, format_statement, format_text
from tra.sql.parser import parse_text

# --- trees -----------------------------------------------------------------------------------------

PLAIN = [
    "A",
    "B",
    "i",
    "jj",
    "W1",
    "e",
    "e5",
    "E1",
    "j",
    "_",
    "selects",
    "é",
    "日本",
    "ſize",
    "µ",
    "ı",
    "train",
    "grad",
]
SOFT = [
    "tile",
    "Tile",
    "TILE",
    "key",
    "axis",
    "size",
    "by",
    "to",
    "value",
    "keys",
    "type",
    "seed",
    "along",
    "axes",
    "view",
    "analyze",
    "concat",
    "stack",
    "retile",
    "constant",
    "iota",
    "random",
    "inf",
    "nan",
    "true",
    "false",
]
RESERVED = [
    "select",
    "SELECT",
    "From",
    "and",
    "as",
    "create",
    "explain",
    "group",
    "join",
    "let",
    "load",
    "not",
    "on",
    "or",
    "save",
    "show",
    "where",
]
ODD = ["1a", "--", ";", "'", '"', '""', "(", "a_b;", "two words"]

texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=6)
names = st.builds(s.Name, st.sampled_from(PLAIN + SOFT + RESERVED + ODD) | texts.filter(bool))
functions = names.map(lambda name: s.Name(name.text.lower()) if name.text.isascii() else name)
strings = st.builds(s.Text, texts)
naturals = st.builds(s.Integer, st.integers(0, 10**20))
integers = st.builds(s.Integer, st.integers(-3, 10**20))
floats = st.floats(allow_nan=False)
sizes = st.floats(min_value=0, allow_infinity=False).map(abs)
imaginary = st.builds(complex, st.just(0.0), sizes)
complexes = st.builds(complex, st.floats(), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.booleans() | st.integers() | floats | st.just(math.nan) | complexes | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
literals = st.builds(s.Literal, values)
options = st.lists(st.builds(s.Option, names, literals), max_size=2, unique_by=lambda o: o.name).map(tuple)
comparisons = st.sampled_from(("=", "<>", "<", "<=", ">", ">="))


def tuples(of, least=0, most=3):
    return st.lists(of, min_size=least, max_size=most).map(tuple)


amounts = st.builds(s.Literal, st.integers(0, 10**20) | sizes | imaginary)
indices = st.none() | tuples(names, 1)
exprs = st.recursive(
    amounts | st.builds(s.Tensor, names, indices),
    lambda inner: st.one_of(
        st.builds(s.Negate, inner),
        st.builds(s.Binary, st.sampled_from("+-*/^"), inner, inner),
        st.builds(s.Compare, comparisons, inner, inner),
        st.builds(s.Call, functions, indices, tuples(inner, 1), options),
    ),
    max_leaves=10,
)

key_refs = st.builds(s.KeyRef, st.none() | names, names)
key_exprs = st.recursive(
    key_refs | naturals,
    lambda inner: (
        st.builds(s.KeyNegate, inner) | st.builds(s.KeyBinary, st.sampled_from("+-*/%"), inner, inner)
    ),
    max_leaves=6,
)
predicates = st.recursive(
    st.builds(s.KeyCompare, comparisons, key_exprs, key_exprs),
    lambda inner: st.one_of(
        st.builds(s.Not, inner), st.builds(s.And, tuples(inner, 2)), st.builds(s.Or, tuples(inner, 2))
    ),
    max_leaves=6,
)
tile_refs = st.builds(s.TileRef, st.none() | names)
tile_exprs = st.recursive(
    tile_refs | literals,
    lambda inner: st.builds(s.TileCall, functions, tuples(inner, 1), options),
    max_leaves=5,
)
tiles = tile_refs | st.builds(s.TileCall, functions, tuples(tile_exprs, 1), options)
key_items = st.builds(s.KeyItem, key_exprs, st.none() | names)

tables = st.builds(s.Table, names)
links = tuples(st.builds(s.LinkTerm, names, st.integers(0, 9)))
axes = tuples(st.builds(s.Axis, naturals, links, st.none() | naturals))
layouts = st.builds(s.Layout, tuples(st.builds(s.Domain, names, naturals)), axes)
live = st.none() | st.builds(s.LiveKeys, tuples(tuples(st.integers(0, 10**20))))
generated = st.one_of(
    st.builds(s.Constant, layouts, literals, names, live),
    st.builds(s.Iota, layouts, integers, names, live),
    st.builds(s.Random, layouts, functions, tuples(literals), naturals, names, live),
)


def _queries(inner):
    table_refs = st.builds(s.TableRef, inner, st.none() | names)
    joins = st.builds(s.Join, table_refs, tuples(st.builds(s.Equality, key_refs, key_refs), most=2))
    return st.one_of(
        st.builds(
            s.Select,
            tuples(key_items),
            tiles,
            table_refs,
            tuples(joins, most=2),
            st.none() | predicates,
            tuples(key_refs, most=2),
        ),
        st.builds(s.Tile, inner, integers, naturals, names),
        st.builds(s.Concat, inner, names, integers),
        st.builds(s.Stack, tuples(inner, 1), names),
        st.builds(s.Retile, inner, tuples(naturals)),
    )


queries = st.recursive(tables | generated, _queries, max_leaves=5)
statements = st.one_of(
    st.builds(s.Load, names, st.none() | tuples(names), strings, st.none() | tuples(naturals)),
    st.builds(s.Let, names, indices, exprs),
    st.builds(s.View, names, queries),
    st.builds(s.Explain, queries, st.booleans()),
    st.builds(s.Show, queries),
    st.builds(s.Save, names, strings),
    st.builds(s.Run, queries),
)


@settings(max_examples=500, deadline=None)
@given(statements)
def test_every_tree_parses_back(statement):
    text = format_statement(statement)
    assert parse_text(text) == (statement,)
    assert format_text(text) == text + "\n"


comments = st.sampled_from(["-- x\n", "--\n", "-- ; 'a\n", "\n", "\n\n\n", "  ", "\t", '-- "é\r\n'])
fragments = st.sampled_from(
    ["A", ";", "SHOW", "LET", "=", "1", "'p'", "SAVE", "TO", "(", ")", "SELECT", "i,", "tile", "FROM"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(statements, tuples(comments)), max_size=3), tuples(comments))
def test_comments_survive_and_formatting_is_idempotent(written, before):
    text = "".join(before) + "".join(
        " ".join(format_statement(statement)[:-1].split("\n")) + "".join(gap[:1]) + ";" + "".join(gap[1:])
        for statement, gap in written
    )
    once = format_text(text)
    assert parse_text(once) == parse_text(text) == tuple(statement for statement, _ in written)
    assert format_text(once) == once
    gaps = [*before, *(piece for _, gap in written for piece in gap)]
    n_comments = sum(piece.startswith("--") for piece in gaps)
    assert once.count("--") == n_comments + sum(format_statement(tree).count("--") for tree, _ in written)


@settings(max_examples=300, deadline=None)
@given(statements, st.data())
def test_broken_text_is_refused_with_a_caret(statement, data):
    text = format_statement(statement)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    text = text[:start] + data.draw(fragments | texts) + text[min(end, start + 5) :]
    try:
        parse_text(text)
    except QueryError as error:
        where, _, caret, *_ = str(error).split("\n")
        assert where.startswith("<query>:") and "^" in caret


@settings(max_examples=300, deadline=None)
@given(st.lists(fragments | comments | texts, max_size=15).map(" ".join))
def test_any_text_is_formatted_or_refused(text):
    try:
        once = format_text(text)
    except QueryError:
        return
    assert parse_text(once) == parse_text(text)
    assert format_text(once) == once


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
