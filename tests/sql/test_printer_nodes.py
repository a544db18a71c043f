"""Relations to text and back: the same expression, whatever it is made of."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.kernel import bind_literal, kernel, kernel_names
from tra.algebra.key_function import COMPARISONS, Const, Not, Op, Opaque, Var
from tra.algebra.live import full_box
from tra.algebra.nodes import Constant, Cut, Iota, Random, Window, postorder
from tra.algebra.operators import aggregate, filter_keys, generated, join, rekey, stack, transform
from tra.algebra.random_query import Chooser, Query, grow
from tra.algebra.relation import Relation
from tra.algebra.retiling import retile
from tra.algebra.sources import tensor_type
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, RelType
from tra.errors import KernelError, QueryError, SchemaError
from tra.sql.printer import to_text

A = tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A")
B = tra.from_array(np.arange(24.0).reshape(4, 6), keys=("j", "k"), tile=(3, 2), name="B")
U = tra.from_array(
    np.arange(24.0).reshape(4, 6), keys=("i", "j"), tile=(2, 3), name="U"
)  # all tiles are full

# --- every operator --------------------------------------------------------------------------------

integers = st.integers(-3, 3)
keys = st.recursive(
    st.sampled_from([Var("i"), Var("j")]) | integers.map(Const),
    lambda inner: st.one_of(
        st.builds(Op, st.sampled_from(["+", "-", "*", *sorted(COMPARISONS)]), inner, inner),
        st.builds(Op, st.sampled_from(["//", "%"]), inner, st.sampled_from([1, 2, 3, -2]).map(Const)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
scalars = st.one_of(
    st.booleans(), st.integers(-9, 9), st.floats(), st.builds(complex, st.floats(), st.floats(-1e9, 1e9))
)


@examples(150)
@given(keys)
def test_filters(check_round_trip, predicate):
    check_round_trip(Relation(filter_keys(A.expr, predicate), A.sources))
    joined = join(A.expr, B.expr, "j", "matmul")
    check_round_trip(Relation(transform(filter_keys(joined, predicate), "exp"), {**A.sources, **B.sources}))


@examples(150)
@given(st.lists(keys, max_size=3), st.booleans())
def test_changes_of_keys(check_round_trip, function, on_join):
    child = transform(join(A.expr, B.expr, "j", "matmul") if on_join else A.expr, "identity")
    names = [f"k{place}" for place in range(len(function))]
    for written in (names, ["j", "i", "k"][: len(function)]):
        try:
            expr = rekey(child, tuple(function), written)
        except SchemaError:
            continue
        check_round_trip(Relation(expr, {**A.sources, **B.sources}))


def test_a_change_of_keys_that_changes_nothing(check_round_trip):
    same = A.rekey(lambda i, j: (i, j), keys=("i", "j"))
    assert "REKEY A TO (A.i, A.j);" in check_round_trip(same)
    check_round_trip(tra.relu(same))
    check_round_trip(A.sum().rekey(lambda: (), keys=()))


@examples(100)
@given(st.sampled_from(["add", "pow", "max", "eq", "arg_min", "where"]), scalars, st.integers(0, 2))
def test_constants_in_calls(check_round_trip, name, value, place):
    by = kernel(name)
    try:
        for position in (place, *([2 - place] if name == "where" else [])):
            by = bind_literal(by, position, value)
        expr = transform(A.expr, by) if by.arity == 1 else join(A.expr, A.expr, ["i", "j"], by)
    except (KernelError, SchemaError):
        return
    check_round_trip(Relation(expr, A.sources))


PARAMETERS = {
    "cast": [{"dtype": "float32"}, {"dtype": "complex64"}],
    "clip": [{"low": -1.0, "high": 2.5}, {"low": 0, "high": float("inf")}],
    "einsum": [{"spec": "ab->ba"}, {"spec": "ab,cb->ac"}, {"spec": "ab,ab->"}],
    "embed": [{"spec": "ab->aab"}, {"spec": "ba->bab"}],
    "class_check": [{"size": 3}, {"size": 2, "dtype": "float32"}],
    "one_hot": [{"size": 3}, {"size": 2, "dtype": "float32"}],
    "scale": [{"by": 2.0}],
    "transpose": [{"axes": (1, 0)}, {"axes": (0, 1)}, {"axes": (0,)}, {"axes": ()}],
}


def uses_of(by):
    """Expressions that use a kernel, in every way that fits it."""
    pair = join(A.expr, A.expr, ["i", "j"], "pair")
    for attempt in (
        lambda: transform(A.expr, by),
        lambda: transform(pair, by),
        lambda: transform(U.filter(lambda i, j: i == j).expr, by),
        lambda: join(A.expr, A.T.expr, [], by),
        lambda: join(A.expr, A.T.expr, [("j", "j")], by),
        lambda: join(A.expr, A.expr, ["i", "j"], by),
        lambda: join((A > 1).expr, pair, ["i", "j"], by),
        lambda: join(A.expr, A.expr, ["i", "j"], bind_literal(by, 0, True)),
        lambda: aggregate(U.expr, ["j"], by),
        lambda: aggregate(transform(U.filter(lambda i, j: i < j).expr, "square"), [], by),
        lambda: aggregate((A > 1).expr, ["j", "i"], by),
        lambda: aggregate(join(U.expr, U.expr, ["i", "j"], "pair"), [], by),
    ):
        with suppress(KernelError, SchemaError):
            yield attempt()


@pytest.mark.parametrize("name", kernel_names())
def test_every_kernel(check_round_trip, name):
    found = []
    for params in PARAMETERS.get(name, [{}]):
        with suppress(KernelError):
            found += uses_of(kernel(name, **params))
    for expr in found:
        check_round_trip(Relation(expr, {**A.sources, **U.sources}))
    assert found or name in ("diag", "squeeze", "reduce_arg_max", "reduce_arg_min") or kernel(name).user


@pytest.mark.parametrize("truncate", [False, True])
def test_joins(check_round_trip, truncate):
    longer = tra.from_array(np.ones((8, 6)), keys=("i", "j"), tile=(2, 3), name="L")
    for on in ([], ["j"], [("i", "i"), ("j", "j")], [("j", "j"), ("i", "i")]):
        if truncate or on == ["j"] or not on:
            check_round_trip(U.join(longer, on=on, kernel="left", truncate=truncate))
    check_round_trip(U.join(U, on=[("j", "j")], kernel="mul", truncate=truncate).aggregate(by=("i_2", "i")))


def test_operators_of_the_paper(check_round_trip):
    check_round_trip(A.tile(1, 1, "jj").concat("jj", 1).concat("i", 0))
    check_round_trip(Relation(stack([A.expr, A.expr, (A + 1).expr], "s"), A.sources).aggregate(by=("i", "j")))


windows = st.builds(slice, *[st.none() | st.integers(-6, 6)] * 2, st.sampled_from([None, 1, 2, -1, -2]))


@examples(100)
@given(st.lists(st.tuples(windows, windows), min_size=1, max_size=3), st.data())
def test_retile(check_round_trip, slices, data):
    def shown(where):
        spans = [part.indices(extent) for part, extent in zip(where, (5, 4), strict=True)]
        return [Window(start, step, len(range(start, stop, step))) for start, stop, step in spans]

    cuts = data.draw(
        st.tuples(*[st.just(Cut()) | st.builds(Cut, st.integers(1, 6), st.just(k)) for k in "ij"])
    )
    along = data.draw(st.integers(0, 1))
    try:
        expr = retile([A.expr] * len(slices), cuts, [shown(where) for where in slices], along)
    except SchemaError:
        return
    check_round_trip(Relation(expr, A.sources))


def test_retile_of_scalars_and_of_free_keys(check_round_trip):
    scalars_ = tra.from_tiles({(0,): 1.0, (1,): 2.0}, keys=("n",), name="s")
    check_round_trip(Relation(retile([scalars_.expr], []), scalars_.sources))
    check_round_trip(Relation(retile([A.sum().expr], []), A.sources))


dtypes = st.sampled_from(["bool", "int32", "uint8", "float16", "float64", "complex64", ">f8"]).map(np.dtype)
names = st.lists(st.sampled_from(["i", "j", "tile", "by"]), max_size=2, unique=True)


@st.composite
def generated_relations(draw):
    found = tuple(Key(name, draw(st.integers(0, 3))) for name in draw(names))
    axes = []
    for _ in range(draw(st.integers(0, 2))):
        link = tuple(sorted((key.name, draw(st.integers(1, 3))) for key in found if draw(st.booleans())))
        axes.append(Axis(draw(st.integers(0, 4)), link, draw(st.integers(0, 9))))
    type_ = RelType(found, tuple(axes), draw(dtypes), Box(()))
    ranges = tuple((draw(st.integers(0, 1)), draw(st.integers(0, key.domain))) for key in found)
    listed = draw(st.sets(st.tuples(*[st.integers(0, max(key.domain - 1, 0)) for key in found]), max_size=4))
    listed = sorted(key for key in listed if all(k < d.domain for k, d in zip(key, found, strict=True)))
    array = np.array(listed, dtype=np.int64).reshape(len(listed), len(found))
    live = draw(st.sampled_from([full_box(type_), Box(ranges), KeySet(array)]))
    makers = [
        Constant(draw(st.integers(0, 1))),
        Random("normal", (0.0, draw(st.floats(0, 5))), draw(st.integers(0, 2**64 - 1))),
    ]
    makers += [Iota(draw(st.integers(-len(axes), len(axes) - 1)))] if axes else []
    return generated(RelType(found, tuple(axes), type_.dtype, live), draw(st.sampled_from(makers)))


@examples(200)
@given(generated_relations())
def test_generated(check_round_trip, expr):
    check_round_trip(Relation(expr, {}))


@pytest.mark.parametrize("value", [True, 1, 1.5, float("nan"), -float("inf"), 1 - 2j])
def test_constants(check_round_trip, value):
    check_round_trip(Relation(generated(tensor_type((3,), "c16", tile=2), Constant(value)), {}))


# --- all of them together --------------------------------------------------------------------------


@examples(250)
@given(st.data())
def test_random_queries(check_round_trip, data):
    choose = Chooser(lambda low, high: data.draw(st.integers(low, high)))
    query = Query(
        choose.one([A, B, tra.from_tiles({(1, 0): np.ones(2), (0, 2): np.ones(2)}, keys=("i", "j"))])
    )
    for _ in range(choose.integer(1, 8)):
        query = grow(query, choose)
    relation = query.relation
    opaque = any(
        isinstance(getattr(node, "function", None) or getattr(node, "predicate", None), Opaque)
        for node in postorder(relation.expr)
    )
    unknown = any(
        isinstance(node.type.live, AtMost) and not node.children for node in postorder(relation.expr)
    )
    if opaque or unknown:
        with pytest.raises(QueryError, match=r"has no text|only when it runs"):
            to_text(relation)
    else:
        check_round_trip(relation)


def test_sugar(check_round_trip):
    x = tra.from_array(np.ones((7, 5)), tile=(3, 2), name="x")
    for relation in (
        tra.softmax(x, axis=0), x.std(axis=1, keepdims=True), x.argmax(), x[::-2, 1:3] @ x[0, 1:3],
        tra.where(x > 0, x, x.T[:, :1].T), x.T.T - 1j, tra.logsumexp(x, axis=1),
        tra.einsum("ij,kj,kl->il", x, x, x),
        x.filter(lambda i, j: i == j).fill(2) // 3, tra.one_hot(x.astype(int), size=3), x.mean() ** x,
    ):  # fmt: skip
        check_round_trip(relation)
