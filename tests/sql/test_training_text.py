"""Parameters, gradients and trainings in text: what they make, what names mean after, where errors point."""

import numpy as np
import pytest

import tra
from tra.algebra.relation import Relation
from tra.errors import CatalogError, NotFiniteError, QueryError
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


# --- parameters ------------------------------------------------------------------------------------


def test_initialize(session):
    result = session.sql(
        "INITIALIZE u(d: 40, h: 50) UNIFORM(-0.5, 0.5) SEED 3;"
        "INITIALIZE v(d: 40, h: 50) UNIFORM(-0.5, 0.5) SEED 3 TYPE float32 TILE (16, 50);"
        "INITIALIZE g(d: 4000) NORMAL(2, 0.5) SEED 3; INITIALIZE z(d: 3, h: 2) ZEROS; INITIALIZE s() ZEROS"
    ).relations
    u, v, g, z, s = (result[name].compute() for name in "uvgzs")
    assert result["v"].frontier == (3, 1) and v.dtype == np.float32 and u.dtype == np.float64
    np.testing.assert_array_equal(u.astype(np.float32), v)
    assert -0.5 <= u.min() < -0.4 and 0.4 < u.max() < 0.5
    assert abs(g.mean() - 2) < 0.05 and abs(g.std() - 0.5) < 0.05
    assert z.tolist() == [[0, 0]] * 3 and s.shape == () and s == 0


@pytest.mark.parametrize(
    ("text", "below", "message"),
    [
        ("INITIALIZE z(d: 3) UNIFRM(0, 1) SEED 1", "UNIFRM", "no distribution UNIFRM; did you mean 'UNIFORM'"),
        ("INITIALIZE z(d: 3) UNIFORM(0, 1)", "UNIFORM", "UNIFORM needs a SEED|hint: SEED 1"),
        ("INITIALIZE z(d: 3) NORMAL(0) SEED 1", "NORMAL", "NORMAL takes two numbers"),
        ("INITIALIZE z(d: 3) UNIFORM('a', 1) SEED 1", "UNIFORM", "UNIFORM takes two numbers"),
        ("INITIALIZE z(d: 3) ZEROS SEED 1", "ZEROS", "ZEROS takes no numbers and no SEED"),
        ("INITIALIZE z(d: 0) ZEROS", "d: 0", "an axis has at least one place; d has 0"),
        ("INITIALIZE z(d: 3, d: 3) ZEROS", "INITIALIZE", "names a key twice"),
        ("INITIALIZE z(d: 3) ZEROS TYPE int64", "int64", "parameters are of floats, not of int64"),
        ("INITIALIZE z(d: 3) ZEROS TYPE flot", "flot", "flot is no dtype; did you mean 'float64'"),
        ("INITIALIZE z(d: 3) ZEROS TILE (2, 2)", "INITIALIZE", "2 sizes for 1 keys"),
    ],
)
def test_parameters_that_cannot_be(check_message, text, below, message):
    check_message(text, below, message)


# --- gradients -------------------------------------------------------------------------------------


def test_a_gradient_is_a_tensor_like_any_other(session):
    text = HEAD + "LET g = GRAD(loss, w); LET h[d] = w[d] - 0.1 * grad(loss, w)[d]; LET db = 2 * GRAD(loss, b);"
    found = session.sql(text, X=X, y=Y).relations
    w, miss = found["w"].compute(), found["guess"].compute() - Y
    slope = 2 * X.T @ miss / len(X)
    np.testing.assert_allclose(found["g"].compute(), slope)
    np.testing.assert_allclose(found["h"].compute(), w - 0.1 * slope)
    np.testing.assert_allclose(found["db"].compute(), 4 * miss.mean())
    assert found["g"].expr == tra.grad(found["loss"], found["w"])[0].expr


def test_a_gradient_of_a_gradient_and_by_what_a_let_makes(session):
    text = "LET z[i] = x[i] ^ 2; LET loss = SUM(z[i] ^ 2); LET g[i] = GRAD(loss, x)[i];"
    text += "LET size = SUM(g[i] ^ 2); LET gg[i] = GRAD(size, x)[i]; LET gz[i] = GRAD(loss, z)[i];"
    x = np.array([1.0, 2.0, -3.0])
    found = session.sql(text, x=x).relations
    np.testing.assert_allclose(found["g"].compute(), 4 * x**3)
    np.testing.assert_allclose(found["gg"].compute(), 96 * x**5)
    np.testing.assert_allclose(found["gz"].compute(), 2 * x**2)


GIVEN = "LET q = SUM(A[i, j] * A[i, j]); LET m = SUM(A[i, j] > 0); "


@pytest.mark.parametrize(
    ("text", "below", "message"),
    [
        (GIVEN + "LET g = GRAD(A, v)", "A, v)", "a loss is one number, and A has shape (5, 4)|take its mean"),
        (GIVEN + "LET g = GRAD(m, A)", "m, A)", "a loss is a floating-point number, and m is int64"),
        (GIVEN + "LET g = GRAD(q, AA)", "AA)", "no relation AA; did you mean 'A'?"),
        (GIVEN + "LET g = GRAD(qq, A)", "qq", "no relation qq; did you mean 'q'?"),
        (GIVEN + "LET g = GRAD(q, v)", "v)", "q does not depend on v"),
        (GIVEN + "LET g = GRAD(q, rate)", "rate)", "rate is a number"),
        (GIVEN + "LET g[i] = GRAD(q, A)[i]", "GRAD(", "GRAD(q, A) takes 2 indices, 1 given|write GRAD(q, A)["),
        (GIVEN + "LET g[i, j] = GRAD(q, A)", "GRAD(", "GRAD(q, A) takes 2 indices, none given"),
        (GIVEN + "LET g[i] = GRAD(q, A)[i, j]", "j]", "index j is neither on the left nor reduced"),
        ("SELECT A.i, GRAD(A.tile) FROM A", "GRAD", "no function GRAD of tiles|LET G[i] = GRAD(loss, W)[i]"),
        (
            "INITIALIZE y(d: 3) ZEROS; INITIALIZE z(d: 3) ZEROS; LET q = SUM(y[d] * z[d]); LET g = GRAD(q, y)",
            "y)",
            "y and z are generated alike|another SEED",
        ),
    ],
)
def test_gradients_that_cannot_be(check_message, text, below, message):
    check_message(text, below, message)


