"""The examples in the docstrings of the algebra, run on the reference evaluator."""

import doctest
import importlib
import pkgutil

import pytest

import tra.algebra
import tra.errors
import tra.testing

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = [
    "tra.errors",
    "tra.testing",
    *(m.name for m in pkgutil.walk_packages(tra.algebra.__path__, "tra.algebra.") if not m.ispkg),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=FLAGS).failed == 0
