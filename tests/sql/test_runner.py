"""Statements as they run: what is shown, saved, explained, and where errors point."""

from unittest.mock import patch

import numpy as np
import pytest

import tra
from tra.backends.passes import limit
from tra.errors import CatalogError, MemoryLimitError, PlanError, QueryError, SchemaError, TraError
from tra.sql.result import Result

A = tra.from_array(np.arange(6.0).reshape(2, 3), keys=("i", "j"), tile=(1, 3), name="A")


@pytest.fixture
def session():
    with tra.connect("local", threads=1, sites=2) as opened:
        yield opened


# --- results ---------------------------------------------------------------------------------------


def test_result(session):
    result = session.sql("LET B[i, j] = A[i, j] * 2; LET c = SUM(B[i, j]); CREATE VIEW D AS B;", A=A)
    assert isinstance(result, Result)
    assert result.relation is result.relations["D"] is result.relations["B"]
    assert sorted(result.relations) == ["A", "B", "D", "c"]
    assert result.relations["A"] is A
    assert result.relations["c"].compute() == 30
    assert result.outputs == []
    assert repr(result) == "Result([i:2, j:1] of 1/2×3 float64, 4 names, 0 outputs)"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("LET x = SUM(A[i, j]); LET y = x + 1", 16),
        ("LET x = SUM(A[i, j]); A; x", 15),
        ("LET x = SUM(A[i, j]); LET y = x + 1; SHOW x", 15),
        ("LET x = SUM(A[i, j]); LET y = x + 1; EXPLAIN x", 15),
        ("LET x = 5", 5),
    ],
)
def test_the_last_relation(session, text, value):
    assert session.sql(text, A=A).relation.compute() == value


def test_nothing(session):
    result = session.sql("-- nothing\n")
    assert (result.relation, result.relations, result.outputs, str(result)) == (None, {}, [], "")


def test_statements_that_leave_the_result_alone(session, tmp_path):
    A.save(tmp_path / "A.npy")
    result = session.sql("LET B[i, j] = A[i, j]; LOAD C FROM 'A.npy'; SAVE A TO 'D.npy'", A=A, base=tmp_path)
    assert result.relation is result.relations["B"]


def test_arrays_and_numbers_by_name(session):
    result = session.sql("LET y[i] = a * x[i] + SUM(z[j]);", a=2, x=np.arange(3.0), z=[1, 2])
    np.testing.assert_array_equal(result.relation.compute(), [3, 5, 7])
    assert "-- pass by name: x, [i:1] of 3 float64" in result.relation.to_text()


def test_any_name_in_the_face():
    result = tra.sql("LET y[i] = text[i] + origin[i] + base[i];", text=[1.0], origin=[2.0], base=[3.0])
    assert result.relation.compute() == [6]
    assert tra.sql("LET y[i] = session[i] + self[i];", session=[1.0], self=[2.0]).relation.compute() == [3]


def test_the_session_in_force(session):
    assert tra.sql("SHOW A", A=A).outputs == session.sql("SHOW A", A=A).outputs
    with pytest.raises(PlanError, match=r"<query>:1:1: the session is closed\n  SHOW A"):
        closed = tra.connect("local", threads=1)
        closed.close()
        closed.sql("SHOW A", A=A)


# --- SHOW ------------------------------------------------------------------------------------------


def test_show(session):
    (shown,) = session.sql("SHOW A;", A=A).outputs
    assert shown == "A[i:2, j:1] of 1/2×3 float64\n[[0. 1. 2.]\n [3. 4. 5.]]"
    (shown,) = session.sql("SHOW (SELECT i, j, EXP(tile) FROM A WHERE i = 0);", A=A).outputs
    assert shown.startswith("[i:2, j:1] of 1/2×3 float64\n1 of 2 keys have a tile\n(0, 0): [[1.  ")
    (shown,) = session.sql("LET x = SUM(A[i, j]); SHOW x;", A=A).outputs
    assert shown == "x[] of scalars float64\n15.0"


