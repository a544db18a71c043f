"""Trainings in text: what they make, what names mean after them, and how they are written."""

import numpy as np
import pytest

import tra
from tra.algebra.relation import Relation
from tra.errors import CatalogError, NotFiniteError
from tra.sql.format import WIDTH, format_text

RNG = np.random.default_rng(5)
X = RNG.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 0.5] + 3.0
HEAD = """INITIALIZE w(d: 3) UNIFORM(-0.1, 0.1) SEED 1;
INITIALIZE b() ZEROS;
LET guess[n] = SUM(X[n, d] * w[d]) + b;
LET loss = MEAN((guess[n] - y[n]) ^ 2);
LET worst = MAX(ABS(guess[n] - y[n]));
LET whole = SUM(X[n, d]) + 0.0;
"""
TRAIN = "TRAIN w, b MINIMIZE loss USING SGD(0.1) FOR 3 EPOCHS BATCH n BY 16 SEED 7"


@pytest.fixture(params=[1, 2], ids=["alone", "two sites"])
def session(request):
    with tra.connect("local", sites=request.param, threads=1) as opened:
        yield opened


def in_numpy(rate=0.1, epochs=3, size=16, seed=7):
    """The same training, with the weights and the batches that the text has."""
    from tra.backends.batches import batch_rows

    w = tra.sql(HEAD, X=X, y=Y).relations["w"].compute()
    b, losses = 0.0, []
    for epoch in range(epochs):
        squares = 0.0
        for rows in batch_rows(len(X), size, seed, epoch):
            miss = X[rows] @ w + b - Y[rows]
            squares += (miss**2).sum()
            w, b = w - rate * 2 * X[rows].T @ miss / len(rows), b - rate * 2 * miss.mean()
        losses.append(squares / len(X))
    return w, b, losses


# --- training --------------------------------------------------------------------------------------


def test_a_training_is_that_of_numpy(session):
    result = session.sql(HEAD + TRAIN + " REPORT worst; SHOW b", X=X, y=Y)
    w, b, losses = in_numpy()
    np.testing.assert_allclose(result.relations["w"].compute(), w)
    np.testing.assert_allclose(result.relations["b"].compute(), b)
    np.testing.assert_allclose(result.relation.compute(), b)
    head, names, *rows = result.outputs[0].splitlines()
    assert head == "w, b: 3 epochs of 4 steps" and names.split() == ["epoch", "loss", "worst"]
    assert [row.split()[:2] for row in rows] == [[str(e), f"{v:.4g}"] for e, v in enumerate(losses, 1)]


def test_names_mean_what_follows_from_the_new_values(session):
    text = (
        HEAD
        + "SHOW worst;"
        + TRAIN
        + "; LET twice = 2 * worst; SHOW worst; SHOW twice; "
        + TRAIN
        + "; worst;"
    )
    result = session.sql(text, X=X, y=Y)
    shown = [float(text.splitlines()[1]) for text in result.outputs if "scalars" in text]
    w, b, _ = in_numpy()
    miss = abs(X @ w + b - Y).max()
    assert shown[0] > 2 * miss
    np.testing.assert_allclose(shown[1:], [miss, 2 * miss])
    assert result.relations["worst"].compute() < miss
    np.testing.assert_allclose(result.relation.compute(), result.relations["worst"].compute())


def test_a_name_that_is_given_again_keeps_what_it_was(session):
    text = HEAD + "LET old = worst; LET X[n, d] = 0 * X[n, d]; INITIALIZE b() UNIFORM(7, 7) SEED 1;"
    text += TRAIN.replace("w, b", "w") + "; SHOW b"
    result = session.sql(text, X=X, y=Y)
    assert result.outputs[-1].endswith("\n7.0")
    assert result.relations["old"].compute() < 7
    np.testing.assert_array_equal(result.relations["X"].compute(), 0 * X)


