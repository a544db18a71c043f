"""Parameters and gradients in text: what they make, and where errors point."""

import numpy as np
import pytest

import tra

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


@pytest.fixture(params=[1, 2], ids=["alone", "two sites"])
def session(request):
    with tra.connect("local", sites=request.param, threads=1) as opened:
        yield opened


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
        (
            "INITIALIZE z(d: 3) UNIFRM(0, 1) SEED 1",
            "UNIFRM",
            "no distribution UNIFRM; did you mean 'UNIFORM'",
        ),
        ("INITIALIZE z(d: 3) UNIFORM(0, 1)", "UNIFORM", "UNIFORM needs a SEED|hint: SEED 1"),
        ("INITIALIZE z(d: 3) NORMAL(0) SEED 1", "NORMAL", "NORMAL takes two numbers"),
        ("INITIALIZE z(d: 3) UNIFORM('a', 1) SEED 1", "UNIFORM", "UNIFORM takes two numbers"),
        (
            "INITIALIZE z(d: 3) UNIFORM(-1e308, 1e308) SEED 1",
            "UNIFORM",
            "UNIFORM(low, high) draws numbers that are finite in float64; UNIFORM(-1e+308, 1e+308) does not",
        ),
        (
            "INITIALIZE z(d: 3) UNIFORM(0, 1e300) SEED 1 TYPE float32",
            "UNIFORM",
            "UNIFORM(low, high) draws numbers that are finite in float32; UNIFORM(0, 1e+300) does not",
        ),
        ("INITIALIZE z(d: 3) UNIFORM(0, INF) SEED 1", "UNIFORM", "takes finite numbers; got UNIFORM(0, inf)"),
        ("INITIALIZE z(d: 3) UNIFORM(5, 1) SEED 1", "UNIFORM", "has low <= high; got UNIFORM(5, 1)"),
        ("INITIALIZE z(d: 3) NORMAL(NAN, 1) SEED 1", "NORMAL", "takes finite numbers; got NORMAL(nan, 1)"),
        ("INITIALIZE z(d: 3) NORMAL(0, -1) SEED 1", "NORMAL", "has a deviation of at least 0"),
        (
            "INITIALIZE z(d: 3) UNIFORM(0, 1) SEED 18446744073709551616",
            "UNIFORM",
            "a seed is an integer from 0 to 2**64 - 1; got 18446744073709551616",
        ),
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
    text = (
        HEAD + "LET g = GRAD(loss, w); LET h[d] = w[d] - 0.1 * grad(loss, w)[d]; LET db = 2 * GRAD(loss, b);"
    )
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
        (
            GIVEN + "LET g[i] = GRAD(q, A)[i]",
            "GRAD(",
            "GRAD(q, A) takes 2 indices, 1 given|write GRAD(q, A)[",
        ),
        (GIVEN + "LET g[i, j] = GRAD(q, A)", "GRAD(", "GRAD(q, A) takes 2 indices, none given"),
        (GIVEN + "LET g[i] = GRAD(q, A)[i, j]", "j]", "index j is neither on the left nor reduced"),
        ("SELECT A.i, GRAD(A.tile) FROM A", "GRAD", "no function GRAD|LET G[i] = GRAD(loss, W)[i]"),
        (
            "INITIALIZE y(d: 3) ZEROS; INITIALIZE z(d: 3) ZEROS; LET q = SUM(y[d]); LET g = GRAD(q, y)",
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
