"""Every kernel keeps the laws it claims, and laws claimed wrongly are caught."""

import pickle

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra.kernel import (
    Laws,
    bind_literal,
    flops_of,
    is_registered,
    kernel,
    kernel_names,
    make_kernel,
    result_dtype,
    user_kernel,
)
from tra.errors import KernelError, SchemaError
from tra.testing import DTYPES, arrays, check_kernel

PAIR = np.dtype([("value", "f8"), ("index", "i8")])
PARAMETERS = {
    "scale": {"by": 2.5},
    "cast": {"dtype": "int32"},
    "clip": {"low": -1, "high": 2},
    "one_hot": {"size": 4},
    "class_check": {"size": 4},
    "einsum": {"spec": "ab,cb->ac"},
    "transpose": {"axes": (2, 0, 1)},
    "expand_dims": {"axis": -2},
    "squeeze": {"axis": -2},
    "embed": {"spec": "ab->aab"},
}
OPERANDS = {
    "arg_min": [PAIR],
    "arg_max": [PAIR],
    "reduce_arg_min": [PAIR],
    "reduce_arg_max": [PAIR],
    "value_of": [PAIR],
    "index_of": [PAIR],
    "second_of": [PAIR],
    "choose": [("bool", PAIR)],
    "pair": [("f8", "i8"), ("i4", "i8")],
    "where": [("bool", "f8", "f8"), ("bool", "i4", "f8")],
    "pow": ["f8", "f4", "c8"],
}
BUILT_IN = [name for name in kernel_names() if not kernel(name, **PARAMETERS.get(name, {})).user]


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("name", BUILT_IN)
def test_kernels_keep_their_laws(name):
    for dtype in OPERANDS.get(name, DTYPES):
        made = kernel(name, **PARAMETERS.get(name, {}))
        operands = dtype if isinstance(dtype, tuple) else (dtype,) * made.arity
        try:
            result_dtype(made, tuple(map(np.dtype, operands)))
        except KernelError:
            assert dtype in ("bool", "complex64"), f"{name} should take {dtype}"
            continue
        check_kernel(made, dtype, examples=15)


@pytest.mark.parametrize(
    "spec", ["ab->b", "aa->a", "ab->ba", "ab,ab->", "aab,bc->ac", "a,->a", "abc,dc->abd"]
)
def test_contractions_keep_their_laws(spec):
    for dtype in DTYPES:
        check_kernel("einsum", dtype, examples=10, spec=spec)


@pytest.mark.parametrize(
    ("name", "value", "linear", "keeps_zero"),
    [
        ("mul", 2.0, True, True),
        ("mul", np.inf, False, False),
        ("div", 2.0, True, True),
        ("div", 0.0, False, False),
        ("add", 1.0, False, False),
        ("add", 0, False, True),
        ("gt", 0, False, True),
        ("ge", 0, False, False),
        ("pow", 2, False, True),
        ("pow", 0, False, False),
        ("max", -1.0, False, True),
    ],
)
def test_constants_leave_the_laws_that_still_hold(name, value, linear, keeps_zero):
    bound = bind_literal(kernel(name), 1, value)
    assert (bound.laws.linear == {0}, bound.laws.zero_preserving) == (linear, keeps_zero)
    assert bound.arity == 1 and str(bound) == f"{name}(·, {value!r})"
    check_kernel(bound, examples=10)
    assert pickle.loads(pickle.dumps(bound)) == bound


def test_constants_on_the_left_and_twice():
    assert bind_literal(kernel("sub"), 0, 1.0)(np.array([3.0])) == -2.0
    where = bind_literal(bind_literal(kernel("where"), 2, 0.0), 1, 1.0)
    assert where(np.array([True, False])).tolist() == [1.0, 0.0] and str(where) == "where(·, 1.0, 0.0)"
    assert where.laws.zero_preserving
    for name, position in [("neg", 0), ("matmul", 1), ("add", 2)]:
        with pytest.raises(KernelError, match="takes no constant as argument"):
            bind_literal(kernel(name), position, 1.0)