def test_what_is_saved_is_the_value_of_then(session, tmp_path):
    text = (
        HEAD
        + "SAVE w TO 'before.npy';"
        + TRAIN
        + "; SAVE w TO 'after.npy'; LOAD v(d) FROM 'after.npy'; SHOW v"
    )
    result = session.sql(text, X=X, y=Y, base=tmp_path)
    assert np.load(tmp_path / "before.npy").max() < 0.1
    np.testing.assert_allclose(np.load(tmp_path / "after.npy"), in_numpy()[0])
    np.testing.assert_array_equal(result.relations["v"].compute(), result.relations["w"].compute())


def test_files_and_relations_are_data_and_parameters(session, tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "w.npy", tra.sql(HEAD, X=X, y=Y).relations["w"].compute())
    text = HEAD.replace("INITIALIZE w(d: 3) UNIFORM(-0.1, 0.1) SEED 1", "LOAD w(d) FROM 'w.npy'")
    text = "LOAD X(n, d) FROM 'X.npy' TILE (20, 2);" + text + TRAIN
    result = session.sql(text, y=tra.from_array(Y, keys=("n",), tile=30), b=0.5, base=tmp_path)
    np.testing.assert_allclose(result.relations["w"].compute(), in_numpy()[0])
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


def test_without_a_batch_a_step_is_over_everything(session):
    text = HEAD + "TRAIN w, b MINIMIZE loss USING ADAM(rate = 0.1) FOR 5 EPOCHS"
    head, _, *rows = session.sql(text, X=X, y=Y).outputs[0].splitlines()
    assert head == "w, b: 5 epochs of 1 step" and len(rows) == 5
    large = session.sql(HEAD + TRAIN.replace("16", "1600"), X=X, y=Y).outputs[0]
    assert large.startswith("w, b: 3 epochs of 1 step\n")


def test_queries_on_tiles_are_trained_as_they_are_cut(session):
    text = """INITIALIZE w(d: 30, h: 20) UNIFORM(-0.1, 0.1) SEED 1;
    CREATE VIEW P AS
      SELECT X.n, w.h, SUM(MATMUL(X.tile, w.tile)) FROM X JOIN w ON X.d = w.d GROUP BY X.n, w.h;
    CREATE VIEW E AS SELECT P.n, P.h, SQUARE(SUB(P.tile, y.tile)) FROM P JOIN y ON P.n = y.n AND P.h = y.h;
    LET loss = MEAN(E[n, h]);
    TRAIN w MINIMIZE loss USING SGD(0.1) FOR 2 EPOCHS BATCH n BY 64;"""
    given = {"X": RNG.normal(size=(200, 30)), "y": RNG.normal(size=(200, 20))}
    X, y = (tra.from_array(value, keys=("n", k)) for value, k in zip(given.values(), "dh", strict=True))
    with tra.connect("local", threads=1) as alone:
        once = alone.sql(text, X=X, y=y).relations["w"].compute()
    np.testing.assert_allclose(session.sql(text, X=X, y=y).relations["w"].compute(), once)


def test_a_checkpoint_is_gone_on_from(session, tmp_path):
    ending = " CHECKPOINT TO 'kept' EVERY 2 EPOCHS"
    wanted = session.sql(HEAD + TRAIN.replace("3", "4"), X=X, y=Y).relations["w"].compute()
    session.sql(HEAD + TRAIN.replace("3", "2") + ending, X=X, y=Y, base=tmp_path)
    result = session.sql(HEAD + TRAIN.replace("3", "4") + ending, X=X, y=Y, base=tmp_path)
    np.testing.assert_array_equal(result.relations["w"].compute(), wanted)
    lines = result.outputs[0].splitlines()
    assert lines[1] == "2 epochs done before, by the checkpoint" and lines[3].split()[0] == "3"
    done = session.sql(HEAD + TRAIN.replace("3", "4") + ending, X=X, y=Y, base=tmp_path)
    assert done.outputs == ["w, b: 4 epochs of 4 steps\n4 epochs done before, by the checkpoint"]
    with pytest.raises(CatalogError, match=r"^<query>:7:1: .* has 4 epochs done, and 3 are asked for"):
        session.sql(HEAD + TRAIN + ending, X=X, y=Y, base=tmp_path)
    with pytest.raises(CatalogError, match=r"^<query>:7:1: .*is of another training"):
        session.sql(HEAD + TRAIN.replace("16", "25") + ending, X=X, y=Y, base=tmp_path)


