"""Names from NumPy, PyTorch, Dask and SQL: one table says what to write here, in Python and in text."""

import copy
import inspect
from collections.abc import Mapping

import numpy as np
import pytest

import tra
from tra.algebra import habits
from tra.errors import QueryError, near_name

A = tra.from_array(np.ones((3, 2)), name="A")


@pytest.mark.parametrize(
    ("owner", "name", "message"),
    [
        (
            tra,
            "zeros",
            r"no attribute 'zeros'; arrays are made by NumPy .* tra\.from_array\(np\.zeros",
        ),
        (tra, "load", r"no attribute 'load'; write tra\.open\(path\)$"),
        (tra, "dot", r"'dot'; write A @ B"),
        (tra, "stack", r"'stack'; write tra\.concatenate\(\[A\[None\], B\[None\]\]\)$"),
        (tra, "save", r"it is a method of relations: A\.save\(…\)$"),
        (tra, "average", r"it is a method of relations: A\.mean\(…\)$"),
        (tra, "mse", r"did you mean tra\.losses\.squared_error\?$"),
        (tra, "ln", r"did you mean 'log'\?$"),
        (tra, "sgd", r"did you mean 'SGD'\?$"),
        (tra, "nonsense", r"no attribute 'nonsense'$"),
        (A, "reshape", "no attribute 'reshape'; axes are neither merged nor split"),
        (A, "rechunk", r"'rechunk'; write A\.retile\(100, 100\)"),
        (A, "numpy", r"write A\.compute\(\)$"),
        (A, "backward", r"write tra\.grad\(loss, \[W\]\)$"),
        (A, "relu", r"write tra\.relu\(A\)$"),
        (A, "avg", r"did you mean 'mean'\?$"),
        (A, "shap", r"did you mean 'shape'\?$"),
        (A, "nonsense", r"a relation has no attribute 'nonsense'$"),
        (tra.losses, "mse", r"no loss 'mse'; did you mean 'squared_error'\?$"),
        (tra.losses, "CrossEntropyLoss", r"did you mean 'softmax_cross_entropy'\?$"),
        (tra.losses, "bce", r"did you mean 'logistic'\?$"),
        (tra.losses, "mae", r"write tra\.abs\(prediction - target\)\.mean\(\)$"),
        (tra.losses, "nonsense", r"there are hinge, logistic, softmax_cross_entropy, squared_error$"),
    ],
)
def test_attributes(owner, name, message):
    assert not hasattr(owner, name)
    with pytest.raises(AttributeError, match=message):
        getattr(owner, name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("DOT(A[i, j])", r"no function DOT\n(.*\n)*  hint: a product is SUM\(A\[i, k\] \* B\[k, j\]\)"),
        ("AVERAGE(A[i, j])", r"no function AVERAGE; did you mean 'MEAN'"),
        ("NORM(A[i, j])", r"hint: write SQRT\(SUM\(A\[i\] \^ 2\)\)"),
        ("RESHAPE(A[i, j])", r"no function RESHAPE\n"),
    ],
)
def test_text_asks_the_same_table(call, message):
    with pytest.raises(QueryError, match=message):
        tra.sql(f"LET r = {call};", A=A)


def test_a_synonym_means_something_that_is_here():
    there = {*dir(tra), *dir(tra.Relation), *dir(tra.losses)}
    assert set(habits._SYNONYMS.values()) <= there
    assert not any(hasattr(tra, name) and hasattr(A, name) for name in habits._FORMS)


def test_every_other_name_of_an_argument_means_one_that_is_somewhere():
    entries = [
        tra.connect, tra.Session.train, tra.AdamW, tra.from_array, tra.from_tiles, tra.Relation.sum,
        tra.Relation.transpose, tra.schedules.Cosine, tra.schedules.Step,
    ]  # fmt: skip
    taken = {name for entry in entries for name in inspect.signature(entry).parameters}
    assert {name for names in habits._ARGUMENTS.values() for name in names} <= taken


def test_internals_are_not_shown():
    assert dir(tra.losses) == sorted(tra.losses.__all__)
    assert dir(tra.schedules) == sorted(tra.schedules.__all__)


def test_relations_are_what_they_were_to_others():
    assert not hasattr(A, "__array_interface__") and not hasattr(A, "_no_such")
    assert copy.copy(A).shape == copy.deepcopy(A).shape == (3, 2)
    assert not isinstance(A, Mapping)
    with pytest.raises(AttributeError, match="no attribute 'expr'"):  # and not 'shape', which there is
        tra.Relation.__new__(tra.Relation).shape  # noqa: B018


def test_what_is_not_like_it_is_not_suggested():
    assert near_name("nonsense", ["one site"]) == near_name("zeros", ["errors"]) == ""
    assert near_name("load", ["logaddexp"]) == ""
    assert near_name("sgd", ["sign", "sqrt", "SGD"]) == "; did you mean 'SGD'?"
    assert near_name("jion", ["join"]) and near_name("flot", ["float64"]) and near_name("AA", ["A"])