W = tra.from_array(RNG.normal(size=(5, 4)), keys=("d", "h"), tile=(2, 2), name="W")
Z = tra.from_array(RNG.normal(size=(7, 5)), keys=("n", "d"), tile=(3, 2), name="Z")


@pytest.mark.parametrize(
    "loss",
    [
        ((Z @ W) ** 2).mean(),
        tra.relu(Z @ W).sum(),
        tra.losses.softmax_cross_entropy(Z @ W, np.array([0, 1, 2, 3, 0, 1, 2])),
        (Z @ W).max(axis=0).sum(),
        (tra.concatenate([W, W]) ** 2).sum(),
        W.filter(lambda d, h: d != 1).sum(),
        W.var(axis=0).sum(),
        (W + 3).prod(axis=0).sum(),
    ],
)
def test_gradients_print_as_what_they_are(check_round_trip, loss):
    gradient = tra.grad(loss, W)[0]
    check_round_trip(gradient)
    check_round_trip(tra.grad((gradient * gradient).sum(), W)[0])


def test_a_gradient_by_a_table_of_keys_has_no_text():
    gradient = tra.grad((W[1:4, ::2] ** 2).sum(), W)[0]
    with pytest.raises(QueryError, match="has no text: its function could not be traced"):
        gradient.to_text()


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
    text = HEAD + "SHOW worst;" + TRAIN + "; LET twice = 2 * worst; SHOW worst; SHOW twice; " + TRAIN + "; worst;"
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
    text = HEAD + "SAVE w TO 'before.npy';" + TRAIN + "; SAVE w TO 'after.npy'; LOAD v(d) FROM 'after.npy'; SHOW v"
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
    CREATE VIEW P AS SELECT X.n, w.h, SUM(MATMUL(X.tile, w.tile)) FROM X JOIN w ON X.d = w.d GROUP BY X.n, w.h;
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


# --- what is refused -------------------------------------------------------------------------------


def start(written):
    return f"1 {written}"


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
        (("BATCH n", "BATCH nn"), "nn", "nothing that is loaded or given has rows along nn; did you mean 'n'"),
        (("BATCH n", "BATCH d"), "d BY", "batches are taken from the first axis, and d is axis 1 of X"),
        (("SEED 7", "REPORT guess"), "guess", "what is reported is one number"),
        (("SEED 7", "REPORT loss"), "loss", "loss is reported anyway"),
        (("SEED 7", "REPORT y"), "y", "y is given as it is, and REPORT takes"),
        (("SEED 7", "CHECKPOINT TO ''"), "''", "checkpoints need a folder"),
        (("SEED 7", "CHECKPOINT TO 'x.npy'"), "'x.npy'", "checkpoints are kept in a folder, and x.npy is a file"),
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
    with pytest.raises(QueryError, match=r"what is batched has one number of rows: X 50, t 9"):
        text = HEAD + "LET more = loss + SUM(t[n]);" + TRAIN.replace("MINIMIZE loss", "MINIMIZE more")
        tra.sql(text, X=X, y=Y, t=np.ones(9))


def test_what_does_not_fit_a_batch_is_shown_at_its_definition():
    text = HEAD.replace("y[n]", "y[m]", 1).replace("LET loss = ", "LET y2[n] = y[n];\nLET loss = ", 1)
    text = "LET all[m] = X[m, d];\n" + text
    assert "all" in text
    head = HEAD.replace("LET loss", "LET kept[n] = guess[n] + extra[m];\nLET loss")
    with pytest.raises(QueryError, match="index m"):
        tra.sql(head + TRAIN, X=X, y=Y, extra=np.ones(50))


def test_a_folder_that_is_loaded_from_takes_no_checkpoints(tmp_path):
    np.save(tmp_path / "a.npy", X)
    text = "LOAD a(n, d) FROM 'a.npy';\n" + TRAIN + " CHECKPOINT TO '.'"
    with pytest.raises(QueryError, match=r":2:\d+: this text loads a from the same place"):
        with tra.connect("local", threads=1) as session:
            session.sql(text, base=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


# --- canonical text --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("initialize W(d:64,h:48)uniform(-0.1,0.1)seed 1", "INITIALIZE W(d: 64, h: 48) UNIFORM(-0.1, 0.1) SEED 1;"),
        ("initialize W ( ) zeros type float32", "INITIALIZE W() ZEROS TYPE float32;"),
        ("let g[d,h]=grad(loss,W)[d,h]", "LET g[d, h] = GRAD(loss, W)[d, h];"),
        ('let g="grad"(x)', 'LET g = "grad"(x);'),
        ("let grad=grad+1", "LET grad = grad + 1;"),
        (
            "train W,b minimize loss using adam(rate=cosine(0.1,100),clip=1.0)for 2 epochs",
            "TRAIN W, b MINIMIZE loss USING ADAM(rate = COSINE(0.1, 100), clip = 1.0) FOR 2 EPOCHS;",
        ),
        ("explain train W minimize l using sgd(1)for 2 epochs", "EXPLAIN TRAIN W MINIMIZE l USING SGD(1) FOR 2 EPOCHS;"),
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