def test_explain_shows_the_plan_of_a_step(session):
    before, plan, after = session.sql(HEAD + f"SHOW b; EXPLAIN {TRAIN}; SHOW b", X=X, y=Y).outputs
    assert "scan w" in plan and "stage 1" in plan and "predicted" in plan
    assert before == after


def test_nothing_is_trained_without_execute(session):
    result = session.sql(HEAD + TRAIN, X=X, y=Y, execute=False)
    assert result.outputs == [] and result.relations["b"].compute() == 0


def test_hints_hold_after_a_training(session):
    with tra.connect("local", sites=2, threads=1) as two:
        C = tra.from_array(np.ones((8, 8)), keys=("i", "j"), tile=2)
        text = "INITIALIZE V(i: 8, j: 8) UNIFORM(0, 1) SEED 1 TILE (2, 2);"
        text += "LET D[i, k] = SUM(V[i, j] * C[j, k]); LET loss = MEAN(D[i, k]);"
        text += "HINT D 'co-partition'; TRAIN V MINIMIZE loss USING SGD(0.1) FOR 1 EPOCHS; EXPLAIN D"
        assert "co-partition, aggregate before shuffle, as hinted" in two.sql(text, C=C).outputs[-1]


def test_losses_that_are_not_finite_are_at_their_statement(session):
    text = HEAD + TRAIN.replace("SGD(0.1)", "SGD(1e200)")
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=r"^<query>:7:1: the loss of step"):
        session.sql(text, X=X, y=Y)


# --- canonical text --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("initialize W(d:6,h:4)uniform(-1,0.1)seed 1", "INITIALIZE W(d: 6, h: 4) UNIFORM(-1, 0.1) SEED 1;"),
        ("initialize W ( ) zeros type float32", "INITIALIZE W() ZEROS TYPE float32;"),
        ("let g[d,h]=grad(loss,W)[d,h]", "LET g[d, h] = GRAD(loss, W)[d, h];"),
        ('let g="grad"(x)', 'LET g = "grad"(x);'),
        ("let grad=grad+1", "LET grad = grad + 1;"),
        (
            "train W,b minimize loss using adam(rate=cosine(0.1,100),clip=1.0)for 2 epochs",
            "TRAIN W, b MINIMIZE loss USING ADAM(rate = COSINE(0.1, 100), clip = 1.0) FOR 2 EPOCHS;",
        ),
        ("explain train W minimize l using sgd(1)for 2 epochs",
         "EXPLAIN TRAIN W MINIMIZE l USING SGD(1) FOR 2 EPOCHS;"),
    ],
)  # fmt: skip
def test_canonical_text(text, canonical):
    assert format_text(text) == canonical + "\n"


def test_long_trainings_take_several_lines():
    text = "TRAIN W1, b1, W2, b2 MINIMIZE loss USING ADAMW(rate = COSINE(0.02, 630), weight_decay = 0.3)\n"
    text += "  FOR 30 EPOCHS BATCH n BY 64 SEED 7 CHECKPOINT TO 'kept' EVERY 5 EPOCHS REPORT accuracy;\n"
    assert format_text(text) == text
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert format_text("EXPLAIN " + text).startswith("EXPLAIN\n  TRAIN W1, b1, W2, b2 MINIMIZE loss")


def test_a_relation_that_holds_a_training_result_is_passed_by_name(session):
    w = session.sql(HEAD + TRAIN, X=X, y=Y).relations["w"]
    assert isinstance(w, Relation) and "-- pass by name: w, " in w.to_text()
