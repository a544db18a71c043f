"""The SQL form: each clause to its operator, in the paper's order."""

import numpy as np
import pytest

import tra
from tra.algebra import reference
from tra.algebra.nodes import Cut, Window
from tra.algebra.operators import stack
from tra.algebra.relation import Relation
from tra.algebra.retiling import retile
from tra.sql.runner import Options, run_statements

A = tra.from_array(np.arange(24.0).reshape(4, 6), keys=("i", "j"), tile=(2, 3), name="A")
B = tra.from_array(np.arange(30.0).reshape(6, 5), keys=("j", "k"), tile=(3, 2), name="B")
v = tra.from_array(np.arange(6.0), keys=("j",), tile=(3,), name="v")
S = tra.from_tiles({(0, 1): np.ones((2, 2)), (1, 0): np.full((2, 2), 2.0)}, keys=("i", "j"), name="S")


def bound(text, **relations):
    given = {"A": A, "B": B, "v": v, "S": S, **relations}
    return run_statements(None, text, given, Options(execute=False)).relation


def kept(relation):
    return relation.rekey(lambda i, j: (i, j), keys=("i", "j"))


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("SELECT A.i, A.j, A.tile FROM A", A),
        ("SELECT i, j, tile FROM A", A),
        ("SELECT tile, A.j, A.i FROM A", A.rekey(lambda i, j: (j, i), keys=("j", "i"))),
        ("SELECT A.i AS a, A.j AS b, A.tile FROM A", A.rekey(lambda i, j: (i, j), keys=("a", "b"))),
        ("SELECT a.i, a.j, a.tile FROM A AS a", A),
        ("SELECT i, j, RELU(tile) FROM A", A.transform("relu")),
        ("SELECT i, j, RELU(EXP(tile)) AS tile FROM A", A.transform("exp").transform("relu")),
        ("SELECT i, j, CLIP(tile, low => -1, high => 1.5) FROM A", A.transform("clip", low=-1, high=1.5)),
        # --- WHERE
        ("SELECT i, j, tile FROM A WHERE A.i = A.j", A.filter(lambda i, j: i == j)),
        (
            "SELECT i, j, tile FROM A WHERE i < 2 AND NOT (j = 1 OR j <> i)",
            A.filter(lambda i, j: (i < 2) & ~((j == 1) | (j != i))),
        ),
        (
            "SELECT i, j, tile FROM A WHERE i * 2 / 3 % 2 - -1 >= 1 + j",
            A.filter(lambda i, j: i * 2 // 3 % 2 - -1 >= 1 + j),
        ),
        ("SELECT i, j, tile FROM A WHERE i", A.filter(lambda i, j: i)),
        (
            "SELECT j, RELU(tile) FROM A WHERE A.i = 1",
            A.filter(lambda i, j: i == 1).rekey(lambda i, j: j, keys=("j",)).transform("relu"),
        ),
        # --- aggregation
        ("SELECT A.i, SUM(A.tile) FROM A GROUP BY A.i", A.aggregate(by="i")),
        ("SELECT SUM(tile) FROM A", A.aggregate(by=())),
        ("SELECT j, i, MAX(tile) FROM A GROUP BY i, j", A.aggregate(by=("j", "i"), kernel="max")),
        ("SELECT i, PROD(tile) FROM A GROUP BY i", A.aggregate(by="i", kernel="mul")),
        ("SELECT i, MIN(tile) FROM A GROUP BY i", A.aggregate(by="i", kernel="min")),
        ("SELECT i, LOGADDEXP(tile) FROM A GROUP BY i", A.aggregate(by="i", kernel="logaddexp")),
        ("SELECT i, ADD(tile) FROM A GROUP BY i", A.aggregate(by="i")),
        ("SELECT i AS n, SUM(tile) FROM A GROUP BY i", A.aggregate(by="i").rekey(lambda i: i, keys="n")),
        (
            "SELECT i + 1 AS n, SUM(tile) FROM A GROUP BY i",
            A.aggregate(by="i").rekey(lambda i: i + 1, keys="n"),
        ),
        (
            "SELECT i, RELU(SUM(SQUARE(tile))) FROM A WHERE j = 0 GROUP BY i",
            A.transform("square").filter(lambda i, j: j == 0).aggregate(by="i").transform("relu"),
        ),
        # --- joins
        (
            "SELECT A.i, B.k, SUM(MATMUL(A.tile, B.tile)) AS tile FROM A JOIN B ON A.j = B.j GROUP BY A.i, k",
            A @ B,
        ),
        ("SELECT i, k, SUM(MATMUL(A.tile, B.tile)) FROM A JOIN B ON B.j = A.j GROUP BY i, k", A @ B),
        ("SELECT A.i, A.j, ADD(A.tile, v.tile) FROM A JOIN v ON A.j = v.j", A + v),
        ("SELECT A.i, A.j, SUB(1.0, ADD(A.tile, v.tile)) FROM A JOIN v ON A.j = v.j", 1.0 - (A + v)),
        ("SELECT i, v.j, ADD(A.tile, v.tile) FROM A JOIN v ON A.j = v.j", A + v),
        ("SELECT a.i, b.j, MUL(a.tile, b.tile) FROM A AS a JOIN A AS b ON a.i = b.i AND a.j = b.j", A * A),
        ("SELECT A.i, A.j, MUL(A.tile, A.tile) FROM A", A * A),
        (
            "SELECT A.i, j, ADD(A.tile, EXP(A.tile)) FROM A",
            A.join(A.transform("exp"), on=("i", "j"), kernel="add"),
        ),
    ],
)
def test_clauses(text, python):
    assert bound(text).expr == python.expr


