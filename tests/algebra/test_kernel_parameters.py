"""Parameters of kernels are passed to the method that applies the kernel, whatever they are called."""

import inspect

import numpy as np
import pytest

import tra
from tra.algebra.kernel import kernel
from tra.algebra.registry import _REGISTRY
from tra.errors import KernelError
from tra.testing import reference_session

ARRAY = np.array([[-1.0, 2.0, 3.0], [4.0, -5.0, 6.0]])
PARAMS = {
    "cast": {"dtype": "float32"},
    "class_check": {"size": 7, "dtype": "float32"},
    "clip": {"low": 0.0, "high": 3.0},
    "einsum": {"spec": "ab->ba"},
    "expand_dims": {"axis": -2},
    "logsumexp": {"axis": -2},
    "one_hot": {"size": 7, "dtype": "float32"},
    "reduce_sum": {"axis": -2},
    "scale": {"by": 2.0},
    "softmax": {"axis": -2},
    "transpose": {"axes": (1, 0)},
}


@pytest.fixture(autouse=True)
def session():
    with reference_session():
        yield


@pytest.mark.parametrize("name", PARAMS)
def test_a_transform_takes_every_parameter_of_its_kernel(name):
    A, params = tra.from_array(ARRAY, keys=()), PARAMS[name]
    bound = kernel(name, **params)
    assert A.transform(name, **params).expr == A.transform(kernel=name, **params).expr
    assert A.transform(name, **params).expr == A.transform(bound).expr
    np.testing.assert_array_equal(A.transform(name, **params).compute(), bound(ARRAY))


def test_a_parameter_may_be_called_as_an_argument_is():
    A = tra.from_array(ARRAY, tile=2)
    np.testing.assert_array_equal(A.transform("scale", by=2.0).compute(), ARRAY * 2)
    np.testing.assert_array_equal(A.transform(kernel("scale", by=2.0)).compute(), ARRAY * 2)


def test_a_join_takes_parameters():
    A = tra.from_array(ARRAY, tile=2)
    product = A.join(A, on="j", kernel="einsum", spec="ab,cb->ac").aggregate(by=("i", "i_2"))
    np.testing.assert_array_equal(product.compute(), ARRAY @ ARRAY.T)
    assert A.join(A, "j", kernel("einsum", spec="ab,cb->ac")).expr == product.expr.child


@pytest.mark.parametrize("method", ["transform", "join"])
def test_no_parameter_hides_behind_an_argument(method):
    """The methods take parameters by name, beside arguments of their own: those have other names."""
    own = set(inspect.signature(getattr(tra.Relation, method)).parameters) - {"params"}
    for name, definition in _REGISTRY.items():
        assert not own & set(inspect.signature(definition).parameters), name


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda A: A.transform("scale"), r"\(none\): it needs by, and takes by \(a number\)"),
        (lambda A: A.transform("scale", by="1"), r"\(by='1'\): it takes by \(a number\)"),
        (lambda A: A.transform("clip", low=1, high="b"), r"it takes low \(a number\), high \(a number\)"),
        (lambda A: A.transform("einsum", spec=5), r"\(spec=5\): it takes spec \(text\)"),
        (
            lambda A: A.transform("clip", low=0, hihg=1),
            r"no parameter 'hihg', but low .*; did you mean 'high'",
        ),
        (lambda A: A.transform("scale", to=2.0), r"'scale' does not take these parameters \(to=2.0\)"),
        (lambda A: A.transform(kernel("scale", by=2.0), by=3.0), r"scale\(by=2.0\) is bound already"),
        (lambda A: A.join(A, onn="i"), r"'mul' does not take these parameters .* did you mean 'on'\?"),
        (lambda A: A.join(A, "i", trunkate=True), r"did you mean 'truncate'\?"),
        (lambda A: A.join(A, "i", "einsum"), r"'einsum' does not take these parameters \(none\)"),
    ],
)
def test_parameters_that_a_kernel_does_not_take(build, words):
    with pytest.raises(KernelError, match=words):
        build(tra.from_array(ARRAY, tile=2, name="A"))