def test_show_without_a_whole_tensor(session):
    many = tra.from_tiles({(k,): np.full((2, 2), k) for k in range(30) if k % 2}, keys=("k",))
    (shown,) = session.sql("SHOW S", S=many).outputs
    assert shown.startswith("S[k:30] of 2×2 int64\n15 of 30 keys have a tile; the first 5\n(1,):\n[[1 1]\n")
    assert shown.endswith("\n(9,):\n[[9 9]\n [9 9]]\n… and 10 more tiles")
    none = session.sql("SELECT k, tile FROM S WHERE k > 100", S=many).relation
    assert session.sql("SHOW N", N=none).outputs[0].endswith("\nnone of 30 keys has a tile")
    spread = session.sql("REKEY A TO (i * 2 AS i, j)", A=A).relation
    assert session.sql("SHOW S", S=spread).outputs[0].splitlines()[1] == "2 of 3 keys have a tile"
    square = tra.from_array(np.eye(4), keys=("i", "j"), tile=2)
    diagonal = session.sql("SELECT i, tile FROM Q WHERE i = j", Q=square).relation
    assert "\n2 tiles, whose keys do not say a place\n(0,):\n" in session.sql("SHOW D", D=diagonal).outputs[0]


def test_large_tiles_are_shortened(session):
    large = tra.from_tiles({(k,): np.full((100, 100), k) for k in range(1, 40)}, keys=("k",))
    (shown,) = session.sql("SHOW S", S=large).outputs
    assert "39 of 40 keys have a tile; the first 5\n" in shown and shown.endswith("… and 34 more tiles")
    assert len(shown.splitlines()) == 2 + 5 * 8 + 1


def test_large_tensors_are_shortened(session):
    assert len(session.sql("SHOW x", x=np.arange(10_000)).outputs[0]) < 100


# --- EXPLAIN ---------------------------------------------------------------------------------------


def test_explain(session):
    plain, analyzed = session.sql("EXPLAIN A; EXPLAIN ANALYZE (SELECT SUM(tile) FROM A);", A=A).outputs
    assert "measured" not in plain and "measured" in analyzed
    assert "SELECT SUM(A.tile) AS tile FROM A;" in analyzed


# --- HINT ------------------------------------------------------------------------------------------

PRODUCT = "LET C[i, k] = SUM(X[i, j] * Y[j, k]); "


def products():
    arrays = (("X", ("i", "j")), ("Y", ("j", "k")))
    return {name: tra.from_array(np.ones((8, 8)), keys=keys, tile=2, name=name) for name, keys in arrays}


def test_hints_are_in_force_for_later_statements(session):
    given = products()
    text = (
        "EXPLAIN C; HINT C 'co-partition'; EXPLAIN C; LET D[i, k] = EXP(C[i, k]); HINT D SPLIT (k); EXPLAIN D"
    )
    free, joined, split = session.sql(PRODUCT + text, **given).outputs
    assert "as hinted" not in free
    assert "co-partition, aggregate before shuffle, as hinted" in joined
    assert "broadcast left, as hinted" in split
    result = session.sql(PRODUCT + "HINT C 'broadcast left';", execute=False, **given)
    assert [hint.strategy for hint in result.hints] == ["broadcast left"]
    assert "as hinted" not in str(session.explain(result.relation))
    with session.hinted(result.hints):
        assert "broadcast left, as hinted" in str(session.explain(result.relation))


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ("D 'broadcast left'", "2:6: no relation D"),
        ("C 'brodcast left'", "2:8: .* has no strategy 'brodcast left'; did you mean 'broadcast left'"),
        ("C SPLIT (i, q)", "2:18: .* cannot be split by 'q'. It can be split by i, j, k"),
        ("C SPLIT (i, k)", "2:1: a split names a key, .* on 2 sites there is 1"),
        ("C 'co-partition' SPLIT (i)", "2:8: 'co-partition' does not split .* that is 'broadcast right'"),
        ("C", "2:7: expected a string in single quotes or SPLIT"),
    ],
)
def test_hints_that_cannot_be(session, hint, message):
    with pytest.raises(QueryError, match=f"^<query>:{message}"):
        session.sql(f"{PRODUCT}\nHINT {hint}", **products())