WRONG = {
    "associative": (lambda a, b: a - b, {"associative": True}),
    "commutative": (lambda a, b: a - b, {"commutative": True}),
    "identity": (lambda a, b: a + b, {"identity": 1.0}),
    "idempotent": (lambda a, b: a + b, {"idempotent": True}),
    "linear in operand 2": (lambda a, b: a * b * b, {"linear": [0, 1]}),
    "linear in operand 1": (lambda a, b: a + b + 1, {"linear": 0}),
    "distributes over max in operand 1": (lambda a, b: a * b, {"distributes_over": "max"}),
    "monotone in operand 2": (lambda a, b: a - b, {"monotone": True}),
    "zero_preserving": (lambda a, b: a + b + 1, {"zero_preserving": True}),
    "elementwise": (lambda a, b: a + b.sum(), {"elementwise": True}),
    "its shape law": (lambda a, b: a.sum() + b, {}),
}


@pytest.mark.parametrize("claim", WRONG)
def test_laws_claimed_wrongly_are_caught(claim):
    function, laws = WRONG[claim]
    signature = "(n),(n)->()" if claim == "its shape law" else "(),()->()"
    wrong = user_kernel(signature, name=f"wrong {claim}", batched=claim != "elementwise", **laws)(function)
    with pytest.raises(
        AssertionError, match=f"kernel wrong {claim} is not as it claims .*: {claim}"
    ) as caught:
        check_kernel(wrong)
    shown = str(caught.value)
    assert "gives" in shown and "not " in shown
    assert claim == "its shape law" or "operand 1: " in shown


def test_more_claims_that_are_caught():
    cumulative = user_kernel("(n)->(n)", name="running sum", batched=True)(
        lambda x: np.cumsum(x.ravel()).reshape(x.shape)
    )
    with pytest.raises(AssertionError, match="batched, stacked tiles give what single ones do"):
        check_kernel(cumulative)
    core = user_kernel("(n)->(n)", name="doubled", batched=True, elementwise=True)(lambda x: x + x)
    with pytest.raises(AssertionError, match="elementwise"):
        check_kernel(core)
    of_values = user_kernel("()->()", name="moody", batched=True)(
        lambda x: x if x.sum() > 0 else x.astype("f4")
    )
    with pytest.raises(AssertionError, match="one dtype for all tiles"):
        check_kernel(of_values)
    fold = user_kernel("(n),(m)->(n)", name="lopsided", batched=True, associative=True)(lambda a, b: a)
    with pytest.raises(AssertionError, match="operands of one shape"):
        check_kernel(fold)
    writes = user_kernel("()->()", name="scribbler", batched=True)(lambda x: np.negative(x, out=x))
    with pytest.raises(SchemaError, match="read-only"):
        check_kernel(writes)


def test_a_user_kernel():
    @tra.kernel("(m,n)->(n)", name="column norms", zero_preserving=True)
    def norms(x):
        assert x.ndim == 2  # one tile at a time, whatever its loop dimensions
        return np.sqrt((x * x).sum(axis=0))

    check_kernel(norms)
    assert is_registered("Column Norms") and kernel("column norms") == norms
    a = np.random.default_rng(0).normal(size=(2, 5, 4))
    A = tra.from_array(a, keys=("n",), tile=1)
    np.testing.assert_allclose(A.transform("column norms").compute(), np.sqrt((a * a).sum(axis=1)))
    assert A.transform(norms).expr == A.transform("column norms").expr
    restored = cloudpickle.loads(cloudpickle.dumps(norms))
    assert restored == norms and restored(a[0]).shape == (4,)
    assert A.filter(lambda n: n < 0).transform(norms).tiles() == {}


def test_a_user_kernel_without_core_dimensions_sees_whole_tiles():
    calls = []

    @tra.kernel("(),()->()", name="noted sum", associative=True, commutative=True)
    def noted(a, b):
        calls.append(a.shape)
        return a + b

    A = tra.from_array(np.ones((4, 4)), tile=2)
    A.aggregate(by="i", kernel=noted).tiles()
    assert [shape for shape in calls if shape] == [(2, 2), (2, 2)]


