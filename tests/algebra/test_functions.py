"""Kernels as functions of whole tensors: calls, what their help says, and what is said of wrong calls."""

import doctest
import inspect

import numpy as np
import pytest

import tra
from tra.algebra.functions import kernel_function
from tra.algebra.kernel import _USER_NAMES, kernel_names
from tra.algebra.kernel_doc import law_text
from tra.algebra.laws import Laws
from tra.errors import KernelError, SchemaError

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
BUILT_IN = [name for name in kernel_names() if name not in tra.__all__ and name not in _USER_NAMES]
a, b = np.arange(12.0).reshape(3, 4) - 5, np.arange(12.0).reshape(3, 4) * 2 - 9
A = tra.from_array(a, keys=("i", "j"), tile=2, name="A")
B = tra.from_array(b, keys=("i", "j"), tile=2, name="B")


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_help_of_every_kernel(name):
    function = getattr(tra, name)
    text = function.__doc__
    assert f"Call: ``tra.{name}(" in text and "Tiles: ``(" in text
    test = doctest.DocTestParser().get_doctest(text, {}, f"tra.{name}", None, None)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0


def test_help_shows_how_a_kernel_is_called():
    assert str(inspect.signature(tra.clip)).startswith("(operand, low, high) -> ")
    assert list(inspect.signature(tra.softmax).parameters) == ["operand", "axis"]
    assert list(inspect.signature(tra.add).parameters) == ["left", "right"]
    assert tra.clip.__name__ == "clip" and "the parameters below" in tra.clip.__doc__
    assert "Laws: associative, commutative, identity 0.0" in tra.add.__doc__
    assert law_text(Laws()) == ""


def test_the_help_of_user_kernels():
    @tra.kernel("(),()->()", name="hypotenuse_of_both", commutative=True)
    def hypotenuse(x, y):
        """The long side
        of a triangle.

        It is not run to make this text.
        """
        assert x.shape
        return np.sqrt(x * x + y * y)

    text = tra.hypotenuse_of_both.__doc__
    assert text.startswith("The long side of a triangle.\n") and "not run" not in text
    assert "Laws: commutative" in text and ">>>" not in text
    tra.kernel("()->()", name="hypotenuse_of_both")(lambda x: x)
    assert tra.hypotenuse_of_both.__doc__.startswith("The kernel hypotenuse_of_both on whole tensors.")


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "pow", "logaddexp"])
def test_kernels_of_two_operands(name):
    expected = {"max": np.maximum, "pow": lambda x, y: x**y, "div": np.true_divide}
    expected |= {"sub": np.subtract, "mul": np.multiply}
    function = expected.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(getattr(tra, name)(A, B).compute(), function(a, b))
        np.testing.assert_allclose(getattr(tra, name)(A, 2.0).compute(), function(a, 2.0))
        np.testing.assert_allclose(getattr(tra, name)(b[0], A).compute(), function(b[0], a))


def test_they_are_the_operators():
    assert tra.add(A, B).expr == (A + B).expr and tra.MUL(A, 2).expr == (A * 2).expr
    assert tra.add(left=A, right=B).expr == (A + B).expr
    assert tra.matmul(A, B.T).expr == (A @ B.T).expr
    np.testing.assert_allclose(tra.outer(A[0], B[1]).compute(), np.outer(a[0], b[1]))
    with pytest.raises(SchemaError, match=r"shapes \(3, 4\) and \(4, 3\) do not broadcast"):
        tra.add(A, B.T)


def test_parameters_by_place():
    np.testing.assert_array_equal(tra.clip(A, -1, 1).compute(), a.clip(-1, 1))
    assert tra.clip(A, -1, high=1).expr == tra.clip(A, low=-1, high=1).expr
    assert tra.softmax(A, 0).expr == tra.softmax(A, axis=0).expr
    assert tra.reduce_sum(A, 0).expr == A.sum(axis=0).expr
    assert tra.cast(A, "float32").dtype == np.float32
    assert tra.transpose(A, (1, 0)).shape == (4, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tra.clip(A, -1), r"tra.clip: missing .* 'high'\n  hint: call .*\(operand, low, high\)$"),
        (lambda: tra.clip(A, -1, 1, 2), r"too many positional .*\n  hint: call tra.clip\(op"),
        (lambda: tra.clip(A, -1, hihg=2), r"no parameter 'hihg'; did you mean 'high'\?\n  hint: call"),
        (lambda: tra.relu(A, B), r"too many positional arguments\n  hint: call tra.relu\(operand\)$"),
        (lambda: tra.relu(), r"tra.relu: missing a required argument: 'operand'\n  hint: call"),
        (lambda: tra.add(A), r"tra.add: missing .* 'right'\n  hint: call tra.add\(left, right\)$"),
        (lambda: tra.max(A), r"call tra.max\(left, right\), or \.max\(\) to reduce one tensor"),
        (lambda: tra.softmax(A, axes=1), r"'axes'; did you mean 'axis'\?\n  hint: call tra.softmax\(op"),
        (lambda: tra.add(1, 2), "add of two scalars is no query"),
        (
            lambda: tra.cast(A, "flaot"),
            "cast takes a dtype such as bool, .* got dtype='flaot'; did you mean 'float64'",
        ),
        (lambda: kernel_function("where")(A, A, A), "no meaning between whole tensors"),
    ],
)
def test_wrong_calls(call, words):
    with pytest.raises(KernelError, match=words):
        call()


def test_a_user_kernel_that_joins_tiles_only():
    tra.kernel("(m,n),(n)->(m)", name="apply_rows")(lambda x, y: x @ y)
    with pytest.raises(KernelError, match=r"apply_rows .* join .*: A.join\(B, on=…, kernel='apply_rows'\)"):
        tra.apply_rows(A, B)


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match=r"no attribute 'reluu'; did you mean 'relu'\?"):
        tra.reluu  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'sum'; it is a method of relations: A.sum\(…\)"):
        tra.sum(A)
    assert not hasattr(tra, "__wrapped__")
