"""NumPy's functions of whole arrays on relations: queries that mean the same, or an error with a hint."""

import numpy as np
import pytest

import tra
from tra.algebra.array_functions import _REDUCTIONS
from tra.errors import KernelError
from tra.testing import reference_session

a = np.arange(12.0).reshape(3, 4) % 5 - 2
v = np.arange(4.0) - 1
A = tra.from_array(a, keys=("i", "j"), tile=(2, 3), name="A")
V = tra.from_array(v, keys="i", tile=3, name="V")
LINE = tra.from_array(v.reshape(1, 4, 1), tile=3)
line = v.reshape(1, 4, 1)
c = a + 1j * a.T.reshape(3, 4)
C = tra.from_array(c, tile=2)

QUERIES = {
    "transpose": (lambda x, y, z: np.transpose(x), (A, V, LINE)),
    "transpose by axes": (lambda x, y, z: np.transpose(z, (2, 1, 0)), (A, V, LINE)),
    "expand_dims": (lambda x, y, z: np.expand_dims(x, -1), (A, V, LINE)),
    "expand_dims twice": (lambda x, y, z: np.expand_dims(x, (0, 3)), (A, V, LINE)),
    "squeeze": (lambda x, y, z: np.squeeze(z), (A, V, LINE)),
    "squeeze one": (lambda x, y, z: np.squeeze(z, axis=-1), (A, V, LINE)),
    "concatenate": (lambda x, y, z: np.concatenate([x, a, x], axis=1), (A, V, LINE)),
    "stack": (lambda x, y, z: np.stack([x, a], axis=-1), (A, V, LINE)),
    "where": (lambda x, y, z: np.where(x > 0, x, -1.0), (A, V, LINE)),
    "where of numbers": (lambda x, y, z: np.where(x, 1, 0), (A, V, LINE)),
    "where by an array": (lambda x, y, z: np.where(a > 0, x, a), (A, V, LINE)),
    "clip": (lambda x, y, z: np.clip(x, -1, 1), (A, V, LINE)),
    "clip below": (lambda x, y, z: np.clip(x, None, y), (A, V, LINE)),
    "clip an array": (lambda x, y, z: np.clip(a, y, 2), (A, V, LINE)),
    "einsum": (lambda x, y, z: np.einsum("ij,j->i", x, y, optimize=True), (A, V, LINE)),
    "dot": (lambda x, y, z: np.dot(x, v), (A, V, LINE)),
    "dot of vectors": (lambda x, y, z: np.dot(y, y), (A, V, LINE)),
    "dot of numbers": (lambda x, y, z: np.dot(2, x), (A, V, LINE)),
    "outer": (lambda x, y, z: np.outer(y, v), (A, V, LINE)),
    "diag": (lambda x, y, z: np.diag(x[:, :3]), (A, V, LINE)),
    "trace": (lambda x, y, z: np.trace(x[:, :3]), (A, V, LINE)),
}


@pytest.mark.parametrize("name", _REDUCTIONS)
@pytest.mark.parametrize("settings", [{}, {"axis": 0}, {"axis": -1, "keepdims": True}])
def test_reductions(name, settings):
    function = getattr(np, name)
    query = function(A, **settings)
    assert isinstance(query, tra.Relation) and query.expr == getattr(A, name)(**settings).expr
    with reference_session():
        np.testing.assert_allclose(query.compute(), function(a, **settings))
    assert query.dtype == function(a, **settings).dtype


@pytest.mark.parametrize("name", QUERIES)
def test_queries(name):
    function, relations = QUERIES[name]
    query, expected = function(*relations), function(a, v, line)
    assert isinstance(query, tra.Relation)
    with reference_session():
        np.testing.assert_allclose(query.compute(), expected)
    assert (query.shape, query.dtype) == (expected.shape, expected.dtype)


def test_parts_of_complex_numbers():
    with reference_session():
        np.testing.assert_array_equal(np.real(C).compute(), c.real)
        np.testing.assert_array_equal(np.imag(C).compute(), c.imag)
    assert np.iscomplexobj(C) and np.isrealobj(A)


def test_what_is_known_without_data():
    assert (np.shape(A), np.ndim(A), np.size(A), np.size(A, 1)) == ((3, 4), 2, 12, 4)
    assert np.result_type(A, np.complex64) == np.complex128
    assert np.amax(A, 0).expr == A.max(0).expr and np.amin(A).expr == A.min().expr
    assert np.sum(A, 0, keepdims=np.True_).shape == (1, 4) and np.sum(A, keepdims=np._NoValue).shape == ()
    assert np.sum(A, axis=(0, 1), out=None, dtype=None).expr == A.sum().expr


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            lambda: np.cumsum(A, axis=0),
            r"^numpy.cumsum does not take relations\n  hint: call \.compute\(\) first: "
            r"numpy.cumsum\(A.compute\(\)\)$",
        ),
        (lambda: np.linalg.norm(A), r"numpy.linalg.norm does not take relations\n  hint: .*compute"),
        (lambda: np.allclose(A, a), "numpy.allclose does not take relations"),
        (lambda: np.reshape(A, (4, 3)), "numpy.reshape does not take relations"),
        (
            lambda: np.sum(A, dtype="f4"),
            r"numpy.sum of a relation takes a, axis, keepdims: .*'dtype'\n  hint: call .compute\(\) first",
        ),
        (lambda: np.sum(a, out=A), "numpy.sum of a relation takes a, axis, keepdims: .*'out'"),
        (lambda: np.var(A, ddof=1), "numpy.var of a relation takes .*'ddof'"),
        (lambda: np.where(A > 0), "numpy.where of a relation takes condition, x, y: missing .*'x'"),
        (lambda: np.dot(A, LINE), "numpy.dot of a relation takes tensors of 1 or 2 axes; got one of 3\n  h"),
        (lambda: np.outer(A, V), "numpy.outer of a relation takes tensors of 1 axes; got one of 2"),
        (lambda: np.diag(V), "numpy.diagonal of a relation takes tensors of 2 axes; got one of 1"),
    ],
)
def test_what_has_no_counterpart(wrong, words):
    with pytest.raises(KernelError, match=words) as caught:
        wrong()
    assert isinstance(caught.value, TypeError)


def test_arrays_are_computed():
    with reference_session():
        np.testing.assert_array_equal(np.asarray(A), a)
        np.testing.assert_array_equal(np.array(A, dtype="f4"), a)