def test_user_kernels_that_are_refused():
    for signature, claims, words in [
        ("(m,n)", {}, "not a kernel signature"),
        ("->(n)", {}, "not a kernel signature"),
        ("(m,n)->(m),(n)", {}, "not a kernel signature"),
        ("(),()->()", {"assoziative": True}, "unknown law 'assoziative'; did you mean 'associative'"),
        ("(),()->()", {"name": "ADD"}, "the kernel 'ADD' comes with the engine"),
    ]:
        with pytest.raises(KernelError, match=words):
            user_kernel(signature, **claims)(lambda *x: x[0])


def test_a_second_definition_is_another_kernel():
    first = user_kernel("()->()", name="versioned")(lambda x: x)
    second = user_kernel("()->()", name="versioned")(lambda x: -x)
    assert first != second and kernel("versioned") == second


def test_looking_kernels_up():
    assert kernel("MatMul") == kernel("matmul") and kernel(kernel("add")) == kernel("add")
    with pytest.raises(KernelError, match="unknown kernel 'matmull'; did you mean 'matmul'"):
        kernel("matmull")
    with pytest.raises(KernelError, match=r"'relu' does not take these parameters \(axis=1\)"):
        kernel("relu", axis=1)
    with pytest.raises(KernelError, match="bound already"):
        kernel(kernel("add"), axis=1)
    with pytest.raises(KernelError, match="counts axes from the end"):
        kernel("reduce_sum", axis=0)
    with pytest.raises(KernelError, match="permutation"):
        kernel("transpose", axes=(0, 2))


@pytest.mark.parametrize("name", ["one_hot", "class_check"])
@pytest.mark.parametrize("size", [-1, 0, 2.5, True, "3"])
def test_sizes_that_are_none(name, size):
    with pytest.raises(KernelError, match=f"{name} takes a size that is a whole number of at least 1; got"):
        kernel(name, size=size)


@pytest.mark.parametrize("dtype", ["O,O", "S8,S8", "f8,f8", "f8,", "S8", "O", "M8[s]", None, 3, PAIR])
def test_dtypes_that_are_none(dtype):
    for name, params in (("cast", {}), ("one_hot", {"size": 2}), ("class_check", {"size": 2})):
        with pytest.raises(KernelError, match=f"{name} takes a dtype such as .*; got dtype="):
            kernel(name, dtype=dtype, **params)


def test_sizes_flops_and_dtypes():
    hot = kernel("one_hot", size=3)
    assert hot(np.array([0, 2, 5])).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert flops_of(kernel("matmul"), {"m": 2, "n": 3, "p": 4}, 5) == 240
    assert flops_of(make_kernel("plain", "(n,3)->(n)", lambda x: x[..., 0]), {"n": 4}, 2) == 24
    assert result_dtype(kernel("add"), (np.dtype("i4"), np.dtype("f4"))) == np.float64
    with pytest.raises(KernelError, match="does not take tiles of complex64"):
        result_dtype(kernel("floor"), (np.dtype("c8"),))
    with pytest.raises(KernelError, match="does not take tiles of pair"):
        result_dtype(kernel("add"), (PAIR, PAIR))


def test_kernels_travel():
    for name in BUILT_IN:
        made = kernel(name, **PARAMETERS.get(name, {}))
        assert pickle.loads(pickle.dumps(made)) == made
    assert Laws() == Laws(linear=frozenset())


