"""Trainings that cannot be: what is refused before anything runs, and where errors point."""

import numpy as np
import pytest

import tra
from tra.errors import QueryError

X, Y = np.ones((50, 3)), np.ones(50)
HEAD = """INITIALIZE w(d: 3) UNIFORM(-0.1, 0.1) SEED 1;
INITIALIZE b() ZEROS;
LET guess[n] = SUM(X[n, d] * w[d]) + b;
LET loss = MEAN((guess[n] - y[n]) ^ 2);
LET worst = MAX(ABS(guess[n] - y[n]));
LET whole = SUM(X[n, d]) + 0.0;
"""
TRAIN = "TRAIN w, b MINIMIZE loss USING SGD(0.1) FOR 3 EPOCHS BATCH n BY 16 SEED 7"


@pytest.mark.parametrize(
    ("change", "at", "message"),
    [
        (("w, b", "w, q"), "q MIN", "no relation q"),
        (("w, b", "w, guess"), "guess MIN", "guess follows from others by its definition"),
        (("w, b", "w, k"), "k MIN", "k is a number"),
        (("w, b", "w, whole"), "whole MIN", "whole follows from others"),
        (("w, b", "w, i"), "i MIN", "parameters are of floats; i is"),
        (("w, b", "w, z"), "z MIN", "loss does not depend on z"),
        (("w, b", "w, w"), "w MIN", "a parameter is named twice"),
        (("MINIMIZE loss", "MINIMIZE los"), "los ", "no relation los; did you mean 'loss'"),
        (("MINIMIZE loss", "MINIMIZE guess"), "guess", r"a loss is one number, and guess has shape \(50,\)"),
        (("MINIMIZE loss", "MINIMIZE y"), "y ", "y is given as it is, and MINIMIZE takes what a LET"),
        (("SGD(0.1)", "SDG(0.1)"), "SDG", "no optimizer SDG; did you mean 'SGD'"),
        (("SGD(0.1)", "SGD()"), "SGD()", "SGD needs rate"),
        (("SGD(0.1)", "SGD(rat = 0.1)"), "rat", "SGD has no setting rat; did you mean 'rate'"),
        (("SGD(0.1)", "SGD(-1)"), "SGD", "SGD: rate is a number of at least 0"),
        (("SGD(0.1)", "SGD('fast')"), "SGD", "SGD: rate is a number of at least 0"),
        (("SGD(0.1)", "SGD(1, 2, 3, 4, 5, 6)"), "6)", "SGD has no more settings"),
        (("SGD(0.1)", "SGD(1, rate = 2)"), "rate", "rate is given twice"),
        (("SGD(0.1)", "SGD(COSIN(1, 9))"), "COSIN", "no schedule COSIN; did you mean 'COSINE'"),
        (("SGD(0.1)", "SGD(COSINE(1))"), "COSINE", "COSINE needs steps"),
        (("SGD(0.1)", "SGD(WARMUP(5, SGD(1)))"), "SGD(1)", "no schedule SGD"),
        (("3 EPOCHS", "0 EPOCHS"), "0 EPOCHS", "FOR takes a number of at least 1"),
        (("BY 16", "BY 0"), "0 SEED", "BY takes a number of at least 1"),
        (
            ("BATCH n", "BATCH nn"),
            "nn",
            "nothing that is loaded or given has rows along nn; did you mean 'n'",
        ),
        (("BATCH n", "BATCH d"), "d BY", "batches are taken from the first axis, and d is axis 1 of X"),
        (("SEED 7", "REPORT guess"), "guess", "what is reported is one number"),
        (("SEED 7", "REPORT loss"), "loss", "loss is reported anyway"),
        (("SEED 7", "REPORT y"), "y", "y is given as it is, and REPORT takes"),
        (("SEED 7", "CHECKPOINT TO ''"), "''", "checkpoints need a folder"),
        (
            ("SEED 7", "CHECKPOINT TO 'x.npy'"),
            "'x.npy'",
            "checkpoints are kept in a folder, and x.npy is a file",
        ),
        (("SEED 7", "CHECKPOINT TO 'c' EVERY 0 EPOCHS"), "0 EPOCHS", "EVERY takes a number of at least 1"),
        (("TRAIN", "EXPLAIN ANALYZE TRAIN"), "EXPLAIN", "EXPLAIN ANALYZE is for queries"),
    ],
)
def test_trainings_that_cannot_be(tmp_path, change, at, message):
    (tmp_path / "x.npy").write_text("")
    line = TRAIN.replace(*change)
    where = line.replace("MINIMIZE", "MIN").index(at) if "MIN" in at else line.rindex(at)
    given = {"X": X, "y": Y, "k": 0.5, "i": np.arange(3), "z": np.ones(3)}
    with pytest.raises(QueryError, match=rf"^<query>:7:{where + 1}: {message}"):
        tra.sql(HEAD + line, **given) if "TO" not in line else None
        with tra.connect("local", threads=1) as session:
            session.sql(HEAD + line, base=tmp_path, **given)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_what_is_batched_has_one_number_of_rows():
    with pytest.raises(QueryError, match=r"what is batched has one number of rows: X 50, y 50, t 9"):
        text = HEAD + "LET more = loss + SUM(t[n]);" + TRAIN.replace("MINIMIZE loss", "MINIMIZE more")
        tra.sql(text, X=X, y=Y, t=np.ones(9))


def test_what_does_not_fit_a_batch_is_shown_at_its_definition():
    text = "LET far[n] = guess[n] + ones[n];\nLET more = loss + SUM(far[n]);\n"
    ones = "CREATE VIEW ones AS CONSTANT (n: 1) AXES (50 BY n) VALUE 1.0 TYPE float64;\n"
    with pytest.raises(QueryError, match=r"^<query>:8:14: index n has extent 16 in one operand and 50"):
        tra.sql(HEAD + ones + text + TRAIN.replace("loss", "more"), X=X, y=Y)


def test_a_folder_that_is_loaded_from_takes_no_checkpoints(tmp_path):
    np.save(tmp_path / "a.npy", X)
    text = "LOAD a(n, d) FROM 'a.npy';\n" + TRAIN + " CHECKPOINT TO '.'"
    message = r":2:\d+: this text loads a from the same place"
    with tra.connect("local", threads=1) as session, pytest.raises(QueryError, match=message):
        session.sql(text, base=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
