"""Rules on constants and on what is absent: exact, or not at all."""

import numpy as np
import pytest
from hypothesis import strategies as st

import tra
from tra.algebra.kernel import bind_literal
from tra.algebra.kernel import kernel as find_kernel
from tra.algebra.makers import Constant, Iota, Random
from tra.algebra.operators import generated, stack
from tra.algebra.relation import Relation
from tra.optimizer.rules import absent, constants
from tra.optimizer.rules.registry import normalise
from tra.testing import relations

from .rule_harness import check_fires, check_stays, drawn, keyed, names_of

N_EXAMPLES = 100
DTYPES = ("float64", "float32", "int64", "int32", "complex64")
times = tra.kernel(
    "(),()->()", name="times", elementwise=True, identity=1, associative=True, commutative=True, batched=True
)(lambda x, y: x * y)
nearly = tra.kernel(
    "(),()->()", name="nearly times", elementwise=True, identity=1, commutative=True, batched=True
)(lambda x, y: x * y + 0)
silent = tra.kernel("(),()->()", name="times without a word", elementwise=True)(lambda x, y: x * y)


@st.composite
def constant(draw, makers=None):
    relation = draw(keyed(dtype=draw(st.sampled_from(DTYPES))))
    maker = Constant(draw(st.integers(0, 3))) if makers is None else draw(makers)
    return drawn(lambda: Relation(generated(relation.expr.type, maker), {}))


@st.composite
def filtered(draw, source):
    found, low = draw(source), draw(st.integers(0, 2))
    return found.filter(lambda *k: k[0] >= low)


@st.composite
def cut(draw, source):
    found = draw(source)
    names = found.keys
    return drawn(
        draw(
            st.sampled_from(
                [
                    lambda: found.rekey(lambda *k: (k[0] + 1, *k[1:]), keys=names),
                    lambda: found.rekey(lambda *k: k[::-1], keys=names[::-1]),
                    lambda: found.tile(0, 2, "cut"),
                    lambda: found.concat(names[0], 0),
                    lambda: found.retile(*[2] * len(found.shape)),
                    lambda: Relation(stack([found.expr, found.expr], "n"), found.sources),
                ]
            )
        )
    )


@st.composite
def mapped(draw, source, kernels):
    found = draw(source)
    return drawn(lambda: found.transform(draw(st.sampled_from(kernels))))


@st.composite
def paired(draw, source, kernels):
    found = draw(source)
    other = Relation(generated(found.expr.type, Constant(2)), {}) if draw(st.booleans()) else found
    on = found.keys[: draw(st.integers(0, len(found.keys)))]
    return drawn(lambda: found.join(other, on=on, kernel=draw(st.sampled_from(kernels))))


@st.composite
def folded(draw, source, folds=("add", "max", "mul")):
    found = draw(source)
    by = found.keys[: draw(st.integers(0, len(found.keys)))]
    return drawn(lambda: found.aggregate(by=by, kernel=draw(st.sampled_from(folds))))


@st.composite
def with_one(draw, kernels, value=1, dtypes=DTYPES):
    """A relation and a constant of its type, in either place."""
    relation = draw(relations(dtype=draw(st.sampled_from(dtypes))))
    one = Relation(generated(relation.expr.type, Constant(value)), {})
    sides = (relation, one) if draw(st.booleans()) else (one, relation)
    return drawn(lambda: sides[0].join(sides[1], on=relation.keys, kernel=draw(st.sampled_from(kernels))))


@st.composite
def scaled(draw, kernels, value, dtypes=("float64", "float32", "int64")):
    relation = draw(relations(dtype=draw(st.sampled_from(dtypes))))
    bound = bind_literal(find_kernel(draw(st.sampled_from(kernels))), draw(st.integers(0, 1)), value)
    return relation.transform(bound)


@st.composite
def emptied(draw, keeps=9):
    relation = draw(keyed())
    return relation.filter(lambda *k: k[0] >= keeps).transform("square")


@st.composite
def stacked(draw, keeps):
    relation = draw(keyed(dtype="float64"))
    part = relation.filter(lambda *k: k[0] >= keeps)
    both = Relation(stack([relation.expr, part.expr, relation.expr], "n"), relation.sources)
    return drawn(lambda: both.aggregate(by=relation.keys[: draw(st.integers(0, 2))], kernel="add"))


VARIED = st.sampled_from([Iota(0), Random("uniform", (0.0, 1.0), 7)])
variable = constant(VARIED).filter(lambda r: r.dtype.kind == "f")
anything = constant() | variable
CASES = {
    "generated_filter_fold": (filtered(anything), filtered(keyed())),
    "constant_cut_fold": (cut(constant()), cut(variable)),
    "constant_transform_fold": (
        mapped(constant(), ["exp", "neg", "transpose", "square"]),
        mapped(constant(), ["reduce_sum", "softmax"]),
    ),
    "constant_join_fold": (
        paired(constant(), ["add", "mul", times]),
        paired(constant(), ["matmul", "outer"]),
    ),
    "constant_aggregate_fold": (folded(constant()), folded(variable)),
    "transform_neutral_drop": (
        scaled(["mul", times], 1),
        scaled(["add", "sub", silent], 1) | scaled(["add"], 0.0, ["float64"]) | scaled(["mul"], 2),
    ),
    "join_neutral_drop": (
        with_one(["mul", times], dtypes=["float64", "int64", "float32"]),
        with_one(["add", silent]) | with_one([nearly, "mul"], dtypes=["complex64"]) | with_one(["mul"], 2),
    ),
    "empty_drop": (emptied(), relations()),
    "aggregate_stack_drop": (stacked(keeps=9), stacked(keeps=0).filter(lambda r: r.nbytes)),
}


def rule_of(name):
    return getattr(constants, name, None) or getattr(absent, name)


def test_every_rule_is_tested():
    assert names_of(constants, absent) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_and_keeps_the_meaning(name):
    check_fires(rule_of(name), CASES[name][0], N_EXAMPLES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_does_not_fire_where_it_would_be_wrong(name):
    check_stays(rule_of(name), CASES[name][1], N_EXAMPLES)


@pytest.mark.parametrize(
    ("number", "kernel", "goes"),
    [(1.0, "mul", True), (0.0, "add", False), (-0.0, "add", True), (1, "mul", True), (2, "mul", False)],
)
def test_no_bit_changes(number, kernel, goes):
    """x + 0 turns −0 into 0; x + (−0) does not."""
    A = tra.from_array(np.array([0.0, -0.0, 1.0]), tile=2, name="A")
    node = A.transform(bind_literal(find_kernel(kernel), 1, number)).expr
    assert (constants.transform_neutral_drop(node) == A.expr) == goes


def test_nothing_is_read_for_an_empty_result():
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    none = A.join(A.filter(lambda i, j: i > 5), on=[("j", "i")], kernel="matmul").aggregate(by="i")
    (plain,), _ = normalise((none.expr,))
    assert plain.children == () and not tra.algebra.reference.evaluate(plain, {})


def test_a_constant_query_is_computed_while_it_is_planned():
    A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
    ones = Relation(generated(A.expr.type, Constant(1)), {})
    query = ones.transform("exp").join(ones, on=["i", "j"], kernel="add").filter(lambda i, j: i == 0)
    (plain,), _ = normalise((query.aggregate(by="i").expr,))
    assert plain.children == () and plain.maker.value == pytest.approx(2 * (np.e + 1))