@given(st.data())
def test_extremes_of_pairs_follow_numpy(data):
    values = data.draw(arrays((7,), data.draw(st.sampled_from(DTYPES)))).copy()
    if values.dtype.kind in "fc":
        for place in data.draw(st.sets(st.integers(0, 6), max_size=3)):
            values[place] = np.nan
    pairs = kernel("pair")(values, np.arange(7))
    for name, expected in (("min", np.argmin(values)), ("max", np.argmax(values))):
        fold = kernel(f"arg_{name}")
        order = data.draw(st.permutations(range(7)))
        result = pairs[order[0]]
        for place in order[1:]:
            result = fold(result, pairs[place])
        assert result["index"] == expected
        assert kernel(f"reduce_arg_{name}")(pairs)["index"] == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: tra.kernel("(m,n)(n)->(m)"), r"'\(m,n\)\(n\)->\(m\)' is not a kernel signature; write one"),
        (lambda: tra.kernel("(m n)->(m)"), "is not a kernel signature"),
        (lambda: tra.kernel(3), r"a shape law is text like '\(m,n\),\(n,p\)->\(m,p\)'; got 3"),
        (lambda: tra.kernel("()->()")(3), "a kernel is made of a function of tiles; got 3"),
        (lambda: tra.kernel("()->()", name=3), "the name of a kernel is text; got name=3"),
        (lambda: tra.kernel("()->()", contraction="ij,jk->xx"), "contraction= takes True or False; got 'ij,"),
        (lambda: tra.kernel("()->()", associative="yes"), "associative= takes True or False; got 'yes'"),
        (lambda: tra.kernel("()->()", linear=True), "linear= takes places of operands, 0; got True"),
        (lambda: tra.kernel("(),()->()", linear=[0, 2]), r"linear= takes .*, 0 or 1; got \[0, 2\]"),
        (
            lambda: tra.kernel("(),()->()", coefficients=(1, -1, 2)),
            r"coefficients= takes a number for each of 2 operands; got \(1, -1, 2\)",
        ),
        (lambda: tra.kernel("()->()", coefficients="1"), "takes a number for each of 1 operands; got '1'"),
        (lambda: tra.kernel("(),()->()", identity="zero"), "identity= takes a number; got 'zero'"),
        (lambda: tra.kernel("(),()->()", distributes_over=3), "takes names of aggregations, such .*; got 3"),
    ],
)
def test_claims_that_are_refused(wrong, words):
    with pytest.raises(KernelError, match=words):
        wrong()


def test_a_contraction_is_linear_and_keeps_zeros():
    product = tra.kernel("(m,n),(n,p)->(m,p)", name="one law", contraction=True)(lambda x, y: x @ y)
    assert product.laws == Laws(contraction=True, linear=frozenset([0, 1]), zero_preserving=True)
    check_kernel(product)


def test_a_kernel_called_with_relations_is_a_query():
    seen = []

    @tra.kernel("(),()->()", name="lazy hypotenuse")
    def hypotenuse(x, y):
        seen.append(x.shape)
        return np.sqrt(x * x + y * y)

    a = np.arange(6.0).reshape(2, 3)
    A = tra.from_array(a, tile=2)
    query = hypotenuse(A, A)
    assert isinstance(query, tra.Relation) and (2, 2) not in seen
    np.testing.assert_allclose(query.compute(), np.hypot(a, a))
    np.testing.assert_allclose(hypotenuse(a, A).compute(), np.hypot(a, a))
    np.testing.assert_allclose(hypotenuse(A, 2.0).compute(), np.hypot(a, 2))
    assert isinstance(hypotenuse(a, a), np.ndarray)
    with pytest.raises(KernelError, match=r"lazy hypotenuse \(\),\(\)->\(\) takes 2 operands; got 1"):
        hypotenuse(A)
    double = tra.kernel("()->()", name="lazily doubled")(lambda x: x + x)
    assert double(A).expr == A.transform(double).expr
    rows = tra.kernel("(n)->()", name="lazy rows")(np.sum)
    np.testing.assert_allclose(rows(tra.from_array(a, keys="i")).compute(), a.sum(1))
    with pytest.raises(SchemaError, match=r"takes whole axes, but axis 1 of .* is cut"):
        rows(A)
    np.testing.assert_allclose(kernel("matmul")(A, A.T).compute(), a @ a.T)
    np.testing.assert_allclose(kernel("transpose", axes=(1, 0))(A).compute(), a.T)


def test_an_error_inside_a_kernel_is_the_cause():
    @tra.kernel("()->()", name="boom")
    def boom(x):
        raise RuntimeError("boom inside")

    words = "^kernel boom failed on a trial tile of float64: RuntimeError: boom inside$"
    with pytest.raises(KernelError, match=words) as caught:
        tra.from_array(np.ones(2)).transform(boom)
    assert isinstance(caught.value.__cause__, RuntimeError) and caught.value.__cause__.__traceback__
    pair = tra.kernel("(),()->()", name="bang")(lambda x, y: {}[0])
    with pytest.raises(KernelError, match="bang failed on trial tiles of float64 and int64: KeyError: 0"):
        tra.from_array(np.ones(2)).join(tra.from_array([1, 2]), on="i", kernel=pair)
