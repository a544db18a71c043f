"""Query text to tree."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tra.sql import syntax as s
from tra.sql.parser import parse_text


def name(text):
    return s.Name(text)


def names(text):
    return tuple(map(s.Name, text.split()))


def tensor(text, indices=None):
    return s.Tensor(name(text), None if indices is None else names(indices))


def key(table, text):
    return s.KeyRef(table and name(table), name(text))


def statement_of(text):
    (statement,) = parse_text(text)
    return statement


def value_of(text):
    return statement_of(f"LET x = {text}").value


def query_of(text):
    return statement_of(text).query


def where_of(text):
    return query_of(f"SELECT A.i, A.tile FROM A WHERE {text}").where


# --- statements ------------------------------------------------------------------------------------


def test_load():
    expected = s.Load(name("X"), names("n d"), s.Text("digits.npz:X"))
    assert statement_of("LOAD X(n, d) FROM 'digits.npz:X';") == expected
    tiled = s.Load(name("X"), names("n"), s.Text("it's"), (s.Integer(1000), s.Integer(10)))
    assert statement_of("load X(n) from 'it''s' tile (1000, 10)") == tiled
    assert statement_of("LOAD C FROM 'C.tra'").keys is None
    assert statement_of("LOAD b() FROM 'b.npy'").keys == ()


def test_let():
    assert statement_of("LET Z[n, h] = 1") == s.Let(name("Z"), names("n h"), s.Literal(1))
    assert statement_of("LET loss = A") == s.Let(name("loss"), None, tensor("A"))


def test_other_statements():
    table = s.Table(name("C"))
    assert parse_text("CREATE VIEW V AS C; C; EXPLAIN C; explain analyze C; SHOW (C); SAVE C TO 'C.tra'") == (
        s.View(name("V"), table),
        s.Run(table),
        s.Explain(table),
        s.Explain(table, analyze=True),
        s.Show(table),
        s.Save(name("C"), s.Text("C.tra")),
    )


def test_hints():
    assert parse_text("HINT C 'in place'; hint C split (i, *); HINT split 'x' SPLIT (split)") == (
        s.Hint(name("C"), s.Text("in place")),
        s.Hint(name("C"), None, (name("i"), None)),
        s.Hint(name("split"), s.Text("x"), names("split")),
    )


@pytest.mark.parametrize("text", ["", "  \n\t", "-- only a comment", "-- a\n\n-- b\n", "\ufeff"])
def test_no_statement(text):
    assert parse_text(text) == ()


def test_comments_and_last_semicolon():
    assert parse_text("A -- ; 'x\n; B") == parse_text("A;B;") == parse_text("\ufeffA;--\r\nB --")
    assert parse_text("SAVE A TO '-- no comment; none';") == (
        s.Save(name("A"), s.Text("-- no comment; none")),
    )


def test_keywords_in_any_case():
    assert parse_text("Select A.i, A.TILE From A") == parse_text("SELECT A.i, A.tile FROM A")
    assert value_of("relu(x)") == value_of("RELU(x)") == value_of("ReLU(x)")
    assert value_of("x") != value_of("X")


# --- the index form --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("-a ^ b", "-(a ^ b)"),
        ("a ^ -b", "a ^ (-b)"),
        ("-a * b", "(-a) * b"),
        ("a - -b", "a - (-b)"),
        ("a + b < c * d", "(a + b) < (c * d)"),
        ("a != b", "a <> b"),
        ("- - a", "-(-a)"),
    ],
)
def test_precedence(text, meaning):
    assert value_of(text) == value_of(meaning)


def test_comparison_inside_parentheses():
    inner = s.Compare("<", tensor("a"), tensor("b"))
    assert value_of("(a < b) = c") == s.Compare("=", inner, tensor("c"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("007", 7),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1e3),
        ("1.5E-3", 1.5e-3),
        ("2j", 2j),
    ],
)
def test_numbers(text, value):
    assert value_of(text) == s.Literal(value)


def test_calls():
    x = tensor("x")
    assert value_of("RELU(x)") == s.Call(name("relu"), None, (x,))
    assert value_of("ARGMIN[x](D[q, x])") == s.Call(name("argmin"), names("x"), (tensor("D", "q x"),))
    where = s.Call(name("where"), None, (x, x, s.Literal(0)))
    assert value_of("WHERE(x, x, 0)") == value_of('"where"(x, x, 0)') == where
    assert value_of("POWER(x, 2)") == s.Call(name("power"), None, (x, s.Literal(2)))
    options = (s.Option(name("by"), s.Literal(2.0)), s.Option(name("axes"), s.Literal((0, 1))))
    assert value_of("SCALE(x, by => 2.0, axes => (0, 1))") == s.Call(name("scale"), None, (x,), options)


def test_the_example_of_nearest_neighbours():
    value = statement_of("LET D[q, x] = SUM((Q[q, i] - X[x, i]) * M[i, j] * (Q[q, j] - X[x, j]))").value
    difference = [s.Binary("-", tensor("Q", f"q {i}"), tensor("X", f"x {i}")) for i in "ij"]
    product = s.Binary("*", s.Binary("*", difference[0], tensor("M", "i j")), difference[1])
    assert value == s.Call(name("sum"), None, (product,))


# --- SELECT ----------------------------------------------------------------------------------------


def test_select():
    text = """SELECT A.i, B.k, SUM(MATMUL(A.tile, B.tile)) AS tile
              FROM A JOIN B AS b ON A.j = b.j AND A.x = y WHERE A.i < 3 GROUP BY A.i, k"""
    product = s.TileCall(name("matmul"), (s.TileRef(name("A")), s.TileRef(name("B"))))
    on = (s.Equality(key("A", "j"), key("b", "j")), s.Equality(key("A", "x"), key(None, "y")))
    assert query_of(text) == s.Select(
        keys=(s.KeyItem(key("A", "i")), s.KeyItem(key("B", "k"))),
        tile=s.TileCall(name("sum"), (product,)),
        source=s.TableRef(s.Table(name("A"))),
        joins=(s.Join(s.TableRef(s.Table(name("B")), name("b")), on),),
        where=s.KeyCompare("<", key("A", "i"), s.Integer(3)),
        group_by=(key("A", "i"), key(None, "k")),
    )


def test_tile_stands_anywhere_among_the_items():
    assert query_of("SELECT tile, i FROM A") == query_of("SELECT i, tile AS tile FROM A")


def test_cross_join_and_subquery():
    query = query_of("SELECT A.i, A.tile FROM A, (TILE B AXIS 0 SIZE 2 KEY ii) AS T")
    tiled = s.Tile(s.Table(name("B")), s.Integer(0), s.Integer(2), name("ii"))
    assert query.joins == (s.Join(s.TableRef(tiled, name("T"))),)


def test_key_items():
    query = query_of("SELECT A.i * 3 + A.j AS k, -(i / 2) % 2, A.tile FROM A")
    first = s.KeyBinary("+", s.KeyBinary("*", key("A", "i"), s.Integer(3)), key("A", "j"))
    half = s.KeyNegate(s.KeyBinary("/", key(None, "i"), s.Integer(2)))
    second = s.KeyBinary("%", half, s.Integer(2))
    assert query.keys == (s.KeyItem(first, name("k")), s.KeyItem(second))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1", -1),
        ("1.0", 1.0),
        ("INF", float("inf")),
        ("-inf", float("-inf")),
        ("NaN", float("nan")),
        ("'ab,bc->ac'", "ab,bc->ac"),
        ("TRUE", True),
        ("false", False),
        ("2.0j", 2j),
        ("-2j", complex(0.0, -2.0)),
        ("1 - 2j", complex(1, -2)),
        ("(0, 1)", (0, 1)),
        ("(0,)", (0,)),
        ("()", ()),
        ("(0)", 0),
        ("((0, 1), 'a')", ((0, 1), "a")),
    ],
)
def test_literals_of_tile_expressions(text, value):
    tile = query_of(f"SELECT i, F(tile, {text}, axis => {text}) FROM A").tile
    assert tile.arguments[1] == s.Literal(value)
    assert tile.options == (s.Option(name("axis"), s.Literal(value)),)


def test_literals_compare_by_kind():
    assert len({s.Literal(1), s.Literal(1.0), s.Literal(True), s.Literal(1 + 0j), s.Literal("1")}) == 5
    assert s.Literal(float("nan")) == s.Literal(float("nan"))


def test_predicates():
    i, j = (s.KeyCompare("=", key(None, k), s.Integer(0)) for k in "ij")
    assert where_of("i = 0 OR i = 0 AND NOT j = 0") == s.Or((i, s.And((i, s.Not(j)))))
    assert where_of("(i = 0 OR j = 0) AND (i) = 0") == s.And((s.Or((i, j)), i))
    assert where_of("NOT NOT (i = 0)") == s.Not(s.Not(i))
    assert where_of("(i = 0) + 1") == s.KeyBinary("+", i, s.Integer(1))
    assert where_of("NOT (i = 0) = (j = 0)") == s.Not(s.KeyCompare("=", i, j))
    assert where_of(" OR ".join(["i = 0"] * 5000)) == s.Or((i,) * 5000)


# --- what SELECT cannot say ------------------------------------------------------------------------


def test_operators():
    a, b = s.Table(name("A")), s.Table(name("B"))
    assert query_of("TILE A AXIS -1 SIZE 100 KEY jj") == s.Tile(a, s.Integer(-1), s.Integer(100), name("jj"))
    assert query_of("CONCAT A KEY jj AXIS 1") == s.Concat(a, name("jj"), s.Integer(1))
    cuts = (s.Cut(s.Integer(10)), s.Cut(s.Integer(20), name("j")), s.Cut())
    assert query_of("STACK (A, (RETILE B TO (10, 20 BY j, *))) KEY s") == s.Stack(
        (a, s.Retile((s.Windowed(b),), cuts)), name("s")
    )
    items = (s.KeyItem(key("A", "j")), s.KeyItem(s.Integer(0), name("k")))
    assert query_of("REKEY A TO (A.j, 0 AS k)") == s.ReKey(a, items)
    assert query_of("REKEY A TO ()") == s.ReKey(a, ())


def test_windows():
    a, b = s.Table(name("A")), s.Table(name("B"))
    backwards = s.Window(s.Integer(9), s.Integer(-1), s.Integer(-2))
    first = s.Windowed(a, (s.Window(s.Integer(2), s.Integer(3)), None, backwards))
    assert query_of("RETILE A[2:3, *, 9:-1:-2] TO ()") == s.Retile((first,), ())
    several = s.Retile((first, s.Windowed(b)), (s.Cut(),), s.Integer(-1))
    assert query_of("RETILE (A[2:3:1, *, 9:-1:-2], B) ALONG -1 TO (*)") == several
    assert query_of("RETILE (A) TO ()") == s.Retile((s.Windowed(a),), ())


def test_truncate():
    select = query_of("SELECT tile FROM A JOIN B ON A.i = B.i TRUNCATE, C TRUNCATE, D WHERE i = 0")
    assert [join.truncate for join in select.joins] == [True, True, False]


def test_generated():
    domains = (s.Domain(name("i"), s.Integer(3)), s.Domain(name("j"), s.Integer(4)))
    link = (s.LinkTerm(name("i"), 3), s.LinkTerm(name("j")))
    axes = (s.Axis(s.Integer(10), link, s.Integer(25)), s.Axis(s.Integer(7)))
    layout, dtype = s.Layout(domains, axes), name("float32")
    head = "(i: 3, j: 4) AXES (10 BY 3*i + j TO 25, 7)"
    live = s.LiveKeys(((0, 0), (1, 2)))
    assert query_of(f"CONSTANT {head} VALUE 0.0 TYPE float32 KEYS ((0,0),(1,2))") == s.Constant(
        layout, s.Literal(0.0), dtype, live
    )
    assert query_of(f"IOTA {head} ALONG 0 TYPE float32") == s.Iota(layout, s.Integer(0), dtype)
    parameters = (s.Literal(-0.1), s.Literal(1))
    assert query_of(f"RANDOM {head} UNIFORM(-0.1, 1) SEED 7 TYPE float32") == s.Random(
        layout, name("uniform"), parameters, s.Integer(7), dtype
    )
    listed = query_of(f"IOTA {head} ALONG 0 TYPE float32 KEYS ((0, 1:3), (2, 0))")
    assert listed.live == s.LiveKeys(((0, (1, 3)), (2, 0)))
    box = query_of(f"IOTA {head} ALONG -1 TYPE float32 KEYS (0:3, 1:4)")
    assert box == s.Iota(layout, s.Integer(-1), dtype, s.LiveBox(((0, 3), (1, 4))))
    empty = query_of("CONSTANT () AXES () VALUE TRUE TYPE bool KEYS (())")
    assert empty == s.Constant(s.Layout((), ()), s.Literal(True), name("bool"), s.LiveKeys(((),)))


# --- names -----------------------------------------------------------------------------------------

SOFT = ["tile", "key", "axis", "size", "by", "to", "value", "keys", "type", "seed", "view", "along", "axes"]
SOFT += [
    "truncate",
    "rekey",
    "concat",
    "stack",
    "retile",
    "constant",
    "iota",
    "random",
    "inf",
    "nan",
    "true",
    "analyze",
    *[
        "initialize",
        "train",
        "minimize",
        "using",
        "for",
        "epochs",
        "batch",
        "checkpoint",
        "every",
        "report",
        "grad",
    ],
]


@pytest.mark.parametrize("word", [*SOFT, "é", "_", "i2", "selected", "android"])
def test_words_that_are_names_where_the_grammar_asks_for_names(word):
    assert parse_text(f"{word}; SHOW {word}; EXPLAIN {word}") == (
        s.Run(s.Table(name(word))),
        s.Show(s.Table(name(word))),
        s.Explain(s.Table(name(word))),
    )
    assert statement_of(f"LET {word}[{word}] = {word}[{word}] + {word}").value == s.Binary(
        "+", tensor(word, word), tensor(word)
    )
    query = query_of(
        f"SELECT {word}.i AS k, {word}.tile FROM {word} AS {word} JOIN {word} ON {word}.i = {word}.j"
    )
    assert (query.tile, query.source.alias) == (s.TileRef(name(word)), name(word))
    assert query_of(f"TILE {word} AXIS 0 SIZE 1 KEY {word}").key == name(word)


@pytest.mark.parametrize("word", [word for word in SOFT if word != "tile"])
def test_soft_words_as_keys_of_a_select(word):
    query = query_of(f"SELECT A.{word}, {word} AS {word}, tile FROM A WHERE {word} = 0 GROUP BY {word}")
    assert query.keys[1] == s.KeyItem(key(None, word), name(word))


def test_double_quotes_make_a_name_of_anything():
    assert statement_of('SHOW "select"').query == s.Table(name("select"))
    assert statement_of('SHOW "a ""b"""').query == s.Table(name('a "b"'))
    assert query_of('SELECT A."tile", A.tile FROM A').keys == (s.KeyItem(key("A", "tile")),)


# --- spans -----------------------------------------------------------------------------------------


def test_spans():
    text = "LET Z[n] = (a + b) * RELU( c[n] ) ;  SHOW Z"
    let, show = parse_text(text)

    def written(node):
        return text[node.span.start : node.span.end]

    assert written(let) == "LET Z[n] = (a + b) * RELU( c[n] )"
    assert written(let.value) == "(a + b) * RELU( c[n] )"
    assert written(let.value.left) == "(a + b)"
    assert written(let.value.left.right) == "b"
    assert written(let.value.right) == "RELU( c[n] )"
    assert written(let.value.right.function) == "RELU"
    assert [written(index) for index in let.indices] == ["n"]
    assert written(show) == "SHOW Z"


def test_threads_share_the_parser():
    texts = [f"LET x{i} = " + " + ".join(["SUM[n](A[n, i] * 2)"] * 20) for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(parse_text, texts)) == [parse_text(text) for text in texts]