def test_options_and_literals_in_any_place():
    assert (
        bound("SELECT i, j, Clip(tile, high => 1, low => 0) FROM A").expr
        == A.transform("clip", low=0, high=1).expr
    )
    chosen = bound("SELECT i, j, WHERE(GT(tile, 3.0), 1.0, 0.0) FROM A")
    np.testing.assert_array_equal(chosen.compute(), A.compute() > 3)
    quoted = bound('SELECT i, j, "where"(GT(tile, 3.0), 1.0, 0.0) FROM A')
    assert quoted.expr == chosen.expr


def test_truth_values():
    large = A.compute() > 20
    for name, fold in (("ANY", np.any), ("ALL", np.all)):
        tiles = bound(f"SELECT i, {name}(GT(tile, 20.0)) FROM A GROUP BY i").tiles()
        for (i,), tile in tiles.items():
            rows = large[2 * i : 2 * i + 2]
            np.testing.assert_array_equal(tile, fold([rows[:, :3], rows[:, 3:]], axis=0))


def test_the_tree_decides_the_joins():
    D = tra.from_array(np.arange(20.0).reshape(5, 4), keys=("k", "m"), tile=(2, 4), name="D")
    left = bound(
        "SELECT A.i, D.m, SUM(MATMUL(MATMUL(A.tile, B.tile), D.tile)) AS tile "
        "FROM A JOIN B ON A.j = B.j JOIN D ON B.k = D.k GROUP BY A.i, D.m",
        D=D,
    )
    right = bound(
        "SELECT A.i, D.m, SUM(MATMUL(A.tile, MATMUL(B.tile, D.tile))) AS tile "
        "FROM A, B JOIN D ON D.k = B.k AND B.j = A.j GROUP BY A.i, D.m",
        D=D,
    )
    joined = A.join(B, on="j", kernel="matmul")
    assert left.expr == joined.join(D, on="k", kernel="matmul").aggregate(by=("i", "m")).expr
    joined = B.join(D, on="k", kernel="matmul")
    assert right.expr == A.join(joined, on="j", kernel="matmul").aggregate(by=("i", "m")).expr
    np.testing.assert_allclose(left.compute(), A.compute() @ B.compute() @ D.compute())
    np.testing.assert_allclose(right.compute(), left.compute())


def test_keys_through_joins():
    joined = bound("SELECT a.i, a.j, b.j, b.i, LEFT(a.tile, b.tile) FROM S AS a, S AS b")
    assert joined.keys == ("i", "j", "j_2", "i_2")
    plain = S.join(S, kernel="left")
    assert joined.expr == plain.rekey(lambda i, j, i2, j2: (i, j, j2, i2), keys=joined.keys).expr
    same = bound("SELECT a.i, a.j, b.i, b.j, LEFT(a.tile, b.tile) FROM S AS a, S AS b")
    assert same.expr == plain.expr
    third = bound(
        "SELECT a.i, b.j, c.i AS x, LEFT(LEFT(a.tile, b.tile), c.tile) "
        "FROM S AS a JOIN S AS b ON a.j = b.i JOIN S AS c ON c.j = b.j WHERE a.i <> c.i"
    )
    two = S.join(S, on=[("j", "i")], kernel="left").join(S, on=[("j_2", "j")], kernel="left")
    wanted = two.filter(lambda i, j, j_2, i_2: i != i_2).rekey(
        lambda i, j, j_2, i_2: (i, j_2, i_2), keys=("i", "j", "x")
    )
    assert third.expr == wanted.expr


def test_subqueries():
    text = """SELECT T.i, T.jj, SUM(T.tile) FROM (TILE A AXIS 1 SIZE 1 KEY jj) AS T GROUP BY T.i, T.jj"""
    assert bound(text).expr == A.tile(1, 1, "jj").aggregate(by=("i", "jj")).expr
    assert (
        bound("SELECT i, MAX(tile) FROM (SELECT j AS i, i AS j, tile FROM A) GROUP BY i").expr
        == A.rekey(lambda i, j: (j, i), keys=("i", "j")).aggregate(by="i", kernel="max").expr
    )


