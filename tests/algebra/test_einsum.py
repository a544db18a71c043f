"""einsum against numpy.einsum on generated equations."""

from string import ascii_letters

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.einsum import parse_equation
from tra.algebra.kernels.contraction import contract, einsum_kernel
from tra.errors import KernelError, SchemaError
from tra.testing import arrays, dtypes, tensors

LETTERS = "abcdeXY"


def agree(relation, array):
    array = np.asarray(array)
    assert (relation.shape, relation.dtype) == (array.shape, array.dtype)
    computed = relation.compute()
    tolerance = 1e-3 if array.dtype.itemsize <= 8 and array.dtype.kind in "fc" else 1e-9
    np.testing.assert_allclose(computed, array, rtol=tolerance, atol=tolerance)


@st.composite
def equations(draw):
    """An equation, and the shapes of its operands."""
    extents = {c: draw(st.sampled_from([2, 3, 5, 1, 4])) for c in LETTERS}
    dots = draw(st.sampled_from([None, None, (), (2,), (3, 2)]))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 5))):
        labels = draw(st.lists(st.sampled_from(LETTERS), max_size=3))
        shape = [draw(st.sampled_from([extents[c], extents[c], 1])) if labels.count(c) == 1 else extents[c]
                 for c in labels]  # fmt: skip
        term = "".join(labels)
        if dots is not None and draw(st.booleans()):
            at = draw(st.integers(0, len(labels)))
            some = dots[draw(st.integers(0, len(dots))) :]
            term, shape = f"{term[:at]}...{term[at:]}", [*shape[:at], *some, *shape[at:]]
        terms.append(term)
        shapes.append(tuple(shape))
    equation = ",".join(terms)
    if draw(st.booleans()):
        used = sorted({c for c in equation if c.isalpha()})
        kept = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
        output = "".join(kept)
        if "..." in equation:
            at = draw(st.integers(0, len(output)))
            output = f"{output[:at]}...{output[at:]}"
        equation += f"->{output}"
    return equation, shapes


@examples(150)
@given(st.data())
def test_equations(data):
    equation, shapes = data.draw(equations())
    dtype = data.draw(dtypes())
    operands = [data.draw(tensors(shape=shape, dtype=dtype)) for shape in shapes]
    if len(operands) > 1 and data.draw(st.booleans()):  # the same operand twice
        same = [n for n, shape in enumerate(shapes) if shape == shapes[0]]
        operands = [operands[0] if n in same else o for n, o in enumerate(operands)]
    expected = np.einsum(equation, *(o.array for o in operands))
    agree(tra.einsum(equation, *(o.relation for o in operands)), expected)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ii", [(4, 4)]),
        ("ii->i", [(5, 5)]),
        ("iij->ij", [(3, 3, 2)]),
        ("iii->i", [(3, 3, 3)]),
        ("ij,jk", [(3, 4), (4, 5)]),
        ("ij,jk->ki", [(3, 4), (4, 5)]),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
        ("i,j->ij", [(3,), (4,)]),
        ("ij,ij,ij->", [(3, 4)] * 3),
        ("ij,jk,kl,lm->im", [(2, 3), (3, 4), (4, 5), (5, 2)]),
        ("...ij,...jk->...ik", [(2, 3, 4, 5), (3, 5, 2)]),
        ("i...,i...->...", [(3, 2), (3, 2)]),
        ("ij,kl->", [(3, 2), (4, 5)]),
        (" i j , j -> i ", [(3, 4), (4,)]),
        (",ij->ij", [(), (3, 4)]),
        ("ii,i", [(1, 1), (4,)]),
        ("ij,j", [(0, 4), (4,)]),
        ("ij,j", [(4, 0), (0,)]),
        ("a,b", [(0,), (1,)]),
    ],
)
def test_known_equations(equation, shapes):
    random = np.random.default_rng(0)
    arrays_ = [random.normal(size=shape) for shape in shapes]
    relations = [tra.from_array(a, tile=[2] * a.ndim) for a in arrays_]
    agree(tra.einsum(equation, *relations), np.einsum(equation, *arrays_))
    agree(tra.einsum(equation, *arrays_), np.einsum(equation, *arrays_))


def test_equations_that_are_refused():
    A, B = tra.from_array(np.ones((3, 4))), tra.from_array(np.ones((5, 2)))
    for equation, operands, words in [
        ("ij", (A, B), "1 terms for 2 operands"),
        ("ijk", (A,), "'ijk' has 3 labels for 2 axes"),
        ("i", (A,), "'i' has 1 labels for 2 axes"),
        ("ij,jk", (A, B), "index j has extent 4 in one operand and 5 in another\n.*\n.*"),
        ("ij->k", (A,), "output label 'k'"),
        ("ij->ii", (A,), "output label 'i' must stand once"),
        ("i1->i", (A,), "labels are letters"),
        ("i...j...", (A,), "labels are letters"),
        ("ii", (A,), "index i stands for extents 3 and 4"),
        ("...j->j", (A,), "needs the ellipsis"),
    ]:
        with pytest.raises(SchemaError, match=words):
            tra.einsum(equation, *operands)


def test_labels_of_equations():
    assert parse_equation("...i,i...", [3, 2]) == ([("...1", "...0", "i"), ("i", "...0")], ("...1", "...0"))
    assert parse_equation("bA", [2]) == ([("b", "A")], ("A", "b"))


def test_key_names_ride_along():
    A = tra.from_array(np.ones((4, 4)), keys=("row", "col"), tile=2)
    B = tra.from_array(np.ones((4, 4)), keys=("row", "out"), tile=2)
    assert (A @ B).keys == ("row", "out")
    assert (A @ A).keys == ("row", "col")
    assert tra.einsum("ij,kl->ijkl", A, A).keys == ("row", "col", "row_2", "col_2")


@examples(100)
@given(st.data())
def test_contraction_kernels(data):
    labels = [data.draw(st.permutations("abcd"))[: data.draw(st.integers(0, 3))] for _ in range(2)]
    used = sorted({c for side in labels for c in side})
    output = data.draw(st.permutations(used))[: data.draw(st.integers(0, len(used)))]
    sizes = dict(zip("abcd", (2, 3, 1, 4), strict=True))
    dtype = data.draw(dtypes())
    loops = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    x, y = (data.draw(arrays((*loops, *(sizes[c] for c in side)), dtype)) for side in labels)
    left, right, out = ("".join(side) for side in (*labels, output))
    expected = np.einsum(f"...{left},...{right}->...{out}", x, y)
    for result in (contract(left, right, out, x, y), einsum_kernel(f"{left},{right}->{out}")(x, y)):
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_contraction_kernels_have_one_name():
    assert einsum_kernel("ik,kj->ij") == einsum_kernel("ab,bc->ac")
    for spec in ("ab", "a,b,c->a", "a->b", "ab->aa"):
        with pytest.raises(KernelError, match="not an einsum of one or two operands"):
            einsum_kernel(spec)


def test_labels_of_a_contraction_kernel_are_letters_and_no_more_than_there_are():
    assert einsum_kernel(f"{ascii_letters}->{ascii_letters}").signature.inputs[0] == tuple(ascii_letters)
    for spec in ("1->1", "i_->i", f"{ascii_letters}é->é"):
        with pytest.raises(KernelError, match="labels are letters, at most 52 of them"):
            einsum_kernel(spec)
