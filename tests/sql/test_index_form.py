"""The index form means what NumPy's einsum, broadcasting and reductions mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra import reference
from tra.backends.assemble import assemble_array
from tra.backends.tiles import Tiles
from tra.sql.runner import Options, run_statements

RNG = np.random.default_rng(7)
SHAPES = {"A": "ij", "B": "jk", "C": "ik", "D": "ij", "E": "jj", "F": "ijk", "v": "j", "w": "i", "s": ""}
EXTENTS = {"i": 5, "j": 4, "k": 3}
ARRAYS = {
    name: RNG.integers(-3, 4, [EXTENTS[c] for c in labels]).astype(float) for name, labels in SHAPES.items()
}
TILINGS = [{"i": 5, "j": 4, "k": 3}, {"i": 2, "j": 3, "k": 1}, {"i": 4, "j": 2, "k": 2}]


def tensors(tiling):
    return {
        name: tra.from_array(
            ARRAYS[name], list("ab" if name == "E" else labels), [tiling[c] for c in labels], name=name
        )
        for name, labels in SHAPES.items()
    }  # fmt: skip


def bound(text, **relations):
    return run_statements(None, text, relations, Options(execute=False))


def computed(relation):
    """The whole tensor, by the definitions."""
    tiles = reference.evaluate(relation.expr, relation.sources)
    keys = np.array(list(tiles), dtype=np.int64).reshape(len(tiles), len(relation.keys))
    return assemble_array(relation.expr.type, [Tiles(keys, list(tiles.values()))])


A, B, C, D, E, F, v, w, s = (ARRAYS[name] for name in "ABCDEFvws")


def softmax(x, axis):
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


CASES = {
    "R[i, k] = SUM(A[i, j] * B[j, k])": A @ B,
    "R[k, i] = SUM(A[i, j] * B[j, k])": (A @ B).T,
    "R[i, k] = SUM[j](A[i, j] * B[j, k])": A @ B,
    "R[i] = SUM(A[i, j] * B[j, k])": (A @ B).sum(1),
    "R = SUM(A[i, j] * B[j, k])": (A @ B).sum(),
    "R[i, k] = SUM(A[i, j] * (B[j, k] * 2) * 3) / 2": A @ B * 3,
    "R[i, k] = SUM(2 * A[i, j] * B[j, k] * v[j])": np.einsum("ij,jk,j->ik", A, B, v) * 2,
    "R[i, k] = SUM(s * A[i, j] * B[j, k])": s * (A @ B),
    "R[i] = SUM(A[i, j])": A.sum(1),
    "R[i] = SUM(A[i, j] * 3)": A.sum(1) * 3,
    "R[i] = SUM(-A[i, j] / 4)": -A.sum(1) / 4,
    "R[i] = SUM((A[i, j] - D[i, j]) * (A[i, j] + v[j]))": ((A - D) * (A + v)).sum(1),
    "R[j] = E[j, j]": np.diag(E),
    "R = SUM(E[j, j])": np.trace(E),
    "R[i, k] = SUM(A[i, j] * E[j, j] * B[j, k])": np.einsum("ij,jj,jk->ik", A, E, B),
    "R[i, j] = A[i, j] + D[i, j] * 2": A + D * 2,
    "R[i, j] = A[i, j] + v[j]": A + v,
    "R[i, j] = v[j] - w[i]": v - w[:, None],
    "R[j, i] = A[i, j]": A.T,
    "R[k, j, i] = F[i, j, k] * A[i, j]": (F * A[:, :, None]).transpose(2, 1, 0),
    "R[i, j] = A[i, j] * s + s": A * s + s,
    "R[i, j, k] = A[i, j] * B[j, k]": A[:, :, None] * B,
    "R[i, j] = A[i, j] + SUM(F[i, j, k])": A + F.sum(2),
    "R[i, j] = A[i, j] - MEAN[j](D[i, j])": A - D.mean(1, keepdims=True),
    "R[i] = SUM(A[i, j] * MAX(B[j, k]))": A @ B.max(1),
    "R[i] = SUM(A[i, j] * (B[j, k] - 1))": (A @ (B - 1)).sum(1),
    "R[i] = SUM[j](A[i, j]) + SUM[j](D[i, j])": A.sum(1) + D.sum(1),
    "R[i, j] = A[i, j] / SUM[j](SQUARE(A[i, j]) + 1)": A / (A**2 + 1).sum(1, keepdims=True),
    "R[i, j] = -A[i, j] ^ 2": -(A**2),
    "R[i, j] = 2 ^ A[i, j]": 2**A,
    "R[i, j] = 1 - A[i, j]": 1 - A,
    "R[i, j] = (A[i, j] < D[i, j]) + (A[i, j] = v[j]) * (A[i, j] <> 0)": (A < D) + (v == A) * (A != 0),
    "R[i, j] = (A[i, j] >= 1) * (D[i, j] <= 1) * (A[i, j] > -2)": (A >= 1) * (D <= 1) * (A > -2),
    "R[i, j] = MAX(A[i, j], D[i, j])": np.maximum(A, D),
    "R[i, j] = MIN(MAX(A[i, j], 0), v[j])": np.minimum(np.maximum(A, 0), v),
    "R[i, j] = WHERE(A[i, j] > 0, D[i, j], v[j])": np.where(A > 0, D, v),
    "R[i, j] = WHERE(A[i, j] > 0, D[i, j], -1)": np.where(A > 0, D, -1),
    "R[i, j] = WHERE(A[i, j] > 0, 1, D[i, j])": np.where(A > 0, 1, D),
    "R[i, j] = WHERE(A[i, j] > 0, 1, 0)": np.where(A > 0, 1, 0),
    "R[i, j] = RELU(SIGN(A[i, j])) + EXP(D[i, j])": np.maximum(np.sign(A), 0) + np.exp(D),
    "R[i, j] = POW(A[i, j], 2) + CLIP(D[i, j], low => -1, high => 1)": A**2 + np.clip(D, -1, 1),
    "R[i, j] = CAST(A[i, j], dtype => 'float32')": A.astype("float32"),
    "R[i, k] = ONE_HOT(w[i] + 3, size => 7)": np.eye(7)[w.astype(int) + 3],
    "R[i] = SUM(ONE_HOT(w[i] + 3, size => 7)) + w[i]": None,
    "R[i, c] = SOFTMAX[c](A[i, c])": softmax(A, 1),
    "R[i, c] = SOFTMAX[i](A[i, c])": softmax(A, 0),
    "R[i, c] = LOG_SOFTMAX[c](A[i, c])": np.log(softmax(A, 1)),
    "R[i, k] = SOFTMAX[k](SUM(A[i, j] * B[j, k]))": softmax(A @ B, 1),
    "R[i] = LOGSUMEXP(A[i, j])": np.log(np.exp(A).sum(1)),
    "R[i] = PROD(A[i, j])": A.prod(1),
    "R[j] = MAX(A[i, j])": A.max(0),
    "R = MIN(A[i, j])": A.min(),
    "R[j] = MEAN(A[i, j])": A.mean(0),
    "R[j] = VAR(A[i, j])": A.var(0),
    "R = STD(F[i, j, k])": F.std(),
    "R[j] = STD[i, k](F[i, j, k])": F.std(axis=(0, 2)),
    "R[i] = ANY(A[i, j] > 2)": (A > 2).any(1),
    "R[i] = ALL(A[i, j] > -3)": (A > -3).all(1),
    "R[i] = ARGMIN(A[i, j])": A.argmin(1),
    "R[j] = ARGMAX(A[i, j])": A.argmax(0),
    "R[i] = ARGMIN[x](SUM((A[i, d] - D[x, d]) ^ 2))": ((A[:, None] - D) ** 2).sum(2).argmin(1),
    "R[k, j] = ARGMAX[i](F[i, j, k])": F.argmax(0).T,
    "R[i, j] = 1 + 2 * 3 - A[i, j] * 2 ^ 3": 7 - A * 8,
    "R[i, j] = A[i, j] * SQRT(4.0) * MAX(1, 2)": A * 4,
    "R = 3 / 4": 0.75,
}


@pytest.mark.parametrize("tiling", TILINGS, ids=["one tile", "ragged", "even"])
@pytest.mark.parametrize("text", [text for text, value in CASES.items() if value is not None])
def test_against_numpy(text, tiling):
    value = np.asarray(CASES[text])
    relation = bound(f"LET {text};", **tensors(tiling)).relation
    got = computed(relation)
    assert got.shape == value.shape
    assert got.dtype.kind == value.dtype.kind
    np.testing.assert_allclose(got, value, rtol=1e-6)
    left = text.split(" = ")[0]
    indices = left[2:-1].split(", ") if "[" in left else []
    assert [key for key in indices if key in relation.keys] == list(relation.keys)


# --- the same nodes as Python ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("R[i, k] = SUM(A[i, j] * B[j, k])", lambda A, B, v, **_: A @ B),
        ("R[i] = SUM(A[i, j] * v[j])", lambda A, v, **_: A @ v),
        ("R[i, j] = RELU(A[i, j] + v[j])", lambda A, v, **_: tra.relu(A + v)),
        ("R[i, j] = A[i, j] - D[i, j]", lambda A, D, **_: A - D),
        ("R[i, j] = 1 - A[i, j] * 2", lambda A, **_: 1 - A * 2),
        ("R[i] = SUM(A[i, j])", lambda A, **_: A.sum(axis=1)),
        ("R = SUM(A[i, j]) * 0.5", lambda A, **_: A.sum() * 0.5),
        ("R[i] = MEAN(A[i, j])", lambda A, **_: A.mean(axis=1)),
        ("R[j] = STD(A[i, j])", lambda A, **_: A.std(axis=0)),
        ("R[i] = ARGMAX(A[i, j])", lambda A, **_: A.argmax(axis=1)),
        ("R[i, j] = SOFTMAX[j](A[i, j])", lambda A, **_: tra.softmax(A, axis=1)),
        ("R[i, j] = -A[i, j] ^ 2 / s", lambda A, s, **_: -(A**2) / s),
        ("R[i, j] = WHERE(A[i, j] > 0, A[i, j], 0)", lambda A, **_: tra.where(A > 0, A, 0)),
        ("R[i, j] = WHERE(A[i, j] > 0, D[i, j], A[i, j])", lambda A, D, **_: tra.where(A > 0, D, A)),
        ("R[j, i] = A[i, j]", lambda A, **_: A.T),
        ("R[i] = SUM(A[i, j] * B[j, k] * v[j])", lambda A, B, v, **_: tra.einsum("ij,jk,j->i", A, B, v)),
    ],
)
@pytest.mark.parametrize("tiling", TILINGS, ids=["one tile", "ragged", "even"])
def test_equal_expressions(text, python, tiling):
    given_ = tensors(tiling)
    assert bound(f"LET {text};", **given_).relation.expr == python(**given_).expr


def test_keys_are_called_as_the_indices():
    given_ = tensors(TILINGS[1])
    other = bound("LET R[p, q] = SUM(A[p, x] * B[x, q]);", **given_).relation
    assert other.keys == ("p", "q")
    product = bound("LET R[p, q] = SUM(A[p, x] * A[q, x]);", **given_).relation
    assert product.keys == ("p", "q")
    # The keys are renamed once, not first as einsum would and then as the indices.
    assert type(product.expr.children[0]).__name__ == "Aggregate"


# --- names -----------------------------------------------------------------------------------------


def test_names_are_views():
    result = bound(
        "LET x[i, j] = A[i, j]; LET y[i, j] = x[i, j] + 1; LET x[i, j] = x[i, j] * 2; LET z = x; LET A = x;",
        **tensors(TILINGS[0]),
    )
    np.testing.assert_array_equal(computed(result.relations["y"]), A + 1)
    np.testing.assert_array_equal(computed(result.relations["z"]), A * 2)
    assert result.relation is result.relations["A"] is result.relations["z"]


def test_a_named_number_is_as_weak_as_a_written_one():
    single = tra.from_array(A.astype("float32"), name="A")
    text = "LET rate = 1 / 1000; LET other = rate * 2; LET R[i, j] = A[i, j] * other;"
    result = bound(text, A=single)
    assert result.relation.expr == (single * 0.002).expr
    assert result.relation.dtype == np.float32
    assert computed(result.relations["rate"]) == 0.001
    assert bound("LET R[i, j] = A[i, j] * rate;", A=single, rate=0.5).relation.dtype == np.float32
    assert (
        bound("CREATE VIEW q AS rate; LET R[i, j] = A[i, j] * q;", A=single, rate=0.5).relation.dtype == "f4"
    )
    assert bound("LET R[i, j] = A[i, j] * rate;", A=single, rate=np.float64(0.5)).relation.dtype == np.float64
    redefined = "LET rate = 2; LET rate = SUM(A[i, j]); LET R[i, j] = A[i, j] * rate;"
    assert bound(redefined, A=single).relation.expr == (single * single.sum()).expr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 * 3 + 4 / 8", 6.5),
        ("-2 ^ 2", -4),
        ("2 ^ -1", 0.5),
        ("(1 < 2) + 1", 2),
        ("EXP(0) + MAX(1, 2.5)", 3.5),
        ("2j * 2j", -4 + 0j),
        ("1e300 * 1e300", float("inf")),
    ],
)
def test_numbers_are_computed(text, value):
    result = bound(f"LET x = {text};")
    assert computed(result.relation) == value
    assert result.relation.dtype == np.asarray(value).dtype


# --- holes -----------------------------------------------------------------------------------------


def test_holes():
    tiles = {(0, 0): np.full((2, 2), 3.0), (1, 1): np.full((2, 2), 5.0)}
    S = tra.from_tiles(tiles, keys=("i", "j"), name="S")
    T = tra.from_tiles({(0, 0): np.full((2, 2), 7.0)}, keys=("a", "b"), domain=(2, 2), name="T", axes=[
        tra.Axis(2, (("a", 1),), 4), tra.Axis(2, (("b", 1),), 4)])  # fmt: skip
    dense, other = (computed(relation.fill(0)) for relation in (S, T))
    w = np.arange(4.0)
    for text, value in {
        "S[i, j] * 2": dense * 2,
        "S[i, j] + T[i, j]": dense + other,
        "S[i, j] - T[i, j]": dense - other,
        "S[i, j] - T[j, i]": dense - other.T,
        "S[i, j] * T[i, j]": dense * other,
        "S[i, j] * w[j]": dense * w,
        "w[i] * S[i, j]": dense * w[:, None],
        "S[i, j] / (w[j] + 1)": dense / (w + 1),
        "SUM(S[i, x] * T[x, j])": dense @ other,
        "RELU(S[j, i])": dense.T,
    }.items():
        relation = bound(f"LET R[i, j] = {text};", S=S, T=T, w=w).relation
        np.testing.assert_array_equal(computed(relation.fill(0)), value, err_msg=text)
        assert relation.keys == ("i", "j")
    assert bound("LET R[i, j] = S[i, j] + S[i, j];", S=S).relation.expr == (S + S).expr


# --- random expressions ----------------------------------------------------------------------------

OPERATIONS = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "<": np.less, ">=": np.greater_equal,
    "MAX": np.maximum, "MIN": np.minimum, "SUM": np.sum, "MEAN": np.mean, "PROD": np.prod,
    "LARGEST": np.max, "RELU": lambda x: np.maximum(x, 0), "SQUARE": np.square, "NEG": np.negative,
}  # fmt: skip


class Shown:
    """An expression as text, the labels of its axes, and its value."""

    def __init__(self, text, labels, array):
        self.text, self.labels, self.array = text, labels, np.asarray(array)

    def spread(self, labels):
        """The value with one axis for each label."""
        order = [self.labels.index(c) for c in labels if c in self.labels]
        index = tuple(slice(None) if c in self.labels else None for c in labels)
        return self.array.transpose(order)[index]


def leaf(draw):
    if draw(st.integers(0, 3)) == 0:
        number = draw(st.integers(0, 3))
        return Shown(f"{number}.0", "", float(number))
    name = draw(st.sampled_from([name for name in ARRAYS if name != "E"]))
    labels = SHAPES[name]
    text = f"{name}[{', '.join(labels)}]" if labels else name
    return Shown(text, labels, ARRAYS[name])


@st.composite
def shown(draw, depth=3):
    kind = draw(st.sampled_from(["leaf", "binary", "unary", "reduce"])) if depth else "leaf"
    if kind == "leaf":
        return leaf(draw)
    one = draw(shown(depth - 1))
    if kind == "binary":
        other = draw(shown(depth - 1))
        operator = draw(st.sampled_from(["+", "-", "*", "<", ">=", "MAX", "MIN"]))
        labels = "".join(dict.fromkeys(one.labels + other.labels))
        value = OPERATIONS[operator](one.spread(labels), other.spread(labels)).astype(float)
        text = (
            f"{operator}({one.text}, {other.text})"
            if operator.isalpha()
            else f"({one.text} {operator} {other.text})"
        )
        if operator in ("<", ">="):  # truth values take arithmetic as NumPy's do: not all of it
            text = f"CAST({text}, dtype => 'float64')"
        return Shown(text, labels, value)
    if kind == "unary":
        function = draw(st.sampled_from(["RELU", "SQUARE", "NEG"]))
        return Shown(f"{function}({one.text})", one.labels, OPERATIONS[function](one.array))
    if not one.labels:
        return one
    label = draw(st.sampled_from(one.labels))
    function = draw(st.sampled_from(["SUM", "MEAN", "PROD", "LARGEST"]))
    value = OPERATIONS[function](one.array, axis=one.labels.index(label))
    name = function.replace("LARGEST", "MAX")
    return Shown(f"{name}[{label}]({one.text})", one.labels.replace(label, ""), value)


@examples(150)
@given(shown(), st.randoms(use_true_random=False), st.sampled_from(TILINGS))
def test_random_expressions(expression, random, tiling):
    labels = list(expression.labels)
    random.shuffle(labels)
    left = f"R[{', '.join(labels)}]" if labels else "R"
    relation = bound(f"LET {left} = {expression.text};", **tensors(tiling)).relation
    expected = expression.spread("".join(labels))
    np.testing.assert_allclose(computed(relation), expected, rtol=1e-9, atol=1e-9)