def test_hints_run_anywhere(session):
    with tra.connect("local", threads=1) as alone:
        text = PRODUCT + "HINT C SPLIT (i, k); SHOW C"
        shown = alone.sql(text, **products()).outputs
    assert shown == session.sql(PRODUCT + "SHOW C", **products()).outputs


# --- SAVE and LOAD ---------------------------------------------------------------------------------


def test_paths_are_relative_to_the_base(session, tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4.0))
    text = """LOAD a(n) FROM 'a.npy' TILE (3); LET b[n] = a[n] + 1;
              SAVE b TO 'out.npz:b'; LOAD c FROM 'out.npz:b'; SHOW c"""
    result = session.sql(text, base=tmp_path)
    assert result.outputs == ["c[i:1] of 4 float64\n[1. 2. 3. 4.]"]
    assert str(result.relations["a"].expr.type) == "[n:2] of 3/4 float64"
    (tmp_path / "sub").mkdir()
    absolute = session.sql(f"LOAD c FROM '{tmp_path}/a.npy'", base=tmp_path / "sub", allow=tmp_path)
    assert absolute.relations["c"].shape == (4,)


def test_paths_are_relative_to_the_working_directory(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session.sql("SAVE A TO 'A.tra'", A=A)
    result = tra.sql("LOAD A(p, q) FROM 'A.tra'; SHOW A")
    assert result.outputs[0].startswith("A[p:2, q:1] of 1/2×3 float64\n")


# --- running and not running -----------------------------------------------------------------------


def test_echo(session):
    heard = []
    result = session.sql("SHOW A; A; LET B[i, j] = A[i, j]; B", A=A, echo=heard.append)
    assert heard == result.outputs and len(heard) == 2
    assert heard[1].startswith("[i:2, j:1] of 1/2×3 float64\n") or heard[1].startswith("B[i:2")
    assert session.sql("SHOW A; B", A=A, B=A).outputs == heard[:1]


def test_nothing_runs_without_execute(session, tmp_path):
    text = "LET B[i, j] = A[i, j]; SHOW B; EXPLAIN ANALYZE B; SAVE B TO 'B.npy'; B"
    result = session.sql(text, A=A, base=tmp_path, execute=False, echo=print)
    assert result.outputs == [] and list(tmp_path.iterdir()) == []
    assert result.relation is result.relations["B"]
    with pytest.raises(QueryError, match=r"q\.tra:1:13: .*there is no such file"):
        session.sql("LOAD X FROM 'nowhere.npy'", execute=False, origin="q.tra", base=tmp_path)
    with pytest.raises(QueryError, match="no relation C"):
        session.sql("SAVE C TO 'C.npy'", execute=False)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("SHOW", "2:5: expected a query"),
        ("SHOW B", "2:6: no relation B"),
        ("LET B[i] = A[i]", "2:12: A takes 2 indices"),
        ("CREATE VIEW B AS SELECT i, SUB(tile, A.tile) FROM B", "2:51: no relation B"),
        ("LOAD B FROM 'a.nyp'", "2:13: .*no known format"),
        ("SAVE A TO 'a.nyp'", "2:1: .*no known format"),
    ],
)
def test_nothing_runs_where_a_later_statement_is_wrong(session, tmp_path, mistake, message):
    heard = []
    with pytest.raises(TraError, match=f"^<query>:{message}"):
        session.sql(f"SHOW A; SAVE A TO 'A.npy';\n{mistake}", A=A, base=tmp_path, echo=heard.append)
    assert heard == [] and list(tmp_path.iterdir()) == []


def test_a_load_waits_for_the_saves_before_it(session, tmp_path):
    text = """SAVE A TO 'x.npy'; LOAD x FROM 'x.npy'; LET y[i, j] = x[i, j] + 1;
              SAVE y TO 'y.npy'; LOAD x FROM 'y.npy'; SHOW x"""
    assert session.sql(text, A=A, base=tmp_path).outputs[0].endswith("[[1. 2. 3.]\n [4. 5. 6.]]")
    with pytest.raises(QueryError, match="no relation B"):
        session.sql("SAVE A TO 'z.npy';\nLOAD z FROM './z.npy';\nSHOW B", A=A, base=tmp_path)
    assert (tmp_path / "z.npy").exists()  # only it says what z is
    with pytest.raises(QueryError, match="no relation B"):
        session.sql("SAVE A TO 'w.npy';\nLOAD z FROM 'z.npy';\nSHOW B", A=A, base=tmp_path)
    assert not (tmp_path / "w.npy").exists()


