"""Expressions that are there already: the same node while somebody holds it, and never a wrong one."""

import gc
import weakref

import numpy as np

import tra
from tra.algebra.arithmetic import binary, unary
from tra.algebra.kernel import kernel

A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], name="A")
B = tra.from_array([[5.0, 6.0], [7.0, 8.0]], name="B")


def test_a_node_is_the_same_while_somebody_holds_it():
    for build in (
        lambda: A @ B,
        lambda: A + B,
        lambda: 2.0 * A,
        lambda: -A,
        lambda: tra.einsum("ij,ij->", A, B),
    ):
        held = build()
        assert build().expr is held.expr
        below = build() * 3.0
        seen = weakref.ref(held.expr)
        del held
        assert build().expr is seen()  # the larger one holds it
        del below
        gc.collect()
        assert seen() is None


def test_what_differs_is_not_mixed_up():
    numbers = (1, 1.0, True, 0.0, -0.0, np.float32(1), np.float64(1), float("nan"), 1 + 0j)
    held = [A + number for number in numbers]
    assert len({relation.expr.digest for relation in held}) == len(numbers) - 2  # 1.0 of either float
    found = [relation.compute() for relation in held]
    for number, result in zip(numbers, found, strict=True):
        np.testing.assert_array_equal(result, np.array([[1.0, 2.0], [3.0, 4.0]]) + number)
    assert str((A @ B).expr.type) == str((B @ A).expr.type)
    assert (A @ B).expr != (B @ A).expr and (A - B).expr != (B - A).expr


def test_a_name_that_gets_another_meaning_has_it_at_once():
    @tra.kernel("(),()->()", name="remembered twice")
    def first(x, y):
        return x + y

    held = tra.algebra.relation.combine("remembered twice", A, B)

    @tra.kernel("(),()->()", name="remembered twice")
    def second(x, y):
        return x - y

    after = tra.algebra.relation.combine("remembered twice", A, B)
    np.testing.assert_array_equal(held.compute(), [[6.0, 8.0], [10.0, 12.0]])
    np.testing.assert_array_equal(after.compute(), [[-4.0, -4.0], [-4.0, -4.0]])


def test_functions_of_nodes_are_remembered_alike():
    exp, product = unary(kernel("exp"), A.expr), binary("mul", A.expr, 2)
    assert unary(kernel("exp"), A.expr) is exp and binary(kernel("mul"), A.expr, 2) is product


def test_a_query_written_anew_reads_what_is_there_now():
    array = np.ones((2, 2))
    C = tra.from_array(array)
    with tra.connect("local", threads=1) as session:
        (first,) = session.compute(C @ C)
        array[:] = 2.0
        (second,) = session.compute(C @ C)
        second[0, 0] = -1.0
        (third,) = session.compute(C @ C)
    assert first.tolist() == [[2.0, 2.0]] * 2 and third.tolist() == [[8.0, 8.0]] * 2
    assert not np.may_share_memory(second, third)