def test_truncate():
    longer = tra.from_array(np.ones((9, 5)), keys=("j", "k"), tile=(3, 2), name="L")
    text = "SELECT A.i, A.j, L.k, MATMUL(A.tile, L.tile) FROM A JOIN L ON A.j = L.j TRUNCATE"
    assert bound(text, L=longer).expr == A.join(longer, on="j", kernel="matmul", truncate=True).expr
    three = """SELECT A.i, A.j, L.k, MATMUL(SUB(A.tile, v.tile), L.tile)
               FROM A JOIN v ON v.j = A.j JOIN L ON A.j = L.j TRUNCATE"""
    minus = A.join(v, on="j", kernel="sub")
    assert bound(three, L=longer).expr == minus.join(longer, on="j", kernel="matmul", truncate=True).expr


def test_holes():
    filtered = bound("SELECT i, j, tile FROM S WHERE i < j")
    assert reference.evaluate(filtered.expr, filtered.sources).keys() == {(0, 1)}
    assert bound("SELECT i, tile FROM S").expr == S.rekey(lambda i, j: i, keys="i").expr  # no two in one row


def test_user_kernels_go_before_aggregations():
    from tra.algebra import registry

    try:
        tra.kernel("()->()", name="prod")(lambda x: x * 10)
        assert bound("SELECT i, j, PROD(tile) FROM A").expr == A.transform("prod").expr
    finally:
        registry._REGISTRY.pop("prod")


# --- what SELECT cannot say ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("TILE A AXIS 0 SIZE 1 KEY ii", A.tile(0, 1, "ii")),
        ("TILE A AXIS -1 SIZE 1 KEY jj", A.tile(1, 1, "jj")),
        ("CONCAT A KEY j AXIS 1", A.concat("j", 1)),
        ("CONCAT (TILE A AXIS 0 SIZE 1 KEY ii) KEY ii AXIS 0", A.tile(0, 1, "ii").concat("ii", 0)),
        ("STACK (A, A) KEY s", Relation(stack([A.expr, A.expr], "s"), A.sources)),
        ("REKEY A TO (i, j)", kept(A)),
        ("REKEY A TO (A.j AS i, i AS j)", A.rekey(lambda i, j: (j, i), keys=("i", "j"))),
        ("RETILE A TO (3, 2)", A.retile(3, 2)),
        ("RETILE A TO (3 BY i, *)", A.retile(3, None)),
        ("RETILE A TO (1 BY a, 9 BY b)", Relation(retile([A.expr], [Cut(1, "a"), Cut(9, "b")]), A.sources)),
        ("RETILE (CONCAT A KEY j AXIS 1) TO (2, 5)", A.concat("j", 1).retile(2, 5)),
        ("RETILE A[1:3, *] TO (2, 3)", A[1:3]),
        ("RETILE A[3:-1:-1, 0:6:4] TO (2, 2)", A[::-1, ::4]),
        ("RETILE (A, A) TO (2, 3)", tra.concatenate([A, A])),
        ("RETILE (A, A[*, 0:2]) ALONG -1 TO (2, 3)", tra.concatenate([A, A[:, :2].retile(2, 2)], axis=1)),
    ],
)
def test_operators(text, python):
    found = bound(text)
    if "A[*, 0:2]" in text:
        np.testing.assert_array_equal(found.compute(), python.compute())
        windows = ((Window(0, 1, 4), Window(0, 1, 6)), (Window(0, 1, 4), Window(0, 1, 2)))
        assert found.expr == retile([A.expr, A.expr], [Cut(2, "i"), Cut(3, "j")], windows, 1)
    else:
        assert found.expr == python.expr


def test_generated():
    zeros = bound("CONSTANT (i: 3) AXES (10 BY i TO 25, 7) VALUE 0 TYPE float32")
    np.testing.assert_array_equal(zeros.compute(), np.zeros((25, 7), "float32"))
    assert str(zeros.expr.type) == "[i:3] of 10/25×7 float32"
    places = bound("IOTA (i: 3) AXES (10 BY i TO 25, 2) ALONG 0 TYPE int64").compute()
    np.testing.assert_array_equal(places, np.arange(25)[:, None] + [0, 0])
    chance = bound("RANDOM (i: 3, j: 2) AXES (4 BY i, 5 BY j) UNIFORM(-1, 1.0) SEED 7 TYPE float64").compute()
    assert chance.shape == (12, 10) and -1 <= chance.min() < -0.5 and 0.5 < chance.max() < 1
    few = bound(
        "CONSTANT (i: 3, j: 3) AXES (2 BY 3*i + j TO 18) VALUE TRUE TYPE bool KEYS ((2, 1), (0, 0), (2, 1))"
    )
    assert list(few.tiles()) == [(0, 0), (2, 1)]
    box = bound("CONSTANT (i: 3) AXES (1) VALUE 2 TYPE complex64 KEYS (1:3)")
    assert list(box.tiles()) == [(1,), (2,)]
    scalar = bound("CONSTANT () AXES () VALUE NAN TYPE float64")
    assert np.isnan(scalar.compute())


def test_views_over_views():
    text = (
        "CREATE VIEW p AS SELECT j, i, tile FROM A; CREATE VIEW q AS p; SELECT i, SUM(tile) FROM q GROUP BY i"
    )
    assert bound(text).expr == A.rekey(lambda i, j: (j, i), keys=("j", "i")).aggregate(by="i").expr