def test_a_run_that_fails_leaves_what_ran_before(session, tmp_path):
    holed = A.filter(lambda i, j: i == 0)
    with pytest.raises(SchemaError, match=r"^<query>:1:20: "):
        session.sql("SAVE A TO 'A.npy'; SAVE S TO 'S.npy'; SAVE A TO 'B.npy'", A=A, S=holed, base=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["A.npy"]


# --- errors of a run -------------------------------------------------------------------------------


def test_errors_of_a_run_keep_their_class_and_get_a_place(tmp_path):
    large = tra.from_array(np.ones((3000, 3000)), name="L")
    with (
        patch.object(limit, "_baseline", lambda query: 0),  # a process of tests gives back what it likes
        tra.connect("local", threads=1, memory_limit=30 * 10**6) as session,
        pytest.raises(MemoryLimitError) as caught,
    ):
        session.sql("SHOW a;\nLET b[i, j] = L[i, j] + 1; SHOW b;", L=large, a=[1.0])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("<query>:2:28: ") and "limit" in lines[0]
    assert lines[1:3] == ["  LET b[i, j] = L[i, j] + 1; SHOW b;", "                             ^~~~~~"]
    assert isinstance(caught.value.__cause__, MemoryLimitError)


def test_save_errors(session, tmp_path):
    holed = A.filter(lambda i, j: i == 0)
    with pytest.raises(TraError, match=r"^<query>:1:1: .*(\n.*)*SAVE S TO 'S\.npy'"):
        session.sql("SAVE S TO 'S.npy'", S=holed, base=tmp_path)
    with pytest.raises(CatalogError, match=r"^<query>:1:1: 'S\.xyz' has no known format|.*S\.xyz"):
        session.sql("SAVE S TO 'S.xyz'", S=holed, base=tmp_path)


def test_a_tile_that_is_gone(session, tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4.0))
    result = session.sql("LOAD a FROM 'a.npy'", base=tmp_path)
    (tmp_path / "a.npy").unlink()
    with pytest.raises(CatalogError, match=r"^<query>:1:1: (.*\n)*.*SHOW a\n  \^~~~~~"):
        session.sql("SHOW a", a=result.relations["a"])


def test_a_kernel_that_fails(session):
    @tra.kernel("()->()", name="fails later", output_dtype="f8")
    def fails(x):
        raise RuntimeError("not today")

    with pytest.raises(Exception, match="not today") as caught:
        session.sql('SELECT i, j, tile FROM A;\nSHOW (SELECT i, j, "fails later"(tile) FROM A)', A=A)
    notes = getattr(caught.value, "__notes__", [])
    assert any("<query>:2:1" in note for note in notes) or "<query>:2:1" in str(caught.value)


def test_schema_errors_are_query_errors_with_a_cause(session):
    with pytest.raises(QueryError) as caught:
        session.sql("LET x[i] = A[i, j] + 1", A=A)
    assert caught.value.__cause__ is None
    with pytest.raises(QueryError) as caught:
        session.sql("SELECT A.j, A.tile FROM A", A=A)
    assert isinstance(caught.value.__cause__, SchemaError)


# --- notebooks -------------------------------------------------------------------------------------


def test_html(session):
    result = session.sql("SHOW A", A=A)
    assert result._repr_html_().startswith("<pre>A[i:2, j:1] of 1/2×3 float64\n[[0. 1.")
    assert (
        "&lt;"
        in session.sql(
            "EXPLAIN (SELECT i, j, tile FROM A WHERE i &lt; 1)".replace("&lt;", "<"), A=A
        )._repr_html_()
    )
    assert str(session.sql("A", A=A)) == "A[i:2, j:1] of 1/2×3 float64"
